"""Two gateways, each the other's MM4 carrier, and a picture."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.gateway import APPLICATION, Gateway, running
from support.http import Catcher, catching
from support.ports import free_port

FAR_NUMBER, FAR_OTHER = "+13125550101", "+13125550102"


@dataclass
class Side:
    """One of the two, and its application's endpoint."""

    gateway: Gateway
    catcher: Catcher
    mm4_port: int


def settings_of(ours: str, theirs: str, port: int, listen_port: int, **more: Any) -> dict[str, Any]:
    """A carrier record's settings on loopback."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "domain": f"mms.{theirs}.example",
        "our_domain": f"mms.{ours}.example",
        "listen_host": "127.0.0.1",
        "listen_port": listen_port,
        "listen_from": ["127.0.0.1"],
        **more,
    }


async def connect(gateway: Gateway, settings: Mapping[str, Any], **record: Any) -> None:
    """A carrier record, and a route for all pictures and groups."""
    carrier = {"id": "far", "kind": "mm4", "settings": settings, **record}
    created = await gateway.admin("POST", "/carriers", carrier)
    assert created.status == 201, created.body
    route = {"id": "mms-to-far", "carrier_id": "far", "kind": "mms", "priority": 1}
    assert (await gateway.admin("POST", "/routes", route)).status == 201


@asynccontextmanager
async def two_gateways(tmp_path: Path, **more: Any) -> AsyncIterator[tuple[Side, Side]]:
    """The near one has the demo's numbers, the far one `FAR_NUMBER` and `FAR_OTHER`."""
    ports = free_port(), free_port()
    async with AsyncExitStack() as stack:
        sides = []
        for name, port in zip(("near", "far"), ports, strict=True):
            data = tmp_path / name
            data.mkdir()
            catcher = await stack.enter_async_context(catching())
            gateway = await stack.enter_async_context(
                running(data, {"callbacks.retry_first_s": 1}, catcher.url)
            )
            sides.append(Side(gateway, catcher, port))
        near, far = sides
        for number in (FAR_NUMBER, FAR_OTHER):
            record = {"number": number, "account_id": "u-demo", "application_id": APPLICATION}
            assert (await far.gateway.admin("POST", "/numbers", record)).status == 201
        await connect(near.gateway, settings_of("near", "far", far.mm4_port, near.mm4_port, **more))
        await connect(far.gateway, settings_of("far", "near", near.mm4_port, far.mm4_port))
        yield near, far
