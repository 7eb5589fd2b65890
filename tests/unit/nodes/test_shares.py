"""How nodes share the lanes of a role: each decides for itself, and the table lets one of two have a lane."""

from collections.abc import Sequence
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.nodes import Lease, Node
from trebuchet.nodes.shares import Share, alive, share
from trebuchet.storage.base import Pulse

LEASE_MS = 10_000
NOW = 1_767_225_600_000
ROLE = "carriers"


class Table:
    """Nodes and leases, as the database has them."""

    def __init__(self, lanes: Sequence[str]) -> None:
        self.lanes = lanes
        self.nodes: dict[str, int] = {}  # when each was seen
        self.owner: dict[str, str] = {}

    def pulse(self) -> Pulse:
        nodes = [Node(n, n, "", (ROLE,), "", 0, seen_ms) for n, seen_ms in self.nodes.items()]
        leases = [Lease(lane, self.owner.get(lane), 1, NOW + LEASE_MS, 0) for lane in self.lanes]
        return Pulse(NOW, nodes, leases, 0)

    def beat(self, me: str) -> Share:
        """What a node decides, done at once."""
        decided = share(me, {ROLE: self.lanes}, self.pulse(), LEASE_MS)
        for lane in decided.take:
            self.owner.setdefault(lane, me)
        for lane in decided.give_up:
            if self.owner.get(lane) == me:
                del self.owner[lane]
        return decided

    def count(self, me: str) -> int:
        return list(self.owner.values()).count(me)


def rounds(table: Table, number: int) -> None:
    for _ in range(number):
        for node in table.nodes:
            table.beat(node)


LANES = st.lists(
    st.builds("{}/{}".format, st.sampled_from(["acme", "bee", "cee"]), st.integers(0, 5)), unique=True
)
NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, unique=True)


@given(LANES, NAMES)
def test_nodes_come_to_rest_with_even_shares(lanes: list[str], names: list[str]) -> None:
    """Every lane is somebody's, nobody has more than its share, and then nobody moves anything."""
    table = Table(lanes)
    table.nodes = dict.fromkeys(names, NOW)
    rounds(table, 4)
    assert table.owner.keys() == set(lanes)
    assert all(table.count(name) <= ceil(len(lanes) / len(names)) for name in names)
    assert all(table.beat(name) == Share((), ()) for name in names)


@given(LANES, NAMES)
def test_a_node_that_joins_gets_its_share_and_one_that_dies_loses_it(
    lanes: list[str], names: list[str]
) -> None:
    """The others give up no more than it takes."""
    table = Table(lanes)
    table.nodes = {names[0]: NOW}
    rounds(table, 2)
    assert table.count(names[0]) == len(lanes)
    table.nodes = dict.fromkeys(names, NOW)
    rounds(table, 4)
    assert all(table.count(name) <= ceil(len(lanes) / len(names)) for name in names)
    table.nodes[names[0]] = NOW - 2 * LEASE_MS  # silent, and its leases have ended
    table.owner = {lane: name for lane, name in table.owner.items() if name != names[0]}
    survivors = names[1:]
    for _ in range(4):
        for name in survivors:
            table.beat(name)
    assert not survivors or table.owner.keys() == set(lanes)


def test_a_node_that_joins_shares_each_link_rather_than_having_one_alone() -> None:
    """Two of four binds of a link go, and not the whole of another one."""
    table = Table(["acme/0", "acme/1", "acme/2", "acme/3", "bee/0", "bee/1", "bee/2", "bee/3"])
    table.nodes = {"a": NOW}
    rounds(table, 2)
    table.nodes = {"a": NOW, "b": NOW}
    rounds(table, 3)
    assert sorted(lane.partition("/")[0] for lane, node in table.owner.items() if node == "b") == [
        "acme",
        "acme",
        "bee",
        "bee",
    ]


def test_what_is_nobodys_to_own_any_more_is_given_up() -> None:
    """The lanes of a carrier that was removed."""
    table = Table(["acme/0", "gone/0"])
    table.nodes = {"a": NOW}
    rounds(table, 2)
    table.lanes = ["acme/0"]
    pulse = Pulse(NOW, (), [Lease("gone/0", "a", 1, NOW + 1, 0), Lease("other/0", "b", 1, NOW + 1, 0)], 0)
    assert share("a", {ROLE: table.lanes}, pulse, LEASE_MS).give_up == ("gone/0",)


def test_only_nodes_with_the_role_that_were_seen_of_late_count() -> None:
    """A node of another role gets no share, nor one that is silent for two leases."""
    pulse = Pulse(
        NOW,
        [
            Node("a", "a", "", (ROLE,), "", 0, NOW),
            Node("b", "b", "", ("api",), "", 0, NOW),
            Node("c", "c", "", (ROLE,), "", 0, NOW - 2 * LEASE_MS),
            Node("d", "d", "", (ROLE,), "", 0, NOW - 2 * LEASE_MS + 1),
        ],
        (),
        0,
    )
    assert alive(pulse, ROLE, LEASE_MS) == ["a", "d"]
