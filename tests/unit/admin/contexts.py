"""A context for the decisions of the admin API: records, a clock that stands still, and no store."""

from collections.abc import Iterable
from typing import Any

from trebuchet.admin.context import AdminContext, NodesView
from trebuchet.admin.passwords import Passwords
from trebuchet.clock import ManualClock
from trebuchet.feed import Feed
from trebuchet.model.account import Account, Application, Carrier, Directory, Number, NumberKind
from trebuchet.storage.base import Pulse
from trebuchet.telemetry import Telemetry

NOW_MS = 1_767_225_600_000
ACCOUNT = Account(id="u-1")
OTHER = Account(id="u-2")
APPLICATION = Application(id="app-1", account_id="u-1")
OTHERS = Application(id="app-2", account_id="u-2")
NUMBER = Number(number="+12025550100", kind=NumberKind.E164, account_id="u-1", application_id="app-1")
CARRIER = Carrier(id="sim", kind="simulator")


def directory(numbers: Iterable[Number] = (NUMBER,)) -> Directory:
    return Directory([ACCOUNT, OTHER], [], [APPLICATION, OTHERS], numbers, [CARRIER])


def check_settings(settings: dict[str, Any]) -> None:
    if settings.keys() - {"window"}:
        raise ValueError("there is only a window")


def context() -> AdminContext:
    nothing: Any = None
    return AdminContext(
        clock=ManualClock(NOW_MS),
        store=nothing,
        write=nothing,
        directory=directory,
        reload=nothing,
        replayed=nothing,
        links=nothing,
        nodes=lambda: NodesView(Pulse(0, (), (), 0), "", 0, shared=False),
        catch_up=None,
        feed=Feed(),
        telemetry=Telemetry(),
        random_bytes=lambda count: bytes(range(count)),
        safe_to_repeat={"other"},
        carrier_kinds={"simulator": check_settings, "other": check_settings},
        passwords=Passwords(),
        admin_token="the-token",
        started_ms=NOW_MS,
        version="1",
        database="sqlite",
        simulator=True,
        queued=lambda: 0,
    )
