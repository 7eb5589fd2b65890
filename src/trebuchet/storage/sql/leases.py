"""Who owns which lane: leases that end by the database's clock, and the fences that follow from them."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from trebuchet.model.nodes import Lease, Node
from trebuchet.storage.base import Fence, Heartbeat, Leave, Pulse
from trebuchet.storage.sql.over import Over
from trebuchet.storage.sql.queries import columns
from trebuchet.storage.sql.steps import Steps, ask, ask_one, over, value

_SHOWN_MS: Final = 86_400_000  # a node that is gone is listed for a day

_NOW: Final = "SELECT NOW_MS()"
# id, name, url, roles, version, started_ms
_SEEN: Final = """
INSERT INTO nodes (id, name, url, roles, version, started_ms, seen_ms) VALUES (?, ?, ?, ?, ?, ?, NOW_MS())
ON CONFLICT (id) DO UPDATE SET url = excluded.url, seen_ms = excluded.seen_ms"""
_FORGET: Final = "DELETE FROM nodes WHERE seen_ms < NOW_MS() - ?"
_LEAVE: Final = "DELETE FROM nodes WHERE id = ?"
_FREE: Final = "UPDATE leases SET node = NULL, until_ms = 0 WHERE node = ?"

_KEEP = Over(
    "lane text, epoch int, node text, lease_ms int",
    """UPDATE leases SET until_ms = NOW_MS() + k.lease_ms FROM k
WHERE leases.lane = k.lane AND leases.epoch = k.epoch AND leases.node = k.node""",
)
_RELEASE = Over(
    "lane text, epoch int, node text",
    """UPDATE leases SET node = NULL, until_ms = 0 FROM k
WHERE leases.lane = k.lane AND leases.epoch = k.epoch AND leases.node = k.node""",
)
_MAKE = Over(
    "lane text",
    """INSERT INTO leases (lane, node, epoch, until_ms, since_ms)
SELECT k.lane, NULL, 0, 0, 0 FROM k WHERE true ON CONFLICT (lane) DO NOTHING""",
)
_TAKE = Over(
    "lane text, node text, lease_ms int",
    """UPDATE leases SET node = k.node, epoch = leases.epoch + 1, until_ms = NOW_MS() + k.lease_ms, since_ms = NOW_MS()
FROM k WHERE leases.lane = k.lane AND (leases.node IS NULL OR leases.until_ms < NOW_MS())""",
)
# A fence stands until the transaction ends: a lane changes hands before it or after it.
_EPOCHS = Over(
    "lane text", "SELECT l.lane, l.epoch FROM k CROSS JOIN leases AS l ON l.lane = k.lane FOR SHARE OF l"
)

_NODES: Final = f"SELECT {columns(Node, 'n')} FROM nodes AS n ORDER BY n.started_ms, n.id"
_LEASES: Final = f"SELECT {columns(Lease, 'l')} FROM leases AS l ORDER BY l.lane"
_DIRECTORY: Final = "SELECT number FROM versions WHERE what = 'directory'"
_COUNT_DIRECTORY: Final = """
INSERT INTO versions (what, number) VALUES ('directory', 1)
ON CONFLICT (what) DO UPDATE SET number = versions.number + 1"""

_roles = msgspec.json.Decoder(tuple[str, ...]).decode


def beat(change: Heartbeat) -> Steps[Pulse]:
    """See Heartbeat."""
    node = change.node
    roles = msgspec.json.encode(node.roles).decode()
    yield from ask(_SEEN, node.id, node.name, node.url, roles, node.version, node.started_ms)
    yield from ask(_FORGET, _SHOWN_MS)
    kept = sorted((fence.lane, fence.epoch, node.id, change.lease_ms) for fence in change.keep)
    yield from over(_KEEP, kept)
    yield from over(_RELEASE, sorted((fence.lane, fence.epoch, node.id) for fence in change.release))
    yield from over(_MAKE, [(lane,) for lane in sorted(change.take)])
    yield from over(_TAKE, [(lane, node.id, change.lease_ms) for lane in sorted(change.take)])
    return (yield from pulse())


def pulse() -> Steps[Pulse]:
    """The nodes and leases as they are."""
    nodes = [
        Node(row[0], row[1], row[2], _roles(row[3]), row[4], row[5], row[6])
        for row in (yield from ask(_NODES))
    ]
    leases = [Lease(*row) for row in (yield from ask(_LEASES))]
    number = yield from directory_version()
    return Pulse((yield from value(_NOW)), nodes, leases, number)


def directory_version() -> Steps[int]:
    """How often provisioned records were changed."""
    row = yield from ask_one(_DIRECTORY)
    return 0 if row is None else int(row[0])


def leave(change: Leave) -> Steps[None]:
    """See Leave."""
    yield from ask(_FREE, change.node_id)
    yield from ask(_LEAVE, change.node_id)


def stale(fences: Collection[Fence]) -> Steps[set[Fence]]:
    """Those whose lane has another epoch by now."""
    lanes: Sequence[tuple[str]] = sorted({(fence.lane,) for fence in fences})
    epochs = {row[0]: row[1] for row in (yield from over(_EPOCHS, lanes))}
    return {fence for fence in fences if epochs.get(fence.lane) != fence.epoch}


def count_directory() -> Steps[None]:
    """Provisioned records change: other processes are to read them again."""
    yield from ask(_COUNT_DIRECTORY)
