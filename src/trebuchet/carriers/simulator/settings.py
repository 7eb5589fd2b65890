"""What a simulated carrier's record may say. Delays and the seed belong to the network that all of them share."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from trebuchet.model.message import Kind


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one link to the simulated network."""

    window: Annotated[int, Meta(ge=1, le=100_000)] = 1000  # shipments submitted and not answered
    carries: Annotated[tuple[Kind, ...], Meta(min_length=1)] = tuple(Kind)
    segments_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # 0: no limit


def parse_settings(settings: dict[str, Any]) -> SimulatorSettings:
    """Check the `settings` of a carrier record. Raises ValueError with the field's name and what it allows."""
    try:
        return msgspec.convert(settings, SimulatorSettings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
