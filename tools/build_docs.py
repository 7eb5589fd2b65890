#!/usr/bin/env python
"""Writes the generated pages of docs/reference anew: `make docs`. With --check it writes nothing and exits 1 if
a page is stale.

A page is generated where a table in the code says everything. What the tables leave out (in which case the
gateway itself gives an error code, what a state means to a reader) stands here, and a missing entry is an error.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.carrier_settings import carriers_page

from trebuchet.cli.reference import reference_markdown as command_line_page
from trebuchet.model import errorcodes
from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.model.status import FINAL, TRANSITIONS, Happening, State
from trebuchet.settings import reference_markdown as settings_page
from trebuchet.telemetry import METRICS

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"

# When the gateway gives a code of its own accord. Every other code is the carrier's.
GIVEN_WHEN = {
    errorcodes.MALFORMED_TO: "`to` is a row of digits that is no telephone number",
    errorcodes.EXPIRED: "`expiration`, or the setting `outbox.default_validity_s`, ended before a carrier took it",
    errorcodes.SAME_NUMBER: "`to` is `from`",
    errorcodes.FOREIGN_FROM: "`from` is not a number of the account and the application",
    errorcodes.FORBIDDEN_TO: "`to` is a premium-rate number",
    errorcodes.NO_CARRIER: "no route leads to a carrier",
    errorcodes.FORBIDDEN_COUNTRY: "an alphanumeric sender wrote to a number of the North American plan",
    errorcodes.TOO_MANY_RECIPIENTS: "more recipients than `api.max_recipients`, in profile `catapult`",
    errorcodes.WRONG_APPLICATION: "`applicationId` is not an application of the account",
    errorcodes.EMERGENCY: "`to` is an emergency or N11 number",
    errorcodes.OPTED_OUT: "the handset answered STOP to this sender, and the application has opt-out handled",
    errorcodes.NOT_ACKNOWLEDGED: "a submit was never answered, the carrier's `in_doubt` is `fail`, and no receipt came",
    errorcodes.RECEIPT_EXPIRED: "a carrier took it and sent no final receipt within `outbox.receipt_timeout_s`",
    errorcodes.UNKNOWN: "a negative receipt came without a code that the gateway knows",
}

STATE_MEANINGS = {
    State.QUEUED: "Stored, and waiting in its lane. While it is with a carrier and not yet answered, shown as SENDING.",
    State.SENT: "The carrier took every segment; a receipt is awaited.",
    State.IN_DOUBT: "Submitted and never answered: the carrier may have it or not. Shown as SENDING by the HTTP API.",
    State.DELIVERED: "Every segment has a positive receipt.",
    State.FAILED: "No carrier took it.",
    State.UNDELIVERED: "A carrier took it; then came a negative receipt, or none in time.",
    State.RECEIVED: "Inbound: stored; its callback is not answered yet.",
    State.ACCEPTED: "Inbound: the application answered the callback with 2xx.",
}

HAPPENINGS = {
    Happening.TAKEN: "the carrier answered: accepted",
    Happening.REFUSED: "the carrier, or the gateway, refused it for good",
    Happening.EXPIRED: "its validity ended before a carrier took it",
    Happening.LOST: "no answer, and the carrier's `in_doubt` is `fail`",
    Happening.RESUBMIT: "no answer, and the carrier's `in_doubt` is `resend`",
    Happening.RECEIPT_DELIVERED: "every segment has a positive receipt",
    Happening.RECEIPT_FAILED: "one segment has a final negative receipt",
    Happening.RECEIPT_TIMEOUT: "no final receipt in time",
    Happening.CALLED_BACK: "the application answered the callback with 2xx",
}

_METRICS_HEAD = """\
# Metrics

`GET /metrics` answers in the Prometheus text format, without credentials. Counters begin at zero at each start.
The gauges of queues are read from the database when the page is asked for.

Labels are bounded by what is provisioned (carriers, lanes, applications) or by the code. No metric has a
telephone number, an account or a text in it. What to watch is in [Operate](../howto/operate.md); `deploy/` has a
dashboard that shows all of them and alert rules.
"""

_ERRORS_HEAD = """\
# Error codes

The number in `errorCode` of a `message-failed` callback. Programs must look at the number only: the names are
those on the wire, misspelt ones included. The first digit is 4 for the request, 5 for a server, 9 for
ambiguous; a second digit of 6 or 7 means the carrier's side.

`description` of the callback is the name. What the carrier itself said is kept, and `trebuchet show ID`
prints it. Billable says what Bandwidth's tables say; Trebuchet bills nothing.

## Given by the gateway

These come from the gateway itself. A carrier may give the same numbers.
"""

_ERRORS_ALL = """\

## All codes

Each of them can be provoked with the simulated carrier: see [Simulator](simulator.md).
"""

_STATES_HEAD = """\
# States

One recipient of one message is a *delivery*, and has one of these states. A message to several recipients has
several deliveries. Every legal change is a row of one table, `src/trebuchet/model/status.py`; whatever is not in
it is an error.

| state | meaning | final |
|---|---|---|
"""

_STATES_AFTER = """\

`messageStatus` in answers of the HTTP API knows no IN_DOUBT and has SENDING instead; see
[HTTP API](http-api.md#search).

## Changes
"""

_STATES_TABLE = """\

| from | what happened | to | event |
|---|---|---|---|
"""

_STATES_END = """\

The first final state wins. Whatever a carrier says afterwards is kept in the record of the segment, changes no
state and announces nothing. The event `message-sending` of picture and group messages does not stand in the
table: it is announced with the change to SENT, if that was the first change.

## What can happen
"""


def pages() -> dict[Path, str]:
    """Every generated page and what it should hold."""
    return {
        REFERENCE / "cli.md": command_line_page(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "carriers.md": carriers_page(),
        REFERENCE / "metrics.md": metrics_page(),
        REFERENCE / "error-codes.md": error_codes_page(),
        REFERENCE / "states.md": states_page(),
    }


def stale() -> list[Path]:
    """Pages that are missing or differ from what they should hold. Blocks."""
    return [path for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]


def metrics_page() -> str:
    rows = ((f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help) for m in METRICS)
    return _METRICS_HEAD + "\n" + "".join(_table(("metric", "kind", "labels", "what it counts"), rows))


def error_codes_page() -> str:
    own = ((str(code), when) for code, when in sorted(GIVEN_WHEN.items()))
    every = (
        (str(e.code), f"`{e.name}`", e.meaning, "yes" if e.billable else "no") for e in ERROR_CODES.values()
    )
    return "".join(
        (
            _ERRORS_HEAD,
            "\n",
            *_table(("code", "when"), own),
            _ERRORS_ALL,
            "\n",
            *_table(("code", "name", "meaning", "billable"), every),
        )
    )


def states_page() -> str:
    states = "".join(
        _row((state, STATE_MEANINGS[state], "yes" if state in FINAL else "no")) for state in State
    )
    changes = "".join(
        _row((before, happening, after, f"`{event}`" if event else ""))
        for (before, happening), (after, event) in TRANSITIONS.items()
        if before not in FINAL
    )
    happenings = "".join(_table(("word", "meaning"), ((h, HAPPENINGS[h]) for h in Happening)))
    diagram = "\n".join(("", "```mermaid", *_diagram(), "```", ""))
    return "".join(
        (_STATES_HEAD, states, _STATES_AFTER, diagram, _STATES_TABLE, changes, _STATES_END, "\n", happenings)
    )


def _diagram() -> Iterator[str]:
    """The table as a Mermaid state diagram, without what changes nothing."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.QUEUED} : accepted from an application"
    yield f"    [*] --> {State.RECEIVED} : received from a handset"
    for (before, happening), (after, event) in TRANSITIONS.items():
        if before is not after:
            yield f"    {before} --> {after} : {happening}" + (f" / {event}" if event else "")
    for state in State:
        if state in FINAL or state is State.ACCEPTED:
            yield f"    {state} --> [*]"


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield f"|{'---|' * len(head)}\n"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def main(arguments: Sequence[str]) -> int:
    """Write the stale pages, or with --check only name them. Returns the exit status."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: build_docs.py [--check]\n")
        return 2
    todo = stale()
    for path in todo:
        sys.stdout.write(f"{'stale' if arguments else 'written'}: {path.name}\n")
        if not arguments:
            path.write_text(pages()[path], "utf-8")
    return 1 if todo and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
