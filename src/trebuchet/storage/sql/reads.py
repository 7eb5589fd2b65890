"""The reads of the store, one function each. None writes.

What each promises is said in `storage.base.Store`. Each is a fixed number of statements, whatever the number
of rows.
"""

from base64 import b64decode
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

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
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Attempt, CallbackItem, Event, EventType
from trebuchet.model.media import HeldMedia
from trebuchet.model.message import Delivery, Direction, Kind, Message, Pdu, Segment, WorkItem
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import State
from trebuchet.storage.base import (
    DueCallback,
    DueWork,
    EventQuery,
    Exchange,
    Found,
    FoundPage,
    HandsetMessage,
    Life,
    MessageQuery,
    QueueDepths,
)
from trebuchet.storage.sql import queries as sql
from trebuchet.storage.sql.over import NUL_MARK
from trebuchet.storage.sql.steps import Row, Rows, Steps, ask, ask_one, over, value

_strings = msgspec.json.Decoder(tuple[str, ...]).decode
_settings = msgspec.json.Decoder(dict[str, Any]).decode

# A look-up by value costs a fifth of a call of the enum.
_DIRECTIONS = {str(d): d for d in Direction}
_KINDS = {str(k): k for k in Kind}
_PROFILES = {str(p): p for p in Profile}
_STATES = {str(s): s for s in State}
_EVENT_TYPES = {str(t): t for t in EventType}


# ---- rows to values; the order of the columns is that of the fields ----


def message_from_row(row: Row) -> Message:
    return Message(
        row[0],
        row[1],
        row[2],
        _DIRECTIONS[row[3]],
        _KINDS[row[4]],
        row[5],
        row[6],
        _strings(row[7]),
        _text(row[8]),
        None if row[9] is None else _strings(row[9]),
        _text(row[10]),
        row[11],
        row[12],
        row[13],
        row[14],
        row[15],
        _PROFILES[row[16]],
        row[17],
    )


def _text(stored: Any) -> Any:
    """A text that people wrote, or None."""
    return stored.replace(NUL_MARK, "\0") if stored and NUL_MARK in stored else stored


def delivery_from_row(row: Row) -> Delivery:
    return Delivery(row[0], row[1], row[2], _STATES[row[3]], *row[4:])


def receipt_from_row(row: Row) -> Receipt:
    """From the columns of `queries.PARKED`."""
    return Receipt(
        carrier_id=row[0],
        carrier_message_id=row[1],
        state=ReceiptState(row[2]),
        error_code=row[3],
        error=row[4],
        reference=row[5],
        handset=row[6],
        sender=row[7],
        user_reference=row[8],
        text=row[9],
        octets=b64decode(row[10]),
        at_ms=row[11],
    )


def part_from_row(row: Row) -> HeldPart:
    octets = b64decode(row[8])
    return HeldPart(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], octets, row[9], row[10], row[11]
    )


def _pdu_from_row(row: Row) -> Pdu:
    return Pdu(row[0], row[1], row[2], row[3], row[4], row[5], b64decode(row[6]))


def _event_from_row(row: Row) -> Event:
    return Event(row[0], row[1], row[2], _EVENT_TYPES[row[3]], *row[4:])


def _handset_message(row: Row) -> HandsetMessage:
    media, participants = _strings(row[5]), _strings(row[6])
    return HandsetMessage(
        row[0], row[1], row[2], row[3], _text(row[4]), media, participants, row[7], row[8], row[9]
    )


# ---- provisioning ----


def directory() -> Steps[Directory]:
    """All provisioned records. Several statements: run them at one moment."""

    def records(statement: str, struct: type[Any], **convert: Any) -> Steps[list[Any]]:
        fields = struct.__struct_fields__
        found = [dict(zip(fields, row, strict=True)) for row in (yield from ask(statement))]
        for record in found:
            for name, function in convert.items():
                if record[name] is not None:
                    record[name] = function(record[name])
        return [struct(**record) for record in found]

    return Directory(
        (yield from records(sql.ACCOUNTS, Account, profile=Profile)),
        (yield from records(sql.CREDENTIALS, Credential)),
        (
            yield from records(
                sql.APPLICATIONS,
                Application,
                callback_auth=CallbackAuth,
                events=_strings,
                opt_out=bool,
                smart_encoding=bool,
            )
        ),
        (yield from records(sql.NUMBERS, Number, kind=NumberKind)),
        (yield from records(sql.CARRIERS, Carrier, in_doubt=InDoubt, paused=bool, settings=_settings)),
        (yield from records(sql.ROUTES, Route)),
        (yield from records(sql.OPT_OUTS, OptOut)),
        (yield from records(sql.USERS, User, role=Role)),
    )


# ---- queues ----


def claimed_work(lane: str, limit: int) -> Steps[list[DueWork]]:
    return (yield from _work(sql.CLAIMED_WORK, lane, limit))


def due_work(lane: str, now_ms: int, after: tuple[int, str, int], limit: int) -> Steps[list[DueWork]]:
    return (yield from _work(sql.DUE_WORK, lane, now_ms, *after, limit))


def _work(statement: str, *parameters: Any) -> Steps[list[DueWork]]:
    """One DueWork per work row. A group's rows, one per delivery, follow each other."""
    message_at, delivery_at = sql.WORK_WIDTH, sql.WORK_WIDTH + sql.MESSAGE_WIDTH
    due: list[DueWork] = []
    # By message and recipient of the work row.
    for _, group in groupby((yield from ask(statement, *parameters)), itemgetter(2, 3)):
        rows = list(group)
        first = rows[0]
        item = WorkItem(*first[:message_at])
        message = message_from_row(first[message_at:delivery_at])
        deliveries = tuple(
            delivery_from_row(row[delivery_at:]) for row in rows if row[delivery_at] is not None
        )
        due.append(DueWork(item, message, deliveries))
    return due


def next_work_due_ms(lane: str, now_ms: int) -> Steps[int | None]:
    row = yield from ask_one(sql.NEXT_WORK_DUE, lane, now_ms)
    return None if row is None else int(row[0])


def next_expiry_ms() -> Steps[int | None]:
    earliest: int | None = yield from value(sql.NEXT_EXPIRY)
    return earliest


def callback_applications() -> Steps[list[str]]:
    return [row[0] for row in (yield from ask(sql.CALLBACK_APPLICATIONS))]


def due_callbacks(
    application_id: str, now_ms: int, after: tuple[int, str], limit: int
) -> Steps[list[DueCallback]]:
    rows = yield from ask(sql.DUE_CALLBACKS, application_id, now_ms, *after, limit)
    event_at, message_at = sql.ITEM_WIDTH, sql.ITEM_WIDTH + sql.EVENT_WIDTH
    return [
        DueCallback(
            CallbackItem(*row[:event_at]),
            _event_from_row(row[event_at:message_at]),
            message_from_row(row[message_at:]),
        )
        for row in rows
    ]


def next_callback_due_ms(application_id: str, now_ms: int) -> Steps[int | None]:
    due_ms: int | None = yield from value(sql.NEXT_CALLBACK_DUE, application_id, now_ms)
    return due_ms


def owed_mails(carrier_id: str, limit: int) -> Steps[list[OwedMail]]:
    """What a peer has not taken yet, the oldest first."""
    return [OwedMail(*row) for row in (yield from ask(sql.OWED_MAILS, carrier_id, limit))]


def earlier_callback_due_ms(event_id: str) -> Steps[int | None]:
    # Up to and with the dash the id names message and recipient; one digit of the event's place follows.
    first = event_id[: event_id.rindex("-") + 1]
    due_ms: int | None = yield from value(sql.EARLIER_CALLBACK_DUE, first, event_id)
    return due_ms


def events_by_id(event_ids: Sequence[str]) -> Steps[list[tuple[Event, Message]]]:
    """In the order of `event_ids`; unknown ones are left out."""
    rows = yield from over(sql.EVENTS_BY_ID, [(event_id,) for event_id in event_ids])
    width = sql.EVENT_WIDTH
    found = {row[0]: (_event_from_row(row[:width]), message_from_row(row[width:])) for row in rows}
    return [found[event_id] for event_id in event_ids if event_id in found]


# ---- parts of inbound messages ----


def complete_parts(limit: int) -> Steps[list[list[HeldPart]]]:
    """Reads an entry of the table per held part."""
    return (yield from _sets(sql.COMPLETE_PARTS, limit))


def stale_parts(before_ms: int, limit: int) -> Steps[list[list[HeldPart]]]:
    return (yield from _sets(sql.STALE_PARTS, before_ms, limit))


def _sets(statement: str, *parameters: Any) -> Steps[list[list[HeldPart]]]:
    parts = [part_from_row(row) for row in (yield from ask(statement, *parameters))]
    return [list(group) for _, group in groupby(parts, lambda part: part.key)]


# ---- questions of people ----


def life(message_id: str) -> Steps[Life | None]:
    """Several statements: run them at one moment."""
    row = yield from ask_one(sql.MESSAGE_BY_ID, message_id)
    if row is None:
        return None

    def rows(statement: str) -> Steps[Rows]:
        # Those that find rows by a range of keys take the id for each end of it.
        return (yield from ask(statement, *[message_id] * statement.count("?")))

    return Life(
        message=message_from_row(row),
        deliveries=[delivery_from_row(r) for r in (yield from rows(sql.DELIVERIES_OF))],
        claimed=[r[0] for r in (yield from rows(sql.CLAIMED_OF))],
        segments=[Segment(*r) for r in (yield from rows(sql.SEGMENTS_OF))],
        exchanges=[Exchange(*r) for r in (yield from rows(sql.EXCHANGES_OF))],
        events=[_event_from_row(r) for r in (yield from rows(sql.EVENTS_OF))],
        pending=[CallbackItem(*r) for r in (yield from rows(sql.CALLBACKS_OF))],
        attempts=[Attempt(*r) for r in (yield from rows(sql.ATTEMPTS_OF))],
        pdus=[_pdu_from_row(r) for r in (yield from rows(sql.PDUS_OF))],
        held=[HeldMedia(*r) for r in (yield from rows(sql.HELD_MEDIA_OF))],
    )


def search(query: MessageQuery) -> Steps[FoundPage]:
    """Newest first by id. Another order, ascending by id aside, is one of the newest `count_up_to` matches.

    A range of time, or a message id, bounds what is read; all other filters are tests on the rows in it.
    Raises ValueError if `sort` names no sortable column.
    """
    column, descending = query.sort
    if column not in sql.SORTS:
        raise ValueError(f"cannot sort by {column!r}; one of {', '.join(sql.SORTS)}")
    reached = yield from _examined_down_to(query)
    where, parameters = _conditions(sql.CONDITIONS, {**_message_bounds(query), "reached": reached})
    way = "DESC" if descending else "ASC"
    if sql.SORTS[column] == "m.id":
        rows = yield from ask(
            f"SELECT {sql.FOUND} FROM {sql.SEARCHED}{where} ORDER BY m.id {way}, d.recipient LIMIT ? OFFSET ?",
            *parameters,
            query.limit,
            query.offset,
        )
    else:
        nulls = "NULLS LAST" if descending else "NULLS FIRST"
        rows = yield from ask(
            f"""
            WITH matches AS (
                SELECT m.id AS message_id, d.recipient AS recipient, {sql.SORTS[column]} AS place
                FROM {sql.SEARCHED}{where} ORDER BY m.id DESC, d.recipient LIMIT ?
            ), page AS (
                SELECT message_id, recipient, place FROM matches
                ORDER BY place {way} {nulls}, message_id DESC, recipient LIMIT ? OFFSET ?
            )
            SELECT {sql.FOUND} FROM page AS p CROSS JOIN messages AS m ON m.id = p.message_id
            CROSS JOIN deliveries AS d ON d.message_id = p.message_id AND d.recipient = p.recipient
            ORDER BY p.place {way} {nulls}, p.message_id DESC, p.recipient""",
            *parameters,
            query.count_up_to,
            query.limit,
            query.offset,
        )
    if query.offset == 0 and len(rows) < query.limit:
        total = min(len(rows), query.count_up_to)
    else:
        total = yield from value(
            f"SELECT count(*) FROM (SELECT 1 FROM {sql.SEARCHED}{where} LIMIT ?) AS counted",
            *parameters,
            query.count_up_to,
        )
    message_width, width = sql.MESSAGE_WIDTH, sql.FOUND_WIDTH
    found = [
        Found(
            message_from_row(row[:message_width]),
            delivery_from_row(row[message_width:width]),
            bool(row[width]),
            bool(row[width + 1]),
        )
        for row in rows
    ]
    return FoundPage(total, found, reached)


def _examined_down_to(query: MessageQuery) -> Steps[str | None]:
    """The oldest message that a bounded search reads; None if it reads to the end."""
    if query.examine is None:
        return None
    from_ms = query.from_ms or 0
    before = min(query.before_id or "~", _id_bound(query.to_ms + 1) if query.to_ms is not None else "~")
    row = yield from ask_one(sql.EXAMINED_DOWN_TO, before, _id_bound(from_ms), query.examine - 1)
    return row[0] if row is not None else None


def find_events(query: EventQuery) -> Steps[list[Event]]:
    """`from_ms` and `to_ms` are about the moment of the event and both inclusive."""
    given = {
        "first_id": query.message_id and f"{query.message_id}-",
        "last_id": f"{query.message_id}." if query.message_id else query.to_ms and _id_bound(query.to_ms + 1),
        "after_id": query.after_id or None,
        "application_id": query.application_id,
        "from_ms": query.from_ms,
        "to_ms": query.to_ms,
    }
    where, parameters = _conditions(sql.EVENT_CONDITIONS, given)
    if query.failed_only:
        where = f"{where} AND {sql.NOT_CALLED_BACK}" if where else f" WHERE {sql.NOT_CALLED_BACK}"
    rows = yield from ask(f"{sql.EVENTS_FOUND}{where} ORDER BY e.id LIMIT ?", *parameters, query.limit)
    return [_event_from_row(row) for row in rows]


def _message_bounds(query: MessageQuery) -> dict[str, Any]:
    """The given filters by name of condition. Ids begin with 13 digits of milliseconds."""
    given = {name: getattr(query, name) for name in sql.CONDITIONS if name != "reached"}
    for name in ("sources", "destinations", "states"):
        given[name] = list(map(str, given[name])) or None
    if query.from_ms is not None:
        given["from_ms"] = _id_bound(query.from_ms)
    if query.to_ms is not None:
        given["to_ms"] = _id_bound(query.to_ms + 1)
    return given


def _conditions(conditions: dict[str, str], given: dict[str, Any]) -> tuple[str, list[Any]]:
    """The WHERE clause of the filters that are given, with a blank before it, and its parameters."""
    names = [name for name in conditions if given[name] is not None]
    where = " AND ".join(conditions[name] for name in names)
    return (f" WHERE {where}" if where else "", [given[name] for name in names])


# ---- figures ----


def depths() -> Steps[QueueDepths]:
    """Reads an entry of an index per waiting row: tens of milliseconds for a million."""
    return QueueDepths(
        outbox={lane: (rows, due_ms) for lane, rows, due_ms in (yield from ask(sql.OUTBOX_DEPTHS))},
        callbacks={id_: (rows, due_ms) for id_, rows, due_ms in (yield from ask(sql.CALLBACK_DEPTHS))},
    )


def queued() -> Steps[int]:
    rows: int = yield from value(sql.QUEUED)
    return rows


def pacing() -> Steps[dict[tuple[str, str], int]]:
    """Reads every waiting row if there is any rate limit, and nothing if there is none."""
    if not (yield from value(sql.ANY_RATE_LIMIT)):
        return {}
    return {(account_id, sender): due_ms for account_id, sender, due_ms in (yield from ask(sql.PACING))}


def unmatched_receipts(limit: int, carrier_id: str | None) -> Steps[list[Receipt]]:
    """The newest first, of one carrier or of all."""
    rows = yield from ask(sql.UNMATCHED_RECEIPTS, carrier_id or "", limit)
    return [receipt_from_row(row) for row in rows]


def handset_tail(since_ms: int, limit: int) -> Steps[list[HandsetMessage]]:
    """Since when is told by the network ids, which sort by time as ours do."""
    rows = yield from ask(sql.HANDSET_TAIL, _id_bound(since_ms), limit)
    return [_handset_message(row) for row in reversed(rows)]


def audit(limit: int, before_id: str) -> Steps[list[AuditEntry]]:
    return [AuditEntry(*row) for row in (yield from ask(sql.AUDIT, before_id, limit))]


def _id_bound(moment_ms: int) -> str:
    """No id of an earlier moment is as great; no id of this moment is less."""
    return f"{max(moment_ms, 0):013d}"
