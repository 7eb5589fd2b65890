"""What the admin API needs of the gateway, handed to it by the composition root."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trebuchet.admin.passwords import Passwords
from trebuchet.clock import Clock
from trebuchet.feed import Feed
from trebuchet.model.account import Directory
from trebuchet.model.events import CallbackItem
from trebuchet.storage.base import Pulse, Store, Write
from trebuchet.telemetry import Telemetry


@dataclass(frozen=True)
class LinkStatus:
    """How a link stands."""

    carrier_id: str
    kind: str
    state: str
    lanes: Sequence[tuple[str, int]]  # name, room
    link: object = None  # the link itself; one that has more to show is a carriers.status.Observable
    receipt_ids: str | None = None  # how the ids of its receipts are read, and what is proposed
    proposal: str | None = None  # the value of the setting `receipt_ids` that unmatched receipts speak for
    try_address: Callable[[str], dict[str, Any]] | None = None  # how a number goes on the wire


@dataclass(frozen=True)
class NodesView:
    """The nodes of the database, as of the last heartbeat."""

    pulse: Pulse
    me: str  # the id of this one
    lease_ms: int
    shared: bool  # whether there may be others


@dataclass(frozen=True)
class AdminContext:
    clock: Clock
    store: Store
    write: Callable[[Write], "asyncio.Future[Any]"]
    directory: Callable[[], Directory]
    reload: Callable[[], Awaitable[None]]  # after each change of a record, before it is answered
    catch_up: (
        Callable[[], Awaitable[None]] | None
    )  # before each request, where others may have changed records
    replayed: Callable[[Sequence[CallbackItem]], None]
    links: Callable[[], Sequence[LinkStatus]]
    nodes: Callable[[], NodesView]
    feed: Feed
    telemetry: Telemetry
    random_bytes: Callable[[int], bytes]
    safe_to_repeat: Collection[str]  # kinds whose carriers know a repeated submit by its id
    carrier_kinds: Mapping[str, Callable[[dict[str, Any]], None]]  # each raises ValueError for wrong settings
    passwords: Passwords
    admin_token: str = field(repr=False)
    started_ms: int
    version: str
    database: str
    simulator: bool
    queued: Callable[[], int]
