"""What the pages need of the gateway, handed to them by the composition root."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from trebuchet.admin.context import AdminContext
from trebuchet.console.history import History
from trebuchet.media.library import MediaLibrary
from trebuchet.model.account import Account, Profile
from trebuchet.model.message import Message
from trebuchet.simulator.network import SimulatedNetwork


@dataclass(frozen=True)
class Person:
    """Who asks. Without a login everybody is an admin without a name."""

    name: str = ""
    role: str = "admin"  # viewer, operator or admin
    sees_text: bool = True  # what messages say
    csrf: str = field(default="", repr=False)


# A request's body, and as whom it is sent. Raises Problem; the future fails with StorageUnavailable.
Submit = Callable[[bytes, Account, Profile], "asyncio.Future[Message]"]


@dataclass(frozen=True)
class ConsoleContext:
    admin: AdminContext
    network: SimulatedNetwork | None  # None: no simulated handsets
    history: History
    library: MediaLibrary
    submit: Submit
    login_needed: bool  # false: only this machine can reach the console
    base_url: Callable[[], str]
