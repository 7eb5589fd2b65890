"""Carriers: the seam (`base`), one folder per kind, and the registry.

A kind's package has `parse_settings`, which checks the settings of a carrier record, and `build`, which makes a
link from one. To add a kind: copy `carriers/simulator/`, add its line to CARRIERS,
pass `tests/contract/test_carriers.py -k KIND`. What several kinds need stands beside them: `multimedia` (the parts of a
picture message), `reach` (a peer that cannot be talked to), `secrets` (of settings), `status` (what people look at).
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import msgspec

from trebuchet.carriers.base import CarrierLink, CarrierReports, Surroundings
from trebuchet.model.account import Carrier
from trebuchet.model.message import Kind


class CarrierKind(msgspec.Struct, frozen=True):
    package: str
    carries: frozenset[Kind]
    safe_to_repeat: bool = (
        False  # it knows a repeated submit by its id: `in_doubt` is resend unless said otherwise
    )
    needs_media: bool = False  # its links submit the octets of media, which are fetched and held before
    splits: bool = (
        False  # its binds may be on different nodes: the package has `parts`, and `build` takes one
    )


CARRIERS = {
    "simulator": CarrierKind("trebuchet.carriers.simulator", frozenset(Kind)),
    "mm4": CarrierKind(
        "trebuchet.carriers.mm4", frozenset({Kind.MMS}), safe_to_repeat=True, needs_media=True
    ),
    "mm7": CarrierKind("trebuchet.carriers.mm7", frozenset({Kind.MMS}), needs_media=True),
    "smpp": CarrierKind("trebuchet.carriers.smpp", frozenset({Kind.SMS}), splits=True),
}


def kind_of(carrier: Carrier) -> CarrierKind:
    """What is known of a record's kind. One that is not known carries nothing; a record may carry less than its kind,
    by a setting `carries`."""
    kind = CARRIERS.get(carrier.kind, CarrierKind("", frozenset()))
    carries = carrier.settings.get("carries", kind.carries)
    return msgspec.structs.replace(kind, carries=frozenset(each for each in kind.carries if each in carries))


def check_settings(kind: str, settings: dict[str, Any]) -> None:
    """Raises ValueError that says what is wrong with a carrier record's kind or settings."""
    _package(kind).parse_settings(settings)


def shown_settings(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A record's settings as an answer may show them: a kind whose settings hold secrets has `public`."""
    hide = getattr(_package(kind), "public", dict) if kind in CARRIERS else dict
    shown: dict[str, Any] = hide(settings)
    return shown


def kept_settings(kind: str, given: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """Settings that somebody sent back: what was hidden in them stays what it was."""
    keep = getattr(_package(kind), "keep_secrets", None) if kind in CARRIERS else None
    kept: dict[str, Any] = keep(given, stored) if keep is not None else given
    return kept


def build(
    carrier: Carrier, reports: CarrierReports, surroundings: Surroundings, part: str | None = None
) -> CarrierLink:
    """A link for a carrier record, or only that part of it. Raises ValueError if its kind or settings do not fit."""
    package = _package(carrier.kind)
    if part is not None and CARRIERS[carrier.kind].splits:
        link: CarrierLink = package.build(carrier, reports, surroundings, part)
        return link
    whole: CarrierLink = package.build(carrier, reports, surroundings)
    return whole


def parts(carrier: Carrier) -> Mapping[str, Sequence[str]]:
    """The parts of a link that may be on different nodes, and the lanes of each. Part and lane are named alike.

    Of a record that no link can be made of it is one part with one lane, in which its messages wait.
    """
    first = f"{carrier.id}/0"
    whole = {first: (first,)}
    if carrier.kind not in CARRIERS or not CARRIERS[carrier.kind].splits:
        return whole
    try:
        found: Mapping[str, Sequence[str]] = _package(carrier.kind).parts(carrier)
    except ValueError:
        return whole
    return found


def _package(kind: str) -> Any:
    if kind not in CARRIERS:
        raise ValueError(f"no carrier kind {kind!r}; known: {', '.join(sorted(CARRIERS))}")
    return import_module(CARRIERS[kind].package)
