"""What the pages need of the gateway, handed to them by the composition root."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trebuchet.admin.context import AdminContext
from trebuchet.admin.resources import Admin
from trebuchet.admin.users import Users
from trebuchet.console.attempts import LoginAttempts
from trebuchet.console.guard import GuardRules
from trebuchet.console.history import History
from trebuchet.simulator.network import SimulatedNetwork


@dataclass(frozen=True)
class ConsoleContext:
    admin: AdminContext
    network: SimulatedNetwork | None  # None: no simulated handsets
    history: History
    rules: GuardRules
    attempts: LoginAttempts
    base_url: Callable[[], str]
    records: Admin
    users: Users
    settings: Callable[
        [], Sequence[Mapping[str, str]]
    ]  # name, value, default, source and description of each
