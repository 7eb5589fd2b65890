"""SOAP envelopes: found in octets that anybody may have sent, and written. Source: SOAP 1.1 sections 4 and 5.

The parser takes no document type, resolves no entity, asks no network and builds no tree beyond `XML_MAX` octets.
"""

from typing import Any, Final, TypeAlias

from lxml import etree

from trebuchet.protocols.mm7.errors import EncodeError, Mm7Error

Element: TypeAlias = Any  # an lxml element, which has no public type

XML_MAX: Final = 262_144  # octets
_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_DEPTH_MAX: Final = 40
_ELEMENTS_MAX: Final = 10_000
_BLANKS: Final = " \t\r\n"  # of XML
_ID_MAX: Final = 255  # characters


class Envelope:
    """What is in one: the message's element, and the transaction it belongs to."""

    __slots__ = ("message", "namespace", "transaction_id")

    def __init__(self, message: Element, namespace: str, transaction_id: str) -> None:
        self.message = message
        self.namespace = namespace
        self.transaction_id = transaction_id


def name_of(element: Element) -> str:
    """Without its namespace; empty for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Element, name: str) -> Element | None:
    """The first of this name, in whatever namespace and case."""
    wanted = name.lower()
    return next((each for each in element if name_of(each).lower() == wanted), None)


def text(element: Element | None) -> str:
    return "" if element is None or element.text is None else " ".join(element.text.split())


def read(octets: bytes) -> Envelope:
    """The envelope in an XML document. Raises Mm7Error."""
    if len(octets) > XML_MAX:
        raise Mm7Error(f"the XML has more than {XML_MAX} octets")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(octets.lstrip(), parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise Mm7Error("not well-formed XML") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.doctype:
        raise Mm7Error("a document type is not allowed")
    _check_size(root)
    body = child(root, "Body") if name_of(root).lower() == "envelope" else None
    if body is None:
        raise Mm7Error("not a SOAP envelope")
    header = child(root, "Header")
    transaction_id = _id(child(header, "TransactionID") if header is not None else None)
    if len(transaction_id) > _ID_MAX:
        raise Mm7Error("the TransactionID is too long")
    message = _message(body)
    if message is None:
        raise Mm7Error("nothing is in the SOAP body", transaction_id=transaction_id)
    return Envelope(message, etree.QName(message).namespace or "", transaction_id)


def _message(body: Element) -> Element | None:
    """The message; of a fault, what its detail holds, or the fault itself."""
    first = next(iter(body), None)
    if first is None or name_of(first).lower() != "fault":
        return first
    detail = child(first, "detail")
    inner = next(iter(detail), None) if detail is not None else None
    return first if inner is None else inner


def _id(element: Element | None) -> str:
    """Blanks within it are the peer's, who gets it back as it is."""
    return "" if element is None or element.text is None else str(element.text).strip(_BLANKS)


def _check_size(root: Element) -> None:
    """Raises Mm7Error for a tree that is too deep, or has more elements than any message needs."""
    level = [root]
    elements = 1
    for _ in range(_DEPTH_MAX):
        level = [each for element in level for each in element]
        if not level:
            return
        elements += len(level)
        if elements > _ELEMENTS_MAX:
            raise Mm7Error("too many elements")
    raise Mm7Error("elements are nested too deep")


class Writer:
    """Builds one envelope: `add` elements to `message`, then `octets`. Raises EncodeError for text that XML lacks."""

    def __init__(self, name: str, namespace: str, transaction_id: str, *, fault: str = "") -> None:
        self._namespace = namespace
        own: dict[Any, str] = {None: namespace}  # the default one
        self._root = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"env": _ENVELOPE})
        header = etree.SubElement(self._root, f"{{{_ENVELOPE}}}Header")
        transaction = etree.SubElement(header, f"{{{namespace}}}TransactionID", nsmap=own)
        transaction.set(f"{{{_ENVELOPE}}}mustUnderstand", "1")
        self._write(transaction, "TransactionID", transaction_id)
        parent = etree.SubElement(self._root, f"{{{_ENVELOPE}}}Body")
        if fault:
            parent = self._fault(parent, fault)
        self.message = etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap=own)

    def _fault(self, body: Element, words: str) -> Element:
        fault = etree.SubElement(body, f"{{{_ENVELOPE}}}Fault")
        etree.SubElement(fault, "faultcode").text = "env:Client"
        etree.SubElement(fault, "faultstring").text = words
        return etree.SubElement(fault, "detail")

    def add(self, parent: Element, name: str, value: str = "", **attributes: str) -> Element:
        element = etree.SubElement(parent, f"{{{self._namespace}}}{name}")
        for attribute, given in attributes.items():
            element.set(attribute, given)
        if value:
            self._write(element, name, value)
        return element

    @staticmethod
    def _write(element: Element, name: str, value: str) -> None:
        try:
            element.text = value
        except ValueError:
            raise EncodeError(name, "characters that XML does not have") from None

    def octets(self) -> bytes:
        written: bytes = etree.tostring(self._root, xml_declaration=True, encoding="UTF-8")
        return written
