"""Shipments into MM4 and MM4 into reports. Pure: ids and moments are given.

The ids on the wire tell what they are about, so nothing but the database need be asked when a report comes, however
late: the message id of a forward is that of the message and of its first recipient, and each recipient's part is known
as that id with the number behind it.
"""

from collections.abc import Sequence

from trebuchet.carriers.base import File, InboundPart, Shipment
from trebuchet.carriers.mm4.settings import Mm4Settings
from trebuchet.model.address import NumberClass, class_of
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.protocols.mm4 import (
    Address,
    Content,
    DeliveryReportReq,
    ForwardReq,
    ForwardRes,
    Kind,
    normalised,
    parse,
    render_envelope,
    status,
)
from trebuchet.protocols.mm4.status import Fate

_KINDS = {
    NumberClass.SHORT_CODE: Kind.SHORT_CODE,
    NumberClass.ALPHANUMERIC: Kind.ALPHANUMERIC,
}
_STATES = {
    Fate.DELIVERED: ReceiptState.DELIVERED,
    Fate.FAILED: ReceiptState.UNDELIVERABLE,
    Fate.UNKNOWN: ReceiptState.UNKNOWN,
    Fate.WAITING: ReceiptState.ENROUTE,
}


def address_of(number: str, domain: str = "") -> Address:
    """One of our numbers, or a handset's."""
    return Address(_KINDS.get(class_of(number), Kind.PHONE), number, domain)


def message_id_of(shipment: Shipment, settings: Mm4Settings) -> str:
    """The same at each try, so that the peer takes one."""
    return f"{shipment.message.id}.{shipment.deliveries[0].recipient}@{settings.our_domain}"


def part_id(message_id: str, number: str) -> str:
    """What the part of one recipient is known as."""
    return f"{normalised(message_id)}/{number}"


def forward(shipment: Shipment, settings: Mm4Settings, transaction_id: str, now_ms: int) -> ForwardReq:
    """The request without its parts."""
    message = shipment.message
    return ForwardReq(
        transaction_id=transaction_id,
        message_id=message_id_of(shipment, settings),
        system=settings.system,
        mail_id=f"{transaction_id}@{settings.our_domain}",
        date_s=now_ms // 1000,
        source=address_of(message.source, settings.our_domain),
        to=tuple(address_of(to, settings.domain) for to in message.destinations),
        originator_system=settings.system,
        ack_request=settings.answers,
        delivery_report=settings.reports,
        expires_s=message.valid_until_ms // 1000,
    )


def recipients_of(shipment: Shipment, settings: Mm4Settings) -> dict[str, int]:
    """Place among the shipment's deliveries by RCPT address."""
    return {
        render_envelope(address_of(delivery.to), settings.dialect, settings.domain): place
        for place, delivery in enumerate(shipment.deliveries)
    }


def receipt_of(
    report: DeliveryReportReq, carrier_id: str, settings: Mm4Settings, now_ms: int
) -> Receipt | None:
    """What a delivery report says; None if it is about nobody."""
    if report.source is None:
        return None
    fate, code = status.mm_fate(
        report.status,
        report.status_extension,
        report.internal_code,
        indeterminate_delivered=settings.indeterminate_is_delivered,
        forwarded_final=settings.forwarded_is_delivered,
    )
    words = " ".join(filter(None, (report.status, report.status_extension, report.status_text)))
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part_id(report.message_id, report.source.value),
        state=_STATES[fate],
        error_code=code,
        error=words[:200],
        handset=report.source.value,
        sender="" if report.to is None else report.to.value,
        octets="\n".join((str(report.TYPE), *shown(report))).encode(),
        at_ms=now_ms,
    )


def shown(said: ForwardRes | DeliveryReportReq) -> list[str]:
    """What a peer said of a forward, line by line, for people."""
    given = {
        "X-Mms-Transaction-ID": said.transaction_id,
        "X-Mms-Message-ID": said.message_id,
        "Sender": said.system,
        "status": said.status,
        "text": said.status_text,
        "X-Internal-Status-Code": said.internal_code,
    }
    if isinstance(said, ForwardRes):
        given["recipients"] = ", ".join(each.value for each in said.recipients)
    else:
        given["recipient"] = "" if said.source is None else said.source.value
    return [f"{name}: {value}" for name, value in given.items() if value not in ("", None)]


def refused_part(
    carrier_id: str, message_id: str, number: str, code: int, words: str, now_ms: int
) -> Receipt:
    """A recipient that the peer refused after it had taken the others."""
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part_id(message_id, number),
        state=ReceiptState.REJECTED,
        error_code=code,
        error=words[:200],
        handset=number,
        at_ms=now_ms,
    )


def delivered_part(carrier_id: str, message_id: str, number: str, now_ms: int) -> Receipt:
    """A recipient of a peer that reports nothing."""
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=part_id(message_id, number),
        state=ReceiptState.DELIVERED,
        error="taken by a peer that does not report",
        handset=number,
        at_ms=now_ms,
    )


def inbound_of(request: ForwardReq, content: Content, ours: tuple[str, ...], carrier_id: str) -> InboundPart:
    """The message that a forward brings to numbers of ours. It is delivered by envelope and shown by headers."""
    shown = tuple(dict.fromkeys(each.value for each in (*request.to, *request.cc)))
    return InboundPart(
        carrier_id=carrier_id,
        source=request.source.value,
        destination=ours[0],
        destinations=shown or ours,
        owners=ours,
        multimedia=True,
        text=content.text,
        files=tuple(File(part.name, part.content_type, part.octets) for part in content.media),
        encoding="",
        carrier_message_id=normalised(request.message_id),
        repeat_key=normalised(request.message_id),
    )


def numbers(rcpt_tos: Sequence[str], settings: Mm4Settings) -> list[str]:
    """The numbers among envelope recipients, each once."""
    found = (parse(each, settings.dialect) for each in rcpt_tos)
    return list(dict.fromkeys(a.value for a in found if a is not None and a.kind is not Kind.EMAIL))
