"""What the pages need of the gateway, handed to them by the composition root."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trebuchet.admin.bootstrap import FirstRecords
from trebuchet.admin.context import AdminContext
from trebuchet.admin.resources import Admin
from trebuchet.admin.users import Users
from trebuchet.callbacks.deliver import Callbacks
from trebuchet.console.attempts import LoginAttempts
from trebuchet.console.catcher import Catcher
from trebuchet.console.guard import GuardRules
from trebuchet.console.history import History
from trebuchet.console.linkhistory import LinkHistory
from trebuchet.media.library import MediaLibrary
from trebuchet.model.account import Account, Profile
from trebuchet.model.message import Message
from trebuchet.simulator.network import SimulatedNetwork

# A request's body, and as whom it is sent. Raises Problem; the future fails with StorageUnavailable.
Submit = Callable[[bytes, Account, Profile], "asyncio.Future[Message]"]


@dataclass(frozen=True)
class ConsoleContext:
    admin: AdminContext
    network: SimulatedNetwork | None  # None: no simulated handsets
    history: History
    link_history: LinkHistory
    library: MediaLibrary
    submit: Submit
    callbacks: Callbacks
    catcher: Catcher | None  # None: there is none where others than this machine could post to it
    rules: GuardRules
    attempts: LoginAttempts
    base_url: Callable[[], str]
    first: FirstRecords | None  # what this start made, or what `--demo` always has: its secret is known
    records: Admin
    users: Users
    settings: Callable[
        [], Sequence[Mapping[str, str]]
    ]  # name, value, default, source and description of each
