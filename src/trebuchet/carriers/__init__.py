"""Carriers: the seam (`base`), one folder per kind, and the registry.

A kind's package has `Settings`, a frozen msgspec Struct that its carrier records' settings must fit, and
`build`, which makes a link from them. To add a kind: copy `carriers/simulator/`, add its line to CARRIERS,
pass `tests/contract/test_carriers.py -k KIND`.
"""

from importlib import import_module
from typing import Any

import msgspec

from trebuchet.carriers.base import CarrierLink, CarrierReports
from trebuchet.clock import Clock
from trebuchet.model.account import Carrier

CARRIERS = {
    "simulator": "trebuchet.carriers.simulator",
}


class Surroundings(msgspec.Struct, frozen=True):
    """What a link may need besides its settings. `network` is the simulated one, None where it is off."""

    clock: Clock
    network: Any


def check_settings(kind: str, settings: dict[str, Any]) -> Any:
    """The settings of a carrier record as its kind's own type. Raises ValueError that says what is wrong."""
    if kind not in CARRIERS:
        raise ValueError(f"no carrier kind {kind!r}; known: {', '.join(sorted(CARRIERS))}")
    try:
        return msgspec.convert(settings, import_module(CARRIERS[kind]).Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def build(carrier: Carrier, reports: CarrierReports, surroundings: Surroundings) -> CarrierLink:
    """A link for a carrier record. Raises ValueError if the record's kind or settings do not fit."""
    settings = check_settings(carrier.kind, carrier.settings)
    link: CarrierLink = import_module(CARRIERS[carrier.kind]).build(
        carrier.id, settings, reports, surroundings
    )
    return link
