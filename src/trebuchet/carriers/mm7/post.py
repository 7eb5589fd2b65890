"""One request to the MMSC over HTTP, and what its answer means."""

import base64
import ssl
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

import msgspec

from trebuchet.carriers.mm7 import translate
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.clock import Clock
from trebuchet.protocols import mm7
from trebuchet.protocols.mm4 import EncodedPart
from trebuchet.protocols.mm7 import status
from trebuchet.protocols.mm7.status import Verdict
from trebuchet.webclient import AddressRules, WebClient, WebError
from trebuchet.webclient.connection import Answer

_ANSWER_MAX: Final = 65_536  # octets of an answer that are read
_EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_CONNECT_S: Final = 10.0
_NOT_READY: Final = frozenset({429, 503})
_LINK_AT_FAULT: Final = frozenset({401, 403, 404, 405, 407}) | _NOT_READY
_NO_SENSE: Final = 4750
_SERVER_FAULT: Final = 5620
_NOT_WRITABLE: Final = 4752


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request. No `verdict`: nobody knows whether the MMSC has it."""

    verdict: Verdict | None
    words: str
    code: int | None = None  # what it fails with, if it fails
    message_id: str = ""
    exchanged: tuple[tuple[int, str, bytes], ...] = ()


class Poster:
    """Posts requests of one link. All calls in one event loop; made within it."""

    def __init__(self, settings: Mm7Settings) -> None:
        self._settings = settings
        self._profile = mm7.PROFILES[settings.profile]
        self._headers = _headers(settings, self._profile)
        # The operator named the peer; whatever network it is in, it is meant.
        self._client = WebClient(
            AddressRules(allow_loopback=True, allow_networks=_EVERYWHERE),
            tls=_tls(settings),
            connections_max=settings.connections,
            connections_per_origin=settings.connections,
            connect_timeout_s=_CONNECT_S,
        )

    async def close(self) -> None:
        await self._client.close()

    async def probe(self) -> None:
        """Find out that somebody answers there, whatever to a GET. Raises WebError, and OSError if it is not ready."""
        document = await self._client.get(
            self._settings.url, self._headers, timeout_s=_CONNECT_S, answer_max=_ANSWER_MAX
        )
        if document.status in _NOT_READY:
            raise OSError(f"HTTP {document.status}")

    async def post(self, request: mm7.SubmitReq, parts: Sequence[EncodedPart], clock: Clock) -> Said:
        """Raises nothing that the peer could cause."""
        try:
            body = mm7.encode(request, self._profile, f"b{request.transaction_id}", parts=parts)
        except mm7.EncodeError as error:
            return Said(verdict=Verdict.PERMANENT, code=_NOT_WRITABLE, words=str(error))
        out = _shown(clock, "out", request.NAME, translate.shown(request))
        headers = [(b"Content-Type", body.content_type.encode("ascii")), *self._headers]
        try:
            answer = await self._client.post(
                self._settings.url,
                body.octets,
                headers,
                timeout_s=self._settings.response_timeout_s,
                answer_max=_ANSWER_MAX,
                repeatable=False,
            )
        except WebError as error:
            verdict = None if error.asked else Verdict.LINK
            return Said(verdict=verdict, words=str(error), exchanged=(out,))
        said = understood(answer, request.transaction_id)
        return msgspec.structs.replace(
            said, exchanged=(out, _shown(clock, "in", f"HTTP {answer.status}", [said.words]))
        )


def understood(answer: Answer, transaction_id: str) -> Said:
    """What an HTTP answer to a SubmitReq means. A document of MM7 counts whatever the HTTP status. Pure."""
    content_type = dict(answer.headers).get(b"content-type", b"text/xml").decode("latin-1")
    try:
        said = mm7.decode(content_type, answer.body)
    except mm7.Mm7Error as error:
        return _without_document(answer.status, error.what)
    if isinstance(said, mm7.RsError) and not said.namespace and answer.status in _LINK_AT_FAULT:
        return _without_document(answer.status, said.details)  # a fault without a word of MM7
    if not isinstance(said, mm7.SubmitRsp | mm7.RsError | mm7.VaspError):
        return _without_document(answer.status, f"{said.NAME} is no answer to SubmitReq")
    if said.transaction_id and said.transaction_id != transaction_id:
        return Said(verdict=None, words="the answer is to another transaction")
    outcome = status.outcome_of(said.status)
    if outcome.verdict is Verdict.OK and not isinstance(said, mm7.SubmitRsp):
        return Said(verdict=None, words="a fault that says success")
    message_id = said.message_id if isinstance(said, mm7.SubmitRsp) else ""
    return Said(
        verdict=outcome.verdict, code=outcome.code, words=translate.words(said), message_id=message_id
    )


def _without_document(http_status: int, what: str) -> Said:
    """By the HTTP status alone (RFC 9110 section 15)."""
    words = f"HTTP {http_status}: {what}"
    if http_status < 300:
        return Said(verdict=None, words=words)  # taken, perhaps
    if http_status < 400 or http_status in _LINK_AT_FAULT:
        return Said(verdict=Verdict.LINK, words=words)
    if http_status >= 500 or http_status in (408, 425):
        return Said(verdict=Verdict.TEMPORARY, code=_SERVER_FAULT, words=words)
    return Said(verdict=Verdict.PERMANENT, code=_NO_SENSE, words=words)


def _headers(settings: Mm7Settings, profile: mm7.Profile) -> list[tuple[bytes, bytes]]:
    headers = [(b"SOAPAction", profile.soap_action.encode("ascii")), (b"User-Agent", b"trebuchet")]
    if settings.username:
        token = base64.b64encode(f"{settings.username}:{settings.password}".encode())
        headers.append((b"Authorization", b"Basic " + token))
    return headers


def _tls(settings: Mm7Settings) -> ssl.SSLContext | None:
    """None for the usual one. Raises ValueError for files that cannot be used. Blocks on them."""
    if not settings.tls_ca_file and not settings.tls_certificate_file:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
        if settings.tls_certificate_file:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
    except OSError as error:
        raise ValueError(f"tls_ca_file, tls_certificate_file, tls_key_file: {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _shown(clock: Clock, direction: str, what: str, lines: Sequence[str]) -> tuple[int, str, bytes]:
    return clock.now_ms(), direction, "\n".join((what, *lines)).encode()
