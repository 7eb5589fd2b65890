"""MM7: the link of a VASP to an MMSC. `link` submits, `post` is one request and its answer, `listener` and `incoming`
take what the MMSC posts, `translate` puts their words into ours."""

from trebuchet.carriers.base import CarrierReports, Surroundings
from trebuchet.carriers.mm7.incoming import Incoming
from trebuchet.carriers.mm7.link import Mm7Link
from trebuchet.carriers.mm7.settings import Mm7Settings, keep_secrets, parse_settings, public
from trebuchet.model.account import Carrier

__all__ = ["Mm7Link", "Mm7Settings", "build", "keep_secrets", "parse_settings", "public"]


def build(carrier: Carrier, reports: CarrierReports, surroundings: Surroundings) -> Mm7Link:
    """The link of a carrier record. Raises ValueError for settings that are wrong."""
    settings = parse_settings(carrier.settings)
    incoming = Incoming(
        carrier.id,
        settings,
        clock=surroundings.clock,
        reports=reports,
        is_ours=surroundings.is_ours,
        telemetry=surroundings.telemetry,
    )
    return Mm7Link(
        carrier.id,
        settings,
        clock=surroundings.clock,
        reports=reports,
        held_files=surroundings.held_files,
        images=surroundings.images,
        incoming=incoming,
        telemetry=surroundings.telemetry,
    )
