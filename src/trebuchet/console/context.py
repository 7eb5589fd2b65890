"""What the pages need of the gateway, handed to them by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from trebuchet.admin.context import AdminContext
from trebuchet.console.attempts import LoginAttempts
from trebuchet.console.guard import GuardRules
from trebuchet.console.history import History
from trebuchet.console.linkhistory import LinkHistory
from trebuchet.simulator.network import SimulatedNetwork


@dataclass(frozen=True)
class ConsoleContext:
    admin: AdminContext
    network: SimulatedNetwork | None  # None: no simulated handsets
    history: History
    link_history: LinkHistory
    rules: GuardRules
    attempts: LoginAttempts
    base_url: Callable[[], str]
