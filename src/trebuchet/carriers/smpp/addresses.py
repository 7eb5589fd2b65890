"""How a number goes on the wire and comes back: type of number, numbering plan, digits.

The numbers of this gateway are E.164 with a plus, short codes, or alphanumeric senders. Which TON and NPI a
carrier wants for each is a matter of its taste, so every line of the table can be replaced for a link. On
reading the TON says little: peers leave it at 0, or at 2 whatever the number is.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trebuchet.model.account import NumberKind
from trebuchet.model.address import kind_of
from trebuchet.protocols.smpp.constants import Npi, Ton

_LONGEST: Final = 20  # characters of an address (SMPP 3.4 section 5.2.8, without the NUL)
_NANP_DIGITS: Final = 10


class NumberClass(enum.StrEnum):
    E164 = "e164"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


class Form(enum.StrEnum):
    """How the digits of an E.164 number are written."""

    DIGITS = "digits"  # 12025550123
    PLUS = "plus"  # +12025550123
    DOUBLE_ZERO = "00"  # 0012025550123
    NATIONAL = "national"  # 2025550123: without the home country's code; others stay whole


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one class of numbers is written."""

    ton: Annotated[int, Meta(ge=0, le=255)]
    npi: Annotated[int, Meta(ge=0, le=255)]
    form: Form = Form.DIGITS


class Address(msgspec.Struct, frozen=True):
    ton: int
    npi: int
    text: str


RULES: Final[dict[NumberClass, Rule]] = {
    NumberClass.E164: Rule(ton=Ton.INTERNATIONAL, npi=Npi.E164),
    NumberClass.SHORT_CODE: Rule(ton=Ton.NETWORK_SPECIFIC, npi=Npi.UNKNOWN),
    NumberClass.ALPHANUMERIC: Rule(ton=Ton.ALPHANUMERIC, npi=Npi.UNKNOWN),
}
_CLASSES: Final = {
    NumberKind.E164: NumberClass.E164,
    NumberKind.SHORT_CODE: NumberClass.SHORT_CODE,
    NumberKind.ALPHANUMERIC: NumberClass.ALPHANUMERIC,
}


def outbound(
    number: str, rules: Mapping[NumberClass, Rule] | None = None, *, home_country: str = "1"
) -> Address:
    """A number of ours, or a recipient, as this link's SMSC wants it. `rules` replaces lines of RULES."""
    kind = NumberClass.E164  # as every recipient is, and nearly every sender
    if not number.startswith("+"):
        kind = _CLASSES[kind_of(number) or NumberKind.ALPHANUMERIC]
    rule = (rules.get(kind) if rules else None) or RULES[kind]
    if kind is not NumberClass.E164:
        return Address(rule.ton, rule.npi, number[:_LONGEST])
    return Address(rule.ton, rule.npi, _written(number, rule.form, home_country))


def _written(number: str, form: Form, home_country: str) -> str:
    if form is Form.DIGITS:
        return number[1:]
    if form is Form.PLUS:
        return number
    if form is Form.DOUBLE_ZERO:
        return "00" + number[1:]
    home = "+" + home_country
    return number[len(home) :] if number.startswith(home) else number[1:]


def inbound(ton: int, npi: int, text: str, *, home_country: str = "1") -> str:  # noqa: ARG001  # npi says nothing here
    """The number that a peer means, in this gateway's form. Never fails: what is no number is taken as it is."""
    text = text.strip()
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return text  # alphanumeric
    if text.startswith("+"):
        return text
    if digits.startswith("00") and len(digits) > _NANP_DIGITS:
        return "+" + digits[2:]
    if home_country == "1":
        if digits.startswith("011") and len(digits) > _NANP_DIGITS + 1:
            return "+" + digits[3:]
        if len(digits) == _NANP_DIGITS and digits[0] in "23456789" and ton != Ton.INTERNATIONAL:
            return "+1" + digits
    elif ton == Ton.NATIONAL and len(digits) > 6:
        return "+" + home_country + digits.removeprefix("0")
    if len(digits) <= 6:
        return digits  # short code
    return "+" + digits
