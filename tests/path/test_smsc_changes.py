"""Second thoughts of an ESME, against the listening SMSC: query_sm, cancel_sm and replace_sm."""

from typing import Any

import pytest

from support.esme import HANDSET, OURS, Esme, bound, connect
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import pdu, times
from trebuchet.protocols.smpp import receipt as receipts
from trebuchet.protocols.smpp.constants import MessageState, Status
from trebuchet.simulator.handsets import Power
from trebuchet.testing import RunningSmsc

pytestmark = pytest.mark.anyio

SOURCE: dict[str, Any] = {"source_addr_ton": 1, "source_addr": OURS[1:]}
DESTINATION: dict[str, Any] = {"dest_addr_ton": 1, "destination_addr": HANDSET[1:]}


def switch(peer: RunningSmsc, power: Power) -> None:
    peer.network.handsets.change(HANDSET, power, None)


async def query(esme: Esme, message_id: str) -> pdu.QuerySmResp:
    answer = await esme.ask(pdu.QuerySm(message_id=message_id, **SOURCE))
    assert isinstance(answer, pdu.QuerySmResp)
    return answer


async def states_of(esme: Esme, count: int) -> list[MessageState | None]:
    """What so many receipts said."""
    await esme.until(lambda: len(esme.delivered) >= count)
    found = [receipts.parse(one.short_message.decode(), one.tlvs) for one in esme.delivered]
    return [fields.state if fields else None for fields in found]


@pytest.mark.parametrize(
    ("text", "state", "error"),
    [
        ("hello", MessageState.DELIVERED, 0),
        ("#enroute", MessageState.DELIVERED, 0),
        ("#early", MessageState.DELIVERED, 0),
        ("#expired", MessageState.EXPIRED, 0xFF),
        ("#fail:4720", MessageState.UNDELIVERABLE, 0xFF),
    ],
)
@pytest.mark.parametrize("ids", ["same", "hex-decimal"])
async def test_a_query_tells_the_final_state(text: str, state: MessageState, error: int, ids: str) -> None:
    """With its date, under the id of the submit's answer, whatever the receipts call it."""
    async with bound(ids=ids) as (_, esme):
        message_id = (await esme.submit(text)).message_id
        await esme.until(lambda: len(esme.delivered) == (2 if text == "#enroute" else 1))
        told = await query(esme, message_id)
        assert (told.status, told.message_id, told.message_state) == (0, message_id, state)
        assert told.error_code == error
        assert isinstance(times.parse(told.final_date), times.Absolute)


async def test_a_query_before_the_end_has_no_date() -> None:
    """The message waits for its handset."""
    async with bound() as (peer, esme):
        switch(peer, Power.OFF)
        told = await query(esme, (await esme.submit()).message_id)
        assert (told.message_state, told.final_date) == (MessageState.ENROUTE, "")


async def test_the_state_is_known_without_a_receipt() -> None:
    """The ESME asked for none, and can query instead."""
    async with bound() as (_, esme):
        message_id = (await esme.submit("#delay:1", registered_delivery=0)).message_id
        await esme.submit("#delay:50")
        await states_of(esme, 1)
        assert (await query(esme, message_id)).message_state == MessageState.DELIVERED


@pytest.mark.parametrize(
    "request_",
    [
        pdu.QuerySm(message_id="nobody-knows", **SOURCE),
        pdu.CancelSm(message_id="nobody-knows", **SOURCE),
        pdu.ReplaceSm(message_id="nobody-knows", **SOURCE),
        pdu.QuerySm(source_addr_ton=1, source_addr="19195550000"),
        pdu.CancelSm(source_addr_ton=1, source_addr="19195550000"),
        pdu.ReplaceSm(source_addr_ton=1, source_addr="19195550000"),
    ],
)
async def test_a_message_is_found_by_its_id_and_its_source(request_: Any) -> None:
    """An id that was never given, or that is of another source."""
    async with bound() as (peer, esme):
        switch(peer, Power.OFF)
        message_id = (await esme.submit()).message_id
        request_.message_id = request_.message_id or message_id
        assert (await esme.ask(request_)).status == Status.RINVMSGID


async def test_a_message_of_another_account_is_not_known() -> None:
    """Each system_id has its own."""
    async with bound() as (peer, esme):
        message_id = (await esme.submit()).message_id
        other = await connect(peer, system_id="other")
        assert (await query(other, message_id)).status == Status.RINVMSGID


@pytest.mark.parametrize("text", ["hello", "#fail:4720"])
async def test_what_no_handset_has_shown_can_be_cancelled(text: str) -> None:
    """It waits for a handset that is off, or is going to fail: it is never shown, and a receipt says DELETED."""
    async with bound(delay_min_ms=5_000, delay_max_ms=5_000) as (peer, esme):
        if text == "hello":
            switch(peer, Power.OFF)
        message_id = (await esme.submit(text)).message_id
        assert (await esme.ask(pdu.CancelSm(message_id=message_id, **SOURCE))).status == 0
        assert (await esme.ask(pdu.CancelSm(message_id=message_id, **SOURCE))).status == Status.RCANCELFAIL
        assert peer.network.handsets.summary(HANDSET).held == 0
        switch(peer, Power.ON)
        peer.clock.advance(5_000)
        assert await states_of(esme, 1) == [MessageState.DELETED]
        assert peer.messages(HANDSET) == ()
        assert (await query(esme, message_id)).message_state == MessageState.DELETED


async def test_what_a_handset_has_shown_cannot_be_cancelled_or_replaced() -> None:
    """Whether its receipt has come or not."""
    async with bound(delay_min_ms=5_000, delay_max_ms=5_000) as (peer, esme):
        message_id = (await esme.submit()).message_id
        for advance_ms in (0, 5_000):
            peer.clock.advance(advance_ms)
            cancelled = await esme.ask(pdu.CancelSm(message_id=message_id, **SOURCE))
            replaced = await esme.ask(pdu.ReplaceSm(message_id=message_id, short_message=b"new", **SOURCE))
            assert (cancelled.status, replaced.status) == (Status.RCANCELFAIL, Status.RREPLACEFAIL)
        assert await states_of(esme, 1) == [MessageState.DELIVERED]
        assert [message.text for message in peer.messages(HANDSET)] == ["hello"]


async def test_a_part_of_a_long_message_cannot_be_cancelled() -> None:
    """The parts are shown together, so one alone cannot be taken out."""
    async with bound() as (peer, esme):
        switch(peer, Power.OFF)
        header = sms.udh.build([sms.udh.concatenation_element(sms.udh.Concatenation(7, 2, 1, 8))])
        answer = await esme.submit(short_message=header + b"first", esm_class=0x40)
        cancelled = await esme.ask(pdu.CancelSm(message_id=answer.message_id, **SOURCE))
        assert cancelled.status == Status.RCANCELFAIL


async def test_all_messages_between_two_numbers_can_be_cancelled() -> None:
    """Without an id: those of the same service_type, source and destination that can be."""
    async with bound() as (peer, esme):
        shown = await esme.submit("shown")
        switch(peer, Power.OFF)
        for text in ("one", "two"):
            await esme.submit(text)
        kept = await esme.submit("of another service", service_type="WAP")
        every = pdu.CancelSm(**SOURCE, **DESTINATION)
        assert (await esme.ask(every)).status == 0
        switch(peer, Power.ON)
        assert [m.text for m in await peer.wait(HANDSET, contains="service")] == ["of another service"]
        assert [m.text for m in peer.messages(HANDSET)] == ["shown", "of another service"]
        await states_of(esme, 4)
        for message_id in (shown.message_id, kept.message_id):
            assert (await query(esme, message_id)).message_state == MessageState.DELIVERED
        nothing = pdu.CancelSm(**SOURCE, **DESTINATION)
        assert (await esme.ask(nothing)).status == Status.RCANCELFAIL


@pytest.mark.parametrize("text", ["new", "жук 😀"])
async def test_what_no_handset_has_shown_can_be_replaced(text: str) -> None:
    """The new text is in the data_coding of the old, and is shown in its place; the id stays."""
    async with bound() as (peer, esme):
        switch(peer, Power.OFF)
        old = "жук" if text != "new" else "old"
        message_id = (await esme.submit(old)).message_id
        body = sms.segment(text, 0)[0].body
        answer = await esme.ask(
            pdu.ReplaceSm(message_id=message_id, short_message=body, registered_delivery=1, **SOURCE)
        )
        assert answer.status == 0
        switch(peer, Power.ON)
        assert [message.text for message in await peer.wait(HANDSET)] == [text]
        assert await states_of(esme, 1) == [MessageState.DELIVERED]
        assert (await query(esme, message_id)).message_state == MessageState.DELIVERED


async def test_a_replacement_says_anew_whether_a_receipt_is_wanted() -> None:
    """registered_delivery is that of the replace_sm."""
    async with bound() as (peer, esme):
        switch(peer, Power.OFF)
        message_id = (await esme.submit("old")).message_id
        replace = pdu.ReplaceSm(message_id=message_id, short_message=b"new", registered_delivery=0, **SOURCE)
        assert (await esme.ask(replace)).status == 0
        last = (await esme.submit("last")).message_id
        switch(peer, Power.ON)
        assert await states_of(esme, 1) == [MessageState.DELIVERED]
        assert last.encode() in esme.delivered[0].short_message
