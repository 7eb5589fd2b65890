"""What a node takes and gives up, so that the lanes of each role are shared evenly. Pure.

Every node decides for itself, from what all of them read in the same tables. Two that want the same lane ask for it in
the database, where one gets it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

import msgspec

from trebuchet.model.nodes import Lease
from trebuchet.storage.base import Pulse

_ALIVE: Final = 2  # leases' times: a node that was not seen for as long gets no share


class Share(msgspec.Struct, frozen=True):
    take: tuple[str, ...]
    give_up: tuple[str, ...]


def share(me: str, wanted: Mapping[str, Sequence[str]], pulse: Pulse, lease_ms: int) -> Share:
    """`wanted` are the lanes of each of my roles, the same on every node that has the role."""
    take: list[str] = []
    give_up: list[str] = []
    leases = {lease.lane: lease for lease in pulse.leases}
    for role, lanes in wanted.items():
        nodes = alive(pulse, role, lease_ms)
        if me not in nodes:
            nodes.append(me)
        mine = [lane for lane in lanes if _owner(leases.get(lane), pulse.now_ms) == me]
        free = [lane for lane in lanes if _owner(leases.get(lane), pulse.now_ms) is None]
        fair = ceil(len(lanes) / len(nodes))
        if len(mine) > fair:
            give_up += _spread(mine)[fair:]
        else:
            wished = _from(free, sorted(nodes).index(me) * fair)
            take += _spread(wished, mine)[: fair - len(mine)]
    known = {lane for lanes in wanted.values() for lane in lanes}
    give_up += [lane for lane, lease in leases.items() if lease.node == me and lane not in known]
    return Share(tuple(take), tuple(give_up))


def alive(pulse: Pulse, role: str, lease_ms: int) -> list[str]:
    """Ids of the nodes that have a role and were seen of late."""
    since_ms = pulse.now_ms - _ALIVE * lease_ms
    return [node.id for node in pulse.nodes if role in node.roles and node.seen_ms > since_ms]


def _owner(lease: Lease | None, now_ms: int) -> str | None:
    return None if lease is None or lease.until_ms < now_ms else lease.node


def _from(lanes: Sequence[str], start: int) -> list[str]:
    """Each node begins elsewhere, so that they seldom ask for the same."""
    at = start % len(lanes) if lanes else 0
    return [*lanes[at:], *lanes[:at]]


def _spread(lanes: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
    """First one lane of each link, then a second one of each: so that no node has a link alone, if that can be."""
    seen = Counter(map(_link, beside))
    ranked: list[tuple[int, int, str]] = []
    for place, lane in enumerate(lanes):
        ranked.append((seen[_link(lane)], place, lane))
        seen[_link(lane)] += 1
    return [lane for _, _, lane in sorted(ranked)]


def _link(lane: str) -> str:
    return lane.rpartition("/")[0] or lane
