"""Every setting: its name, type, bounds, default and one sentence. To add one, add a field here.

What the bounds do not say is in `Meta.extra`: `flag`, where a setting has a command-line flag of its own, and
`rule`, a function of the value that yields what is wrong with it. Only `load` checks values; a section
that is constructed directly takes any.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
MONTH_S: Final = 30 * DAY_S


class Secret:
    """A text that does not print itself. False when empty. Compares in variable time: not for credentials."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the one place that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({self})"

    def __str__(self) -> str:
        return "set" if self._text else "not set"


# The rules. Each yields (what is wrong, what would be right). The rule of a secret never repeats its value.

Finding = tuple[str, str]


def _full_path(value: str) -> Iterator[Finding]:
    if value.startswith("~"):
        yield "'~' is not replaced by a home folder", "Write the whole path."


def _base_url(value: str) -> Iterator[Finding]:
    hint = "Give scheme, host and an optional port and path, like https://sms.example.com (no final slash)."
    if not value:
        return
    try:
        url = urlsplit(value)
        complete = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port out of range, or a bad IPv6 address
        complete = False
    if not complete or " " in value:
        yield "is not an http or https URL", hint
    elif set(value) & set("?#@") or value.endswith("/"):
        yield "has a part that cannot be a prefix of other URLs", hint


def _collector_url(value: str) -> Iterator[Finding]:
    if not value:
        return
    try:
        url = urlsplit(value)
        complete = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and bool(url.path)
    except ValueError:
        complete = False
    if not complete or " " in value:
        yield (
            "is not an http or https URL with a path",
            "Give the whole URL, like http://127.0.0.1:4318/v1/traces.",
        )
    elif "@" in value:
        yield "holds credentials, and it is printed", "Give them in the variable OTEL_EXPORTER_OTLP_HEADERS."


def _bearer_token(value: str) -> Iterator[Finding]:
    """RFC 6750 section 2.1: what an Authorization header can carry."""
    if value and not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", value):
        yield "has a character that a bearer token cannot have", "Use letters, digits and - . _ ~ + / only."


def _database_url(value: str) -> Iterator[Finding]:
    if value and not re.match(r"[a-z][a-z0-9+]*://", value):
        yield (
            "is not a database URL",
            "Give postgresql://USER@HOST/NAME or sqlite:///path, or leave it empty.",
        )


def _header_text(value: str) -> Iterator[Finding]:
    if not value.isascii() or value != value.strip():
        yield "cannot stand in an HTTP header", "Use ASCII characters, without a blank at either end."


def _networks(value: tuple[str, ...]) -> Iterator[Finding]:
    for item in value:
        try:
            ipaddress.ip_network(item)
        except ValueError:
            try:
                hint = f"Did you mean {ipaddress.ip_network(item, strict=False)}?"
            except ValueError:
                hint = "Give an address and a prefix length, like 10.0.0.0/8 or fd00::/8."
            yield f"{item[:60]!r} is not a network", hint


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens, and where it keeps what it knows."""

    data_dir: Annotated[
        str,
        Meta(
            description="Folder of everything that is kept; empty means the user's data directory.",
            extra={"flag": "--data", "rule": _full_path},
        ),
    ] = ""
    host: Annotated[
        str,
        # An empty host would listen on every interface: too much to happen by a missing value.
        Meta(
            description="Address that the HTTP server listens on.",
            min_length=1,
            max_length=253,
            extra={"flag": "--host"},
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(
            description="Port of the HTTP server; 0 takes any free one.",
            ge=0,
            le=65_535,
            extra={"flag": "--port"},
        ),
    ] = 8080
    public_base_url: Annotated[
        str,
        Meta(
            description="URL under which clients reach the gateway, used in Location and media URLs; "
            "empty means that it is made of host and port.",
            extra={"rule": _base_url},
        ),
    ] = ""
    admin_token: Annotated[
        Secret,
        Meta(
            description="Bearer token of the provisioning API; empty means that one is made at the first "
            "start and kept in the data folder.",
            extra={"rule": _bearer_token},
        ),
    ] = Secret("")
    head_timeout_s: Annotated[
        float,
        Meta(
            description="Seconds in which the head of a request must arrive, and each further 64 KiB of its body.",
            ge=0.1,
            le=HOUR_S,
        ),
    ] = 10.0
    shutdown_grace_s: Annotated[
        int,
        Meta(description="Seconds that a stop waits for work under way to end.", ge=0, le=HOUR_S),
    ] = 10


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The database."""

    database: Annotated[
        Secret,  # the URL of a database server holds a password
        Meta(
            description="URL of the database, sqlite:///path or postgresql://user:password@host/name; empty means an "
            "SQLite file in the data folder.",
            extra={"rule": _database_url},
        ),
    ] = Secret("")
    commit_max: Annotated[
        int,
        # More gains nothing: the cost of a sync is spread thin long before, and the batch waits in memory.
        Meta(description="Most changes written in one transaction.", ge=1, le=100_000),
    ] = 1000


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the messaging API takes from its clients."""

    max_body_bytes: Annotated[
        int,
        # Below: a text of 2048 characters, each escaped, with ten media URLs of 4096 must fit.
        # Above: each body is held in memory whole.
        Meta(description="Largest request body that is read, in octets.", ge=65_536, le=67_108_864),
    ] = 1_048_576
    strict_numbers: Annotated[
        bool,
        Meta(
            description="Whether a foreign applicationId or from number is refused at once with 400 or 403, "
            "and not later by a callback with 4452 or 4403."
        ),
    ] = False
    idempotency_keep_s: Annotated[
        int,
        Meta(description="Seconds that the first answer to an Idempotency-Key is kept.", ge=60, le=MONTH_S),
    ] = DAY_S
    max_recipients: Annotated[
        int,
        Meta(description="Most recipients of one message.", ge=1, le=100),
    ] = 10


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that wait for a carrier."""

    queue_max: Annotated[
        int,
        # A queued delivery costs about 1 kB of disk.
        Meta(
            description="Most deliveries that wait, before a request is answered 429.", ge=1, le=1_000_000_000
        ),
    ] = 5_000_000
    default_validity_s: Annotated[
        int,
        Meta(
            description="Seconds that a message without expiration may wait for its carrier.",
            ge=1,
            le=MONTH_S,
        ),
    ] = DAY_S
    receipt_timeout_s: Annotated[
        int,
        Meta(
            description="Seconds after which a submitted message without a receipt fails with 9902.",
            ge=1,
            le=MONTH_S,
        ),
    ] = 2 * HOUR_S
    lane_memory: Annotated[
        int,
        Meta(
            description="Most rows of one lane held in memory; the others wait on disk.", ge=1, le=1_000_000
        ),
    ] = 2000


class CallbackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that tell an application what became of its messages."""

    timeout_s: Annotated[
        float,
        Meta(
            description="Seconds that one callback may take, from name look-up to answer.", ge=0.1, le=300.0
        ),
    ] = 10.0
    retry_for_s: Annotated[
        int,
        Meta(
            description="Seconds after the event until a callback is given up; 0 means one attempt.",
            ge=0,
            le=MONTH_S,
        ),
    ] = DAY_S
    retry_first_s: Annotated[
        int,
        Meta(description="Seconds before the second attempt; later waits grow from it.", ge=1, le=DAY_S),
    ] = 5
    retry_max_s: Annotated[
        int,
        Meta(description="Longest wait between two attempts, in seconds.", ge=1, le=DAY_S),
    ] = HOUR_S
    concurrency: Annotated[
        int,
        Meta(description="Most callbacks under way for one application.", ge=1, le=1000),
    ] = 16
    connections_max: Annotated[
        int,
        # Each is an open file; common limits of a process are 1,024 and 65,536.
        Meta(description="Most connections open for callbacks of all applications.", ge=1, le=50_000),
    ] = 512
    user_agent: Annotated[
        str,
        Meta(
            description="User-Agent header of every callback.",
            min_length=1,
            max_length=256,
            extra={"rule": _header_text},
        ),
    ] = "BandwidthAPI/v2"
    allow_networks: Annotated[
        tuple[str, ...],
        # Each address that is dialled is held against each network.
        Meta(
            description="Networks (CIDR) that callbacks may reach although their addresses are not public.",
            max_length=256,
            extra={"rule": _networks},
        ),
    ] = ()
    allow_loopback: Annotated[
        bool,
        Meta(description="Whether callbacks may reach this machine itself."),
    ] = False
    answer_keep_bytes: Annotated[
        int,
        Meta(
            description="Octets of an answer that are kept with the record of its attempt.",
            ge=0,
            le=65_536,
        ),
    ] = 512


class InboundSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that handsets send."""

    reassembly_timeout_s: Annotated[
        int,
        Meta(
            description="Longest wait for missing parts of a long message, in seconds; then what is there is taken.",
            ge=1,
            le=DAY_S,
        ),
    ] = 600


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The simulated carrier and its handsets."""

    enabled: Annotated[
        bool,
        Meta(description="Whether the simulated carrier and its API exist."),
    ] = True
    over_smpp: Annotated[
        bool,
        Meta(description="Whether texts go to the simulated carrier over a real SMPP socket of loopback."),
    ] = False
    seed: Annotated[
        int,
        Meta(
            description="Start value of the simulator's random choices; 0 takes another one at each start.",
            ge=0,
            le=2**63 - 1,
        ),
    ] = 0
    delay_min_ms: Annotated[
        int,
        Meta(description="Shortest time to a simulated delivery, in milliseconds.", ge=0, le=DAY_S * 1000),
    ] = 50
    delay_max_ms: Annotated[
        int,
        Meta(description="Longest time to a simulated delivery, in milliseconds.", ge=0, le=DAY_S * 1000),
    ] = 400
    segments_per_s: Annotated[
        int,
        Meta(
            description="Segments that the simulated carrier takes in a second; 0 means no limit.",
            ge=0,
            le=1_000_000,
        ),
    ] = 0


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures and other files: where they are kept, and how large they may be."""

    store: Annotated[
        str,
        Meta(
            description="Bucket that media are kept in, as s3://, gs:// or az:// URL; empty means the folder `media` "
            "of the data folder; credentials come from the environment, as the cloud's own tools take them."
        ),
    ] = ""
    max_bytes: Annotated[
        int,
        Meta(description="Largest object that can be uploaded, in octets.", ge=65_536, le=1_073_741_824),
    ] = 10_485_760
    message_max_bytes: Annotated[
        int,
        Meta(
            description="Most octets of all files of one message; above, it fails with 4411.",
            ge=65_536,
            le=104_857_600,
        ),
    ] = 5_242_880
    keep_h: Annotated[
        int,
        Meta(description="Hours that a media object is kept; 0 means for ever.", ge=0, le=876_000),
    ] = 48
    fetch_timeout_s: Annotated[
        int,
        Meta(description="Seconds that fetching one media URL of a message may take.", ge=1, le=600),
    ] = 30


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long finished things are kept."""

    messages_d: Annotated[
        int,
        Meta(description="Days that a finished message is kept; 0 means for ever.", ge=0, le=36_500),
    ] = 14
    attempts_d: Annotated[
        int,
        Meta(
            description="Days that records of callback attempts and the PDUs of messages are kept; 0 means for ever.",
            ge=0,
            le=36_500,
        ),
    ] = 7
    audit_d: Annotated[
        int,
        Meta(description="Days that the log of who changed what is kept; 0 means for ever.", ge=0, le=36_500),
    ] = 365
    batch: Annotated[
        int,
        # Traffic waits while a batch is deleted.
        Meta(description="Most rows deleted in one transaction.", ge=1, le=10_000),
    ] = 500


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The pages at `/`, and who may see them."""

    enabled: Annotated[bool, Meta(description="Whether the console is served.")] = True
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names that the console answers to, beside those of loopback where it listens there "
            "alone; elsewhere empty means any.",
            max_length=64,
        ),
    ] = ()
    session_h: Annotated[
        int,
        Meta(description="Hours after which a person must log in again.", ge=1, le=8_760),
    ] = 12
    viewers_see_text: Annotated[
        bool,
        Meta(description="Whether people with the role viewer see what messages say."),
    ] = False


class NodesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """This process among others on the same PostgreSQL database."""

    name: Annotated[
        str, Meta(description="How this node is called in lists; empty means the host's name.", max_length=64)
    ] = ""
    roles: Annotated[
        tuple[Literal["api", "carriers", "callbacks", "console"], ...],
        Meta(
            description="What this node does: take requests, submit to carriers, call back, show the console.",
            min_length=1,
            max_length=4,
        ),
    ] = ("api", "carriers", "callbacks", "console")
    workers: Annotated[
        int,
        Meta(
            description="Processes that share the port, each a node with a port of its own after it; more than "
            "one needs PostgreSQL.",
            ge=1,
            le=64,
        ),
    ] = 1
    lease_s: Annotated[
        float,
        Meta(
            description="Seconds after which the lanes of a node that does not answer are taken over.",
            ge=1,
            le=600,
        ),
    ] = 10


class LoggingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway says of itself."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least important kind of log line that is written."),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="Form of a log line; auto means console on a terminal and JSON elsewhere."),
    ] = "auto"


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The way of each message as spans for an OpenTelemetry collector."""

    endpoint: Annotated[
        str,
        Meta(
            description="URL that spans are posted to by OTLP over HTTP, with its path, such as "
            "`http://127.0.0.1:4318/v1/traces`; empty means that there are none; needs the packages "
            "of `trebuchet[tracing]`.",
            extra={"rule": _collector_url},
        ),
    ] = ""
    sample_ratio: Annotated[
        float,
        # Chosen by the id of the message, so that processes that share a database choose the same.
        Meta(description="Part of the messages that have spans.", ge=0, le=1),
    ] = 1.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, one part for each section of the file."""

    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    api: ApiSettings = ApiSettings()
    outbox: OutboxSettings = OutboxSettings()
    callbacks: CallbackSettings = CallbackSettings()
    inbound: InboundSettings = InboundSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    media: MediaSettings = MediaSettings()
    retention: RetentionSettings = RetentionSettings()
    console: ConsoleSettings = ConsoleSettings()
    nodes: NodesSettings = NodesSettings()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()
