"""Search of messages: what may be asked, and how it is answered."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trebuchet.api import filters, search
from trebuchet.api.problems import Problem
from trebuchet.model.account import Profile
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.storage.base import Found, FoundPage, Life, MessageQuery

NOON_MS = 1_769_860_800_000  # 2026-01-31T12:00:00Z
URL = "https://sms.example.com/api/v2/users/u-1/messages"


def query(text: str) -> MessageQuery:
    return search.parse_query(text.encode(), "u-1")


def wrong(text: str) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as refused:
        query(text)
    assert refused.value.status == 400
    return [(error.field_name, error.description) for error in refused.value.field_errors]


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ("messageId=1589228074636lm4k2je7j7jklbn2", {"message_id": "1589228074636lm4k2je7j7jklbn2"}),
        ("messageId=9e0df4ca-b18d-40d7-a59f-82fcdf5ae8e6", {"message_id": "9e0df4ca-b18d-40d7-a59f-82fcdf5ae8e6"}),
        ("sourceTn=%2B12025550100", {"sources": ("+12025550100",)}),
        ("sourceTn=+12025550100", {"sources": ("+12025550100",)}),
        ("sourceTn=2025550100", {"sources": ("+12025550100",)}),
        ("sourceTn=77777", {"sources": ("77777",)}),
        ("sourceTn=ACME", {"sources": ("ACME",)}),
        ("sourceTn=%2B1202", {"source_prefix": "+1202"}),
        ("sourceTn=%2B120255501", {"source_prefix": "+120255501"}),
        ("sourceTn=%2B442071838750", {"source_prefix": "+442071838750"}),
        ("destinationTn=345757070", {"destination_prefix": "345757070"}),
        ("destinationTn=%2B12025550100,2025550101", {"destinations": ("+12025550100", "+12025550101")}),
        ("destinationTn=%2B442071838750,%2B12025550101", {"destinations": ("+442071838750", "+12025550101")}),
        ("messageStatus=RECEIVED", {"states": ("RECEIVED",)}),
        ("messageStatus=QUEUED", {"states": ("QUEUED",)}),
        ("messageStatus=SENDING", {"states": ("SENDING", "IN_DOUBT")}),
        ("messageStatus=SENT", {"states": ("SENT",)}),
        ("messageStatus=FAILED", {"states": ("FAILED",)}),
        ("messageStatus=DELIVERED", {"states": ("DELIVERED",)}),
        ("messageStatus=ACCEPTED", {"states": ("ACCEPTED",)}),
        ("messageStatus=UNDELIVERED", {"states": ("UNDELIVERED",)}),
        ("messageDirection=INBOUND", {"direction": "in"}),
        ("messageDirection=OUTBOUND", {"direction": "out"}),
        ("messageType=sms", {"kind": "sms"}),
        ("messageType=mms", {"kind": "mms"}),
        ("messageType=rcs", {"message_id": ""}),
        ("carrierName=AT%26T", {"carrier_id": "AT&T"}),
        ("errorCode=4720", {"error_code": 4720}),
        ("errorCode=0", {"error_code": 0}),
        ("fromDateTime=2026-01-31T12:00:00Z", {"from_ms": NOON_MS}),
        ("fromDateTime=2026-01-31T12:00:00", {"from_ms": NOON_MS}),
        ("fromDateTime=2026-01-31%2012:00", {"from_ms": NOON_MS}),
        ("toDateTime=2026-01-31T13:00:00.000%2B01:00", {"to_ms": NOON_MS}),
        ("toDateTime=2026-01-31T13:00:00+01:00", {"to_ms": NOON_MS}),
        ("toDateTime=2026-01-31", {"to_ms": NOON_MS - 43_200_000}),
        ("toDateTime=9999-12-31", {"to_ms": 9_999_999_999_998}),
        ("toDateTime=0001-01-01T00:00:00%2B12:00", {"to_ms": 0}),
        (
            "fromDateTime=2026-01-31T12:00:00Z&toDateTime=2026-02-14T12:00:00Z",
            {"from_ms": NOON_MS, "to_ms": NOON_MS + 14 * 86_400_000},
        ),
        ("product=LOCAL_A2P", {"owner_class": "local"}),
        ("product=TOLL_FREE", {"owner_class": "toll_free"}),
        ("product=SHORT_CODE_REACH", {"owner_class": "short_code"}),
        ("product=ALPHA_NUMERIC", {"owner_class": "alphanumeric"}),
        ("product=P2P", {"message_id": ""}),
        ("product=RBM_MEDIA", {"message_id": ""}),
        ("bwQueued=true", {"states": ("QUEUED", "SENDING")}),
        ("carrierQueued=true", {"states": ("IN_DOUBT", "SENT")}),
        ("bwQueued=true&messageStatus=SENDING", {"states": ("SENDING",)}),
        ("bwQueued=true&messageStatus=SENT", {"message_id": "", "states": ("QUEUED", "SENDING")}),
        ("messageId=x&location=y", {"message_id": ""}),
        ("location=y&messageId=x", {"message_id": ""}),
        ("fromSegmentCount=2&toSegmentCount=3", {"min_segments": 2, "max_segments": 3}),
        ("fromMessageSize=0&toMessageSize=160", {"min_octets": 0, "max_octets": 160}),
        ("campaignId=CJEUMDK", {"message_id": ""}),
        ("fromBwLatency=5", {"message_id": ""}),
        ("fromCarrierLatency=5", {"message_id": ""}),
        ("callingNumberCountryA3=USA", {"message_id": ""}),
        ("calledNumberCountryA3=USA", {"message_id": ""}),
        ("messageId=x&limit=1", {"message_id": "x", "limit": 1}),
        ("messageId=x&limit=1000", {"message_id": "x", "limit": 1000}),
        ("messageId=x&sort=sourceTn:desc", {"message_id": "x", "sort": ("source", True)}),
        ("messageId=x&sort=receiveTime%3Aasc", {"message_id": "x", "sort": ("received_ms", False)}),
        ("messageId=x&limitTotalCount=true", {"message_id": "x"}),
        ("messageId=x&limitTotalCount=false", {"message_id": "x"}),
    ],
)  # fmt: skip
def test_what_may_be_asked(asked: str, fields: dict[str, Any]) -> None:
    """Each parameter, alone or with others, and the query it makes; newest first, 100 rows, unless it says so."""
    assert query(asked) == replace(MessageQuery(account_id="u-1"), **fields)


def test_what_is_not_queued_is_every_other_state() -> None:
    """false asks for the rest."""
    assert set(query("bwQueued=false").states) == {s.value for s in State} - {"QUEUED"}
    assert set(query("carrierQueued=false").states) == {*(s.value for s in State), "SENDING"} - {
        "SENT",
        "IN_DOUBT",
    }


_NUMBER_WORDS = "must be a telephone number, or 5 or more of its first characters"
_LIST_WORDS = "must be a list of 10 full telephone numbers or less"
_TIME_WORDS = "must be an ISO 8601 date and time, such as 2026-01-31T12:00:00Z"
_COUNT_WORDS = "must be a whole number from 0 to 2147483647"
_BACKWARDS = "'toDateTime' must not be before 'fromDateTime'"
_TOKEN_WORDS = "'pageToken' must come from an answer to the same search"


@pytest.mark.parametrize(
    ("asked", "field", "description"),
    [
        ("x=1", "x", "'x' is not a parameter of this search"),
        ("MessageId=1", "MessageId", "'MessageId' is not a parameter of this search"),
        ("y" * 500 + "=1", "y" * 64, f"'{'y' * 64}' is not a parameter of this search"),
        ("messageId=", "messageId", "'messageId' must not be empty or contain control characters"),
        ("messageId=a%00b", "messageId", "'messageId' must not be empty or contain control characters"),
        ("sourceTn=%2B120", "sourceTn", f"'sourceTn' {_NUMBER_WORDS}"),
        ("destinationTn=12", "destinationTn", f"'destinationTn' {_NUMBER_WORDS}"),
        ("sourceTn=%2B12025550100,%2B12", "sourceTn", f"'sourceTn' {_LIST_WORDS}"),
        ("sourceTn=,", "sourceTn", f"'sourceTn' {_LIST_WORDS}"),
        ("sourceTn=" + ",".join(["2025550100"] * 11), "sourceTn", f"'sourceTn' {_LIST_WORDS}"),
        ("messageDirection=out", "messageDirection", "'messageDirection' must be one of INBOUND, OUTBOUND"),
        ("messageType=SMS", "messageType", "'messageType' must be one of sms, mms, rcs"),
        ("errorCode=x", "errorCode", f"'errorCode' {_COUNT_WORDS}"),
        ("errorCode=-1", "errorCode", f"'errorCode' {_COUNT_WORDS}"),
        ("errorCode=1.0", "errorCode", f"'errorCode' {_COUNT_WORDS}"),
        ("errorCode=99999999999999999999", "errorCode", f"'errorCode' {_COUNT_WORDS}"),
        ("fromSegmentCount=two", "fromSegmentCount", f"'fromSegmentCount' {_COUNT_WORDS}"),
        ("toMessageSize=", "toMessageSize", "'toMessageSize' must not be empty or contain control characters"),
        ("fromBwLatency=x", "fromBwLatency", f"'fromBwLatency' {_COUNT_WORDS}"),
        ("bwQueued=yes", "bwQueued", "'bwQueued' must be one of true, false"),
        ("carrierQueued=1", "carrierQueued", "'carrierQueued' must be one of true, false"),
        ("messageId=x&limitTotalCount=1", "limitTotalCount", "'limitTotalCount' must be one of true, false"),
        ("fromDateTime=yesterday", "fromDateTime", f"'fromDateTime' {_TIME_WORDS}"),
        ("toDateTime=2026-02-30T00:00:00Z", "toDateTime", f"'toDateTime' {_TIME_WORDS}"),
        ("fromDateTime=2026-01-31&toDateTime=2026-01-30", "toDateTime", _BACKWARDS),
        (
            "fromDateTime=2026-01-31T12:00:00Z&toDateTime=2026-02-14T12:00:00.001Z",
            "toDateTime",
            "'toDateTime' must be 14 days or less after 'fromDateTime'",
        ),
        ("messageId=x&limit=0", "limit", "'limit' must be a whole number from 1 to 1000"),
        ("messageId=x&limit=1001", "limit", "'limit' must be a whole number from 1 to 1000"),
        ("messageId=x&messageId=y", "messageId", "'messageId' must be given once"),
        ("messageId=x&pageToken=invalid", "pageToken", _TOKEN_WORDS),
        ("messageId=x&pageToken=%C3%A9", "pageToken", _TOKEN_WORDS),
        ("messageId=x&pageToken=AAAA", "pageToken", _TOKEN_WORDS),
    ],
)  # fmt: skip
def test_what_is_refused(asked: str, field: str, description: str) -> None:
    """The parameter is named, with what it must be."""
    assert (field, description) in wrong(asked)


@pytest.mark.parametrize("asked", ["messageStatus=delivered", "product=x", "messageId=x&sort=text:asc"])
def test_a_refusal_lists_what_is_allowed(asked: str) -> None:
    """Long lists are in the answer too."""
    ((_, description),) = wrong(asked)
    allowed = {"m": filters.STATUSES, "p": filters.PRODUCTS.values(), "s": filters.SORTS}
    for name in allowed["s" if "sort" in asked else asked[0]]:
        assert name in description


@pytest.mark.parametrize("sort", ["sourceTn", "sourceTn:up", ":asc", "sourceTn:asc:desc", "asc"])
def test_a_sort_is_a_field_and_a_direction(sort: str) -> None:
    """Anything else is refused."""
    assert [name for name, _ in wrong(f"messageId=x&sort={sort}")] == ["sort"]


def test_every_wrong_parameter_is_named() -> None:
    """One answer names them all."""
    assert [name for name, _ in wrong("errorCode=x&limit=0&who=me")] == ["errorCode", "limit", "who"]


@pytest.mark.parametrize("asked", ["", "limit=5", "sort=messageId:asc", "limitTotalCount=true"])
def test_a_search_needs_a_filter(asked: str) -> None:
    """As documented: no search over everything."""
    assert wrong(asked) == []


@pytest.mark.parametrize("asked", [b"messageId", b"&&", b"messageId=%FF", b"\xff=1", b"a=1&" * 65])
def test_a_query_string_that_cannot_be_read_is_refused(asked: bytes) -> None:
    """No guessing at what was meant."""
    with pytest.raises(Problem, match="400 request-validation"):
        search.parse_query(asked, "u-1")


@given(st.binary() | st.text().map(str.encode))
def test_any_octets_are_a_query_or_a_problem(asked: bytes) -> None:
    """Nothing but Problem comes out."""
    try:
        found = search.parse_query(asked, "u-1")
    except Problem as problem:
        json.loads(problem.encode())
    else:
        assert found.account_id == "u-1"


@given(st.dictionaries(st.sampled_from([*filters.FILTERS, *filters.OPTIONS, "pageToken"]), st.text()))
def test_any_values_are_a_query_or_a_problem(values: dict[str, str]) -> None:
    """A query is within the limits, whatever was asked."""
    asked = "&".join(f"{name}={quote(value)}" for name, value in values.items())
    try:
        found = query(asked)
    except Problem as problem:
        json.loads(problem.encode())
    else:
        assert 1 <= found.limit <= 1000
        assert found.limit + found.offset <= 10_000


# ---- answers ----

MESSAGE = Message(
    "1769860800000aaaaaaaaaaaaaaaa", "u-1", "app-1", Direction.OUT, Kind.SMS, "+12025550100", "+12025550100",
    ("+12025550123",), "Grüße 😀", None, None, None, None, NOON_MS, 1, "UCS-2", Profile.CURRENT, NOON_MS,
)  # fmt: skip
DELIVERY = Delivery(
    MESSAGE.id, 0, "+12025550123", State.DELIVERED, "simulator", "simulator/0", None, "", 1, 1, 1, 1, None, 2
)  # fmt: skip


def found(
    message: Message = MESSAGE, state: State = State.DELIVERED, claimed: bool = False, **delivery: Any
) -> Found:
    return Found(message, replace(DELIVERY, state=state, **delivery), claimed, callback_delivered=False)


def rendered(
    rows: Sequence[Found], asked: str = "sourceTn=%2B12025550100", total: int | None = None
) -> dict[str, Any]:
    page = FoundPage(len(rows) if total is None else total, rows)
    answer = json.loads(search.render_page(page, query(asked), URL, asked.encode()))
    assert isinstance(answer, dict)
    return answer


def test_a_row_has_every_documented_column_that_we_know() -> None:
    """Size in octets, length in characters; no text; one page has no links."""
    assert rendered([found()]) == {
        "totalCount": 1,
        "pageInfo": {},
        "messages": [
            {
                "messageId": MESSAGE.id,
                "accountId": "u-1",
                "sourceTn": "+12025550100",
                "destinationTn": "+12025550123",
                "messageStatus": "DELIVERED",
                "messageDirection": "OUTBOUND",
                "messageType": "sms",
                "segmentCount": 1,
                "errorCode": 0,
                "receiveTime": "2026-01-31T12:00:00.000Z",
                "carrierName": "simulator",
                "messageSize": 12,
                "messageLength": 7,
                "attachmentCount": 0,
                "recipientCount": 1,
                "product": "LOCAL_A2P",
            }
        ],
    }


def test_nothing_found_is_an_empty_page() -> None:
    """The official smoke tests accept just this."""
    assert rendered([]) == {"totalCount": 0, "pageInfo": {}, "messages": []}


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (found(state=State.QUEUED), "messageStatus", "QUEUED"),
        (found(state=State.QUEUED, claimed=True), "messageStatus", "SENDING"),
        (found(state=State.SENT), "messageStatus", "SENT"),
        (found(state=State.IN_DOUBT), "messageStatus", "SENDING"),
        (found(state=State.FAILED), "messageStatus", "FAILED"),
        (found(state=State.UNDELIVERED), "messageStatus", "UNDELIVERED"),
        (found(state=State.RECEIVED), "messageStatus", "RECEIVED"),
        (found(state=State.ACCEPTED), "messageStatus", "ACCEPTED"),
        (found(error_code=4720), "errorCode", 4720),
        (found(replace(MESSAGE, direction=Direction.IN)), "messageDirection", "INBOUND"),
        (found(replace(MESSAGE, kind=Kind.MMS)), "messageType", "mms"),
        (found(replace(MESSAGE, media=("a", "b"))), "attachmentCount", 2),
        (found(replace(MESSAGE, destinations=("a", "b"))), "recipientCount", 2),
        (found(to="+12025550199"), "destinationTn", "+12025550199"),
        (found(replace(MESSAGE, owner="+18447242263")), "product", "TOLL_FREE"),
        (found(replace(MESSAGE, owner="77777")), "product", "SHORT_CODE_REACH"),
        (found(replace(MESSAGE, owner="+ACME")), "product", "ALPHA_NUMERIC"),
        (found(replace(MESSAGE, owner="+442071838750")), "product", "LOCAL_A2P"),
    ],
)
def test_what_a_column_says(row: Found, column: str, value: object) -> None:
    """Each column as documented."""
    assert rendered([row])["messages"][0][column] == value


def test_a_message_without_carrier_has_no_carrier_name() -> None:
    """Absent, not null: one of the SDKs refuses nulls."""
    assert "carrierName" not in rendered([found(carrier_id=None)])["messages"][0]


def test_the_next_page_leads_on_and_the_previous_back() -> None:
    """Three pages of two: each link holds the search, and its token moves to where the page begins."""
    asked = "sourceTn=%2B12025550100&limit=2"
    visited = []
    while asked:
        here = query(asked)
        info = rendered([found()] * 2, asked, total=6)["pageInfo"]
        visited.append((here.offset, here.limit, sorted(info)))
        if "prevPage" in info:
            back = query(urlsplit(info["prevPage"]).query)
            assert (back.offset, back.sources) == (here.offset - 2, here.sources)
        asked = urlsplit(info["nextPage"]).query if "nextPage" in info else ""
        if asked:
            assert info["nextPage"].startswith(f"{URL}?")
            assert dict(parse_qsl(asked))["pageToken"] == info["nextPageToken"]
    forth, back_ = ["nextPage", "nextPageToken"], ["prevPage", "prevPageToken"]
    assert visited == [(0, 2, forth), (2, 2, [*forth, *back_]), (4, 2, back_)]


def test_a_token_is_url_safe() -> None:
    """It can be pasted into a query string as it is."""
    info = rendered([found()], "sourceTn=77777&limit=1", total=2)["pageInfo"]
    assert quote(info["nextPageToken"], safe="") == info["nextPageToken"]


@pytest.mark.parametrize(
    ("other", "account"),
    [
        ("sourceTn=%2B12025550101", "u-1"),
        ("sourceTn=%2B12025550100&messageType=sms", "u-1"),
        ("sourceTn=%2B12025550100&sort=messageId:asc", "u-1"),
        ("sourceTn=%2B12025550100", "u-2"),
    ],
)
def test_a_token_of_another_search_is_refused(other: str, account: str) -> None:
    """A page of one search, order or account is no page of another."""
    token = rendered([found()], total=500)["pageInfo"]["nextPageToken"]
    with pytest.raises(Problem) as refused:
        search.parse_query(f"{other}&pageToken={token}".encode(), account)
    assert [e.description for e in refused.value.field_errors] == [_TOKEN_WORDS]


@pytest.mark.parametrize("more", ["", "&limit=7", "&limitTotalCount=true"])
def test_a_token_is_good_for_the_same_search(more: str) -> None:
    """The size of the page may change on the way."""
    token = rendered([found()], total=500)["pageInfo"]["nextPageToken"]
    assert query(f"sourceTn=%2B12025550100{more}&pageToken={token}").offset == 100


def test_pages_end_at_ten_thousand_rows() -> None:
    """limit and offset together reach no further: no link leads there, and a larger limit is refused."""
    asked = "sourceTn=77777&limit=1000"
    for _ in range(9):
        asked = urlsplit(rendered([found()], asked, total=10_000)["pageInfo"]["nextPage"]).query
    assert query(asked).offset == 9000
    assert "nextPage" not in rendered([found()], asked, total=10_000)["pageInfo"]
    last = rendered([found()], asked.replace("limit=1000", "limit=900"), total=10_000)["pageInfo"]
    assert "nextPage" not in last
    later = rendered([found()], asked.replace("limit=1000", "limit=500"), total=10_000)["pageInfo"]
    assert wrong(f"sourceTn=77777&limit=1000&pageToken={later['nextPageToken']}") == [
        ("limit", "'limit' and the rows before this page must be 10000 or less together")
    ]


@pytest.mark.parametrize(("profile", "text"), [(Profile.CURRENT, ""), (Profile.CATAPULT, "Grüße 😀")])
def test_one_message_is_the_answer_to_its_request_and_what_became_of_it(profile: Profile, text: str) -> None:
    """The 202's object with a row per recipient; the text as callbacks show it; never null."""
    message = replace(MESSAGE, profile=profile, tag="t", destinations=("+12025550123", "+12025550124"))
    deliveries = [
        replace(DELIVERY, state=State.UNDELIVERED, error_code=4720),
        replace(DELIVERY, recipient=1, to="+12025550124", state=State.QUEUED),
    ]
    assert json.loads(search.render_one(Life(message, deliveries, (1,), (), (), (), (), ()))) == {
        "id": MESSAGE.id,
        "owner": "+12025550100",
        "applicationId": "app-1",
        "time": "2026-01-31T12:00:00.000Z",
        "segmentCount": 1,
        "direction": "out",
        "to": ["+12025550123", "+12025550124"],
        "from": "+12025550100",
        "text": text,
        "tag": "t",
        "recipients": [
            {"to": "+12025550123", "messageStatus": "UNDELIVERED", "errorCode": 4720},
            {"to": "+12025550124", "messageStatus": "SENDING", "errorCode": 0},
        ],
    }
