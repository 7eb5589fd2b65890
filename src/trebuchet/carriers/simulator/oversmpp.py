"""Simulated carriers whose texts go over SMPP: what their records become, and what has to stand beside them. Pure."""

import msgspec

from trebuchet.model.account import Carrier, Directory, Route
from trebuchet.model.message import Kind

BESIDE = "simulator-mms"  # id of the carrier that stays in the process


def over_smpp(carrier: Carrier, port: int) -> Carrier:
    """A carrier as a link to the simulated SMSC on this port, if it is a simulated one that carries texts."""
    if not _has_texts(carrier):
        return carrier
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": carrier.id[:15],
        "interface_version": "5.0",
        "window": 100,
        "quirks": "bandwidth",
    }
    return msgspec.structs.replace(carrier, kind="smpp", settings=settings)


def beside_smpp(directory: Directory, now_ms: int) -> list[Carrier | Route]:
    """The records that are missing for pictures and groups, which SMPP does not carry: one more simulated carrier, and
    a route to it beside each one that takes them to a carrier whose texts go over SMPP."""
    texts = {carrier.id: carrier for carrier in directory.carriers.values() if _has_texts(carrier)}
    there = any(c.kind == "simulator" and c.id not in texts for c in directory.carriers.values())
    if there or not texts or BESIDE in directory.carriers:
        return []
    carrier = Carrier(
        id=BESIDE,
        kind="simulator",
        in_doubt=next(iter(texts.values())).in_doubt,
        settings={"carries": [Kind.MMS]},
        created_ms=now_ms,
    )
    taken = {route.id for route in directory.routes}
    routes = [
        Route(
            id=f"{route.id}-mms",
            carrier_id=BESIDE,
            prefix=route.prefix,
            kind=Kind.MMS,
            priority=route.priority,
            created_ms=now_ms,
        )
        for route in directory.routes
        if route.carrier_id in texts and route.kind in ("any", Kind.MMS) and f"{route.id}-mms" not in taken
    ]
    return [carrier, *routes]


def _has_texts(carrier: Carrier) -> bool:
    return carrier.kind == "simulator" and Kind.SMS in carrier.settings.get("carries", Kind)
