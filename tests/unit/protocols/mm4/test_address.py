"""Addresses of MM4 in every form that relays write."""

import pytest

from trebuchet.protocols.mm4 import Address, Dialect, EncodeError, Kind, parse, render_envelope, render_header
from trebuchet.protocols.mm4.address import mailbox, parse_list, split_list

PHONE = Address(Kind.PHONE, "+12025550123", "mms.b.example")


@pytest.mark.parametrize(
    "written",
    [
        "+12025550123/TYPE=PLMN@mms.b.example",
        "+12025550123/type=plmn@MMS.B.EXAMPLE",
        "12025550123/TYPE=PLMN@mms.b.example",
        "2025550123/TYPE=PLMN@mms.b.example",
        "2025550123@mms.b.example",
        "+12025550123@mms.b.example",
        "0012025550123/TYPE=PLMN@mms.b.example",
        "01112025550123/TYPE=PLMN@mms.b.example",
        "+1-202-555-0123/TYPE=PLMN@mms.b.example",
        "+12025550123/TYPE=IPv4@mms.b.example",
        "<+12025550123/TYPE=PLMN@mms.b.example>",
        "Some Body <+12025550123/TYPE=PLMN@mms.b.example>",
        '"Body, Some <x>" <+12025550123/TYPE=PLMN@mms.b.example>',
        '"+12025550123/TYPE=PLMN"@mms.b.example',
        '"+12025550123/TYPE=PLMN@mms.b.example"',
        "<@relay.example:+12025550123/TYPE=PLMN@mms.b.example>",
        "tel:+12025550123@mms.b.example",
        "(a comment) +12025550123/TYPE=PLMN@mms.b.example",
    ],
)
def test_a_number_is_read_in_every_form(written: str) -> None:
    """With or without plus, type, quotes, display name; the result is E.164 and the domain in lower case."""
    assert parse(written) == PHONE


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("+12025550123/TYPE=PLMN", Address(Kind.PHONE, "+12025550123")),
        ("+442071838750/TYPE=PLMN@x.example", Address(Kind.PHONE, "+442071838750", "x.example")),
        ("442071838750/TYPE=PLMN", Address(Kind.PHONE, "+442071838750")),
        ("12345/TYPE=PLMN@x.example", Address(Kind.SHORT_CODE, "12345", "x.example")),
        ("272", Address(Kind.SHORT_CODE, "272")),
        ("BANK/TYPE=PLMN", Address(Kind.ALPHANUMERIC, "BANK")),
        ("BANK", Address(Kind.ALPHANUMERIC, "BANK")),
        ('"MY BANK/TYPE=PLMN"@x.example', Address(Kind.ALPHANUMERIC, "MY BANK", "x.example")),
        ("some.body@mail.example", Address(Kind.EMAIL, "some.body", "mail.example")),
        ("192.0.2.7/TYPE=IPv4@x.example", Address(Kind.IP, "192.0.2.7", "x.example")),
        ("2001:db8::7/TYPE=IPv6@x.example", Address(Kind.IP, "2001:db8::7", "x.example")),
        ("+12025550123/TYPE=PLMN@not a domain", Address(Kind.PHONE, "+12025550123")),
        ("0000000000000000000", Address(Kind.ALPHANUMERIC, "0000000000000000000")),
    ],
)
def test_kinds_are_told_apart(written: str, address: Address) -> None:
    """Short codes, names, mailboxes and IP addresses keep their value."""
    assert parse(written) == address


@pytest.mark.parametrize(
    "written", ["", " ", "<>", "@x.example", "/TYPE=PLMN@x", '""', '"a@b"@c.example', "x" * 400]
)
def test_what_is_no_address_is_none(written: str) -> None:
    """Also one that is longer than a mailbox may be, or has an at sign that is not its own."""
    assert parse(written) is None


def test_national_numbers_belong_to_the_dialects_country() -> None:
    """Ten digits are North American unless the link says otherwise."""
    french = Dialect(country_code="33", national_digits=9)
    assert parse("612345678/TYPE=PLMN", french) == Address(Kind.PHONE, "+33612345678")


def test_a_list_is_cut_at_its_own_commas() -> None:
    """Not at those in quotes, comments or brackets; groups and empty places hold nobody."""
    written = '"a, b" <+12025550123/TYPE=PLMN>, (c, d) 12345/TYPE=PLMN,, undisclosed:;'
    assert split_list(written) == ["+12025550123/TYPE=PLMN", "12345/TYPE=PLMN", "undisclosed:"]
    assert parse_list(written) == (
        Address(Kind.PHONE, "+12025550123"),
        Address(Kind.SHORT_CODE, "12345"),
    )


@pytest.mark.parametrize(
    ("dialect", "header", "envelope"),
    [
        (Dialect(), "+12025550123/TYPE=PLMN@mms.b.example", "+12025550123/TYPE=PLMN@hub.example"),
        (Dialect(plus=False), "12025550123/TYPE=PLMN@mms.b.example", "12025550123/TYPE=PLMN@hub.example"),
        (Dialect(typed=False), "+12025550123@mms.b.example", "+12025550123@hub.example"),
        (Dialect(header_domain=False), "+12025550123/TYPE=PLMN", "+12025550123/TYPE=PLMN@hub.example"),
    ],
)
def test_a_dialect_says_how_a_number_is_written(dialect: Dialect, header: str, envelope: str) -> None:
    """In headers with the address's own domain, in the envelope with the peer's."""
    assert render_header(PHONE, dialect) == header
    assert render_envelope(PHONE, dialect, "hub.example") == envelope


def test_a_mailbox_keeps_its_domain() -> None:
    """Mail for it goes to its own domain, whichever the peer's is, and headers never leave it out."""
    address = Address(Kind.EMAIL, "some.body", "mail.example")
    assert render_envelope(address, domain="hub.example") == "some.body@mail.example"
    assert render_header(address, Dialect(header_domain=False)) == "some.body@mail.example"


@pytest.mark.parametrize(
    "address",
    [
        Address(Kind.ALPHANUMERIC, "Müller"),
        Address(Kind.ALPHANUMERIC, "a\r\nBcc: b"),
        Address(Kind.ALPHANUMERIC, "a@b"),
        Address(Kind.EMAIL, "a"),
        Address(Kind.PHONE, "+12025550123", "x>\r\nDATA"),
        Address(Kind.ALPHANUMERIC, "a" * 300),
    ],
)
def test_nothing_but_an_address_is_written(address: Address) -> None:
    """A line end, an octet above 127 or a missing domain is the caller's error."""
    with pytest.raises(EncodeError):
        render_header(address)


def test_an_envelope_needs_a_domain() -> None:
    """Mail without one goes nowhere."""
    with pytest.raises(EncodeError, match="no domain"):
        render_envelope(Address(Kind.PHONE, "+12025550123"))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("system-user@mms.a.example", "system-user@mms.a.example"),
        ("MMSC <system-user@MMS.A.Example>", "system-user@mms.a.example"),
        ("system-user", ""),
        ("", ""),
    ],
)
def test_a_system_mailbox_has_a_domain(written: str, found: str) -> None:
    """Answers go there."""
    assert mailbox(written) == found
