"""Searches and single messages over what was really accepted, delivered and received."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from support.gateway import ACCOUNT, HANDSET, SECRET, TOKEN, Gateway, running
from support.http import Answer, basic, read_answer, request

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 1, "simulator.delay_max_ms": 5}
NUMBER = "+13035550100"
OTHER_HANDSET = "+12025550177"
YESTERDAY, TOMORROW = ((datetime.now(UTC) + timedelta(days=days)).isoformat() for days in (-1, 1))
EARLY, LATE = "2001-01-01T00:00:00Z", "2090-01-01T00:00:00Z"


@dataclass
class Account:
    """An account with six messages, oldest first: their names are the tests'."""

    gateway: Gateway
    credentials: dict[str, str]
    names: dict[str, str]  # message id → name

    async def get(self, path: str) -> Answer:
        return await request("GET", self.gateway.url + path, headers=self.credentials)

    async def search(self, **query: Any) -> Answer:
        return await self.get(f"/api/v2/users/shop/messages?{urlencode(query)}")

    async def found(self, **query: Any) -> list[str]:
        answer = await self.search(**query)
        assert answer.status == 200, answer.body
        return [self.names[row["messageId"]] for row in answer.json["messages"]]


@pytest.fixture(scope="module")
async def account(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Account]:
    """Its messages have all come to their end; the demo account has one message too."""
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        assert (await gateway.send()).status == 202
        for path, body in (
            ("/accounts", {"id": "shop"}),
            ("/applications", {"id": "app", "account_id": "shop"}),
            ("/numbers", {"number": NUMBER, "application_id": "app"}),
        ):
            assert (await gateway.admin("POST", path, body)).status == 201
        made = (await gateway.admin("POST", "/accounts/shop/credentials", {"label": "x"})).json
        account = Account(gateway, basic(made["token"], made["secret"]), {})
        good = {"from": NUMBER, "to": HANDSET, "text": "hi", "applicationId": "app"}
        messages: dict[str, dict[str, Any]] = {
            "plain": {},
            "other": {"to": OTHER_HANDSET},
            "long": {"text": "x" * 400},
            "mms": {"media": ["https://example.com/a.png"]},
            "foreign": {"from": "+12025550199"},
        }
        for name, changes in messages.items():
            answer = await request(
                "POST",
                f"{gateway.url}/api/v2/users/shop/messages",
                json_body=good | changes,
                headers=account.credentials,
            )
            account.names[answer.json["id"]] = name
        typed = await gateway.sim(
            "POST", f"/handsets/%2B{HANDSET[1:]}/messages", {"to": NUMBER, "text": "a reply"}
        )
        assert typed.status == 202
        async with asyncio.timeout(20):
            while (page := (await account.search(fromDateTime=EARLY)).json)["totalCount"] < 6 or any(
                row["messageStatus"] in ("QUEUED", "SENDING", "SENT") for row in page["messages"]
            ):
                await asyncio.sleep(0.01)
        for row in page["messages"]:
            account.names.setdefault(row["messageId"], "inbound")
        yield account
        assert "Traceback" not in gateway.output()


ALL = ["inbound", "foreign", "mms", "long", "other", "plain"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"sourceTn": NUMBER}, ["mms", "long", "other", "plain"]),
        ({"sourceTn": "3035550100"}, ["mms", "long", "other", "plain"]),
        ({"sourceTn": "+1303"}, ["mms", "long", "other", "plain"]),
        ({"sourceTn": f"{HANDSET},+12025550199"}, ["inbound", "foreign"]),
        ({"destinationTn": OTHER_HANDSET}, ["other"]),
        ({"destinationTn": NUMBER}, ["inbound"]),
        ({"messageStatus": "DELIVERED"}, ["mms", "long", "other", "plain"]),
        ({"messageStatus": "FAILED"}, ["foreign"]),
        ({"messageStatus": "QUEUED"}, []),
        ({"messageDirection": "INBOUND"}, ["inbound"]),
        ({"messageDirection": "OUTBOUND", "messageType": "sms"}, ["foreign", "long", "other", "plain"]),
        ({"messageType": "mms"}, ["mms"]),
        ({"messageType": "rcs"}, []),
        ({"errorCode": 4403}, ["foreign"]),
        ({"errorCode": 0, "messageType": "mms"}, ["mms"]),
        ({"carrierName": "simulator"}, ["inbound", "mms", "long", "other", "plain"]),
        ({"fromDateTime": YESTERDAY, "toDateTime": TOMORROW}, ALL),
        ({"fromDateTime": LATE}, []),
        ({"toDateTime": EARLY}, []),
        ({"fromSegmentCount": 2}, ["long"]),
        ({"toSegmentCount": 1, "fromMessageSize": 3}, ["inbound"]),
        ({"product": "LOCAL_A2P"}, ALL),
        ({"product": "TOLL_FREE"}, []),
        ({"bwQueued": "true"}, []),
        ({"campaignId": "x"}, []),
        ({"fromDateTime": EARLY, "sort": "receiveTime:asc"}, ALL[::-1]),
        ({"fromDateTime": EARLY, "sort": "messageId:desc"}, ALL),
        ({"messageDirection": "OUTBOUND", "sort": "segmentCount:desc", "limit": 1}, ["long"]),
        ({"fromDateTime": EARLY, "limit": 2}, ["inbound", "foreign"]),
    ],
)
async def test_a_search_finds(account: Account, query: dict[str, Any], names: list[str]) -> None:
    """Each filter finds its messages, newest first unless it says otherwise, and none of another account."""
    assert await account.found(**query) == names


async def test_a_row_has_the_documented_columns(account: Account) -> None:
    """Everything about the message but its text; what is not known is absent, never null."""
    answer = await account.search(destinationTn=OTHER_HANDSET)
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert (answer.json["totalCount"], answer.json["pageInfo"]) == (1, {})
    (row,) = answer.json["messages"]
    assert account.names[row.pop("messageId")] == "other"
    assert row.pop("receiveTime").endswith("Z")
    assert row == {
        "accountId": "shop",
        "sourceTn": NUMBER,
        "destinationTn": OTHER_HANDSET,
        "messageStatus": "DELIVERED",
        "messageDirection": "OUTBOUND",
        "messageType": "sms",
        "segmentCount": 1,
        "errorCode": 0,
        "messageSize": 2,
        "messageLength": 2,
        "attachmentCount": 0,
        "recipientCount": 1,
        "product": "LOCAL_A2P",
        "carrierName": "simulator",
    }


async def test_pages_lead_through_all_of_it(account: Account) -> None:
    """By link and by token, forward and back, each message once."""
    page = (await account.search(fromDateTime=EARLY, limit=4)).json
    info = page["pageInfo"]
    assert (page["totalCount"], len(page["messages"]), info.keys()) == (6, 4, {"nextPage", "nextPageToken"})
    by_token = await account.found(fromDateTime=EARLY, limit=4, pageToken=info["nextPageToken"])
    link = urlsplit(info["nextPage"])
    assert info["nextPage"].startswith(account.gateway.url)
    last = (await account.get(f"{link.path}?{link.query}")).json
    assert [account.names[row["messageId"]] for row in last["messages"]] == by_token == ["other", "plain"]
    assert last["pageInfo"].keys() == {"prevPage", "prevPageToken"}
    back = await account.found(fromDateTime=EARLY, limit=4, pageToken=last["pageInfo"]["prevPageToken"])
    assert back == ["inbound", "foreign", "mms", "long"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, None),
        ({"limit": 5}, None),
        ({"messageStatus": "GONE"}, "messageStatus"),
        ({"sourceTn": "+1"}, "sourceTn"),
        ({"fromDateTime": "yesterday"}, "fromDateTime"),
        ({"fromDateTime": EARLY, "toDateTime": LATE}, "toDateTime"),
        ({"messageId": "x", "limit": 0}, "limit"),
        ({"messageId": "x", "limit": 10_001}, "limit"),
        ({"messageId": "x", "sort": "text:asc"}, "sort"),
        ({"messageId": "x", "pageToken": "no token"}, "pageToken"),
        ({"messageId": "x", "colour": "blue"}, "colour"),
    ],
)
@pytest.mark.parametrize("prefix", ["/v2", "/api/v2"])
async def test_a_wrong_search_is_refused(
    account: Account, prefix: str, query: dict[str, Any], field: str | None
) -> None:
    """400 with the parameter; also without any filter, as documented."""
    answer = await account.get(f"{prefix}/users/shop/messages?{urlencode(query)}")
    assert (answer.status, answer.json["type"]) == (400, "request-validation")
    if field is not None:
        assert [one["fieldName"] for one in answer.json["fieldErrors"]] == [field]


async def test_one_message_is_read_by_its_account_alone(account: Account) -> None:
    """The 202's object and what became of it; for another account it is not there, nor in its searches."""
    (message_id,) = (one for one, name in account.names.items() if name == "plain")
    for prefix in ("/v2", "/api/v2"):
        shown = (await account.get(f"{prefix}/users/shop/messages/{message_id}")).json
        assert shown["recipients"] == [{"to": HANDSET, "messageStatus": "DELIVERED", "errorCode": 0}]
        assert (shown["id"], shown["owner"], shown["text"]) == (message_id, NUMBER, "")
    theirs = account.gateway.url + f"/api/v2/users/{ACCOUNT}/messages"
    for path, status in ((f"/{message_id}", 404), (f"?messageId={message_id}", 200)):
        answer = await request("GET", theirs + path, headers=basic(TOKEN, SECRET))
        assert answer.status == status
        assert answer.json.get("messages", []) == []


async def test_searches_have_a_rate(account: Account) -> None:
    """3,500 in five minutes of one client, then 429 until the next five; one message may be read all the same."""
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **account.credentials}.items())
    search = f"GET /v2/users/shop/messages?messageId=x HTTP/1.1\r\n{head}\r\n".encode()
    url = urlsplit(account.gateway.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    statuses: list[int] = []
    # In batches, and up to twice as many, since the five minutes may end meanwhile.
    while 429 not in statuses and len(statuses) < 2 * 3500 + 100:
        writer.write(search * 100)
        answers = [await read_answer(reader) for _ in range(100)]
        statuses += [answer.status for answer in answers]
    writer.close()
    assert len(statuses) > 3300  # the other tests have used some
    assert set(statuses) == {200, 429}
    refused = answers[-1]
    assert refused.headers["retry-after"] == "300"
    assert (refused.json["type"], refused.json["description"]) == (
        "rate_limit_exceeded",
        "Rate limit exceeded. Wait for Retry-After time before sending another request.",
    )
    message_id = next(iter(account.names))
    assert (await account.get(f"/v2/users/shop/messages/{message_id}")).status == 200
    await account.gateway.sim("POST", "/clock/advance", {"by": "5m"})
    assert (await account.search(messageId="x")).status == 200
