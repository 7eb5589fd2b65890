"""The table of delivery error codes."""

import pytest

from trebuchet.model import errorcodes
from trebuchet.model.errorcodes import ERROR_CODES, wire_name

OWN = sorted(name for name in vars(errorcodes) if name.isupper() and name != "ERROR_CODES" and name[0] != "_")


@pytest.mark.parametrize("name", OWN)
def test_what_the_gateway_gives_is_in_the_table(name: str) -> None:
    """Every code that the gateway itself fails a message with has its name on the wire."""
    assert getattr(errorcodes, name) in ERROR_CODES


def test_every_code_is_there_once() -> None:
    """Four digits each, and no row replaces another."""
    assert len(ERROR_CODES) == len(errorcodes._ROWS)
    assert all(1000 <= code <= 9999 and row.code == code for code, row in ERROR_CODES.items())
    assert all(row.name and row.meaning for row in ERROR_CODES.values())


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (4720, "invalid-destination-address"),
        (4775, "destination-rejected-due-to-user-opt-out"),
        (9902, "delivery-receipt-expired"),
        (1, "unknown-error"),
    ],
)
def test_names_on_the_wire(code: int, name: str) -> None:
    """A code that is not in the table is unknown, not an error."""
    assert wire_name(code) == name


def test_what_a_carrier_did_is_billed() -> None:
    """Codes whose second digit is 6 or 7 come from the carrier's side, and cost; a request's faults do not."""
    billable = {code for code, row in ERROR_CODES.items() if row.billable}
    carriers = {code for code in ERROR_CODES if code // 100 in (46, 47, 56, 57)}
    assert carriers - billable == set()
    assert billable - carriers == {4470, 9902, 9999}  # a spam filter on the way, and what is not known
