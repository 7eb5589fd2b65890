"""Which receipts an ESME wants, by what it asked for in its submits."""

import pytest

from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.simulator import onair
from trebuchet.simulator.smsc_settings import SmscSettings


def receipt(reference: str | None, state: ReceiptState) -> Receipt:
    return Receipt(
        carrier_id="sim",
        carrier_message_id="1767225600000aaaaaaaaaaaaaaaa",
        state=state,
        reference=reference,
        handset="+19195551234",
        sender="+12345678901",
        at_ms=1_767_225_600_000,
    )


@pytest.mark.parametrize(
    ("registered", "delivered", "failed"),
    [(0, False, False), (1, True, True), (2, False, True), (3, True, False)],
)
def test_a_receipt_is_given_if_it_was_asked_for(registered: int, delivered: bool, failed: bool) -> None:
    """Never, always, on failure or on success (SMPP 5.0 section 4.7.21)."""
    reference = f"m~{registered}~7/0/0"
    assert onair.wants_receipt(receipt(reference, ReceiptState.DELIVERED)) is delivered
    assert onair.wants_receipt(receipt(reference, ReceiptState.UNDELIVERABLE)) is failed


@pytest.mark.parametrize("reference", [None, "m/0/0", "0123~4567/0/0"])
def test_a_receipt_of_a_message_that_no_esme_submitted_is_given(reference: str | None) -> None:
    """It was submitted within the process, before a restart put the same carrier behind SMPP."""
    of = receipt(reference, ReceiptState.DELIVERED)
    assert onair.wants_receipt(of)
    assert of.carrier_message_id.encode() in onair.deliver_receipt(of, SmscSettings()).short_message
