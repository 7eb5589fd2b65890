"""Between MM7 and what an MMSC takes and says. Pure: ids and moments are given. Source: 3GPP TS 23.140 section 8.7."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from trebuchet.model.address import NumberClass, class_of
from trebuchet.model.errorcodes import wire_name
from trebuchet.protocols import mm4, mm7
from trebuchet.protocols.mm4 import EncodedPart
from trebuchet.protocols.mm7 import status
from trebuchet.simulator.base import File, Reply
from trebuchet.simulator.mmsc_base import Heard, Report, Written
from trebuchet.simulator.mmsc_onair import Asked, asked
from trebuchet.simulator.scenario import Answer

RELAY_ID: Final = "simulated-mmsc"
PARTIAL: Final = 1100
NO_RECIPIENT: Final = 2002
_STATUS_OF: Final = {4720: 2003, 4740: 2002, 4711: 2004, 4712: 2004, 4752: 2007, 4493: 4007, 4403: 2001}
_REFUSED: Final = 3002
_DIALECT: Final = mm4.Dialect()


class Said(msgspec.Struct, frozen=True):
    """What a SubmitReq is answered with; status 0: it is never answered. `refused`: who, if only some were."""

    status: int
    details: str = ""
    refused: tuple[tuple[str, int], ...] = ()  # number and error code of ours


def hear(request: mm7.SubmitReq) -> Heard:
    """A SubmitReq. Its transaction is all that tells whether it was heard before."""
    content = mm4.content_of(request.parts)
    text = content.text or request.subject
    everybody = (*request.to, *request.cc, *request.bcc)
    return Heard(
        message_id=f"mm7-{request.transaction_id}",
        source="" if request.sender is None else _number(request.sender),
        recipients=_numbers([party for party in everybody if not party.display_only]),
        shown=_numbers((*request.to, *request.cc)),
        text=text,
        files=tuple(File(part.name, part.content_type, part.octets) for part in content.media),
        wants_report=request.delivery_report,
        report_as=asked(text).report,
    )


def _number(party: mm7.Party) -> str:
    if party.kind is mm7.Kind.SHORT_CODE:
        return party.value
    address = mm4.parse(party.value, _DIALECT)
    return "" if address is None or address.kind is mm4.Kind.EMAIL else address.value


def _numbers(parties: Sequence[mm7.Party]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_number, parties))))


def asked_for(given: Asked, attempt: int) -> Said | None:
    """What `#answer:CODE` makes of a message; None: nothing. What says "not now" says it at the first attempt."""
    if not (given.answer.isascii() and given.answer.isdecimal() and len(given.answer) == len("1000")):
        return None
    outcome = status.outcome_of(int(given.answer))
    passes = outcome.verdict is not status.Verdict.PERMANENT and attempt > 1
    return None if outcome.verdict is status.Verdict.OK or passes else Said(int(given.answer), "simulated")


def judge(replies: Mapping[str, Reply]) -> Said:
    """What the network's replies, one for each recipient, come to."""
    given = {reply.answer for reply in replies.values()}
    if Answer.LOST in given:
        return Said(0)
    if given & {Answer.THROTTLED, Answer.DOWN}:
        return Said(status.UNAVAILABLE, "simulated throttled")
    if Answer.BUSY in given:
        return Said(status.SERVER_ERROR, "simulated busy")
    refused = tuple(
        (number, reply.error_code) for number, reply in replies.items() if reply.answer is Answer.REFUSED
    )
    if not refused:
        return Said(status.SUCCESS)
    if len(refused) < len(replies):
        return Said(
            PARTIAL,
            " ".join(f"{number}: {_STATUS_OF.get(code, _REFUSED)}" for number, code in refused),
            refused,
        )
    code = refused[0][1]
    return Said(_STATUS_OF.get(code, _REFUSED), f"simulated {wire_name(code)}")


def answer(request: mm7.SubmitReq, said: Said, heard: Heard) -> mm7.Answer:
    more = {"message_id": heard.message_id} if said.status in (status.SUCCESS, PARTIAL) else {}
    return mm7.answer(request, said.status, details=said.details, **more)


def delivery_report(report: Report, word: str, transaction_id: str) -> mm7.DeliveryReportReq:
    return mm7.DeliveryReportReq(
        transaction_id=transaction_id,
        relay_id=RELAY_ID,
        message_id=report.message_id,
        recipient=party(report.recipient),
        sender=party(report.source),
        date=_iso(report.at_ms),
        mm_status=word,
        status_text=f"simulated {wire_name(report.code)}" if report.code and word != report.said else "",
    )


def deliver(written: Written, now_ms: int) -> tuple[mm7.DeliverReq, list[EncodedPart]]:
    """What a handset typed, and its parts. Raises mm4.EncodeError."""
    media = [
        mm4.MimePart(content_type=file.content_type, octets=file.octets, name=file.name)
        for file in written.files
    ]
    request = mm7.DeliverReq(
        transaction_id=written.id,
        relay_id=RELAY_ID,
        sender=party(written.handset),
        to=tuple(map(party, written.recipients)),
        time_stamp=_iso(now_ms),
    )
    return request, [mm4.encode_part(part) for part in mm4.presentation(media, written.text)]


def party(number: str) -> mm7.Party:
    short = class_of(number) is NumberClass.SHORT_CODE
    return mm7.Party(mm7.Kind.SHORT_CODE if short else mm7.Kind.NUMBER, number)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
