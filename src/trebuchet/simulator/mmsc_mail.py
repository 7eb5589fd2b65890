"""Between MM4 and what an MMSC takes and says. Pure: ids and moments are given. Source: 3GPP TS 23.140 section 8.4."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from trebuchet.model.address import NumberClass, class_of
from trebuchet.model.errorcodes import wire_name
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import mm4
from trebuchet.protocols.mm4 import status
from trebuchet.simulator.base import File, Reply
from trebuchet.simulator.mmsc_base import Heard, Report, Written
from trebuchet.simulator.mmsc_onair import Asked, asked
from trebuchet.simulator.mmsc_settings import MmscSettings
from trebuchet.simulator.scenario import Answer
from trebuchet.smtp import Reply as SmtpReply

TAKEN: Final = SmtpReply(250, "2.0.0 taken")
AGAIN: Final = SmtpReply(451, "4.3.2 simulated busy")
THROTTLED: Final = SmtpReply(452, "4.3.1 simulated throttled")
NO_MM4: Final = SmtpReply(554, "5.6.0 not a message of MM4")
NOBODY: Final = SmtpReply(550, "5.1.1 no number among the recipients")
_CLASSES: Final = {
    NumberClass.SHORT_CODE: mm4.Kind.SHORT_CODE,
    NumberClass.ALPHANUMERIC: mm4.Kind.ALPHANUMERIC,
}
# RFC 5321 section 4.2.3 and RFC 3463: what says most of an error code of ours.
_SMTP: Final = {
    4401: (554, "5.4.6"),
    4702: (550, "5.2.1"),
    4711: (552, "5.3.4"),
    4712: (554, "5.6.0"),
    4720: (550, "5.1.1"),
    4730: (554, "5.4.4"),
    4740: (553, "5.1.7"),
}
_SERVICE_DENIED: Final = (554, "5.7.1")
_STATES: Final = {
    ReceiptState.ENROUTE: mm4.MmStatus.DEFERRED,
    ReceiptState.ACCEPTED: mm4.MmStatus.FORWARDED,
    ReceiptState.EXPIRED: mm4.MmStatus.EXPIRED,
    ReceiptState.DELETED: mm4.MmStatus.REJECTED,
    ReceiptState.REJECTED: mm4.MmStatus.REJECTED,
    ReceiptState.UNKNOWN: mm4.MmStatus.INDETERMINATE,
}
_DELIVERED: Final = {
    "retrieved": mm4.MmStatus.RETRIEVED,
    "forwarded": mm4.MmStatus.FORWARDED,
    "indeterminate": mm4.MmStatus.INDETERMINATE,
}


# ---- what the peer submits ----


def hear(request: mm4.ForwardReq, rcpt_tos: Sequence[str], mail_from: str, dialect: mm4.Dialect) -> Heard:
    """A forward. It is delivered by its envelope and shown by its headers."""
    content = mm4.content_of(request.parts)
    text = content.text or request.subject
    shown = tuple(dict.fromkeys(each.value for each in (*request.to, *request.cc)))
    return Heard(
        message_id=mm4.normalised(request.message_id),
        source=request.source.value,
        recipients=_numbers(rcpt_tos, dialect),
        shown=shown,
        text=text,
        files=tuple(File(part.name, part.content_type, part.octets) for part in content.media),
        wants_report=request.delivery_report,
        origin=request.originator_system or request.system or mail_from,
        report_as=asked(text).report,
    )


def _numbers(rcpt_tos: Sequence[str], dialect: mm4.Dialect) -> tuple[str, ...]:
    found = (mm4.parse(each, dialect) for each in rcpt_tos)
    return tuple(
        dict.fromkeys(each.value for each in found if each is not None and each.kind is not mm4.Kind.EMAIL)
    )


# ---- what it is answered with ----


class Said(msgspec.Struct, frozen=True):
    """One MM4_forward.RES: a request status, and whom it is about, if not all."""

    status: str
    code: int | None = None
    recipients: tuple[str, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """The reply to a mail, and the answers that follow it."""

    reply: SmtpReply
    answers: tuple[Said, ...] = ()


def asked_for(given: Asked, attempt: int, *, answers: bool) -> Judgement | None:
    """What the triggers of a message make of it; None: nothing. What says "not now" says it at the first attempt."""
    if given.smtp and (attempt == 1 or given.smtp >= 500):
        return Judgement(SmtpReply(given.smtp, f"{given.smtp // 100}.0.0 simulated"))
    if not given.answer:
        return None
    outcome = status.request_outcome(given.answer)
    passes = outcome.verdict is status.Verdict.TEMPORARY and attempt > 1
    if outcome.verdict is status.Verdict.OK or passes:
        return None
    return Judgement(TAKEN, (Said(given.answer),)) if answers else Judgement(refusal(outcome.code or 0))


def judge(replies: Mapping[str, Reply], *, answers: bool, by_smtp: bool = False) -> Judgement:
    """What the network's replies, one for each recipient, come to.

    Without `answers` there is no MM4_forward.RES. Without them, or `by_smtp`, a refusal of all is a 5xx.
    """
    given = {reply.answer for reply in replies.values()}
    if Answer.THROTTLED in given:
        return Judgement(THROTTLED)
    if Answer.BUSY in given or Answer.DOWN in given:
        return Judgement(AGAIN)
    refused: dict[int, list[str]] = {}
    for number, reply in replies.items():
        if reply.answer is Answer.REFUSED:
            refused.setdefault(reply.error_code, []).append(number)
    first, *others = refused or (0,)
    everybody = sum(map(len, refused.values())) == len(replies)
    if everybody and (by_smtp or not answers):
        return Judgement(refusal(first))
    if not answers or Answer.LOST in given:
        return Judgement(TAKEN)
    if not refused:
        return Judgement(TAKEN, (Said(mm4.RequestStatus.OK),))
    if everybody and not others:
        return Judgement(TAKEN, (Said(status.request_status(first), first),))
    said = (Said(status.request_status(code), code, tuple(named)) for code, named in refused.items())
    return Judgement(TAKEN, tuple(said))


def refusal(code: int) -> SmtpReply:
    """A refusal with one of our error codes, as SMTP has it."""
    number, enhanced = _SMTP.get(code, _SERVICE_DENIED)
    return SmtpReply(number, f"{enhanced} simulated {wire_name(code) if code else 'refusal'}")


def answer(
    request: mm4.Request, said: Said, settings: MmscSettings, mail_id: str, now_ms: int
) -> mm4.Response:
    return mm4.answer(
        request,
        said.status,
        system=settings.system,
        mail_id=mail_id,
        date_s=now_ms // 1000,
        status_text=f"simulated {wire_name(said.code)}" if said.code else "",
        recipients=tuple(map(address, said.recipients)),
        internal_code=status.to_internal(said.code) if settings.internal_status else None,
    )


# ---- what became of it ----


def words_of(report: Report, settings: MmscSettings) -> tuple[str, ...]:
    """The MM statuses to report, one after the other; none if it reports nothing."""
    if settings.reports == "none":
        return ()
    word = _STATES.get(report.state) or status.mm_status(report.code)
    if report.state is ReceiptState.DELIVERED:
        word = _DELIVERED[settings.reports]
    if not report.said:
        return (word,)
    fate, _ = status.mm_fate(report.said)
    return (report.said, word) if fate is status.Fate.WAITING else (report.said,)


def is_shown(said: str) -> bool:
    """Whether a handset shows a message of which this is reported."""
    return not said or status.mm_fate(said)[0] is not status.Fate.FAILED


def delivery_report(
    report: Report, word: str, settings: MmscSettings, transaction_id: str
) -> mm4.DeliveryReportReq:
    own = word != report.said
    code = report.code if own else status.mm_fate(word)[1]
    return mm4.DeliveryReportReq(
        transaction_id=transaction_id,
        message_id=report.message_id,
        system=settings.system,
        mail_id=f"{transaction_id}@{settings.domain}",
        date_s=report.at_ms // 1000,
        source=address(report.recipient, settings.domain),
        to=address(report.source, settings.peer_domain),
        status=word,
        status_extension=mm4.StatusExtension.BY_RECIPIENT if code == 4753 else "",
        status_text=f"simulated {wire_name(code)}" if code and own else "",
        internal_code=status.to_internal(code) if settings.internal_status and own else None,
    )


# ---- what handsets type ----


def forward(written: Written, settings: MmscSettings, transaction_id: str, now_ms: int) -> mm4.ForwardReq:
    media = [
        mm4.MimePart(content_type=file.content_type, octets=file.octets, name=file.name)
        for file in written.files
    ]
    return mm4.ForwardReq(
        transaction_id=transaction_id,
        message_id=f"{written.id}@{settings.domain}",
        system=settings.system,
        mail_id=f"{transaction_id}@{settings.domain}",
        date_s=now_ms // 1000,
        source=address(written.handset, settings.domain),
        to=tuple(address(number, settings.peer_domain) for number in written.recipients),
        originator_system=settings.system,
        ack_request=True,
        parts=mm4.presentation(media, written.text),
    )


def recipients(written: Written, settings: MmscSettings) -> tuple[str, ...]:
    """As the envelope has them. Raises mm4.EncodeError for what is no address."""
    return tuple(
        mm4.render_envelope(address(number), settings.dialect, settings.peer_domain)
        for number in written.recipients
    )


def address(number: str, domain: str = "") -> mm4.Address:
    return mm4.Address(_CLASSES.get(class_of(number), mm4.Kind.PHONE), number, domain)
