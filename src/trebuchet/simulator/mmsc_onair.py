"""Between what an MMSC takes and the simulated network's words. Pure.

Beside the network's own triggers a text may have three that only an MMSC knows: `#smtp:CODE`, `#answer:STATUS` and
`#report:STATUS` ask for one reply, one request status and one MM status of all that there are.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from trebuchet.model.account import Profile
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.simulator.mmsc_base import Heard, Report

_SMTP: Final = re.compile(r"#smtp:([45][0-9]{2})(?![\w:])", re.ASCII)
_ANSWER: Final = re.compile(r"#answer:([A-Za-z0-9-]{1,80})", re.ASCII)
_REPORT: Final = re.compile(r"#report:([A-Za-z]{1,40})(?![\w:])", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """What the triggers of a text ask for; 0 and empty where there is none."""

    smtp: int = 0
    answer: str = ""
    report: str = ""


def asked(text: str) -> Asked:
    """The first trigger of each kind."""
    if "#" not in text:
        return Asked()
    smtp, answer, report = (each.search(text) for each in (_SMTP, _ANSWER, _REPORT))
    return Asked(
        int(smtp[1]) if smtp else 0,
        answer[1] if answer else "",
        report[1] if report else "",
    )


class Reference(msgspec.Struct, frozen=True):
    """What the id of a message in the network carries, so that its reports survive a restart."""

    id: str
    wants_report: bool
    report_as: str
    origin: str
    message_id: str


def write_reference(reference: Reference) -> str:
    """As one word without a slash, which the network puts between the parts of its own references."""
    written = (reference.report_as, quote(reference.origin, safe=""), quote(reference.message_id, safe=""))
    return "|".join((reference.id, str(int(reference.wants_report)), *written))


def read_reference(written: str) -> Reference:
    """The inverse. Raises ValueError."""
    own_id, wants, report_as, origin, message_id = written.split("|")
    return Reference(own_id, wants == "1", report_as, unquote(origin), unquote(message_id))


def message(heard: Heard, own_id: str, media: Sequence[str], now_ms: int) -> Message:
    """A message in the network's words; `media` are the URLs that handsets show."""
    reference = Reference(own_id, heard.wants_report, heard.report_as, heard.origin, heard.message_id)
    return Message(
        id=write_reference(reference),
        account_id="",
        application_id="",
        direction=Direction.OUT,
        kind=Kind.MMS,
        owner=heard.source,
        source=heard.source,
        destinations=heard.shown or heard.recipients,
        text=heard.text,
        media=tuple(media) or None,
        tag=None,
        priority=None,
        expiration=None,
        valid_until_ms=now_ms,
        segment_count=1,
        encoding="",
        profile=Profile.CURRENT,
        received_ms=now_ms,
    )


def delivery(of: Message, place: int, number: str) -> Delivery:
    """Of one of its recipients."""
    return Delivery(of.id, place, number, State.QUEUED, None, None, None, "", 0, 0, 0, None, None, None)


def report(receipt: Receipt) -> Report | None:
    """What the peer is told of a receipt; None if it did not ask."""
    reference = reference_of(receipt)
    if not reference.wants_report:
        return None
    return Report(
        message_id=reference.message_id,
        origin=reference.origin,
        source=receipt.sender,
        recipient=receipt.handset,
        state=receipt.state,
        code=receipt.error_code,
        said=reference.report_as,
        at_ms=receipt.at_ms,
    )


def reference_of(receipt: Receipt) -> Reference:
    """Raises ValueError for a receipt that is of no message of an MMSC."""
    return read_reference((receipt.reference or "").split("/", 1)[0])
