"""The nodes that share the database, and which of them owns which lane."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer
from trebuchet.admin.context import AdminContext, NodesView
from trebuchet.api.routing import route
from trebuchet.clock import iso_ms
from trebuchet.model.nodes import SET_UP, Lease, Node


def shown(view: NodesView) -> dict[str, Any]:
    """As JSON values. Moments are those of the database's clock, but for `started`, which is the node's own."""
    now_ms = view.pulse.now_ms
    owned: dict[str, list[str]] = {}
    for lease in view.pulse.leases:
        if lease.node is not None and lease.until_ms >= now_ms:
            owned.setdefault(lease.node, []).append(lease.lane)
    names = {node.id: node.name for node in view.pulse.nodes}
    return {
        "shared": view.shared,
        "this": view.me,
        "now": iso_ms(now_ms),
        "lease_s": view.lease_ms / 1000,
        "items": [_node(node, view, owned.get(node.id, [])) for node in view.pulse.nodes],
        "lanes": [_lane(lease, now_ms, names) for lease in view.pulse.leases if lease.lane != SET_UP],
    }


def _node(node: Node, view: NodesView, lanes: list[str]) -> dict[str, Any]:
    silent_ms = max(0, view.pulse.now_ms - node.seen_ms)
    return {
        "id": node.id,
        "name": node.name,
        "state": "alive" if silent_ms < view.lease_ms or not view.shared else "silent",
        "this": node.id == view.me,
        "url": node.url,
        "roles": list(node.roles),
        "version": node.version,
        "started": iso_ms(node.started_ms),
        "seen": iso_ms(node.seen_ms),
        "silent_s": silent_ms / 1000,
        "lanes": lanes,
    }


def _lane(lease: Lease, now_ms: int, names: dict[str, str]) -> dict[str, Any]:
    held = lease.node is not None and lease.until_ms >= now_ms
    return {
        "lane": lease.lane,
        "node": lease.node if held else None,
        "node_name": names.get(lease.node or "") if held else None,
        "epoch": lease.epoch,
        "since": iso_ms(lease.since_ms) if held else None,
        "until": iso_ms(lease.until_ms) if held else None,
    }


def routes(context: AdminContext) -> list[Route]:
    async def nodes(request: Request) -> Response:
        ask.query(request)
        return answer(shown(context.nodes()))

    return [route("/nodes", GET=nodes)]
