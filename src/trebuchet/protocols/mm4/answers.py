"""What a request is answered with."""

from typing import Final

from msgspec.structs import replace

from trebuchet.protocols.mm4 import pdu
from trebuchet.protocols.mm4.address import Address
from trebuchet.protocols.mm4.errors import Mm4Error
from trebuchet.protocols.mm4.pdu import MessageType

_ANSWERS: Final[dict[str, type[pdu.Response]]] = {
    MessageType.FORWARD_REQ: pdu.ForwardRes,
    MessageType.DELIVERY_REPORT_REQ: pdu.DeliveryReportRes,
    MessageType.READ_REPLY_REQ: pdu.ReadReplyRes,
}


def answer(
    request: pdu.Request,
    status: str,
    *,
    system: str,
    mail_id: str,
    date_s: int,
    status_text: str = "",
    recipients: tuple[Address, ...] = (),
    internal_code: int | None = None,
) -> pdu.Response:
    """The response to `request`, whether it wants one or not; its ids are echoed as they were written.

    `to` is empty if the request says nowhere who asks; the envelope's sender is left then. `recipients`, for a
    forward, are whom the status is about if not all.
    """
    mailbox = request.originator_system if isinstance(request, pdu.ForwardReq) else ""
    made = _ANSWERS[request.TYPE](
        transaction_id=request.transaction_id,
        message_id=request.message_id,
        version=request.version or pdu.VERSION,
        system=system,
        to=mailbox or request.system,
        mail_id=mail_id,
        date_s=date_s,
        status=status,
        status_text=status_text,
        internal_code=internal_code,
    )
    return replace(made, recipients=recipients) if isinstance(made, pdu.ForwardRes) else made


def refusal(error: Mm4Error, *, system: str, mail_id: str, date_s: int) -> pdu.Response | None:
    """The response to a mail that could not be read; None if it was no request, wants no answer, or lacks its ids."""
    about = error.about
    made = _ANSWERS.get(about.message_type)
    if made is None or not about.ack_request:
        return None
    if not pdu.normalised(about.transaction_id) or not pdu.normalised(about.message_id):
        return None
    return made(
        transaction_id=about.transaction_id,
        message_id=about.message_id,
        version=about.version or pdu.VERSION,
        system=system,
        to=about.reply_to,
        mail_id=mail_id,
        date_s=date_s,
        status=error.status,
        status_text=error.what,
    )
