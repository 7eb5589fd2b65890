"""Messages of MM7 in the bodies of HTTP requests and answers. Source: 3GPP TS 23.140 section 8.7 and its schema.

A message with content is a multipart/related whose root is the SOAP envelope, the other part the content; one without
is the envelope alone. Reading goes by local names, so any namespace and version will do, and takes what peers really
write: no `start`, no `cid:`, no Content element, text/xml with nothing around it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from trebuchet.protocols.mm4 import mime
from trebuchet.protocols.mm4.errors import Mm4Error
from trebuchet.protocols.mm4.headers import LIMITS, Headers, Limits, parameter
from trebuchet.protocols.mm4.mime import EncodedPart
from trebuchet.protocols.mm4.pdu import MimePart
from trebuchet.protocols.mm7 import pdu, soap
from trebuchet.protocols.mm7.errors import FORMAT_CORRUPT, UNSUPPORTED, VALIDATION, EncodeError, Mm7Error
from trebuchet.protocols.mm7.pdu import Kind, Party, Pdu
from trebuchet.protocols.mm7.profiles import PROFILES, STANDARD, Profile
from trebuchet.protocols.mm7.status import CLIENT_ERROR, SERVER_ERROR, text_of

XML: Final = "text/xml; charset=utf-8"
_ROOT_ID: Final = "mm7-start"
_CONTENT_ID: Final = "mm7-content"
_STATUS_MAX: Final = 9_999
_FIELD_MAX: Final = 4_096  # characters
_PARTIES_MAX: Final = 1_000


class _Text(NamedTuple):
    attribute: str
    path: str  # of element names


class _Flag(NamedTuple):
    attribute: str
    path: str


class _Party(NamedTuple):
    attribute: str
    path: str


class _Parties(NamedTuple):
    attribute: str
    path: str


_Field = _Text | _Flag | _Party | _Parties

_WHO: Final = (_Text("vasp_id", "VASPID"), _Text("vas_id", "VASID"))
_RECIPIENTS: Final = (
    _Parties("to", "Recipients/To"),
    _Parties("cc", "Recipients/Cc"),
    _Parties("bcc", "Recipients/Bcc"),
)
_RELAY: Final = (_Text("relay_id", "MMSRelayServerID"),)
_ABOUT: Final = (
    _Text("message_id", "MessageID"),
    _Party("recipient", "Recipient"),
    _Party("sender", "Sender"),
)
_STATUS: Final = (_Text("status_text", "Status/StatusText"), _Text("details", "Status/Details"))

# In the order of the schema, which some peers check.
FIELDS: Final[dict[type[Any], tuple[_Field, ...]]] = {
    pdu.SubmitReq: (
        _Text("vasp_id", "SenderIdentification/VASPID"),
        _Text("vas_id", "SenderIdentification/VASID"),
        _Party("sender", "SenderIdentification/SenderAddress"),
        *_RECIPIENTS,
        _Text("service_code", "ServiceCode"),
        _Text("linked_id", "LinkedID"),
        _Text("expires", "ExpiryDate"),
        _Flag("delivery_report", "DeliveryReport"),
        _Flag("read_reply", "ReadReply"),
        _Text("priority", "Priority"),
        _Text("subject", "Subject"),
    ),
    pdu.SubmitRsp: (*_STATUS, _Text("message_id", "MessageID")),
    pdu.DeliverReq: (
        *_RELAY,
        *_WHO,
        _Text("linked_id", "LinkedID"),
        _Party("sender", "Sender"),
        *_RECIPIENTS,
        _Text("time_stamp", "TimeStamp"),
        _Text("priority", "Priority"),
        _Text("subject", "Subject"),
    ),
    pdu.DeliverRsp: (*_STATUS, _Text("service_code", "ServiceCode")),
    pdu.DeliveryReportReq: (
        *_RELAY,
        *_WHO,
        *_ABOUT,
        _Text("date", "Date"),
        _Text("mm_status", "MMStatus"),
        _Text("mm_status_extension", "MMStatusExtension"),
        _Text("status_text", "StatusText"),
    ),
    pdu.DeliveryReportRsp: _STATUS,
    pdu.ReadReplyReq: (
        *_RELAY,
        *_WHO,
        *_ABOUT,
        _Text("time_stamp", "TimeStamp"),
        _Text("mm_status", "MMStatus"),
        _Text("status_text", "StatusText"),
    ),
    pdu.ReadReplyRsp: _STATUS,
    pdu.RsError: _STATUS,
    pdu.VaspError: _STATUS,
}
_BY_NAME: Final[dict[str, type[Any]]] = {each.NAME.lower(): each for each in FIELDS}
_FAULTS: Final = (pdu.RsError, pdu.VaspError)


class Encoded(msgspec.Struct, frozen=True):
    """The body of an HTTP message, and its Content-Type."""

    content_type: str
    octets: bytes


# ---- reading ----


def decode(content_type: str, octets: bytes, limits: Limits = LIMITS) -> Pdu:
    """The message of an HTTP body. Raises Mm7Error."""
    try:
        root, content = _bodies(content_type, octets, limits)
    except Mm4Error as error:
        raise Mm7Error(error.what) from None
    envelope = soap.read(root)
    name = soap.name_of(envelope.message).lower()
    if name == "fault":
        return _bare_fault(envelope)
    known = _BY_NAME.get(name)
    if known is None:
        raise _refused(envelope, "not an operation that is known here", UNSUPPORTED)
    try:
        parts = (
            content.leaves(limits, _href(envelope.message)) if "parts" in known.__struct_fields__ else None
        )
    except Mm4Error as error:
        raise _refused(envelope, error.what, FORMAT_CORRUPT) from None
    return _message(known, envelope, parts)


def _bare_fault(envelope: soap.Envelope) -> pdu.RsError:
    """A SOAP fault without a word of MM7: whose fault it is, is all that its code says (SOAP 1.1 section 4.4.1)."""
    code = soap.text(soap.child(envelope.message, "faultcode")).lower()
    return pdu.RsError(
        transaction_id=envelope.transaction_id,
        status=SERVER_ERROR if "server" in code else CLIENT_ERROR,
        details=soap.text(soap.child(envelope.message, "faultstring"))[:_FIELD_MAX],
    )


class _Part(NamedTuple):
    """One part of the outer multipart: its headers, and where its body is."""

    headers: Headers
    start: int
    end: int

    @property
    def content_id(self) -> str:
        return self.headers.first("Content-ID").strip("<> \t\"'")


class _Content(NamedTuple):
    """Everything beside the envelope."""

    octets: bytes
    parts: Sequence[_Part]

    def leaves(self, limits: Limits, href: str) -> tuple[MimePart, ...]:
        """Of the part that `href` names; if there is none of that name, of all."""
        wanted = href.removeprefix("cid:").strip("<> ")
        named = [
            part for part in self.parts if wanted in (part.content_id, part.headers.first("Content-Location"))
        ]
        return tuple(
            leaf
            for part in (named if wanted and named else self.parts)
            for leaf in mime.leaves(part.headers, self.octets, part.start, part.end, limits)
        )


def _bodies(content_type: str, octets: bytes, limits: Limits) -> tuple[bytes, _Content]:
    """The envelope's octets, and the rest."""
    headers = Headers((("Content-Type", content_type),))
    main, given = mime.content_type_of(headers)
    if not main.startswith("multipart/"):
        return octets, _Content(octets, ())
    parts = [_Part(*each) for each in mime.children(headers, octets, 0, len(octets), limits)]
    if not parts:
        raise Mm7Error("a multipart without parts")
    start = given.get("start", "").strip("<> ")
    root = next((part for part in parts if start and part.content_id == start), parts[0])
    envelopes = mime.leaves(root.headers, octets, root.start, root.end, limits)
    if not envelopes:
        raise Mm7Error("a multipart without an envelope")
    return envelopes[0].octets, _Content(octets, [part for part in parts if part is not root])


def _href(message: soap.Element) -> str:
    content = soap.child(message, "Content")
    return "" if content is None else str(content.get("href") or "")


def _refused(envelope: soap.Envelope, what: str, status: int) -> Mm7Error:
    return Mm7Error(what, status, transaction_id=envelope.transaction_id, namespace=envelope.namespace)


def _message(known: type[Any], envelope: soap.Envelope, parts: tuple[MimePart, ...] | None) -> Pdu:
    given: dict[str, Any] = {} if parts is None else {"parts": parts}
    for field in FIELDS[known]:
        found = _at(envelope.message, field.path)
        if found is None:
            continue
        if isinstance(field, _Party):
            given[field.attribute] = next(iter(_parties(found, envelope)), None)
        elif isinstance(field, _Parties):
            given[field.attribute] = _parties(found, envelope)
        else:
            written = soap.text(found)
            if len(written) > _FIELD_MAX:
                raise _refused(envelope, f"{field.path} is too long", VALIDATION)
            given[field.attribute] = written.lower() in ("true", "1") if isinstance(field, _Flag) else written
    if issubclass(known, pdu.Result):
        given["status"] = _status(envelope)
    message: Pdu = known(
        transaction_id=envelope.transaction_id,
        namespace=envelope.namespace,
        version=soap.text(soap.child(envelope.message, "MM7Version"))[:20],
        **given,
    )
    return message


def _at(element: soap.Element, path: str) -> soap.Element | None:
    found: soap.Element | None = element
    for name in path.split("/"):
        found = soap.child(found, name) if found is not None else None
    return found


def _parties(element: soap.Element, envelope: soap.Envelope) -> tuple[Party, ...]:
    """The addresses in an element; one without an inner element is a number."""
    found = []
    kinds = {kind.lower(): kind for kind in Kind}
    for each in element:
        kind, written = kinds.get(soap.name_of(each).lower()), soap.text(each)
        if kind is not None and written:
            found.append(Party(kind, written[:320], (each.get("displayOnly") or "").lower() in ("true", "1")))
    if not len(element) and soap.text(element):
        found.append(Party(Kind.NUMBER, soap.text(element)[:320]))
    if len(found) > _PARTIES_MAX:
        raise _refused(envelope, "too many recipients", VALIDATION)
    return tuple(found)


def _status(envelope: soap.Envelope) -> int:
    written = soap.text(_at(envelope.message, "Status/StatusCode"))
    if not (written.isascii() and written.isdecimal()) or not 0 < int(written[:10]) <= _STATUS_MAX:
        raise _refused(envelope, "no StatusCode", VALIDATION)
    return int(written)


# ---- writing ----


def encode(
    message: Pdu,
    profile: Profile = PROFILES[STANDARD],
    boundary: str = "",
    *,
    parts: Sequence[EncodedPart] | None = None,
) -> Encoded:
    """The body. `boundary`, letters and digits, is for a message with parts; `parts` go in place of its own.

    Raises EncodeError.
    """
    if parts is None:
        parts = [mime.encode_part(part) for part in getattr(message, "parts", ())]
    envelope = _envelope(message, profile, has_content=bool(parts))
    if not parts:
        return Encoded(XML, envelope)
    if not boundary:
        raise EncodeError("boundary", "a message with parts needs one")
    content_type, content = mime.multipart(parts, f"c{boundary}")
    delimiter = f"--{boundary}\r\n".encode("ascii")
    pieces = [
        delimiter,
        f"Content-Type: {XML}\r\nContent-ID: <{_ROOT_ID}>\r\n\r\n".encode("ascii"),
        envelope,
        b"\r\n",
        delimiter,
        f"Content-Type: {content_type}\r\nContent-ID: <{_CONTENT_ID}>\r\n\r\n".encode("ascii"),
        *content,
        f"\r\n--{boundary}--\r\n".encode("ascii"),
    ]
    start = parameter("start", f"<{_ROOT_ID}>")
    outer = f'multipart/related; boundary="{boundary}"; type="text/xml"{start}'
    return Encoded(outer, b"".join(pieces))


def _envelope(message: Pdu, profile: Profile, *, has_content: bool) -> bytes:
    known = type(message)
    fault = getattr(message, "status_text", "") or "error" if isinstance(message, _FAULTS) else ""
    namespace = message.namespace or profile.namespace
    try:
        writer = soap.Writer(known.NAME, namespace, message.transaction_id, fault=fault)
    except ValueError:
        raise EncodeError(known.NAME, "characters that XML does not have") from None
    writer.add(writer.message, "MM7Version", message.version or profile.version)
    elements: dict[str, soap.Element] = {"": writer.message}
    if isinstance(message, pdu.Result):
        status = elements["Status"] = writer.add(writer.message, "Status")
        writer.add(status, "StatusCode", str(message.status))
    for field in FIELDS[known]:
        value = getattr(message, field.attribute)
        if value in ("", (), None, False):
            continue
        parent, _, name = field.path.rpartition("/")
        if parent not in elements:
            elements[parent] = writer.add(writer.message, parent)
        if isinstance(field, _Text):
            writer.add(elements[parent], name, value)
        elif isinstance(field, _Flag):
            writer.add(elements[parent], name, "true")
        else:
            element = writer.add(elements[parent], name)
            for party in value if isinstance(field, _Parties) else (value,):
                shown = {"displayOnly": "true"} if party.display_only else {}
                writer.add(element, party.kind, party.value, **shown)
    if has_content:
        writer.add(writer.message, "Content", href=f"cid:{_CONTENT_ID}", allowAdaptations="true")
    return writer.octets()


def answer(request: pdu.Request, status: int, text: str = "", **more: str) -> pdu.Answer:
    """The answer to a request, in its namespace and version."""
    made: pdu.Answer = _BY_NAME[request.ANSWERED_BY.lower()](
        transaction_id=request.transaction_id,
        namespace=request.namespace,
        version=request.version,
        status=status,
        status_text=text or text_of(status),
        **more,
    )
    return made


def refusal(error: Mm7Error) -> pdu.VaspError:
    """What a VASP answers to what it cannot read."""
    return pdu.VaspError(
        transaction_id=error.transaction_id,
        namespace=error.namespace,
        status=error.status,
        status_text=text_of(error.status),
        details=error.what,
    )
