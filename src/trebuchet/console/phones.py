"""What a simulated handset shows: its conversations, and in each what came, what was typed and what never came.

Pure. Two sources are laid over each other: what the network has put on the handset, which is what a person would read
there, and the gateway's messages from and to that number, which say how each of them stands.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from trebuchet.clock import iso_ms
from trebuchet.model import errorcodes
from trebuchet.model.message import Direction, Kind
from trebuchet.protocols import sms
from trebuchet.simulator import scenario
from trebuchet.storage.base import Found, HandsetMessage

_OPEN_MAX: Final = 60  # bubbles of one conversation
_LIST_MAX: Final = 30  # conversations of one handset
_TEASER: Final = 60  # characters of a text in the list of conversations
_FIRST_PROPOSED: Final = 123

# State of a message to the handset → tick and words.
_CAME: Final = {
    "SENT": ("sent", "on the handset; its receipt is to come"),
    "DELIVERED": ("done", "delivered"),
    "IN_DOUBT": ("sent", "on the handset; its submit was never answered"),
}
_NEVER_CAME: Final = {
    "QUEUED": ("waits", "on its way"),
    "SENDING": ("waits", "on its way"),
    "SENT": ("waits", "waits in the network"),
    "IN_DOUBT": ("waits", "submitted, and never answered"),
}
_TYPED: Final = {
    "RECEIVED": ("sent", "taken by the gateway"),
    "ACCEPTED": ("done", "callback taken"),
}


class Bubble(msgspec.Struct, frozen=True):
    """One message in a conversation. `tick`: waits, sent, done or failed; empty if it is not known."""

    key: str
    members: tuple[str, ...]  # whom the handset talks with
    at_ms: int
    typed: bool  # on this handset
    shown: bool  # false: it is not on the handset, and may never be
    text: str
    media: tuple[str, ...]  # URLs
    message_id: str = ""  # in the gateway, if it is known there
    tick: str = ""
    words: str = ""
    code: int | None = None
    final: bool = True
    kind: str = Kind.SMS


def bubbles(
    number: str, rows: Sequence[HandsetMessage], found: Iterable[Found], since_ms: int
) -> list[Bubble]:
    """All that a handset shows or will show, oldest first, without what is not later than `since_ms`."""
    to_us: list[Found] = []
    to_handset: list[Found] = []
    for each in found:
        if each.message.received_ms > since_ms:
            inbound = each.message.direction is Direction.IN
            (to_us if inbound else to_handset).append(each)
    told, left = _paired(rows, to_handset)
    made = [_came(number, row, told.get(row.network_id)) for row in rows]
    made += filter(None, (_missing(number, each) for each in left))
    made += [_typed(number, each) for each in to_us]
    return sorted(made, key=lambda each: (each.at_ms, each.key))


def _paired(rows: Sequence[HandsetMessage], found: Sequence[Found]) -> tuple[dict[str, Found], list[Found]]:
    """The gateway's message behind each row, and those that no row is of.

    Where another protocol lies between them, the network does not know the gateway's ids: the text must do then.
    """
    by_reference = {f"{each.message.id}/{each.delivery.recipient}": each for each in found}
    told = {row.network_id: by_reference.pop(row.reference) for row in rows if row.reference in by_reference}
    by_text: dict[tuple[str, str], list[Found]] = {}
    for each in sorted(by_reference.values(), key=lambda each: each.message.id, reverse=True):
        by_text.setdefault((each.message.source, each.message.text), []).append(each)
    for row in rows:
        same = by_text.get((row.peer, row.text))
        if row.network_id not in told and same:
            told[row.network_id] = same.pop()
    return told, [each for rest in by_text.values() for each in rest]


def _came(number: str, row: HandsetMessage, found: Found | None) -> Bubble:
    tick, words = ("", "") if found is None else _CAME.get(_state(found), _failed(found))
    return Bubble(
        key=row.network_id,
        members=members(number, row.peer, row.participants),
        at_ms=row.at_ms,
        typed=False,
        shown=True,
        text=row.text,
        media=row.media,
        message_id=found.message.id if found is not None else "",
        tick=tick,
        words=words,
        code=found.delivery.error_code if found is not None else None,
        final=found is None or found.delivery.final_ms is not None,
        kind=Kind.MMS if row.media or row.participants else Kind.SMS,
    )


def _missing(number: str, found: Found) -> Bubble | None:
    """A message that is not on the handset; None if it was, and has been forgotten."""
    state = _state(found)
    if state == "DELIVERED":
        return None
    message = found.message
    tick, words = _NEVER_CAME.get(state, _failed(found))
    group = message.destinations if len(message.destinations) > 1 else ()
    return Bubble(
        key=f"{message.id}/{found.delivery.recipient}",
        members=members(number, message.source, group),
        at_ms=message.received_ms,
        typed=False,
        shown=False,
        text=message.text,
        media=message.media or (),
        message_id=message.id,
        tick=tick,
        words=words,
        code=found.delivery.error_code,
        final=found.delivery.final_ms is not None,
        kind=message.kind,
    )


def _typed(number: str, found: Found) -> Bubble:
    message = found.message
    tick, words = _TYPED.get(_state(found), _failed(found))
    group = message.destinations if len(message.destinations) > 1 else ()
    return Bubble(
        key=message.id,
        members=members(number, message.owner, group),
        at_ms=message.received_ms,
        typed=True,
        shown=True,
        text=message.text,
        media=message.media or (),
        message_id=message.id,
        tick=tick,
        words=words,
        code=found.delivery.error_code,
        final=_state(found) != "RECEIVED",
        kind=message.kind,
    )


def _state(found: Found) -> str:
    return "SENDING" if found.claimed else str(found.delivery.state)


def _failed(found: Found) -> tuple[str, str]:
    code = found.delivery.error_code
    known = errorcodes.ERROR_CODES.get(code) if code is not None else None
    return "failed", known.meaning if known is not None else str(found.delivery.state).lower()


def members(number: str, ours: str, participants: Sequence[str]) -> tuple[str, ...]:
    """Whom a handset talks with: our number, then the others of a group in order."""
    return (ours, *sorted({*participants} - {number, ours}))


def conversations(of: Sequence[Bubble], *, with_text: bool) -> list[dict[str, Any]]:
    """As a handset lists them, the one with the newest message first."""
    newest: dict[tuple[str, ...], Bubble] = {}
    counts: dict[tuple[str, ...], int] = {}
    for bubble in reversed(of):
        newest.setdefault(bubble.members, bubble)
        counts[bubble.members] = counts.get(bubble.members, 0) + 1
    return [
        {
            "id": ",".join(who),
            "members": list(who),
            "count": counts[who],
            "last": iso_ms(bubble.at_ms),
            "last_typed": bubble.typed,
            "teaser": _teaser(bubble) if with_text else "text hidden",
        }
        for who, bubble in list(newest.items())[:_LIST_MAX]
    ]


def _teaser(bubble: Bubble) -> str:
    if not bubble.text:
        return "Picture" if bubble.media else ""
    return bubble.text if len(bubble.text) <= _TEASER else bubble.text[:_TEASER] + "…"


def opened(
    of: Sequence[Bubble], conversation: str, own: Callable[[str], bool], *, with_text: bool
) -> list[dict[str, Any]]:
    """The newest bubbles of one conversation, oldest first. `own` knows the URLs of media objects that are here."""
    wanted = tuple(conversation.split(","))
    chosen = [each for each in of if each.members == wanted]
    return [shown(each, own, with_text=with_text) for each in chosen[-_OPEN_MAX:]]


def shown(bubble: Bubble, own: Callable[[str], bool], *, with_text: bool) -> dict[str, Any]:
    """A bubble as JSON values. `parts` are the pieces of its text as they went on air."""
    counted = _parts(bubble) if with_text else None
    return {
        "key": bubble.key,
        "message_id": bubble.message_id,
        "time": iso_ms(bubble.at_ms),
        "typed": bubble.typed,
        "shown": bubble.shown,
        "parts": counted[1] if counted is not None else [],
        "encoding": counted[0] if counted is not None else "",
        "text_hidden": not with_text,
        "media": _media(bubble, own) if with_text else [],
        "tick": bubble.tick,
        "words": bubble.words,
        "error_code": bubble.code,
        "final": bubble.final,
    }


def _media(bubble: Bubble, own: Callable[[str], bool]) -> list[dict[str, str]]:
    """Where each file is looked at: ours here, others where they are."""
    return [
        {
            "name": url.partition("?")[0].rstrip("/").rpartition("/")[2],
            "url": url,
            "picture": f"/handsets/pictures/{bubble.message_id}/{place}"
            if bubble.message_id and own(url)
            else "",
        }
        for place, url in enumerate(bubble.media)
    ]


def _parts(bubble: Bubble) -> tuple[str, list[str]]:
    if bubble.kind != Kind.SMS:
        return "", [bubble.text] if bubble.text else []
    try:
        segments = sms.segment(bubble.text, 0)
    except sms.SmsError:
        return "", [bubble.text]
    return segments[0].encoding.value, [segment.text for segment in segments]


def news(of: Sequence[Bubble], conversation: str) -> dict[str, str] | None:
    """What came in another conversation after all that is in this one: a handset would tell its owner."""
    wanted = tuple(conversation.split(","))
    for bubble in reversed(of):
        if bubble.members == wanted:
            return None
        if bubble.shown and not bubble.typed:
            return {"id": ",".join(bubble.members), "from": bubble.members[0]}
    return None


def free_number(taken: Callable[[str], bool]) -> str:
    """A number of the range that is reserved for stories, and that nobody has yet."""
    order = [*range(_FIRST_PROPOSED, 200), *range(100, _FIRST_PROPOSED)]
    free = (f"+12025550{line}" for line in order)
    return next((number for number in free if not taken(number)), f"+12025550{_FIRST_PROPOSED}")


def magic() -> list[Mapping[str, str]]:
    """What numbers and words of a text do in the simulated network."""
    return [{"number": row.number, "text": row.text, "outcome": row.outcome} for row in scenario.MAGIC]
