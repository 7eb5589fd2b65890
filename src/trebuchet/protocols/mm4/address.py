"""Addresses of MM4: telephone numbers, short codes, names and mailboxes. Source: 3GPP TS 23.140 section 8.4.2.

The specification's form is `+12025550123/TYPE=PLMN@mms.example.net`, in headers with or without its domain. Peers
leave out the plus or the type. A number without a plus is read as E.164: ten digits belong to the dialect's
country, up to six are a short code.
"""

import enum
import ipaddress
import re
from typing import Final

import msgspec

from trebuchet.protocols.mm4.errors import EncodeError

_TYPED: Final = re.compile(r"(.*)/TYPE=([A-Za-z0-9]+)", re.IGNORECASE | re.ASCII | re.DOTALL)
_NUMBER: Final = re.compile(r"\+?[0-9][0-9().\- ]*", re.ASCII)
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]+", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_DOMAIN: Final = re.compile(r"[A-Za-z0-9.\-_:\[\]]+", re.ASCII)
_PRINTABLE: Final = re.compile(r"[ -~]+", re.ASCII)
_SHORT_CODE_MAX: Final = 6  # digits
_ADDRESS_MAX: Final = 320  # characters: RFC 5321 allows no longer mailbox


class Kind(enum.StrEnum):
    PHONE = "phone"
    SHORT_CODE = "short-code"
    ALPHANUMERIC = "alphanumeric"
    EMAIL = "email"
    IP = "ip"


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer writes addresses. Reading takes every form; of these it looks at the country only."""

    plus: bool = True  # +12025550123, or 12025550123
    typed: bool = True  # with /TYPE=PLMN
    header_domain: bool = True  # headers have the domain; the envelope has it always
    country_code: str = "1"  # of a number that is written nationally
    national_digits: int = 10


STANDARD: Final = Dialect()


class Address(msgspec.Struct, frozen=True):
    kind: Kind
    value: str  # E.164 with its plus, digits of a short code, a name, a mailbox's local part, an IP address
    domain: str = ""  # in lower case; empty: not written


def parse(written: str, dialect: Dialect = STANDARD) -> Address | None:
    """One address in any form, with or without a display name; None if there is none."""
    local, domain = _split(_addr_spec(written))
    if not local or len(local) + len(domain) > _ADDRESS_MAX:
        return None
    typed = _TYPED.fullmatch(local)
    value, type_word = (typed[1].strip(), typed[2].upper()) if typed else (local, "")
    if not value or "@" in value:
        return None
    if type_word in {"IPV4", "IPV6"} and _is_ip(value):
        return Address(Kind.IP, value.lower(), domain)
    if _NUMBER.fullmatch(value):
        number = _number(value, dialect)
        if number is not None:
            return Address(number[0], number[1], domain)
    if domain and not type_word:
        return Address(Kind.EMAIL, value, domain)
    return Address(Kind.ALPHANUMERIC, value, domain)


def parse_list(written: str, dialect: Dialect = STANDARD) -> tuple[Address, ...]:
    """The addresses of a header like To, in order; what is no address is left out."""
    found = (parse(each, dialect) for each in split_list(written))
    return tuple(address for address in found if address is not None)


def mailbox(written: str) -> str:
    """The bare address of a system mailbox, such as Sender has; empty if there is none with a domain."""
    local, domain = _split(_addr_spec(written))
    if not local or not domain or "@" in local or len(local) + len(domain) > _ADDRESS_MAX:
        return ""
    return f"{_quoted(local)}@{domain}"


def render_header(address: Address, dialect: Dialect = STANDARD, domain: str = "") -> str:
    """As headers have it; `domain` is for an address without one. Raises EncodeError."""
    where = address.domain or domain
    if not dialect.header_domain and address.kind is not Kind.EMAIL:
        where = ""
    return _render(address, dialect, where)


def render_envelope(address: Address, dialect: Dialect = STANDARD, domain: str = "") -> str:
    """As RCPT TO has it, without angle brackets. `domain`, the peer's, goes before the address's own except for mail.

    Raises EncodeError, also if there is no domain at all.
    """
    where = address.domain if address.kind is Kind.EMAIL else domain or address.domain
    if not where:
        raise EncodeError("RCPT", "no domain")
    return _render(address, dialect, where)


def _render(address: Address, dialect: Dialect, domain: str) -> str:
    local = address.value
    if address.kind is Kind.PHONE and not dialect.plus:
        local = local.removeprefix("+")
    if address.kind is Kind.IP:
        local += "/TYPE=IPv6" if ":" in local else "/TYPE=IPv4"
    elif address.kind is not Kind.EMAIL and (dialect.typed or address.kind is Kind.ALPHANUMERIC):
        local += "/TYPE=PLMN"
    if not _PRINTABLE.fullmatch(local) or "@" in local or len(local) > _ADDRESS_MAX - 64:
        raise EncodeError("address", "not printable ASCII, an at sign, or too long")
    if domain and (not _DOMAIN.fullmatch(domain) or len(domain) > 255):
        raise EncodeError("address", "not a domain")
    if address.kind is Kind.EMAIL and not domain:
        raise EncodeError("address", "a mailbox without a domain")
    return f"{_quoted(local)}@{domain}" if domain else _quoted(local)


def _quoted(local: str) -> str:
    if not local or _ATOM.fullmatch(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(written: str, dialect: Dialect) -> tuple[Kind, str] | None:
    """E.164 or a short code; None for digits that are neither."""
    digits = re.sub(r"\D", "", written, flags=re.ASCII)
    if not written.startswith("+"):
        for prefix in ("011", "00"):
            if digits.startswith(prefix) and len(digits) - len(prefix) > dialect.national_digits:
                digits = digits.removeprefix(prefix)
                break
        if len(digits) <= _SHORT_CODE_MAX:
            return Kind.SHORT_CODE, digits
        if len(digits) == dialect.national_digits:
            digits = dialect.country_code + digits
    number = "+" + digits
    return (Kind.PHONE, number) if _E164.fullmatch(number) else None


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def split_list(written: str) -> list[str]:
    """An address list cut at its commas: of each what is in angle brackets, or all of it if there are none.

    Commas and brackets in quotes do not count, comments are left out.
    """
    found: list[str] = []
    outer: list[str] = []
    inner: list[str] | None = None
    quoted = escaped = inside = False
    comments = 0
    for character in written:
        if escaped or (character == "\\" and (quoted or comments)):
            escaped = not escaped
        elif quoted:
            quoted = character != '"'
        elif character == "(":
            comments += 1
            continue
        elif character == ")":
            comments = max(comments - 1, 0)
            continue
        elif comments:
            continue
        elif character in "<>":
            inside = character == "<"
            inner = [] if inside else inner
            continue
        elif character in ",;" and not inside:
            found.append("".join(outer if inner is None else inner))
            outer, inner = [], None
            continue
        else:
            quoted = character == '"'
        if not comments:
            (inner if inside and inner is not None else outer).append(character)
    found.append("".join(outer if inner is None else inner))
    return [each.strip() for each in found if each.strip()]


def _addr_spec(written: str) -> str:
    """The address proper: without display name and comments, and after the name of a group or a route."""
    found = next(iter(split_list(written)), "")
    if ":" in found and "[" not in found and '"' not in found and "/TYPE=IPV6" not in found.upper():
        found = found.rpartition(":")[2].strip()
    return found


def _split(addr_spec: str) -> tuple[str, str]:
    """Local part without its quotes, and domain in lower case; empty if it is none. All of it may be in quotes."""
    whole = _unquoted(addr_spec)
    local, at, domain = whole.rpartition("@")
    if not at:
        return whole.strip(), ""
    domain = domain.strip().lower()
    return _unquoted(local.strip()).strip(), domain if _DOMAIN.fullmatch(domain) else ""


def _unquoted(written: str) -> str:
    quoted = _QUOTED.fullmatch(written)
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else written
