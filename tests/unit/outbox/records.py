"""Messages, deliveries and work rows to tell stories with. Every field that a story does not name is plain."""

from typing import Any

from msgspec.structs import replace

from trebuchet.model.account import Profile
from trebuchet.model.message import GROUP, Delivery, Direction, Kind, Message, WorkItem
from trebuchet.model.status import State
from trebuchet.storage.base import DueWork

T0 = 1_767_225_600_000
DAY = 86_400_000
ACCOUNT = "u-1"
APPLICATION = "app-1"
CARRIER = "sim"
LANE = "sim/0"
OURS = "+12345678901"
HANDSET = "+19195551234"


def message(id_: str = "m-1", to: tuple[str, ...] = (HANDSET,), **fields: Any) -> Message:
    """An outbound text message of one segment, valid for a day; a group message if it has several recipients."""
    plain = Message(
        id_, ACCOUNT, APPLICATION, Direction.OUT, Kind.SMS if len(to) == 1 else Kind.MMS, OURS, OURS, to, "hello",
        None, None, None, None, T0 + DAY, 1, "GSM-7", Profile.CURRENT, T0,
    )  # fmt: skip
    return replace(plain, **fields)


def delivery(of: str = "m-1", recipient: int = 0, to: str = HANDSET, **fields: Any) -> Delivery:
    """One that is queued for the simulated carrier."""
    plain = Delivery(
        of, recipient, to, State.QUEUED, CARRIER, LANE, None, "", 0, 0, 0, None, None, None
    )  # fmt: skip
    return replace(plain, **fields)


def deliveries(of: Message) -> tuple[Delivery, ...]:
    return tuple(delivery(of.id, place, to) for place, to in enumerate(of.destinations))


def due_work(of: Message, due_ms: int = T0, attempts: int = 0) -> DueWork:
    """A message in its lane; for all recipients at once if it has several."""
    recipient = GROUP if len(of.destinations) > 1 else 0
    item = WorkItem(LANE, due_ms, of.id, recipient, attempts, of.valid_until_ms)
    return DueWork(item, of, deliveries(of))
