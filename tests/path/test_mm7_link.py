"""Pictures and groups over MM7, against an MMSC whose SOAP is written by hand."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, HANDSET, NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Catcher, basic, catching, request
from support.mm7 import (
    OLD_NAMESPACE,
    Mmsc,
    Reply,
    Submitted,
    connect,
    envelope,
    mmsc,
    refusing,
    submit_response,
    taken,
)
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(320, 240), "JPEG")
OTHER = "+13125550102"


@asynccontextmanager
async def connected(tmp_path: Path, **more: Any) -> AsyncIterator[tuple[Gateway, Catcher, Mmsc]]:
    """A gateway whose pictures and groups go to an MMSC."""
    async with (
        catching() as catcher,
        mmsc() as peer,
        running(tmp_path, {"callbacks.retry_first_s": 1}, catcher.url) as gateway,
    ):
        await connect(gateway, peer, **more)
        yield gateway, catcher, peer


async def upload(gateway: Gateway, name: str = "cat.jpg", octets: bytes = PICTURE) -> str:
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/{name}"
    assert (await request("PUT", url, body=octets, headers=basic(TOKEN, SECRET))).status == 204
    return url


async def fates(catcher: Catcher, message_id: str, count: int) -> dict[str, tuple[str, int | None]]:
    """The last event and the error code of each recipient, once there are so many."""

    def found() -> dict[str, tuple[str, int | None]]:
        return {
            event["to"]: (event["type"], event.get("errorCode"))
            for event in catcher.events(message_id)
            if event["type"] != "message-sending"
        }

    await catcher.wait_for(lambda _: len(found()) >= count)
    return found()


async def test_a_picture_is_submitted_and_its_report_is_the_delivery(tmp_path: Path) -> None:
    """The request has the picture, the SMIL and the text; the MMSC's report is called back."""
    async with connected(tmp_path, username="us", password="pw", service_code="gold") as (
        gateway,
        catcher,
        peer,
    ):
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        (submitted,) = await peer.until(1)
        assert submitted.headers["authorization"] == "Basic " + base64.b64encode(b"us:pw").decode()
        assert submitted.headers["soapaction"] == '""'
        for name, value in (
            ("VASPID", "tre"),
            ("VASID", "buchet"),
            ("ServiceCode", "gold"),
            ("Number", NUMBER),
            ("DeliveryReport", "true"),
        ):
            assert submitted.values(name)[0] == value
        assert submitted.values("Number") == [NUMBER, HANDSET]
        assert [part.get_content_type() for part in submitted.parts] == [
            "application/smil",
            "image/jpeg",
            "text/plain",
        ]
        assert submitted.parts[1].get_payload(decode=True) == PICTURE
        assert submitted.parts[2].get_payload(decode=True) == b"look"
        answer = await peer.report("m-1", HANDSET, "Retrieved")
        assert answer.status == 200
        assert b"<StatusCode>1000</StatusCode>" in answer.body
        assert b"DeliveryReportRsp" in answer.body
        assert b">r-1</TransactionID>" in answer.body
        await catcher.wait_for_event(sent.json["id"], "message-delivered")


async def test_a_group_is_one_request_with_a_fate_for_each(tmp_path: Path) -> None:
    """All recipients are in it; each is reported on its own."""
    async with connected(tmp_path) as (gateway, catcher, peer):
        sent = await gateway.send("all of you", [HANDSET, OTHER])
        (submitted,) = await peer.until(1)
        assert submitted.values("Number") == [NUMBER, HANDSET, OTHER]
        await peer.report("m-1", HANDSET, "Retrieved")
        await peer.report("m-1", OTHER, "Rejected", "r-2")
        assert await fates(catcher, sent.json["id"], 2) == {
            HANDSET: ("message-delivered", None),
            OTHER: ("message-failed", 4750),
        }


async def test_a_hub_without_groups_gets_a_request_for_each(tmp_path: Path) -> None:
    """The others are in it for display only; who is refused fails alone."""

    def second_is_unknown(peer: Mmsc, submitted: Submitted) -> Reply:
        if f'displayOnly="true">{HANDSET}<' in submitted.soap:
            return refusing(2003)(peer, submitted)
        return taken(peer, submitted)

    async with connected(tmp_path, groups="each", reports=False, listen_port=0) as (gateway, catcher, peer):
        peer.answer = second_is_unknown
        sent = await gateway.send("all of you", [HANDSET, OTHER])
        submitted = await peer.until(2)
        assert {each.soap.count('displayOnly="true"') for each in submitted} == {1}
        assert await fates(catcher, sent.json["id"], 2) == {
            HANDSET: ("message-delivered", None),
            OTHER: ("message-failed", 4720),
        }


@pytest.mark.parametrize(
    ("status", "http_status", "code"),
    [(2002, 200, 4720), (2004, 200, 4712), (2007, 400, 4752), (3002, 200, 4750), (4007, 500, 4493)],
)
async def test_a_refusal_fails_the_message(tmp_path: Path, status: int, http_status: int, code: int) -> None:
    """By the status of MM7, whatever the status of HTTP."""
    async with connected(tmp_path) as (gateway, catcher, peer):
        peer.answer = refusing(status, http_status)
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        failed = await catcher.wait_for_event(sent.json["id"], "message-failed")
        assert failed["errorCode"] == code
        assert len(peer.submitted) == 1


async def test_a_fault_counts_as_an_answer(tmp_path: Path) -> None:
    """RSErrorRsp in the detail of a SOAP fault, with HTTP status 500."""

    def fault(_: Mmsc, submitted: Submitted) -> Reply:
        inner = "<RSErrorRsp><Status><StatusCode>4004</StatusCode></Status></RSErrorRsp>"
        body = f"<soap:Fault><faultcode>soap:Client</faultcode><detail>{inner}</detail></soap:Fault>"
        return 500, envelope(submitted.transaction_id, body)

    async with connected(tmp_path) as (gateway, catcher, peer):
        peer.answer = fault
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        assert (await catcher.wait_for_event(sent.json["id"], "message-failed"))["errorCode"] == 4752


@pytest.mark.parametrize("reply", [(503, b"busy"), (401, b"who are you?"), (200, None)])
async def test_a_link_that_is_at_fault_costs_no_message(
    tmp_path: Path, reply: tuple[int, bytes | None]
) -> None:
    """Not there, not let in, not identified (4001): the message waits and goes out when that is mended."""

    def at_first(peer: Mmsc, submitted: Submitted) -> Reply:
        if len(peer.submitted) > 2:
            return taken(peer, submitted)
        status, document = reply
        return (status, document) if document is not None else refusing(4001)(peer, submitted)

    async with connected(tmp_path, reports=False, listen_port=0) as (gateway, catcher, peer):
        peer.answer = at_first
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        await catcher.wait_for_event(sent.json["id"], "message-delivered")
        assert len(peer.submitted) == 3


def hang_up_once(peer: Mmsc, submitted: Submitted) -> Reply:
    return None if len(peer.submitted) == 1 else taken(peer, submitted)


async def test_a_request_without_an_answer_is_submitted_again(tmp_path: Path) -> None:
    """If the carrier's record says so: nobody knows whether the MMSC has it."""
    async with connected(tmp_path, in_doubt="resend", reports=False, listen_port=0) as (
        gateway,
        catcher,
        peer,
    ):
        peer.answer = hang_up_once
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        await catcher.wait_for_event(sent.json["id"], "message-delivered")
        assert len(peer.submitted) == 2


async def test_a_request_without_an_answer_is_not_submitted_twice(tmp_path: Path) -> None:
    """If the carrier's record forbids it: the delivery stays in doubt, and the next message goes out."""
    async with connected(tmp_path, in_doubt="fail", reports=False, listen_port=0) as (gateway, catcher, peer):
        peer.answer = hang_up_once
        url = await upload(gateway)
        sent = await gateway.send("look", HANDSET, media=[url])
        await peer.until(1)
        after = await gateway.send("look again", HANDSET, media=[url])
        await catcher.wait_for_event(after.json["id"], "message-delivered")
        life = await gateway.life(sent.json["id"])
        assert life["deliveries"][0]["state"] == "IN_DOUBT"
        assert len(peer.submitted) == 2


PARTS = (
    b"--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-ID: <x>\r\n\r\n"
    b"--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nr\xc3\xa9ponse\r\n"
    b"--c\r\nContent-Type: image/jpeg; name=cat.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
    b"--c--\r\n--b--\r\n"
)


def deliver(transaction_id: str, to: str = NUMBER, namespace: str = OLD_NAMESPACE) -> bytes:
    """A DeliverReq with a picture and a text, and a Content without `cid:`."""
    body = (
        "<DeliverReq><MM7Version>5.3.0</MM7Version><Sender><Number>12025550123</Number></Sender>"
        f"<Recipients><To><Number>{to}</Number></To></Recipients>"
        '<TimeStamp>2026-11-23T12:00:00Z</TimeStamp><Content href="x"/></DeliverReq>'
    )
    return PARTS % (envelope(transaction_id, body, namespace), base64.b64encode(PICTURE))


async def test_a_picture_comes_in_once(tmp_path: Path) -> None:
    """The MMSC's own namespace is answered in; what it repeats is answered again and not called back twice."""
    async with connected(tmp_path) as (_, catcher, peer):
        for _ in range(2):
            answer = await peer.post(deliver("d-1"), "multipart/related; boundary=b; type=text/xml")
            assert answer.status == 200
            assert b"<StatusCode>1000</StatusCode>" in answer.body
            assert OLD_NAMESPACE.encode() in answer.body
            assert b"<MM7Version>5.3.0</MM7Version>" in answer.body
        await peer.post(deliver("d-2"), "multipart/related; boundary=b; type=text/xml")
        await catcher.wait_for_count(2)
        event = catcher.events()[0]["message"]
        assert (event["from"], event["to"], event["text"]) == (HANDSET, [NUMBER], "réponse")
        got = await request("GET", event["media"][0], headers=basic(TOKEN, SECRET))
        assert (got.body, got.headers["content-type"]) == (PICTURE, "image/jpeg")
        assert len(catcher.events()) == 2


async def test_a_message_for_nobody_is_refused(tmp_path: Path) -> None:
    """2003: no number of ours is among its recipients."""
    async with connected(tmp_path) as (_, _, peer):
        answer = await peer.post(deliver("d-1", "+19995550100"), "multipart/related; boundary=b")
        assert b"<StatusCode>2003</StatusCode>" in answer.body


BILLION = (
    b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>&b;</soap:Body></soap:Envelope>'
)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (b"hello", b"2007"),
        (b"<a/>", b"2007"),
        (BILLION, b"2007"),
        (envelope("t", "<CancelReq/>"), b"4003"),
        (envelope("t", submit_response(1000)), b"4003"),
    ],
)
async def test_what_cannot_be_read_is_a_fault(tmp_path: Path, document: bytes, status: bytes) -> None:
    """A VASPErrorRsp with HTTP status 400, and the link goes on."""
    async with connected(tmp_path) as (_, _, peer):
        answer = await peer.post(document)
        assert (answer.status, b"VASPErrorRsp" in answer.body) == (400, True)
        assert b"<StatusCode>" + status in answer.body
        assert (await peer.report("m-9", HANDSET, "Retrieved")).status == 200


async def test_who_may_post(tmp_path: Path) -> None:
    """Only from the addresses named, with the password, to the path, by POST, and not too much."""
    async with connected(
        tmp_path, listen_username="mmsc", listen_password="secret", listen_max_octets=10_000
    ) as (_, _, peer):
        assert (await peer.report("m", HANDSET, "Retrieved")).status == 401
        known = basic("mmsc", "secret")
        assert (await peer.post(b"x", headers=basic("mmsc", "wrong"))).status == 401
        assert (await peer.post(b"x", headers=known)).status == 400
        assert (await peer.post(b"x" * 10_001, headers=known)).status == 413
        where = f"http://127.0.0.1:{peer.vasp_port}"
        assert (await request("GET", f"{where}/mm7", headers=known)).status == 405
        assert (await request("POST", f"{where}/else", headers=known)).status == 404


async def test_who_may_not_call(tmp_path: Path) -> None:
    """An address that is not named gets no further than this."""
    async with connected(tmp_path, listen_from=["10.0.0.0/8"]) as (_, _, peer):
        assert (await peer.report("m", HANDSET, "Retrieved")).status == 403
