"""Handsets without a browser: what phones show, what is typed on them, and what of a picture is believed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from support.gateway import HANDSET, NUMBER, Gateway, running
from support.http import Answer, request
from support.pages import EVIL, harmless, look, post, token, twin, upload
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

OTHER = "+12025550124"
PNG = encoded(photo(64, 48), "PNG")


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("data")
    async with running(data) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
async def empty(gateway: Gateway) -> None:
    """Each test begins with phones that show nothing."""
    csrf = await token(gateway, "/handsets")
    for number in (HANDSET, OTHER):
        await post(
            gateway, f"/handsets/{number}/state", csrf, {"power": "on", "memory": "free", "coverage": "good"}
        )
        await post(gateway, f"/handsets/{number}/clear", csrf, {})


async def phone(gateway: Gateway, number: str = HANDSET, conversation: str = NUMBER) -> Any:
    return (await twin(gateway, f"/handsets/{number}.json?with={conversation.replace('+', '%2B')}"))["phone"]


async def until(
    fits: Callable[[Any], bool], number: str = HANDSET, *, of: Gateway, conversation: str = NUMBER
) -> Any:
    """A phone, once it is so."""
    async with asyncio.timeout(20):
        while not fits(found := await phone(of, number, conversation)):
            pass
    return found


async def bubbles(gateway: Gateway, number: str = HANDSET, conversation: str = NUMBER, count: int = 1) -> Any:
    """So many of a conversation, once every one of them has come to rest."""

    def rest(found: Any) -> bool:
        of = found["bubbles"]
        return len(of) == count and all(each["final"] or each["typed"] for each in of)

    return (await until(rest, number, of=gateway, conversation=conversation))["bubbles"]


async def typed(gateway: Gateway, number: str = HANDSET, **fields: str) -> Answer:
    csrf = await token(gateway, "/handsets")
    given = {"to": NUMBER, "text": "hi", **fields}
    return await post(gateway, f"/handsets/{number}/messages", csrf, given, Accept="application/json")


async def test_a_message_is_on_its_phone(gateway: Gateway) -> None:
    """With its tick, the parts it went on air in, and the way to all that is known of it."""
    message_id = (await gateway.send("“" + "x" * 100)).json["id"]
    (bubble,) = await bubbles(gateway)
    assert bubble["tick"] == "done"
    assert (bubble["message_id"], bubble["shown"], bubble["encoding"]) == (message_id, True, "UCS-2")
    assert [len(part) for part in bubble["parts"]] == [67, 34]
    tree = await look(gateway, f"/handsets/{HANDSET}")
    assert tree.xpath(f"//a[@href='/messages/{message_id}']")
    assert len(tree.xpath("//*[@data-border]")) == 1
    assert tree.xpath("//*[@data-tick='done']")


async def test_a_message_that_never_comes_says_why(gateway: Gateway) -> None:
    """It is not on the phone, and yet in its place."""
    await gateway.send("#expired")
    (bubble,) = await bubbles(gateway)
    assert (bubble["shown"], bubble["tick"], bubble["error_code"]) == (False, "failed", 5650)


async def test_phones_stand_side_by_side(gateway: Gateway) -> None:
    """All that have something to show, each at an address of its own."""
    await gateway.send("hello", to=[HANDSET, OTHER])
    await bubbles(gateway, OTHER, f"{NUMBER},{HANDSET}")
    numbers = (await twin(gateway, "/handsets.json"))["numbers"]
    assert {HANDSET, OTHER} <= set(numbers)
    tree = await look(gateway, "/handsets")
    assert tree.xpath("//article/@data-phone") == numbers
    tabs = await look(gateway, "/handsets?part=tabs")
    assert tabs.xpath("//ul/@data-numbers") == [" ".join(numbers)]


async def test_a_phone_is_added_and_put_away(gateway: Gateway) -> None:
    """The number that is proposed is free; one of our own is refused."""
    form = (await look(gateway, "/handsets")).xpath("//form[@action='/handsets']")[0]
    number, csrf = form.fields["number"], form.fields["_csrf"]
    added = await post(gateway, "/handsets", csrf, {"number": number})
    assert (added.status, added.headers["location"]) == (303, f"/handsets#phone-{number[1:]}")
    assert number in (await twin(gateway, "/handsets.json"))["numbers"]
    assert (await look(gateway, "/handsets")).xpath("//input[@name='number']/@value") != [number]
    assert (await post(gateway, f"/handsets/{number}/remove", csrf, {})).status == 303
    assert number not in (await twin(gateway, "/handsets.json"))["numbers"]
    for wrong in (NUMBER, "nobody", "", EVIL):
        refused = await post(gateway, "/handsets", csrf, {"number": wrong})
        assert refused.status == 400
        assert b"<script>alert" not in refused.body


async def test_what_is_typed_reaches_the_gateway(gateway: Gateway) -> None:
    """And the phone shows that it was taken."""
    answer = await typed(gateway, text="two\r\nlines")
    assert (answer.status, answer.headers["location"]) == (303, f"/handsets/%2B{HANDSET[1:]}")
    (bubble,) = await bubbles(gateway)
    assert (bubble["typed"], bubble["parts"], bubble["tick"]) == (True, ["two\nlines"], "sent")
    assert (await gateway.life(bubble["message_id"]))["message"]["source"] == HANDSET


async def test_a_script_gets_the_part_that_it_asked_for(gateway: Gateway) -> None:
    csrf = await token(gateway, "/handsets")
    path = f"/handsets/{HANDSET}/messages?part=screen&with=%2B{NUMBER[1:]}"
    fields = {"to": NUMBER, "text": "by a script"}
    answer = await post(gateway, path, csrf, fields, **{"HX-Request": "true", "Accept": "text/html"})
    assert answer.status == 200
    assert answer.body.strip().startswith(b'<div id="screen-')
    assert b"by a script" in answer.body


async def test_a_reply_to_all_reaches_the_group(gateway: Gateway) -> None:
    """The conversation of a group is answered to its other members, too."""
    await gateway.send("hello", to=[HANDSET, OTHER])
    group = f"{NUMBER},{OTHER}"
    await bubbles(gateway, HANDSET, group)
    await typed(gateway, to=group, text="to all")
    came, reply = await bubbles(gateway, HANDSET, group, 2)
    assert (came["parts"], reply["parts"]) == (["hello"], ["to all"])
    assert (await gateway.life(reply["message_id"]))["message"]["destinations"] == [NUMBER, OTHER]
    members = (await look(gateway, f"/handsets/{HANDSET}?with={group.replace('+', '%2B')}")).text_content()
    assert "Group of 3" in members


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"text": ""}, 409, "needs a text"),
        ({"text": "a\0b"}, 409, "NUL"),
        ({"to": ""}, 400, "Choose one of your numbers"),
        ({"to": f"{NUMBER},nobody"}, 400, "no telephone number"),
        ({"text": "x" * 10_001}, 400, "10000 characters"),
    ],
)
async def test_what_cannot_be_typed_is_refused(
    gateway: Gateway, fields: dict[str, str], status: int, words: str
) -> None:
    """In words that say what to do, and nothing comes of it."""
    answer = await typed(gateway, **fields)
    assert answer.status == status
    assert words in answer.json["description"] + str(answer.json.get("fieldErrors"))
    assert (await phone(gateway))["bubbles"] == []


@pytest.mark.parametrize(
    ("away", "back", "words"),
    [
        ({"power": "off"}, {"power": "on"}, "switched off"),
        ({"coverage": "lost"}, {"coverage": "good"}, "no coverage"),
    ],
)
async def test_a_phone_that_cannot_be_reached(
    gateway: Gateway, away: dict[str, str], back: dict[str, str], words: str
) -> None:
    """Its messages wait in the network and arrive when it is back; nobody can type on it meanwhile."""
    csrf = await token(gateway, "/handsets")
    await post(gateway, f"/handsets/{HANDSET}/state", csrf, away)
    await gateway.send("while away")
    state = await until(lambda found: found["held"] == 1 and found["bubbles"], of=gateway)
    assert state["bubbles"][0]["shown"] is False
    refused = await typed(gateway)
    assert (refused.status, words in refused.json["description"]) == (409, True)
    await post(gateway, f"/handsets/{HANDSET}/state", csrf, back)
    (bubble,) = await bubbles(gateway)
    assert (bubble["shown"], bubble["parts"]) == (True, ["while away"])


async def test_a_full_memory_fails_messages(gateway: Gateway) -> None:
    csrf = await token(gateway, "/handsets")
    await post(gateway, f"/handsets/{HANDSET}/state", csrf, {"memory": "full"})
    await gateway.send("no room")
    (bubble,) = await bubbles(gateway)
    assert (bubble["tick"], bubble["error_code"]) == ("failed", 4702)
    wrong = await post(gateway, f"/handsets/{HANDSET}/state", csrf, {"memory": "half"})
    assert wrong.status == 400


async def test_a_phone_is_cleared(gateway: Gateway) -> None:
    """Of what came, of what was typed and of what never came; it stays on the bench."""
    await gateway.send("one")
    await gateway.send("#fail:4720")
    await typed(gateway)
    await bubbles(gateway, count=3)
    await post(gateway, f"/handsets/{HANDSET}/clear", await token(gateway, "/handsets"), {})
    assert (await phone(gateway))["bubbles"] == []
    assert HANDSET in (await twin(gateway, "/handsets.json"))["numbers"]


# ---- pictures ----


async def picture(gateway: Gateway, octets: bytes, kind: str, name: str = "cat.png") -> Answer:
    """The file of a message that was typed with it, as the console serves it."""
    csrf = await token(gateway, "/handsets")
    fields = {"_csrf": csrf, "to": NUMBER, "text": ""}
    sent = await upload(gateway, f"/handsets/{HANDSET}/messages", csrf, fields, [(name, kind, octets)])
    assert sent.status == 303
    (bubble,) = await bubbles(gateway)
    return await request("GET", gateway.url + bubble["media"][0]["picture"])


async def test_a_picture_that_was_typed_is_shown(gateway: Gateway) -> None:
    answer = await picture(gateway, PNG, "image/png")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", PNG)
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    ("octets", "claimed"),
    [
        (b"<html><script>alert(1)</script></html>", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml"),
        (b"%PDF-1.4 ...", "image/jpeg"),
    ],
)
async def test_what_is_no_picture_is_a_file_to_save(gateway: Gateway, octets: bytes, claimed: str) -> None:
    """Whatever its sender says that it is, and whatever its name would do to a header."""
    answer = await picture(gateway, octets, claimed, "a\\b';x=y.png")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_picture_that_came_is_shown_if_it_is_here(gateway: Gateway) -> None:
    """Nothing is fetched for it, and a message without it has none."""
    path = f"{gateway.url}/v2/users/u-demo/media/came.png"
    headers = {"Content-Type": "image/png", "Authorization": "Basic dC1kZW1vOnMtZGVtbw=="}
    assert (await request("PUT", path, body=PNG, headers=headers)).status == 204
    elsewhere = "https://example.com/a.png"
    message_id = (await gateway.send("look", media=[path, elsewhere])).json["id"]
    (bubble,) = await bubbles(gateway)
    answer = await request("GET", gateway.url + bubble["media"][0]["picture"])
    assert (answer.status, answer.body) == (200, PNG)
    assert (bubble["media"][1]["url"], bubble["media"][1]["picture"]) == (elsewhere, "")
    for nothing in (f"{message_id}/1", "nobody/0", f"{message_id}/999999999999999999999"):
        assert (await request("GET", f"{gateway.url}/handsets/pictures/{nothing}")).status == 404


# ---- others' words ----


async def test_what_somebody_wrote_is_text(gateway: Gateway) -> None:
    """In bubbles, in the list of conversations, in what the address asks for."""
    await gateway.send(EVIL)
    await typed(gateway, text=EVIL)
    await bubbles(gateway, count=2)
    for path in (
        "/handsets",
        f"/handsets/{HANDSET}",
        f"/handsets/{HANDSET}?with=list",
        f"/handsets/{HANDSET}?with=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        f"/handsets/{HANDSET}?part=screen&with=%22%3E%3Cimg%20src=x%3E",
    ):
        assert harmless(await look(gateway, path)), path
    assert (await request("GET", f"{gateway.url}/handsets/%3Cscript%3E")).status == 400


async def test_every_magic_number_is_explained(gateway: Gateway) -> None:
    rows = (await look(gateway, "/handsets")).xpath("//tbody[@id='magic-rows']/tr")
    listed = (await gateway.sim("GET", "/scenario")).json
    assert [row.xpath("string(td[1])").strip() for row in rows] == [each["recipient"] for each in listed]
