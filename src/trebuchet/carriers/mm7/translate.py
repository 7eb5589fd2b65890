"""Shipments into MM7 and MM7 into reports. Pure: ids and moments are given.

The relay gives each request an id of its own; each recipient's part is known to us as that id with the number behind
it, whether it went out alone or with others.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from trebuchet.carriers.base import File, InboundPart, Shipment
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.model.address import NumberClass, class_of
from trebuchet.model.message import Delivery, Message
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.protocols import mm4, mm7
from trebuchet.protocols.mm7 import status
from trebuchet.protocols.mm7.status import Fate

_WORDS_MAX: Final = 200  # characters
_STATES: Final = {
    Fate.DELIVERED: ReceiptState.DELIVERED,
    Fate.FAILED: ReceiptState.UNDELIVERABLE,
    Fate.UNKNOWN: ReceiptState.UNKNOWN,
    Fate.WAITING: ReceiptState.ENROUTE,
}


# ---- addresses ----


def party(number: str, settings: Mm7Settings, *, display_only: bool = False) -> mm7.Party:
    """One of our numbers, or a handset's. A name goes as a number does: MM7 has no kind for it."""
    if class_of(number) is NumberClass.SHORT_CODE:
        return mm7.Party(mm7.Kind.SHORT_CODE, number, display_only)
    written = number if settings.plus else number.removeprefix("+")
    return mm7.Party(mm7.Kind.NUMBER, written, display_only)


def number_of(written: mm7.Party, settings: Mm7Settings) -> str:
    """The number of an address as numbers are stored; empty for a mailbox that holds none."""
    if written.kind is mm7.Kind.SHORT_CODE:
        return written.value.strip()
    address = mm4.parse(written.value, mm4.Dialect(country_code=settings.country_code))
    if address is None or address.kind in (mm4.Kind.EMAIL, mm4.Kind.IP):
        return ""
    return address.value


def numbers(parties: Iterable[mm7.Party], settings: Mm7Settings) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(filter(None, (number_of(each, settings) for each in parties))))


# ---- out ----


def requests(shipment: Shipment, settings: Mm7Settings) -> list[tuple[Delivery, ...]]:
    """The deliveries of each request that a shipment is submitted in."""
    if settings.groups == "together":
        return [shipment.deliveries]
    return [(delivery,) for delivery in shipment.deliveries]


def submit(message: Message, deliveries: Sequence[Delivery], settings: Mm7Settings) -> mm7.SubmitReq:
    """The request without its parts: the same at each try. Recipients that it is not for are there to be seen."""
    for_whom = {delivery.to for delivery in deliveries}
    return mm7.SubmitReq(
        transaction_id=f"{message.id}.{deliveries[0].recipient}",
        vasp_id=settings.vasp_id,
        vas_id=settings.vas_id,
        sender=party(message.source, settings),
        to=tuple(party(to, settings, display_only=to not in for_whom) for to in message.destinations),
        service_code=settings.service_code,
        expires=iso(message.valid_until_ms),
        delivery_report=settings.reports,
    )


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def part_id(message_id: str, number: str) -> str:
    """What the part of one recipient is known as."""
    return f"{message_id}/{number}"


def words(said: mm7.Answer) -> str:
    return " ".join(filter(None, (str(said.status), said.status_text, said.details)))[:_WORDS_MAX]


def refused_part(carrier_id: str, part: str, number: str, code: int, why: str, now_ms: int) -> Receipt:
    """A recipient whose request was refused while the others' were taken."""
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part,
        state=ReceiptState.REJECTED,
        error_code=code,
        error=why,
        handset=number,
        at_ms=now_ms,
    )


def delivered_part(carrier_id: str, part: str, number: str, now_ms: int) -> Receipt:
    """A recipient of a peer that reports nothing."""
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part,
        state=ReceiptState.DELIVERED,
        error="taken by a peer that does not report",
        handset=number,
        at_ms=now_ms,
    )


# ---- in ----


def receipt_of(
    report: mm7.DeliveryReportReq, carrier_id: str, settings: Mm7Settings, now_ms: int
) -> Receipt | None:
    """What a delivery report says; None if it is about nobody."""
    number = number_of(report.recipient, settings) if report.recipient is not None else ""
    if not number or not report.message_id:
        return None
    fate, code = status.mm_fate(
        report.mm_status,
        report.mm_status_extension,
        indeterminate_delivered=settings.indeterminate_is_delivered,
        forwarded_final=settings.forwarded_is_delivered,
    )
    said = " ".join(filter(None, (report.mm_status, report.mm_status_extension, report.status_text)))
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part_id(report.message_id, number),
        state=_STATES[fate],
        error_code=code,
        error=said[:_WORDS_MAX],
        handset=number,
        sender="" if report.sender is None else number_of(report.sender, settings),
        octets="\n".join((report.NAME, *shown(report))).encode(),
        at_ms=now_ms,
    )


def shown(said: mm7.Answer | mm7.DeliveryReportReq | mm7.SubmitReq) -> list[str]:
    """A message line by line, for people; nothing of its content, and no password, is in it."""
    lines = [("TransactionID", said.transaction_id), ("MM7Version", said.version)]
    if isinstance(said, mm7.SubmitReq):
        lines += [("VASPID", said.vasp_id), ("VASID", said.vas_id), ("ExpiryDate", said.expires)]
        lines += [("SenderAddress", "" if said.sender is None else said.sender.value)]
        lines += [("To", f"{to.value}{' (display only)' if to.display_only else ''}") for to in said.to]
    elif isinstance(said, mm7.DeliveryReportReq):
        lines += [("MessageID", said.message_id), ("MMStatus", said.mm_status)]
        lines += [("MMStatusExtension", said.mm_status_extension), ("StatusText", said.status_text)]
        lines += [("Recipient", "" if said.recipient is None else said.recipient.value)]
    else:
        lines += [("StatusCode", str(said.status)), ("StatusText", said.status_text)]
        lines += [("Details", said.details), ("MessageID", getattr(said, "message_id", ""))]
    return [f"{name}: {value}" for name, value in lines if value]


def inbound_of(
    request: mm7.DeliverReq,
    content: mm4.Content,
    ours: tuple[str, ...],
    settings: Mm7Settings,
    carrier_id: str,
) -> InboundPart:
    """The message that a DeliverReq brings to numbers of ours."""
    source = "" if request.sender is None else number_of(request.sender, settings)
    return InboundPart(
        carrier_id=carrier_id,
        source=source,
        destination=ours[0],
        destinations=numbers((*request.to, *request.cc), settings) or ours,
        owners=ours,
        multimedia=True,
        text=content.text or request.subject,
        files=tuple(File(part.name, part.content_type, part.octets) for part in content.media),
        encoding="",
        carrier_message_id=request.transaction_id,
        # The schema has no message id here. A relay that repeats it keeps the transaction and the time.
        repeat_key=f"{request.transaction_id}/{source}/{request.time_stamp}",
    )
