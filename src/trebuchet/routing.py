"""Which carrier and which lane a delivery goes to. Pure."""

import zlib
from collections.abc import Container, Mapping, Sequence

import msgspec

from trebuchet.model.account import Directory, Route
from trebuchet.model.message import Kind


class Routed(msgspec.Struct, frozen=True):
    carrier_id: str
    lane: str


class NoRoute(msgspec.Struct, frozen=True):
    reason: str


def rule_for(
    directory: Directory, kind: Kind, recipient: str, carriers: Container[str] | None = None
) -> Route | None:
    """The rule that a recipient falls under: the longest matching prefix, then the lowest priority, then the id.

    Only rules to `carriers` count, if given.
    """
    for rule in directory.routes:
        usable = carriers is None or rule.carrier_id in carriers
        if usable and rule.kind in ("any", kind) and recipient.startswith(rule.prefix):
            return rule
    return None


def route(
    directory: Directory, lanes: Mapping[str, Sequence[str]], kind: Kind, sender: str, recipient: str
) -> Routed | NoRoute:
    """The lane of a message; `lanes` names those of each carrier that has a link.

    All messages of one sender through one carrier go into one lane: per-number rate and the order within a
    conversation are then local to it.
    """
    rule = rule_for(directory, kind, recipient, [carrier for carrier, names in lanes.items() if names])
    if rule is None:
        return NoRoute(f"no route for {kind} to {recipient}")
    names = lanes[rule.carrier_id]
    return Routed(rule.carrier_id, names[zlib.crc32(sender.encode()) % len(names)])
