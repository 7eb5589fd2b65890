"""SMPP: the link to an SMSC or an aggregator. `link` submits and receives, `bind` keeps a connection up,
`translate` turns shipments into PDUs and PDUs into reports; everything else is tables."""

import random

from trebuchet.carriers.base import CarrierReports, Surroundings
from trebuchet.carriers.smpp.link import SmppLink
from trebuchet.carriers.smpp.settings import SmppSettings, keep_secrets, parse_settings, public
from trebuchet.model.account import Carrier

__all__ = ["SmppLink", "SmppSettings", "build", "keep_secrets", "parse_settings", "parts", "public"]


def parts(carrier: Carrier) -> dict[str, tuple[str, ...]]:
    """Each bind of a record, and its lane if it submits. Raises ValueError for settings that are wrong."""
    binds = parse_settings(carrier.settings).binds
    names = [f"{carrier.id}/{number}" for number in range(len(binds))]
    return {name: (name,) if role != "receiver" else () for name, role in zip(names, binds, strict=True)}


def build(
    carrier: Carrier, reports: CarrierReports, surroundings: Surroundings, part: str | None = None
) -> SmppLink:
    """The link of a carrier record, or one bind of it. Raises ValueError for settings that are wrong."""
    settings = parse_settings(carrier.settings)
    chance = random.Random().random  # noqa: S311  # jitter between tries
    return SmppLink(
        carrier.id,
        settings,
        clock=surroundings.clock,
        chance=chance,
        reports=reports,
        telemetry=surroundings.telemetry,
        only=part,
    )
