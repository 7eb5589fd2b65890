"""What an MMSC takes, in the simulated network's words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.simulator import mmsc_onair as onair
from trebuchet.simulator.mmsc_base import Heard, Report
from trebuchet.simulator.mmsc_onair import Asked, Reference

HANDSET, OURS = "+12025550123", "+12345678901"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("hello", Asked()),
        ("#smtp:451", Asked(smtp=451)),
        ("go #smtp:554 away", Asked(smtp=554)),
        ("#smtp:250", Asked()),
        ("#smtp:4510", Asked()),
        ("#answer:Error-service-denied.", Asked(answer="Error-service-denied")),
        ("#answer:130", Asked(answer="130")),
        ("#report:Expired", Asked(report="Expired")),
        ("#report:", Asked()),
        ("#fail:4720 #answer:Ok #report:Deferred", Asked(answer="Ok", report="Deferred")),
    ],
)
def test_the_triggers_of_a_text(text: str, asked: Asked) -> None:
    """Those that only an MMSC knows; the others are the network's."""
    assert onair.asked(text) == asked


@given(
    st.builds(
        Reference,
        st.from_regex(r"[0-9a-z]{1,29}", fullmatch=True),
        st.booleans(),
        st.from_regex(r"[A-Za-z]{0,40}", fullmatch=True),
        st.text(max_size=80),
        st.text(max_size=80),
    )
)
def test_a_reference_survives(reference: Reference) -> None:
    """Any mailbox and message id can be part of it, and it has no slash."""
    written = onair.write_reference(reference)
    assert onair.read_reference(written) == reference
    assert "/" not in written


def heard(**fields: Any) -> Heard:
    given: dict[str, Any] = {"message_id": "m/1@x", "source": OURS, "recipients": (HANDSET,), "shown": ()}
    return Heard(**{**given, "text": "hello", "origin": "relay@x.example", **fields})


def receipt(of: Heard, state: ReceiptState, code: int | None = None) -> Receipt:
    """As the network gives it."""
    message = onair.message(of, "id1", (), 1)
    return Receipt(
        carrier_id="mmsc",
        carrier_message_id="n",
        state=state,
        error_code=code,
        reference=f"{message.id}/0/0",
        handset=HANDSET,
        sender=OURS,
        at_ms=7,
    )


def test_a_message_of_the_peer_is_a_picture_message_of_the_network() -> None:
    """Shown with all its recipients, by their headers if there are any."""
    message = onair.message(heard(shown=(HANDSET, OURS)), "id1", ("http://x/y",), 5)
    assert (message.kind, message.source, message.text) == (Kind.MMS, OURS, "hello")
    assert (message.destinations, message.media) == ((HANDSET, OURS), ("http://x/y",))
    assert onair.message(heard(), "id1", (), 5).destinations == (HANDSET,)


def test_a_receipt_is_a_report_about_the_peers_message() -> None:
    """If the peer asked for one."""
    wanted = heard(wants_report=True, report_as="Expired")
    assert onair.report(receipt(wanted, ReceiptState.UNDELIVERABLE, 4720)) == Report(
        message_id="m/1@x",
        origin="relay@x.example",
        source=OURS,
        recipient=HANDSET,
        state=ReceiptState.UNDELIVERABLE,
        code=4720,
        said="Expired",
        at_ms=7,
    )
    assert onair.report(receipt(heard(), ReceiptState.DELIVERED)) is None
