"""Which carrier and which lane a delivery goes to. Pure."""

import zlib
from collections.abc import Mapping, Sequence

import msgspec

from trebuchet.model.account import Directory
from trebuchet.model.message import Kind


class Routed(msgspec.Struct, frozen=True):
    carrier_id: str
    lane: str


class NoRoute(msgspec.Struct, frozen=True):
    reason: str


def route(
    directory: Directory, lanes: Mapping[str, Sequence[str]], kind: Kind, sender: str, recipient: str
) -> Routed | NoRoute:
    """The longest matching prefix wins, then the lowest priority, then the id.

    All messages of one sender through one carrier go into one lane: per-number rate and the order within a
    conversation are then local to it. `lanes` names the lanes of each carrier that has a link.
    """
    for rule in directory.routes:
        if rule.kind in ("any", kind) and recipient.startswith(rule.prefix):
            names = lanes.get(rule.carrier_id)
            if names:
                return Routed(rule.carrier_id, names[zlib.crc32(sender.encode()) % len(names)])
    return NoRoute(f"no route for {kind} to {recipient}")
