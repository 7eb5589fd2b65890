"""The provisioned records as rows: each kind of record, each of its fields, and how options become them."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from trebuchet.cli.outcome import Code, CommandError

SECRET_MAX = 4096


class Field(NamedTuple):
    """One field of a record, as an option. `name` is its name in JSON."""

    name: str
    help: str
    option: str = ""  # the name with dashes, if empty
    kind: Any = str
    required: bool = False
    fixed: bool = False  # can be given at creation only
    secret: bool = False  # `-` reads it from standard input


class Resource(NamedTuple):
    """One kind of record. `key` names the field that is its id, `made` says that the gateway can choose one."""

    name: str
    one: str
    help: str
    key: str
    made: bool
    columns: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def path(self) -> str:
        return f"/admin/v1/{self.name}"


RATE = Field("segments_per_s", "Segments per second; no limit if left out.", kind=float)

RESOURCES = (
    Resource(
        "accounts",
        "account",
        "Accounts: who may use the messaging API.",
        key="id",
        made=True,
        columns=("id", "name", "profile", "segments_per_s"),
        fields=(
            Field("name", "For people."),
            Field("profile", "catapult or current; by the path of each request if left out."),
            RATE,
        ),
    ),
    Resource(
        "applications",
        "application",
        "Applications: where events are called back.",
        key="id",
        made=True,
        columns=("id", "account_id", "name", "callback_url", "opt_out"),
        fields=(
            Field("account_id", "The account it belongs to.", "--account", required=True, fixed=True),
            Field("name", "For people."),
            Field("callback_url", "Where its events are POSTed."),
            Field("callback_username", "User name for the callback URL."),
            Field("callback_password", "Password for it; `-` reads it from standard input.", secret=True),
            Field("callback_auth", "preemptive or challenge: with every POST, or after a 401 only."),
            Field(
                "events", "An event that is called back, repeatable; all if left out.", "--event", list[str]
            ),
            Field(
                "rotate_signing_secret",
                "Make a new secret that signs callbacks; it is shown once.",
                kind=bool,
            ),
            Field("opt_out", "Handle STOP, START and HELP.", kind=bool),
            Field("help_text", "The answer to HELP."),
            Field(
                "smart_encoding",
                "Write typographic characters as GSM ones where that saves UCS-2.",
                kind=bool,
            ),
        ),
    ),
    Resource(
        "numbers",
        "number",
        "Numbers: the senders of an application.",
        key="number",
        made=False,
        columns=("number", "kind", "account_id", "application_id", "segments_per_s"),
        fields=(
            Field("account_id", "The account it belongs to.", "--account"),
            Field("application_id", "The application it belongs to.", "--application", required=True),
            RATE,
        ),
    ),
    Resource(
        "carriers",
        "carrier",
        "Carriers: the configured links.",
        key="id",
        made=False,
        columns=("id", "kind", "in_doubt", "receipt_timeout_s", "paused"),
        fields=(
            Field("kind", "Kind of link, such as simulator.", required=True, fixed=True),
            Field("in_doubt", "resend or fail: what becomes of a submit that was never answered."),
            Field("receipt_timeout_s", "Seconds without a receipt until 9902.", kind=int),
            Field("settings", "Settings of its kind, as a JSON object.", kind=dict),
        ),
    ),
    Resource(
        "routes",
        "route",
        "Routes: which recipients go to which carrier.",
        key="id",
        made=True,
        columns=("id", "prefix", "kind", "priority", "carrier_id"),
        fields=(
            Field("carrier_id", "Where the messages go.", "--carrier", required=True),
            Field("prefix", "How the recipients begin; every recipient if left out."),
            Field("kind", "sms, mms or any."),
            Field("priority", "Among routes of one prefix, the lowest wins.", kind=int),
        ),
    ),
)


def given(resource: Resource, values: dict[str, Any]) -> dict[str, Any]:
    """The fields that options gave a value, as JSON. Blocks if a secret is to be read. Raises CommandError."""
    record = {name: value for name, value in values.items() if value is not None}
    for field in resource.fields:
        if field.name not in record:
            continue
        if field.kind is dict:
            record[field.name] = json_object(field.name, record[field.name])
        elif field.secret and record[field.name] == "-":
            record[field.name] = sys.stdin.readline(SECRET_MAX).rstrip("\r\n")
    return record


def json_object(name: str, written: str) -> dict[str, Any]:
    """A JSON object. Raises CommandError."""
    try:
        value = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise CommandError(Code.REFUSED, f"--{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CommandError(Code.REFUSED, f'--{name} is not a JSON object like {{"window": 10}}')
    return value


def clearable(fields: Sequence[Field], written: str) -> str:
    """The JSON name of a field written like its option or like its name. Raises CommandError."""
    wanted = written.removeprefix("--").replace("-", "_")
    for field in fields:
        if wanted in (field.name, field.option.removeprefix("--").replace("-", "_")):
            return field.name
    names = ", ".join(field.name for field in fields)
    raise CommandError(Code.REFUSED, f"--clear {written}: there is no such field; there are {names}")


def number_records(
    lines: Iterator[str], account: str | None, application: str | None
) -> Iterator[dict[str, Any]]:
    """The numbers of a file: CSV with a header that has `number`, or one number a line.

    Blank lines and those that begin with `#` are skipped. Raises CommandError for a row with too many cells.
    """
    defaults = {"account_id": account, "application_id": application}
    header: list[str] | None = None
    rows = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    for row in rows:
        cells = [cell.strip() for cell in row]
        if header is None:
            header = cells if "number" in cells else ["number"]
            if header == cells:
                continue
        if len(cells) > len(header):
            raise CommandError(
                Code.REFUSED,
                f"line {rows.line_num}: more cells than the header names; begin the file with a line like "
                "number,application_id",
            )
        record: dict[str, Any] = {k: v for k, v in defaults.items() if v is not None}
        record |= {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        if "segments_per_s" in record:
            record["segments_per_s"] = _rate(record["segments_per_s"], rows.line_num)
        yield record


def _rate(written: str, line: int) -> float:
    try:
        return float(written)
    except ValueError:
        raise CommandError(Code.REFUSED, f"line {line}: {written!r} is not a number of segments") from None
