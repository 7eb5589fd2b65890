"""From a carrier's error in a receipt to our error code, by the link's profile.

No universal table exists: the same number means different things to different carriers. So a profile is a data
file of `receipt_errors/`, chosen by each link, and a new carrier's table is a new file.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from trebuchet.model.errorcodes import ERROR_CODES, UNKNOWN
from trebuchet.protocols.smpp.constants import MessageState

PROFILES: Final = ("generic", "gsm", "generic3", "bandwidth")
_GSM_NETWORK: Final = 3  # network type of network_error_code (SMPP 3.4 section 5.3.2.31)
_FAILED: Final = 5650  # what a state means of which a profile says nothing


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. `codes` maps what a carrier writes after `err:`, `states` a final state when the error says nothing."""

    name: str
    source: str
    codes: dict[str, int]
    states: dict[str, int]
    three_digits: bool = False  # the error is the last three digits of our code


def error_code(profile: str, state: MessageState, err: str, network_error: tuple[int, int] | None) -> int:
    """What a delivery fails with: by what the carrier says of it exactly, else by the final state."""
    exact = exact_code(profile, err, network_error)
    return exact if exact is not None else load(profile).states.get(state.name, _FAILED)


def exact_code(profile: str, err: str, network_error: tuple[int, int] | None) -> int | None:
    """By `err` as it is, by it without leading zeros, by the network's cause; None if the profile knows none."""
    table = load(profile)
    stripped = err.strip().lower().lstrip("0")
    code = table.codes.get(err) or (table.codes.get(stripped) if stripped else None)
    if code is None and table.three_digits and stripped:
        code = _of_three_digits(stripped)
    if code is None and network_error is not None:
        code = _of_network(table, network_error)
    return code


def _of_network(table: Profile, network_error: tuple[int, int]) -> int | None:
    kind, cause = network_error
    code = load("gsm").codes.get(str(cause)) if kind == _GSM_NETWORK else None
    if code is None and table.three_digits:
        code = _of_three_digits(str(cause))
    return code


def _of_three_digits(digits: str) -> int | None:
    """Bandwidth's own interfaces give the last three digits of its codes: 720 is 4720, 650 is 5650, 902 is 9902."""
    if not digits.isdecimal() or len(digits) > 3:
        return None
    number = int(digits)
    found = [thousand + number for thousand in (4000, 5000, 9000) if thousand + number in ERROR_CODES]
    if not found:
        return None
    # 999 is in two thousands: the ambiguous one says less, and is the right one.
    return UNKNOWN if UNKNOWN in found else found[0]


@cache
def load(profile: str) -> Profile:
    """One profile. Raises ValueError if there is none of that name."""
    if profile not in PROFILES:
        raise ValueError(f"no receipt error profile {profile!r}; known: {', '.join(PROFILES)}")
    path = files("trebuchet.carriers.smpp") / "receipt_errors" / f"{profile}.json"
    return msgspec.json.decode(path.read_bytes(), type=Profile)
