"""Nodes that share a PostgreSQL database, as their operator runs them: processes that are stopped, killed and paused.

The SMSC and the endpoint live in the test, so they remember what they were given, whoever dies. Its receipts come over
any bind, so to any node.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ADMIN_TOKEN, Gateway
from support.http import Catcher, catching, request
from support.kills import all_called_back, one_final_event_each, send_until_it_dies
from support.ports import free_ports
from support.postgres import PostgresServer
from support.smsc import Smsc, listening

pytestmark = pytest.mark.anyio

LEASE_S = 2
WINDOW = 20
BINDS = 4  # more than one node's share of all lanes
LANES = {f"carrier:acme/{number}" for number in range(BINDS)}


class Cluster:
    """Nodes over one database, one SMSC with several binds, and one endpoint for callbacks."""

    def __init__(self, folder: Path, url: str, smsc: Smsc, catcher: Catcher) -> None:
        self._folder = folder
        self._url = url
        self.smsc = smsc
        self.catcher = catcher
        self.nodes: list[Gateway] = []
        self.accepted: dict[str, str] = {}

    async def node(self, name: str, settings: Mapping[str, Any] | None = None, port: int = 0) -> Gateway:
        """Start one more."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        shared = {
            "storage.database": self._url,
            "nodes.name": name,
            "nodes.lease_s": LEASE_S,
            "callbacks.retry_first_s": 1,
        }
        gateway = Gateway(folder, {**shared, **(settings or {})}, self.catcher.url)
        gateway.port = port
        self.nodes.append(gateway)
        await gateway.start()
        return gateway

    async def pair(self) -> tuple[Gateway, Gateway]:
        """Start two, which share the lanes of the link."""
        one, two = await self.node("one"), await self.node("two")
        await self.connect(one)
        await until_shared(two, "one", "two")
        return one, two

    async def connect(self, gateway: Gateway, in_doubt: str = "resend") -> None:
        """Every message goes to the SMSC, over several binds."""
        settings = {
            "host": "127.0.0.1",
            "port": self.smsc.port,
            "system_id": "esme",
            "window": WINDOW,
            "binds": ["transceiver"] * BINDS,
            "reconnect_min_s": 1,
        }
        carrier = {"id": "acme", "kind": "smpp", "in_doubt": in_doubt, "settings": settings}
        assert (await gateway.admin("POST", "/carriers", carrier)).status == 201
        route = {"id": "all-to-acme", "carrier_id": "acme", "priority": 1}
        assert (await gateway.admin("POST", "/routes", route)).status == 201

    async def load(self, gateway: Gateway, messages: int, run: str) -> None:
        await send_until_it_dies(gateway, messages, self.accepted, run)

    def submitted(self) -> Counter[str]:
        """How often the SMSC was given each text, which is unique to a message."""
        return Counter(submit.short_message.decode() for submit in self.smsc.submits)

    async def kept_promises(self, twice_at_most: int) -> None:
        """Each 202 was submitted and called back, with one final event, and few were submitted twice."""
        await all_called_back(self.catcher, self.accepted)
        given = self.submitted()
        assert all(given[f"message {tag}"] >= 1 for tag in self.accepted.values())
        one_final_event_each(self.catcher)
        assert sum(count - 1 for count in given.values()) <= twice_at_most


@asynccontextmanager
async def cluster(folder: Path, postgres: PostgresServer) -> AsyncIterator[Cluster]:
    """No node yet; those that are started are killed at the end."""
    url = await postgres.new_database()
    async with listening() as smsc, catching() as catcher:
        smsc.reports = True
        made = Cluster(folder, url, smsc, catcher)
        try:
            yield made
        finally:
            for node in made.nodes:
                await node.kill()


async def owners(gateway: Gateway) -> dict[str, str | None]:
    """The name of the node that owns each lane of the link."""
    lanes = (await gateway.admin("GET", "/nodes")).json["lanes"]
    return {lane["lane"]: lane["node_name"] for lane in lanes if lane["lane"] in LANES}


async def until(true: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(within_s):
        while not await true():
            await asyncio.sleep(0.05)


async def until_shared(gateway: Gateway, *names: str) -> None:
    """Each of these nodes owns a lane of the link, and no lane is anybody else's."""

    async def shared() -> bool:
        found = await owners(gateway)
        return found.keys() == LANES and set(found.values()) == set(names)

    await until(shared)


async def enough(of: Cluster, messages: int, load: "asyncio.Future[Any]") -> None:
    """Wait until so many were accepted."""
    while len(of.accepted) < messages and not load.done():
        await asyncio.sleep(0)


async def test_the_lanes_of_a_link_are_shared_among_its_nodes(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Each bind is one node's; either takes messages; what one is told the other knows."""
    async with cluster(tmp_path, postgres) as it:
        one, two = await it.pair()
        await it.smsc.until(lambda: len(it.smsc.connections) == BINDS)
        await asyncio.gather(it.load(one, 40, "first"), it.load(two, 40, "second"))
        assert len(it.accepted) == 80
        await it.kept_promises(twice_at_most=0)


async def test_a_killed_nodes_work_is_finished_by_the_other(tmp_path: Path, postgres: PostgresServer) -> None:
    """Clients post to both; one is killed in the middle. The survivor has all lanes and says who is gone."""
    async with cluster(tmp_path, postgres) as it:
        one, two = await it.pair()
        load = asyncio.gather(it.load(one, 200, "first"), it.load(two, 200, "second"))
        await enough(it, 100, load)
        await one.kill()
        await load
        await it.load(two, 20, "third")
        await it.kept_promises(twice_at_most=BINDS * WINDOW)
        await until_shared(two, "two")
        shown = (await two.admin("GET", "/nodes")).json
        assert {node["name"]: node["state"] for node in shown["items"]} == {"one": "silent", "two": "alive"}


async def test_a_node_that_stops_hands_over_and_leaves_nothing_in_doubt(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Its lanes are the other's before the lease would have ended, and nothing is submitted twice."""
    async with cluster(tmp_path, postgres) as it:
        one, two = await it.pair()
        load = asyncio.gather(it.load(one, 100, "first"), it.load(two, 100, "second"))
        await enough(it, 60, load)
        assert await one.stop() == 0
        await load
        await it.kept_promises(twice_at_most=0)
        await until_shared(two, "two")


async def test_a_node_that_was_paused_for_longer_than_its_leases_stores_nothing_late(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Its lanes have gone to the other; when it wakes it submits nothing under them, and then gets its share again."""
    async with cluster(tmp_path, postgres) as it:
        one, two = await it.pair()
        load = asyncio.gather(it.load(two, 300, "first"))
        await enough(it, 50, load)
        os.kill(one.pid, signal.SIGSTOP)
        await load
        await until_shared(two, "two")
        sent = {f"message {tag}" for tag in it.accepted.values()}
        await it.smsc.until(lambda: sent <= it.submitted().keys())
        os.kill(one.pid, signal.SIGCONT)
        await until_shared(two, "one", "two")
        await it.load(one, 30, "second")
        await it.kept_promises(twice_at_most=BINDS * WINDOW)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_the_database_may_go_away_and_come_back(
    how: str, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    """Meanwhile requests are answered 503 and nothing is promised; afterwards all goes on by itself."""
    async with cluster(tmp_path, own_postgres) as it:
        one, two = await it.pair()
        await asyncio.gather(it.load(one, 50, "first"), it.load(two, 50, "second"))
        await asyncio.to_thread(own_postgres.stop if how == "stop" else own_postgres.kill)
        assert (await one.send("refused")).status == 503
        await asyncio.to_thread(own_postgres.start)

        async def taken() -> bool:
            return (await one.send("again")).status == 202 and (await two.send("again")).status == 202

        await until(taken)
        await asyncio.gather(it.load(one, 50, "third"), it.load(two, 50, "fourth"))
        await it.kept_promises(twice_at_most=2 * BINDS * WINDOW)


async def test_nodes_may_have_different_roles(tmp_path: Path, postgres: PostgresServer) -> None:
    """One takes requests, another submits, a third calls back; each refuses what it is not for."""
    async with cluster(tmp_path, postgres) as it:
        taker = await it.node("taker", {"nodes.roles": "api"})
        submitter = await it.node("submitter", {"nodes.roles": "carriers"})
        caller = await it.node("caller", {"nodes.roles": "callbacks,console"})
        await it.connect(taker)
        await until_shared(taker, "submitter")
        await it.load(taker, 30, "first")
        await it.kept_promises(twice_at_most=0)
        refused = await submitter.send("not here")
        assert (refused.status, "role api" in refused.json["description"]) == (503, True)
        assert (await request("GET", f"{caller.url}/nodes")).status == 200
        assert (await request("GET", f"{taker.url}/nodes")).status == 404


async def test_workers_share_a_port_and_one_that_dies_is_replaced(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Each is a node with an address of its own; the others go on, and all stop together."""
    async with cluster(tmp_path, postgres) as it:
        port = free_ports(3)
        gateway = await it.node("host", {"nodes.workers": 2}, port)
        await until_nodes(gateway, "host-0", "host-1")
        await it.connect(gateway)
        await until_shared(gateway, "host-0", "host-1")
        await all_know_the_records(gateway)
        await it.load(gateway, 40, "first")
        (first,) = [n for n in (await nodes(gateway)) if n["url"].endswith(f":{port + 1}")]
        assert first["name"] == "host-0"
        os.kill(children(gateway.pid)[1], signal.SIGKILL)
        await it.load(gateway, 40, "second")
        await until_shared(gateway, "host-0", "host-1")
        await it.kept_promises(twice_at_most=BINDS * WINDOW)
        assert await gateway.stop() == 0


async def all_know_the_records(gateway: Gateway) -> None:
    """What one worker was told the others learn a moment later, or when they are asked about it."""
    for node in await nodes(gateway):
        asked = await request(
            "GET", f"{node['url']}/admin/v1/routes", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        )
        assert [route["id"] for route in asked.json["items"]][:1] == ["all-to-acme"]


def children(pid: int) -> list[int]:
    """Of a process, in the order in which it forked them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def nodes(gateway: Gateway) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await gateway.admin("GET", "/nodes")).json["items"]
    return items


async def until_nodes(gateway: Gateway, *names: str) -> None:
    async def there() -> bool:
        return {node["name"] for node in await nodes(gateway)} == set(names)

    await until(there)
