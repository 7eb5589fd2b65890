"""What becomes of each message in the simulated network. Pure: chance is handed in, nothing is done here.

A message is delivered after a short random delay unless its recipient or its text is in `MAGIC`, the one
table of everything else that can happen. `docs/reference/simulator.md` shows the same table; a test holds it
to this one.
"""

import enum
import re
from collections.abc import Callable
from typing import Final

import msgspec

from trebuchet.model.errorcodes import ERROR_CODES, RECEIPT_EXPIRED, UNKNOWN, wire_name
from trebuchet.model.receipt import ReceiptState

# 999 is no area code of the North American plan, so no number of these can be anybody's.
NUMBER_PREFIX: Final = "+1999555"

DELAY_MAX_MS: Final = 86_400_000  # the longest time that a trigger can ask for: what is asked is remembered
ANSWER_TIMEOUT_MS: Final = 10_000  # a submit without an answer is given up after this time
HANDSET_FULL: Final = 4702


class Answer(enum.StrEnum):
    """How the network answers a submit."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # for good, with an error code
    BUSY = "busy"  # refused for the moment: an attempt is counted
    THROTTLED = "throttled"  # nothing more is taken for a while
    DOWN = "down"  # the link breaks and comes back after a while
    LOST = "lost"  # no answer ever comes


class PlannedReceipt(msgspec.Struct, frozen=True, gc=False):
    """A receipt that will be given `delay_ms` after the network took the message."""

    delay_ms: int
    state: ReceiptState
    error_code: int | None = None


class Fate(msgspec.Struct, frozen=True, gc=False):
    """All that will happen to one message for one recipient."""

    answer: Answer = Answer.ACCEPTED
    receipts: tuple[PlannedReceipt, ...] = ()
    shown: bool = True  # on the handset
    taken: bool = True  # the network has it, whatever it answers
    error_code: int = 0  # REFUSED, BUSY
    pause_ms: int = 0  # BUSY, THROTTLED, DOWN: how long
    answer_delay_ms: int = 0  # ACCEPTED: how long the answer lags behind


class Magic(msgspec.Struct, frozen=True):
    """One row: a recipient number or a trigger in the text makes this fate.

    `argument` is the number's own, and that of a trigger that gives none.
    `fate` is called with the argument (or 0) and the random delay of an ordinary delivery.
    """

    number: str
    trigger: str  # without `#` and argument
    unit: str  # of the argument: "MS", "CODE" or "" if it takes none
    argument: int
    outcome: str
    fate: Callable[[int, int], Fate]

    @property
    def text(self) -> str:
        """The trigger as it is written in a message."""
        return f"#{self.trigger}:{self.argument}" if self.unit else f"#{self.trigger}"


def delivered(delay_ms: int) -> Fate:
    """The ordinary fate."""
    return Fate(Answer.ACCEPTED, (PlannedReceipt(delay_ms, ReceiptState.DELIVERED),))


def failed(code: int, delay_ms: int, state: ReceiptState = ReceiptState.UNDELIVERABLE) -> Fate:
    """Accepted, never shown, and reported as failed with `code`."""
    return Fate(Answer.ACCEPTED, (PlannedReceipt(delay_ms, state, code),), shown=False)


def deleted(delay_ms: int) -> Fate:
    """Accepted, never shown, and reported as deleted."""
    return failed(5650, delay_ms, ReceiptState.DELETED)


def _refused(code: int, _: int) -> Fate:
    return _not_taken(Answer.REFUSED, error_code=code)


def _not_taken(answer: Answer, *, error_code: int = 0, pause_ms: int = 0) -> Fate:
    return Fate(answer, shown=False, taken=False, error_code=error_code, pause_ms=pause_ms)


def _no_receipt(_: int, __: int) -> Fate:
    return Fate(Answer.ACCEPTED)


def _twice(_: int, delay_ms: int) -> Fate:
    first = PlannedReceipt(delay_ms, ReceiptState.DELIVERED)
    return Fate(Answer.ACCEPTED, (first, PlannedReceipt(delay_ms + 50, ReceiptState.DELIVERED)))


def _enroute(_: int, delay_ms: int) -> Fate:
    halfway = PlannedReceipt(delay_ms // 2, ReceiptState.ENROUTE)
    return Fate(Answer.ACCEPTED, (halfway, PlannedReceipt(delay_ms, ReceiptState.DELIVERED)))


def _early(_: int, delay_ms: int) -> Fate:
    receipts = (PlannedReceipt(0, ReceiptState.DELIVERED),)
    return Fate(Answer.ACCEPTED, receipts, answer_delay_ms=max(delay_ms, 100))


_Effect = Callable[[int, int], Fate]
_HAPPENINGS: Final[tuple[tuple[str, str, int, str, _Effect], ...]] = (
    ("delay", "MS", 5000, "Delivered; the receipt comes after MS milliseconds.", lambda ms, _: delivered(ms)),
    ("noreceipt", "", 0, "Delivered, but no receipt ever comes: fails with 9902 in the end.", _no_receipt),
    ("twice", "", 0, "Delivered; the receipt comes twice. Called back once.", _twice),
    ("enroute", "", 0, "Delivered; a receipt that is not final comes first. Called back once.", _enroute),
    ("early", "", 0, "Delivered; the receipt comes before the answer to the submit.", _early),
    ("expired", "", 0, "The receipt says EXPIRED: fails with 5650.",
     lambda _, ms: failed(5650, ms, ReceiptState.EXPIRED)),
    ("deleted", "", 0, "The receipt says DELETED: fails with 5650.",
     lambda _, ms: deleted(ms)),
    ("rejected", "", 0, "The receipt says REJECTD: fails with 4750.",
     lambda _, ms: failed(4750, ms, ReceiptState.REJECTED)),
    ("unknown", "", 0, "The receipt says UNKNOWN: fails with 9999.",
     lambda _, ms: failed(9999, ms, ReceiptState.UNKNOWN)),
    ("busy", "MS", 1000, "Refused for the moment; tried again after MS milliseconds and delivered.",
     lambda ms, _: _not_taken(Answer.BUSY, error_code=5600, pause_ms=ms)),
    ("throttle", "MS", 2000, "The carrier takes nothing for MS milliseconds, then delivers.",
     lambda ms, _: _not_taken(Answer.THROTTLED, pause_ms=ms)),
    ("down", "MS", 3000, "The link breaks; it is up again after MS milliseconds, and the message delivered.",
     lambda ms, _: _not_taken(Answer.DOWN, pause_ms=ms)),
    ("lost", "", 0, "Neither taken nor answered; after 10 s the carrier's `in_doubt` setting decides.",
     lambda _, __: _not_taken(Answer.LOST)),
    ("unanswered", "", 0, "Delivered, but the submit is never answered; the receipt finds its message.",
     lambda _, ms: Fate(Answer.LOST, delivered(ms).receipts)),
    ("fail", "CODE", 4720, "Accepted, then the receipt says UNDELIV: fails with CODE.", failed),
    ("refuse", "CODE", 4403, "The submit is refused: fails with CODE at once.", _refused),
)  # fmt: skip
_FIRST_RETRY_PASSES: Final = frozenset({Answer.BUSY, Answer.THROTTLED, Answer.DOWN, Answer.LOST})


def _row_of_code(code: int) -> Magic:
    number, name = f"{NUMBER_PREFIX}{code}", wire_name(code)
    if code == RECEIPT_EXPIRED:
        return Magic(number, "noreceipt", "", 0, f"No receipt ever comes: 9902, {name}.", _no_receipt)
    if str(code)[1] in "67" or code == UNKNOWN:  # second digit 6 or 7: the carrier's side
        return Magic(number, "fail", "CODE", code, f"Accepted, then a receipt with {code}, {name}.", failed)
    return Magic(number, "refuse", "CODE", code, f"Refused with {code}, {name}.", _refused)


MAGIC: Final[tuple[Magic, ...]] = (
    *(Magic(f"{NUMBER_PREFIX}{n:04}", *row) for n, row in enumerate(_HAPPENINGS, start=1)),
    *(_row_of_code(code) for code in sorted(ERROR_CODES)),
)
_BY_NUMBER: Final = {row.number: row for row in MAGIC}
_BY_TRIGGER: Final = {row.trigger: row for row in reversed(MAGIC)}
_TRIGGER: Final = re.compile(r"#([a-z]+)(?::([0-9]{1,8}))?(?![\w:])", re.ASCII)


def decide(recipient: str, text: str, attempt: int, delay_ms: int) -> Fate:
    """The fate of `text` for `recipient` at this attempt (1 is the first).

    `delay_ms` is the random delay of an ordinary delivery. A magic number goes before a trigger, the first
    trigger of a text before later ones. What passes by itself (busy, throttled, down, lost) happens at the
    first attempt only.
    """
    row, argument = None, 0
    if recipient.startswith(NUMBER_PREFIX):
        row = _BY_NUMBER.get(recipient)
        argument = row.argument if row else 0
    if row is None and "#" in text:
        row, argument = _triggered(text)
    if row is None:
        return delivered(delay_ms)
    fate = row.fate(argument, delay_ms)
    if attempt > 1 and fate.answer in _FIRST_RETRY_PASSES:
        return delivered(delay_ms)
    return fate


def _triggered(text: str) -> tuple[Magic | None, int]:
    for found in _TRIGGER.finditer(text):
        row = _BY_TRIGGER.get(found[1])
        if row is None or (found[2] and not row.unit):
            continue
        argument = int(found[2]) if found[2] else row.argument
        if argument in ERROR_CODES if row.unit == "CODE" else argument <= DELAY_MAX_MS:
            return row, argument
    return None, 0


def carrier_words(code: int | None) -> str:
    """What the simulated carrier says beside an error code."""
    return "" if code is None else f"simulated {wire_name(code)}"


# ---- what the network must still know after a restart ----


class Memory(msgspec.Struct, frozen=True):
    """A fate that began: what is left of it when the network's row is read again."""

    carrier_id: str
    segments: int
    shown: bool
    receipts: tuple[PlannedReceipt, ...]


def remember(fate: Fate, segments: int, carrier_id: str) -> str:
    """The text column of a network row, for example `2 shown DELIVRD+237 @sim`."""
    text = f"{segments} shown" if fate.shown else f"{segments} hidden"
    for planned in fate.receipts:
        text += f" {planned.state}+{planned.delay_ms}"
        if planned.error_code is not None:
            text += f":{planned.error_code}"
    return f"{text} @{carrier_id}"


def recall(text: str) -> Memory:
    """The inverse of `remember`. Raises ValueError if it did not write `text`."""
    plan, separator, carrier_id = text.partition(" @")
    segments, shown, *receipts = plan.split(" ")
    if not separator or shown not in ("shown", "hidden"):
        raise ValueError(f"not a fate: {text!r}")
    return Memory(carrier_id, int(segments), shown == "shown", tuple(map(_recall_receipt, receipts)))


def _recall_receipt(text: str) -> PlannedReceipt:
    state, _, rest = text.partition("+")
    delay_ms, _, code = rest.partition(":")
    return PlannedReceipt(int(delay_ms), ReceiptState(state), int(code) if code else None)


def reference_table() -> str:
    """`MAGIC` in Markdown, for the reference page."""
    lines = ["| recipient | or text | what happens |", "|---|---|---|"]
    lines += [f"| `{row.number}` | `{row.text}` | {row.outcome} |" for row in MAGIC]
    return "\n".join(lines) + "\n"
