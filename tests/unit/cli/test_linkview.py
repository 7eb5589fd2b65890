"""A link as tables and lines."""

from typing import Any

import msgspec
import pytest

from trebuchet.carriers.status import BindReport, BindState
from trebuchet.cli import linkview
from trebuchet.cli.output import BAD, QUIET, Line

NOW_MS = 1_000_000
BOUND = BindReport(
    name="acme/0",
    role="transceiver",
    state=BindState.BOUND,
    since_ms=NOW_MS - 65_000,
    window=10,
    in_flight=3,
    queued=2,
    response_ms=1.846,
    submits=7,
    receipts=6,
    inbound=5,
    throttles=4,
    unanswered=3,
    rejected=2,
    reconnects=1,
)


def bind(**changes: Any) -> Any:
    """As the admin API answers it."""
    return msgspec.to_builtins(msgspec.structs.replace(BOUND, **changes))


def link(*binds: Any) -> Any:
    return {
        "carrier_id": "acme",
        "kind": "smpp",
        "state": "up",
        "lanes": [{"name": "acme/0", "room": 5, "rows": 2}, {"name": "acme/1", "room": 0, "rows": 3}],
        "binds": list(binds),
        "receipt_ids": "auto",
    }


@pytest.mark.parametrize(
    ("binds", "bound"),
    [((), None), ((bind(),), "1 of 1"), ((bind(), bind(state=BindState.WAITING)), "1 of 2")],
)
def test_a_link_is_one_row_of_the_list(binds: tuple[Any, ...], bound: str | None) -> None:
    """With what waits in all of its lanes."""
    row = linkview.list_row(link(*binds))
    assert dict(zip(linkview.LIST_COLUMNS, row, strict=True)) == {
        "id": "acme", "kind": "smpp", "state": "up", "bound": bound, "waiting": 5, "receipt ids": "auto",
    }  # fmt: skip


def test_how_a_bind_is() -> None:
    """Its window and what is out, and how fast it is answered."""
    row = linkview.now_row(bind(), NOW_MS)
    assert dict(zip(linkview.NOW_COLUMNS, row, strict=True)) == {
        "bind": "acme/0", "role": "transceiver", "state": "bound", "since": "1 min 5 s", "in flight": "3 of 10",
        "queued": 2, "limit": None, "response": "1.8 ms",
    }  # fmt: skip


def test_what_a_bind_has_seen() -> None:
    """One count under each head."""
    row = linkview.count_row(bind())
    assert dict(zip(linkview.COUNT_COLUMNS, row, strict=True)) == {
        "bind": "acme/0", "submits": 7, "receipts": 6, "inbound": 5, "throttles": 4, "unanswered": 3,
        "rejected": 2, "reconnects": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "column", "said"),
    [
        ({"window": 0, "role": "receiver"}, "in flight", None),
        ({"response_ms": None}, "response", None),
        ({"limit_per_s": 20.0, "rate_per_s": 20.0}, "limit", "20/s"),
        ({"limit_per_s": 20.0, "rate_per_s": 7.5}, "limit", "7.5/s of 20/s"),
        ({"rate_per_s": 123.456}, "limit", "123/s"),
        ({"state": BindState.WAITING, "next_try_ms": NOW_MS + 9000}, "state", "waiting, next try in 9.0 s"),
        ({"state": BindState.WAITING, "next_try_ms": NOW_MS - 1}, "state", "waiting, next try in 0 ms"),
        ({"state": BindState.BOUND, "next_try_ms": NOW_MS + 9000}, "state", "bound"),
        ({"since_ms": NOW_MS + 1}, "since", "0 ms"),
    ],
)
def test_what_there_is_to_say_of_a_bind(changes: dict[str, Any], column: str, said: str | None) -> None:
    """A clock that differs from the gateway's shows no negative time."""
    row = dict(zip(linkview.NOW_COLUMNS, linkview.now_row(bind(**changes), NOW_MS), strict=True))
    assert row[column] == said


def test_the_other_side_and_the_last_error() -> None:
    """An error that was overcome does not stand out."""
    other = {"peer_system_id": "SMSC", "peer_version": "3.4"}
    binds = [
        bind(last_error="was cut", **other),
        bind(name="acme/1", state=BindState.WAITING, last_error="bind refused: RINVPASWD"),
        bind(name="acme/2"),
    ]
    assert list(linkview.bind_lines(binds)) == [
        Line("acme/0: the SMSC is SMSC, SMPP 3.4", QUIET),
        Line("acme/0: last error: was cut", QUIET),
        Line("acme/1: last error: bind refused: RINVPASWD", BAD),
    ]


def test_a_receipt_is_one_row() -> None:
    """When it came, from whom, about what."""
    receipt = {
        "at_ms": 1_769_860_800_000, "carrier_id": "acme", "carrier_message_id": "7b", "state": "UNDELIV",
        "error": "err 001", "handset": "+12025550123", "sender": "+12025550100",
    }  # fmt: skip
    assert linkview.receipt_row(receipt) == (
        "2026-01-31T12:00:00.000Z", "acme", "7b", "UNDELIV", "err 001", "+12025550123",
    )  # fmt: skip
