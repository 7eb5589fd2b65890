"""MM4: the link to another carrier's multimedia relay. `link` forwards and awaits answers, `incoming` takes what the
peer sends, `translate` puts their words into ours; everything else is tables."""

from trebuchet.carriers.base import CarrierReports, Surroundings
from trebuchet.carriers.mm4.link import Mm4Link
from trebuchet.carriers.mm4.settings import Mm4Settings, keep_secrets, parse_settings, public
from trebuchet.clock import Ids
from trebuchet.model.account import Carrier

__all__ = ["Mm4Link", "Mm4Settings", "build", "keep_secrets", "parse_settings", "public"]


def build(carrier: Carrier, reports: CarrierReports, surroundings: Surroundings) -> Mm4Link:
    """The link of a carrier record. Raises ValueError for settings that are wrong."""
    settings = parse_settings(carrier.settings)
    return Mm4Link(
        carrier.id,
        settings,
        clock=surroundings.clock,
        ids=Ids(),
        reports=reports,
        held_files=surroundings.held_files,
        images=surroundings.images,
        is_ours=surroundings.is_ours,
        debts=surroundings.debts,
        telemetry=surroundings.telemetry,
    )
