"""A search finds the rows that say what was asked for: the query string, the engine and the answer agree."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from contract.stories import CARRIER, TO, inbound, message, outbound, refused, taken, write
from trebuchet.api import filters, search
from trebuchet.model.message import Kind
from trebuchet.storage.base import Claim, Store

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8080/v2/users/u-1/messages"


async def filled(store: Store) -> None:
    """One message of each class of sender, in various states, and an inbound one."""
    local = message(1)
    toll_free = message(
        2, owner="+18447242263", source="+18447242263", text="\N{GRINNING FACE}" * 40, segment_count=2
    )
    short_code = message(3, owner="77777", source="77777", kind=Kind.MMS)
    named = message(4, owner="ACME", source="ACME")
    changes = [outbound(m) for m in (local, toll_free, short_code, named)]
    claim = Claim([(m.id, 0) for m in (local, toll_free, short_code)], at_ms=local.received_ms)
    await write(store, *changes, inbound(5), claim)
    await write(store, refused(local), taken(toll_free, "id-1", "id-2"))


async def rows(store: Store, asked: str) -> list[dict[str, Any]]:
    query = search.parse_query(asked.encode(), "u-1")
    answer = json.loads(search.render_page(await store.search(query), query, URL, asked.encode()))
    assert answer["totalCount"] == len(answer["messages"])
    return list(answer["messages"])


@pytest.mark.parametrize(
    ("parameter", "column", "values"),
    [
        ("product", "product", [*filters.PRODUCTS.values(), *filters.OTHER_PRODUCTS]),
        ("messageStatus", "messageStatus", list(filters.STATUSES)),
        ("messageDirection", "messageDirection", list(filters.DIRECTIONS)),
        ("messageType", "messageType", list(filters.TYPES)),
        ("errorCode", "errorCode", ["0", "4720", "4999"]),
        ("sourceTn", "sourceTn", ["+12345678901", "+18447242263", "77777", "ACME", "+12025550199"]),
        ("destinationTn", "destinationTn", [TO, "+12025550199"]),
        ("carrierName", "carrierName", [CARRIER, "nobody"]),
    ],
)
async def test_a_filter_finds_the_rows_that_show_its_value(
    store: Store, parameter: str, column: str, values: list[str]
) -> None:
    """Whatever value a column shows, the filter of it finds just the rows that show it."""
    await filled(store)
    every = await rows(store, "fromDateTime=2020-01-01")
    assert len(every) == 5
    shown = {value: [row for row in every if str(row.get(column)) == value] for value in values}
    assert any(shown.values())
    for value, expected in shown.items():
        assert await rows(store, f"{parameter}={quote(value)}") == expected


@pytest.mark.parametrize(
    ("low", "high", "column", "bound"),
    [
        ("fromMessageSize", "toMessageSize", "messageSize", 160),
        ("fromSegmentCount", "toSegmentCount", "segmentCount", 2),
    ],
)
async def test_ranges_include_their_ends(store: Store, low: str, high: str, column: str, bound: int) -> None:
    """From and to are both part of the range."""
    await filled(store)
    every = await rows(store, "fromDateTime=2020-01-01")
    assert any(row[column] == bound for row in every)
    assert await rows(store, f"{low}={bound}") == [row for row in every if row[column] >= bound]
    assert await rows(store, f"{high}={bound}") == [row for row in every if row[column] <= bound]


@pytest.mark.parametrize("parameter", filters.NO_DATA)
async def test_filters_without_data_find_nothing(store: Store, parameter: str) -> None:
    """Where no row has the column, no value of it matches, other filters or not."""
    await filled(store)
    assert await rows(store, f"{parameter}=1") == []
    assert await rows(store, f"sourceTn=77777&{parameter}=1") == []


@pytest.mark.parametrize("field", filters.SORTS)
async def test_every_documented_sort_is_one_of_the_engine(store: Store, field: str) -> None:
    """Both directions show the column in order."""
    await filled(store)
    for direction in ("asc", "desc"):
        found = await rows(store, f"fromDateTime=2020-01-01&sort={field}:{direction}")
        assert len(found) == 5
        shown = [row[field] for row in found]
        assert shown == sorted(shown, reverse=direction == "desc")
