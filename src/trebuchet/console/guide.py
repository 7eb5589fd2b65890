"""How far a new gateway has come: the steps of the first-run guide. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from trebuchet.admin.bootstrap import DEMO_NUMBERS, FIRST_NUMBERS, FirstRecords
from trebuchet.model.account import Directory
from trebuchet.model.message import Direction
from trebuchet.model.status import State
from trebuchet.storage.base import Found

MESSAGES_MAX: Final = 20  # of whoever has more nobody needs to be shown how
TEXT: Final = "Hello from Trebuchet"
YOUR_PHONE: Final = "+1YOURNUMBER"  # to be filled in: what is sent there costs something
REPLY: Final = "Hello back"


def sender(directory: Directory, first: FirstRecords | None) -> dict[str, Any] | None:
    """Whom the first message is sent as: account, application and number; None if one of them is missing."""
    wanted = first.numbers if first is not None else ()
    records = [directory.numbers[each] for each in wanted if each in directory.numbers]
    for number in (*records, *directory.numbers.values()):
        application = directory.applications.get(number.application_id)
        if application is not None:
            return {
                "account_id": number.account_id,
                "application_id": application.id,
                "application": application.name or application.id,
                "number": number.number,
                "callback_url": application.callback_url,
            }
    return None


def request_of(given: dict[str, Any], to: str) -> dict[str, Any]:
    """The body of the first message."""
    return {
        "from": given["number"],
        "to": to,
        "text": TEXT,
        "applicationId": given["application_id"],
    }


def with_handsets(rows: Sequence[Found], given: dict[str, Any] | None, *, with_text: bool) -> dict[str, Any]:
    """The steps where handsets are simulated; `rows` are all messages, the newest first.

    The first two are done by a message and its delivery, the last by a reply whose callback was taken, or, where
    nobody is called back, by the reply.
    """
    out = next((each for each in reversed(rows) if each.message.direction is Direction.OUT), None)
    delivered = next(
        (
            each
            for each in reversed(rows)
            if each.message.direction is Direction.OUT and each.delivery.state is State.DELIVERED
        ),
        out,
    )
    replies = [each for each in reversed(rows) if each.message.direction is Direction.IN]
    reply = next(
        (each for each in replies if each.delivery.state is State.ACCEPTED), replies[0] if replies else None
    )
    callback = given is not None and given["callback_url"] is not None
    replied = reply is not None and (not callback or reply.delivery.state is State.ACCEPTED)
    return {
        "steps": [given is not None, out is not None, replied],
        "sent": _shown(delivered, with_text=with_text),
        "reply": _shown(reply, with_text=with_text),
        "ended_ms": _ended_ms(reply) if replied and out is not None else None,
    }


def with_carriers(rows: Sequence[Found], directory: Directory, *, with_text: bool) -> dict[str, Any]:
    """The steps where messages really leave: a carrier, a route, a number of one's own, a message that arrived."""
    own = set(directory.numbers) - {*FIRST_NUMBERS, *DEMO_NUMBERS}
    out = [each for each in rows if each.message.direction is Direction.OUT]
    arrived = next((each for each in out if each.delivery.state is State.DELIVERED), None)
    return {
        "steps": [bool(directory.carriers), bool(directory.routes), bool(own), arrived is not None],
        "sent": _shown(arrived or (out[0] if out else None), with_text=with_text),
        "reply": None,
        "ended_ms": _ended_ms(arrived) if arrived is not None else None,
    }


def _ended_ms(found: Found | None) -> int | None:
    return None if found is None else found.delivery.final_ms or found.message.received_ms


def _shown(found: Found | None, *, with_text: bool) -> dict[str, Any] | None:
    if found is None:
        return None
    final_ms = found.delivery.final_ms
    return {
        "id": found.message.id,
        "from": found.message.source,
        "to": found.delivery.to,
        "state": found.delivery.state.value,
        "text": found.message.text if with_text else None,
        "took_ms": None if final_ms is None else final_ms - found.message.received_ms,
    }
