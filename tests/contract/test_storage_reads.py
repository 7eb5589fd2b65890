"""What every storage engine promises about its records, and about the questions that people ask it."""

import pytest
from msgspec.structs import replace

from contract.stories import (
    APPLICATION,
    CARRIER,
    DAY,
    FROM,
    HOUR,
    LANE,
    T0,
    TO,
    Engine,
    attempt,
    do,
    inbound,
    key,
    message,
    opened,
    outbound,
    receipt,
    refused,
    retried,
    taken,
    write,
)
from trebuchet.errors import AlreadyExists, InUse, NotFound
from trebuchet.model.account import (
    Account,
    Application,
    CallbackAuth,
    Carrier,
    Credential,
    Directory,
    InDoubt,
    Number,
    NumberKind,
    OptOut,
    Profile,
    Role,
    Route,
    User,
)
from trebuchet.model.events import CallbackItem, EventType, event_id
from trebuchet.model.message import Kind, Message
from trebuchet.model.receipt import ReceiptState
from trebuchet.storage.base import (
    Change,
    Claim,
    Create,
    EventQuery,
    FoundPage,
    MessageQuery,
    Record,
    RecordReceipt,
    Remove,
    SettleCallback,
    Store,
)

pytestmark = pytest.mark.anyio

# ---- provisioning ----

ACCOUNT = Account(id="u-1", name="First", profile=Profile.CURRENT, segments_per_s=2.5, created_ms=T0)
CREDENTIAL = Credential(token="t-1", account_id="u-1", secret_sha256="ab" * 32, label="ci", created_ms=T0)
APPLICATION_RECORD = Application(
    id=APPLICATION,
    account_id="u-1",
    name="App",
    callback_url="https://example.com/hook",
    callback_username="user",
    callback_password="pass",
    callback_auth=CallbackAuth.CHALLENGE,
    events=("message-delivered", "message-failed"),
    signing_secret="whsec_c2VjcmV0",
    opt_out=True,
    help_text="Help is on the way",
    created_ms=T0,
)
NUMBER = Number(
    number=FROM,
    kind=NumberKind.E164,
    account_id="u-1",
    application_id=APPLICATION,
    segments_per_s=1.0,
    created_ms=T0,
)
CARRIER_RECORD = Carrier(
    id=CARRIER,
    kind="simulator",
    in_doubt=InDoubt.RESEND,
    receipt_timeout_s=60,
    paused=True,
    settings={"window": 10, "nested": {"list": [1, "two"]}},
    created_ms=T0,
)
ROUTE = Route(id="r-1", carrier_id=CARRIER, prefix="+1", kind="mms", priority=5, created_ms=T0)
USER = User(name="ann", role=Role.OPERATOR, password_hash="$argon2id$x", created_ms=T0)
OPT_OUT = OptOut(number=FROM, handset=TO, created_ms=T0)
RECORDS: tuple[Record, ...] = (
    ACCOUNT,
    CREDENTIAL,
    APPLICATION_RECORD,
    NUMBER,
    CARRIER_RECORD,
    ROUTE,
    OPT_OUT,
    USER,
)


def listed(directory: Directory) -> set[str]:
    """Every record of a directory, in words."""
    records = [
        *directory.accounts.values(),
        *directory.applications.values(),
        *directory.numbers.values(),
        *directory.carriers.values(),
        *directory.routes,
        *directory.users.values(),
    ]
    return {str(record) for record in records} | {*directory.credentials, *map(str, directory.opt_outs)}


def name_of(record: Record) -> str:
    return type(record).__name__


async def provisioned(store: Store, *records: Record) -> None:
    for record in records:
        await do(store, Create(record))


async def test_an_empty_database_has_an_empty_directory(store: Store) -> None:
    """Nothing is provisioned by the store itself."""
    assert listed(await store.directory()) == set()


async def test_every_field_of_every_record_comes_back(engine: Engine) -> None:
    """The directory after a restart holds the records as they were created."""
    async with opened(engine) as store:
        await provisioned(store, *RECORDS)
    async with opened(engine) as store:
        directory = await store.directory()
    assert directory.accounts == {"u-1": ACCOUNT}
    assert directory.credentials == {"t-1": CREDENTIAL}
    assert directory.applications == {APPLICATION: APPLICATION_RECORD}
    assert directory.numbers == {FROM: NUMBER}
    assert directory.carriers == {CARRIER: CARRIER_RECORD}
    assert directory.routes == (ROUTE,)
    assert directory.opt_outs == {(FROM, TO)}


async def test_what_was_left_out_comes_back_as_left_out(store: Store) -> None:
    """None, and empty lists and objects, are told apart."""
    bare = Application(id="app-2", account_id="u-1")
    silent = Application(id="app-3", account_id="u-1", events=())
    await provisioned(store, Account(id="u-1"), bare, silent, Carrier(id="c", kind="smpp"))
    directory = await store.directory()
    assert directory.accounts["u-1"] == Account(id="u-1")
    assert (directory.applications["app-2"], directory.applications["app-3"]) == (bare, silent)
    assert directory.carriers["c"] == Carrier(id="c", kind="smpp")


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
async def test_a_key_is_given_once(store: Store, record: Record) -> None:
    """Creating a record whose key exists is refused, whatever its other fields, and changes nothing."""
    await provisioned(store, *RECORDS)
    before = listed(await store.directory())
    with pytest.raises(AlreadyExists, match="already exists"):
        await do(store, Create(replace(record, created_ms=1)))
    assert listed(await store.directory()) == before


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (CREDENTIAL, "account u-1 does not exist"),
        (APPLICATION_RECORD, "account u-1 does not exist"),
        (NUMBER, "account u-1 does not exist"),
        (ROUTE, "carrier sim does not exist"),
    ],
    ids=lambda value: name_of(value) if not isinstance(value, str) else "",
)
async def test_what_a_record_refers_to_must_exist(store: Store, record: Record, why: str) -> None:
    """Else it is not created, and the reason names what is missing."""
    with pytest.raises(NotFound, match=f"^{why}$"):
        await do(store, Create(record))
    assert listed(await store.directory()) == set()


async def test_a_number_belongs_to_an_application_of_its_account(store: Store) -> None:
    """Another account's application will not do."""
    await provisioned(store, ACCOUNT, Account(id="u-2"), APPLICATION_RECORD)
    with pytest.raises(NotFound, match="account u-2 has no application app-1"):
        await do(store, Create(replace(NUMBER, account_id="u-2")))


CHANGED: tuple[Record, ...] = (
    replace(ACCOUNT, profile=None, segments_per_s=None),
    replace(CREDENTIAL, label="other"),
    replace(APPLICATION_RECORD, events=None, opt_out=False, callback_url=None),
    replace(NUMBER, segments_per_s=None),
    replace(CARRIER_RECORD, paused=False, settings={}),
    replace(ROUTE, prefix="", priority=1),
)


@pytest.mark.parametrize("record", CHANGED, ids=name_of)
async def test_a_change_replaces_all_fields(store: Store, record: Record) -> None:
    """The record with this key is as given from then on; the others are as they were."""
    await provisioned(store, *RECORDS)
    await do(store, Change(record))
    directory = await store.directory()
    changed: list[Record] = [
        *directory.accounts.values(),
        *directory.credentials.values(),
        *directory.applications.values(),
        *directory.numbers.values(),
        *directory.carriers.values(),
        *directory.routes,
        *directory.users.values(),
    ]
    expected = [record if type(record) is type(r) else r for r in RECORDS if not isinstance(r, OptOut)]
    assert changed == expected


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
@pytest.mark.parametrize("verb", [Change, Remove])
async def test_what_is_not_there_cannot_be_changed_or_removed(
    store: Store, record: Record, verb: type[Change] | type[Remove]
) -> None:
    """NotFound, with the name of what is missing."""
    with pytest.raises(NotFound, match="does not exist"):
        await do(store, verb(record))


async def test_a_change_may_not_refer_to_what_is_missing(store: Store) -> None:
    """The record stays as it was."""
    await provisioned(store, *RECORDS)
    with pytest.raises(NotFound, match="carrier nowhere does not exist"):
        await do(store, Change(replace(ROUTE, carrier_id="nowhere")))
    assert (await store.directory()).routes == (ROUTE,)


async def test_a_revoked_credential_is_not_in_the_directory(store: Store) -> None:
    """Revoking is a change; the row stays for the record."""
    await provisioned(store, ACCOUNT, CREDENTIAL)
    await do(store, Change(replace(CREDENTIAL, revoked_ms=T0 + 1)))
    assert (await store.directory()).credentials == {}
    with pytest.raises(AlreadyExists):
        await do(store, Create(CREDENTIAL))


async def test_records_are_removed_from_the_leaves_up(store: Store) -> None:
    """When nothing refers to a record any more it can go."""
    await provisioned(store, *RECORDS)
    for record in reversed(RECORDS):
        await do(store, Remove(record))
    assert listed(await store.directory()) == set()


@pytest.mark.parametrize(
    ("record", "others", "why"),
    [
        (ACCOUNT, [CREDENTIAL], "account u-1 still has 1 credential"),
        (ACCOUNT, [APPLICATION_RECORD], "account u-1 still has 1 application"),
        (
            ACCOUNT,
            [CREDENTIAL, APPLICATION_RECORD, NUMBER, replace(NUMBER, number="12345")],
            "account u-1 still has 2 numbers, 1 application and 1 credential",
        ),
        (APPLICATION_RECORD, [NUMBER], "application app-1 still has 1 number"),
        (CARRIER_RECORD, [ROUTE, replace(ROUTE, id="r-2")], "carrier sim still has 2 routes"),
    ],
    ids=["credential", "application", "all", "number", "routes"],
)
async def test_what_is_in_use_is_not_removed(
    store: Store, record: Record, others: list[Record], why: str
) -> None:
    """The reason counts what stands in the way, in words that a person understands."""
    needed = [
        r for r in (ACCOUNT, APPLICATION_RECORD, CARRIER_RECORD) if r is record or record is not ACCOUNT
    ]
    await provisioned(store, *needed, *others)
    before = listed(await store.directory())
    with pytest.raises(InUse) as refusal:
        await do(store, Remove(record))
    assert str(refusal.value) == why
    assert listed(await store.directory()) == before


@pytest.mark.parametrize("group", [False, True])
async def test_a_carrier_with_queued_work_is_not_removed(store: Store, group: bool) -> None:
    """Its work would have nobody to go to; that of other carriers does not count."""
    other = Carrier(id="other", kind="simulator")
    await provisioned(store, CARRIER_RECORD, other)
    two = message(destinations=(TO, "+19195550001"))
    await write(store, outbound(two, group=group), outbound(message(5), lane="sim/1"))
    with pytest.raises(InUse, match=f"^carrier sim still has {2 if group else 3} queued submits$"):
        await do(store, Remove(CARRIER_RECORD))
    await do(store, Remove(other))


async def test_waiting_callbacks_do_not_hold_an_application(store: Store) -> None:
    """Only numbers do: without one nothing more can happen for it."""
    await provisioned(store, ACCOUNT, APPLICATION_RECORD)
    await do(store, inbound())
    await do(store, Remove(APPLICATION_RECORD))
    assert (await store.directory()).applications == {}


# ---- search ----


async def story(store: Store) -> list[Message]:
    """Six messages, one of them inbound, in every state that a search shows."""
    queued = message(0, tag="spring", segment_count=3)
    sending = message(1, application_id="app-2", source="+12025550100")
    sent = message(2, account_id="u-2", text="secret")
    delivered = message(3, kind=Kind.MMS, destinations=("+19195550001",))
    failed = message(4, destinations=("+442071234567", "+19195550001"))
    await write(store, *[outbound(m) for m in (queued, sending, sent, delivered, failed)])
    await do(store, Claim([key(sending)], T0))
    await write(
        store, taken(sent, "c-1"), taken(delivered, "c-2"), refused(failed, 0), refused(failed, 1, 4406)
    )
    await do(store, RecordReceipt(receipt("c-2")))
    event = event_id(delivered.id, 0, EventType.DELIVERED)
    await do(store, SettleCallback(event, attempt(event)))
    undelivered = event_id(failed.id, 0, EventType.FAILED)
    await do(store, SettleCallback(undelivered, attempt(undelivered, status=500)))
    received = inbound(5)
    await do(store, received)
    return [queued, sending, sent, delivered, failed, received.message]


def places(page: FoundPage, messages: list[Message]) -> list[tuple[int, int]]:
    """What was found, as (place in the story, recipient)."""
    return [(messages.index(found.message), found.delivery.recipient) for found in page.rows]


ALL = [(5, 0), (4, 0), (4, 1), (3, 0), (2, 0), (1, 0), (0, 0)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (MessageQuery(), ALL),
        (MessageQuery(account_id="u-2"), [(2, 0)]),
        (MessageQuery(message_id=message(4).id), [(4, 0), (4, 1)]),
        (MessageQuery(application_id="app-2"), [(1, 0)]),
        (MessageQuery(sources=("+12025550100", TO)), [(5, 0), (1, 0)]),
        (MessageQuery(source_prefix="+1202"), [(1, 0)]),
        (MessageQuery(source_prefix="%"), []),
        (MessageQuery(destinations=("+19195550001", FROM)), [(5, 0), (4, 1), (3, 0)]),
        (MessageQuery(destination_prefix="+44"), [(4, 0)]),
        (MessageQuery(states=("QUEUED",)), [(0, 0)]),
        (MessageQuery(states=("SENDING",)), [(1, 0)]),
        (MessageQuery(states=("SENT", "DELIVERED")), [(3, 0), (2, 0)]),
        (MessageQuery(states=("FAILED",)), [(4, 0), (4, 1)]),
        (MessageQuery(direction="in"), [(5, 0)]),
        (MessageQuery(kind="mms"), [(3, 0)]),
        (MessageQuery(error_code=4406), [(4, 1)]),
        (MessageQuery(carrier_id="nobody"), []),
        (MessageQuery(carrier_id=CARRIER), ALL),
        (MessageQuery(tag="spring"), [(0, 0)]),
        (MessageQuery(tag=""), []),
        (MessageQuery(from_ms=T0 + 2, to_ms=T0 + 3), [(3, 0), (2, 0)]),
        (MessageQuery(from_ms=T0 + 6), []),
        (MessageQuery(to_ms=T0), [(0, 0)]),
        (MessageQuery(min_segments=2), [(0, 0)]),
        (
            MessageQuery(max_segments=2, account_id="u-1", direction="out", kind="sms", tag=None),
            [(4, 0), (4, 1), (1, 0)],
        ),
        (MessageQuery(error_code=4406, message_id=message(0).id), []),
    ],
)
async def test_each_filter_finds_what_matches(
    store: Store, query: MessageQuery, expected: list[tuple[int, int]]
) -> None:
    """All given filters must match; the newest message comes first, its recipients in their order."""
    messages = await story(store)
    page = await store.search(query)
    assert (places(page, messages), page.total) == (expected, len(expected))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (("received_ms", False), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (5, 0)]),
        (("source", True), [(5, 0), (4, 0), (4, 1), (3, 0), (2, 0), (0, 0), (1, 0)]),
        (("to", False), [(5, 0), (4, 1), (3, 0), (2, 0), (1, 0), (0, 0), (4, 0)]),
        (("state", False), [(3, 0), (4, 0), (4, 1), (0, 0), (5, 0), (1, 0), (2, 0)]),
        (("segment_count", True), [(0, 0), (5, 0), (4, 0), (4, 1), (3, 0), (2, 0), (1, 0)]),
        (("error_code", True), [(4, 0), (4, 1), (5, 0), (3, 0), (2, 0), (1, 0), (0, 0)]),
    ],
    ids=str,
)
async def test_a_search_can_be_sorted(
    store: Store, sort: tuple[str, bool], expected: list[tuple[int, int]]
) -> None:
    """By a column, in either direction; what is equal stands newest first."""
    messages = await story(store)
    page = await store.search(MessageQuery(sort=sort))
    assert (places(page, messages), page.total) == (expected, len(expected))


async def test_an_unknown_column_is_refused_with_the_known_ones(store: Store) -> None:
    """Nothing of the text reaches the database."""
    with pytest.raises(ValueError, match="cannot sort by 'id; --'; one of received_ms, "):
        await store.search(MessageQuery(sort=("id; --", False)))


@pytest.mark.parametrize(
    "sort", [("received_ms", True), ("received_ms", False), ("to", False), ("state", True)]
)
async def test_pages_are_cut_out_of_one_order(store: Store, sort: tuple[str, bool]) -> None:
    """Page after page gives every row once, and the same total each time."""
    await story(store)
    whole = await store.search(MessageQuery(sort=sort))
    pages = [await store.search(MessageQuery(sort=sort, limit=3, offset=offset)) for offset in (0, 3, 6, 9)]
    assert [row for page in pages for row in page.rows] == list(whole.rows)
    assert [page.total for page in pages] == [7, 7, 7, 7]


async def test_the_total_is_counted_up_to_a_bound(store: Store) -> None:
    """Counting a million matches is nobody's wish."""
    await story(store)
    assert (await store.search(MessageQuery(count_up_to=4, limit=2))).total == 4
    assert (await store.search(MessageQuery(count_up_to=4, limit=2, sort=("to", True)))).total == 4


async def test_another_order_is_one_of_the_newest_matches(store: Store) -> None:
    """Within the bound of counting, so that it never sorts a million rows."""
    messages = await story(store)
    page = await store.search(MessageQuery(sort=("to", False), count_up_to=3))
    assert places(page, messages) == [(5, 0), (4, 1), (4, 0)]


async def test_a_row_says_whether_the_carrier_has_it_and_whether_its_callback_arrived(store: Store) -> None:
    """Claimed, and called back with 2xx: an attempt that failed does not count."""
    messages = await story(store)
    rows = (await store.search(MessageQuery())).rows
    claimed = [messages.index(row.message) for row in rows if row.claimed]
    called_back = [messages.index(row.message) for row in rows if row.callback_delivered]
    assert (claimed, called_back) == ([1], [3])


# ---- the life of a message ----


async def test_the_life_of_an_unknown_message_is_none(store: Store) -> None:
    """Also of an id that only begins like a known one."""
    await do(store, outbound(message()))
    assert await store.life("unknown") is None
    assert await store.life(message().id[:-1]) is None


async def test_a_life_tells_everything_in_order(store: Store) -> None:
    """Deliveries, segments, exchanges, events, waiting callbacks and attempts, of this message only."""
    of, other = message(1, kind=Kind.MMS), message(2, kind=Kind.MMS)
    for each, carrier_id in ((of, "c-1"), (other, "c-2")):
        await do(store, outbound(each))
        await do(store, replace(retried(each, T0), exchanges=refused(each).exchanges))
        await do(store, taken(each, carrier_id))
        await do(store, RecordReceipt(receipt(carrier_id, ReceiptState.UNDELIVERABLE)))
    sending, failed = event_id(of.id, 0, EventType.SENDING), event_id(of.id, 0, EventType.FAILED)
    tries = [attempt(sending, T0 + 7000, 500), attempt(sending, T0 + 8000, 200)]
    retry = CallbackItem(APPLICATION, T0 + 8000, sending, 1, T0 + 7000)
    await do(store, SettleCallback(sending, tries[0], retry))
    await do(store, SettleCallback(sending, tries[1]))
    found = await store.life(of.id)
    assert found is not None
    assert (found.message, [d.error_code for d in found.deliveries]) == (of, [4750])
    assert [(s.carrier_message_id, s.state, s.receipt_error) for s in found.segments] == [
        ("c-1", "UNDELIV", "err:001")
    ]
    assert [(x.what, x.error_code, x.description) for x in found.exchanges] == [
        ("refused", 4720, "no such number")
    ]
    assert [(e.id, e.type, e.error_code) for e in found.events] == [
        (sending, EventType.SENDING, None),
        (failed, EventType.FAILED, 4750),
    ]
    assert [item.event_id for item in found.pending] == [failed]
    assert found.attempts == tries
    assert found.claimed == []


@pytest.mark.parametrize("group", [False, True])
async def test_a_life_says_which_recipients_are_with_the_carrier(store: Store, group: bool) -> None:
    """A claimed row of a group stands for all its recipients that are queued."""
    of = message(destinations=(TO, "+19195550001"))
    await do(store, outbound(of, group=group))
    await do(store, Claim([key(of, -1 if group else 1)], T0))
    found = await store.life(of.id)
    assert found is not None
    assert found.claimed == ([0, 1] if group else [1])


# ---- events ----


async def test_events_are_found_with_their_messages(store: Store) -> None:
    """In the order of the asked ids; unknown ones are left out."""
    changes = [inbound(n) for n in range(3)]
    await write(store, *changes)
    ids = [c.announcements[0].event.id for c in changes]
    found = await store.events_by_id([ids[2], "unknown-0-9", ids[0]])
    assert found == [(changes[n].announcements[0].event, changes[n].message) for n in (2, 0)]
    assert await store.events_by_id([]) == []


async def events(store: Store) -> list[str]:
    """An early message whose final event is late, then two inbound ones; the first of these was called back."""
    slow = message(0)
    await do(store, outbound(slow))
    await do(store, taken(slow, "c-1"))
    first, second = inbound(10), inbound(20, application_id="app-2")
    await write(store, first, second)
    called_back = first.announcements[0].event.id
    await do(store, SettleCallback(called_back, attempt(called_back)))
    await do(store, RecordReceipt(receipt("c-1", at_ms=T0 + HOUR)))
    return [event_id(slow.id, 0, EventType.DELIVERED), called_back, second.announcements[0].event.id]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EventQuery(), [0, 1, 2]),
        (EventQuery(message_id=message(10).id), [1]),
        (EventQuery(message_id=message(10).id[:-1]), []),
        (EventQuery(application_id="app-2"), [2]),
        (EventQuery(application_id=APPLICATION), [0, 1]),
        (EventQuery(from_ms=T0 + 11), [0, 2]),
        (EventQuery(from_ms=T0 + 10, to_ms=T0 + 20), [1, 2]),
        (EventQuery(to_ms=T0 + 19), [1]),
        (EventQuery(message_id=message(0).id, to_ms=T0 + HOUR - 1), []),
        (EventQuery(failed_only=True), [0, 2]),
        (EventQuery(failed_only=True, application_id="app-2", to_ms=T0 + DAY), [2]),
        (EventQuery(limit=2), [0, 1]),
    ],
)
async def test_events_are_found_by_each_filter(store: Store, query: EventQuery, expected: list[int]) -> None:
    """In the order of their ids; times are those of the events, both ends included."""
    ids = await events(store)
    assert [e.id for e in await store.find_events(query)] == [ids[place] for place in expected]


async def test_events_can_be_read_page_by_page(store: Store) -> None:
    """Each page begins after the last id of the one before."""
    ids = await events(store)
    assert [e.id for e in await store.find_events(EventQuery(after_id=ids[0], limit=1))] == [ids[1]]
    assert await store.find_events(EventQuery(after_id=ids[2])) == []


# ---- figures ----


async def test_depths_count_rows_and_name_the_oldest(store: Store) -> None:
    """Per lane and per application; claimed rows still count."""
    await write(
        store,
        outbound(message(0), T0 + 30),
        outbound(message(1), T0 + 20),
        outbound(message(2), T0 + 40, lane="sim/1"),
        inbound(5),
        inbound(6),
    )
    await do(store, Claim([key(message(1))], T0))
    depths = await store.depths()
    assert depths.outbox == {LANE: (2, T0 + 20), "sim/1": (1, T0 + 40)}
    assert depths.callbacks == {APPLICATION: (2, T0 + 5)}
    assert await store.queued() == 3


async def test_an_empty_store_has_no_depths(store: Store) -> None:
    """Nothing queued, nothing waiting."""
    depths = await store.depths()
    assert (depths.outbox, depths.callbacks, await store.queued()) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("account_rate", "number_rate", "expected"),
    [
        (None, None, {}),
        (1.0, None, {("u-1", FROM): T0 + 900, ("u-1", "+12025550100"): T0 + 700}),
        (None, 1.0, {("u-1", FROM): T0 + 900}),
    ],
)
async def test_pacing_resumes_where_the_queue_ends(
    store: Store, account_rate: float | None, number_rate: float | None, expected: dict[tuple[str, str], int]
) -> None:
    """The latest turn of each sender that a rate limit, its account's or its own, applies to; claimed rows are over."""
    await provisioned(
        store,
        replace(ACCOUNT, segments_per_s=account_rate),
        APPLICATION_RECORD,
        replace(NUMBER, segments_per_s=number_rate),
    )
    await write(
        store,
        outbound(message(1), T0 + 900),
        outbound(message(2), T0 + 800),
        outbound(message(3, source="+12025550100"), T0 + 700),
        outbound(message(4), T0 + 999),
        outbound(message(5, account_id="u-2", source="+12025550111"), T0 + 950),
    )
    await do(store, Claim([key(message(4))], T0))
    assert await store.pacing() == expected
