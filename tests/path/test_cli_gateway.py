"""The commands as people type them: processes of their own that talk to a gateway process."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, ADMIN_TOKEN, APPLICATION, HANDSET, NUMBER, TOKEN, Gateway, running
from support.http import Catcher, catching
from trebuchet import __version__

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
COMMAND_S = 60
AT_ONCE = 3


@dataclass
class Done:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """What `--json` wrote."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        [value] = self.lines
        return value


@dataclass
class Desk:
    """A shell beside a gateway, whose folder it may read, and the endpoint of its first application."""

    gateway: Gateway
    catcher: Catcher

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TREBUCHET_")}
        ours = {"TREBUCHET_URL": self.gateway.url, "TREBUCHET_SERVER_DATA_DIR": str(self.gateway.data)}
        return kept | ours | more

    async def start(self, *words: str, **variables: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trebuchet", *words,
            stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self.environment(**variables),
        )  # fmt: skip

    async def run(self, *words: str, typed: str = "", **variables: str) -> Done:
        """A command that ends by itself. No command shows a stack trace, whatever becomes of it."""
        process = await self.start(*words, **variables)
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate(typed.encode())
        assert b"Traceback" not in out + err
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def good(self, *words: str, typed: str = "", **variables: str) -> Done:
        """A command that ends with 0."""
        done = await self.run(*words, typed=typed, **variables)
        assert (done.code, words) == (0, words), done
        return done

    async def both(self, *commands: tuple[str, ...]) -> list[Done]:
        """Commands that do not depend on each other and end with 0, at the same time."""
        return await asyncio.gather(*(self.good(*words) for words in commands))

    async def each(self, commands: Iterable[tuple[Sequence[str], Mapping[str, str]]]) -> list[Done]:
        """Commands with their variables, a few at the same time."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(words: Sequence[str], variables: Mapping[str, str]) -> Done:
            async with room:
                return await self.run(*words, **variables)

        return await asyncio.gather(*(one(words, variables) for words, variables in commands))


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One gateway for all stories."""
    folder = tmp_path_factory.mktemp("gateway")
    async with catching() as catcher, running(folder, QUICK, catcher.url) as gateway:
        yield Desk(gateway, catcher)


async def accepted(desk: Desk, text: str = "hello", to: str = HANDSET, **fields: Any) -> str:
    """The id of a message that was sent without the command line and called back."""
    answer = await desk.gateway.send(text, to, **fields)
    assert answer.status == 202
    message_id = str(answer.json["id"])
    await desk.catcher.wait_for_event(message_id)
    async with asyncio.timeout(20):
        while not (await desk.gateway.life(message_id))["attempts"]:
            await asyncio.sleep(0.01)
    return message_id


# ---- send ----


async def test_send_follows_a_message_until_it_is_delivered(desk: Desk) -> None:
    """A line for each thing that happens, exit code 0, and the text is on the handset."""
    done = await desk.good("send", "+12025550130", "Hello", "from", "the", "shell", "--tag", "t")
    assert done.err == ""
    head, *life = [line.split() for line in done.out.splitlines()]
    assert (head[0], head[2:]) == ("accepted", ["1", "segment(s)"])
    assert [line[1] for line in life] == ["accepted", "submitted", "event"]
    assert {line[2] for line in life} == {head[1]}
    assert life[-1][3:] == ["+12025550130", "message-delivered"]
    assert (await desk.catcher.wait_for_event(head[1]))["message"]["tag"] == "t"
    shown = (await desk.gateway.sim("GET", "/handsets/%2B12025550130/messages")).json
    assert [message["text"] for message in shown] == ["Hello from the shell"]


async def test_send_in_json_prints_the_answer_then_each_entry(desk: Desk) -> None:
    """One object a line; the same for several recipients, who have an end each."""
    done = await desk.good(
        "send", "--json", "+12025550131, +12025550132", "two", "--media", "https://example.com/a.png"
    )
    message, *entries = done.lines
    assert message["to"] == ["+12025550131", "+12025550132"]
    assert {entry["message_id"] for entry in entries} == {message["id"]}
    ends = [entry["to"] for entry in entries if entry.get("detail") == "message-delivered"]
    assert sorted(ends) == message["to"]


SENDS: list[tuple[list[str], dict[str, str], int, str]] = [
    (["+19995554720", "x"], {}, 1, "message-failed  4720 invalid-destination-address: "),
    ([HANDSET, "x", "--from", "+12025559999"], {}, 1, "4403 rejected-forbidden-from-number"),
    ([HANDSET, "#noreceipt", "--timeout", "500ms"], {}, 1, "no end yet; see `trebuchet show "),
    ([HANDSET, "#refuse:4720", "--no-follow"], {}, 0, "accepted "),
    (["12", "x"], {}, 2, "error: to: "),
    ([HANDSET], {}, 2, "error: text: "),
    (
        [
            HANDSET,
            "x",
            "--account",
            ACCOUNT,
            "--token",
            TOKEN,
            "--from",
            NUMBER,
            "--application",
            APPLICATION,
        ],
        {"TREBUCHET_SECRET": "wrong"},
        2,
        "TREBUCHET_TOKEN",
    ),
    ([HANDSET, "x"], {"TREBUCHET_ADMIN_TOKEN": "wrong"}, 2, "TREBUCHET_ADMIN_TOKEN"),
]


async def test_send_ends_with_what_became_of_it(desk: Desk) -> None:
    """1 if it failed, with the meaning of its code; 2 if it was not accepted, with what would be right."""
    ended = await desk.each((["send", *words], variables) for words, variables, _, _ in SENDS)
    for (words, _, code, said), done in zip(SENDS, ended, strict=True):
        assert (words, done.code) == (words, code), done
        assert said in done.out + done.err, words


# ---- tail and wait ----


async def test_tail_shows_everything_until_it_is_interrupted(desk: Desk) -> None:
    """Ctrl-C ends it with 130 and without a word."""
    process = await desk.start("tail")
    assert process.stdout is not None
    async with asyncio.timeout(COMMAND_S):
        first = asyncio.ensure_future(process.stdout.readline())
        while not first.done():  # until it watches, what happens is not for it
            message_id = await accepted(desk)
            await asyncio.wait({first}, timeout=0.1)
        message_id = await accepted(desk)
        seen = ""
        while message_id not in seen or "message-delivered" not in seen:
            seen = (await process.stdout.readline()).decode()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")


async def test_tail_of_one_application_shows_no_other(desk: Desk) -> None:
    """Both send all the while; what is shown is of the one that was asked for."""
    other = "tail-app"
    await desk.gateway.admin("POST", "/applications", {"id": other, "account_id": ACCOUNT})
    await desk.gateway.admin("POST", "/numbers", {"number": "+12025550140", "application_id": other})
    process = await desk.start("tail", "--json", "--application", other)
    assert process.stdout is not None
    async with asyncio.timeout(COMMAND_S):
        first = asyncio.ensure_future(process.stdout.readline())
        while not first.done():
            await accepted(desk)
            await desk.gateway.send(applicationId=other, **{"from": "+12025550140"})
            await asyncio.wait({first}, timeout=0.1)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    entries = [json.loads(line) for line in (first.result() + out).splitlines()]
    assert {entry["application_id"] for entry in entries} == {other}


async def test_wait_ends_with_what_it_waited_for(desk: Desk) -> None:
    """By message, by number and text looking back, and by event: 0 when it came, 1 when time is up."""
    message_id = await accepted(desk, "code 4711", "+12025550133")
    await desk.gateway.sim("POST", "/handsets/%2B12025550134/messages", {"to": NUMBER, "text": "yes please"})
    delivered = ["wait", "--json", "--message", message_id, "--event", "message-delivered"]
    found = ["wait", "--json", "--to", "+12025550133", "--contains", "4711", "--since", "1m"]
    received = ["wait", "--json", "--to", NUMBER, "--event", "message-received", "--since", "1m"]
    vain = [
        "wait",
        "--json",
        "--to",
        "+12025550133",
        "--contains",
        "4712",
        "--since",
        "1m",
        "--timeout",
        "500ms",
    ]
    by_id, by_text, inbound, none = await asyncio.gather(
        *(desk.run(*words) for words in (delivered, found, received, vain))
    )
    for done in (by_id, by_text):
        assert (done.code, done.json["message_id"], done.json["detail"]) == (
            0,
            message_id,
            "message-delivered",
        )
    assert (inbound.code, inbound.json["detail"]) == (0, "message-received")
    assert (none.code, none.out, none.err) == (1, "", "nothing matched in time\n")


async def test_wait_sees_what_comes_later(desk: Desk) -> None:
    """It was there before the message."""
    waiting = asyncio.ensure_future(desk.run("wait", "--json", "--to", "+12025550135"))
    async with asyncio.timeout(COMMAND_S):
        while not waiting.done():
            await accepted(desk, to="+12025550135")
            await asyncio.wait({waiting}, timeout=0.1)
    done = await waiting
    assert (done.code, done.json["to"]) == (0, "+12025550135")


# ---- messages, show, replay ----


async def test_messages_are_listed_by_what_is_asked_for(desk: Desk) -> None:
    """Newest first, as a table or as JSON lines; never a text; with a note if there are more."""
    first = await accepted(desk, "unspoken", tag="list", to="+12025550136")
    second = await accepted(desk, "#refuse:4720", tag="list", to="+12025550137")
    table, failed, some = await desk.both(
        ("messages", "--tag", "list"),
        ("messages", "--json", "--from", "1h", "--account", ACCOUNT, "--tag", "list", "--state", "failed"),
        ("messages", "--tag", "list", "--limit", "1"),
    )
    header, *rows = [line.split("\t") for line in table.out.splitlines()]
    assert header[:2] == ["received", "id"]
    assert [row[1] for row in rows] == [second, first]
    assert [(item["id"], item["to"], item["error_code"]) for item in failed.lines] == [
        (second, "+12025550137", 4720)
    ]
    assert (len(some.out.splitlines()), some.err) == (2, "1 of 2; more with --limit\n")
    assert "unspoken" not in table.out + failed.out


async def test_show_tells_the_whole_life(desk: Desk) -> None:
    """Request, route, encoding, the carrier's answer and receipt, each callback; the text only on request."""
    message_id = await accepted(desk, "smile ☺", tag="t-17")
    plain, with_text = await desk.both(("show", message_id), ("show", message_id, "--text", "--json"))
    for said in (
        f"Outbound sms {message_id}",
        f"account      {ACCOUNT}",
        f"application  {APPLICATION}",
        f"from         {NUMBER}",
        "tag          t-17",
        "route        simulator/0, by rule all-to-simulator",
        "encoding     UCS-2",
        f"{HANDSET}     DELIVERED  through simulator",
        "accepted with 202: 1 segment(s)",
        "taken by simulator as ",
        "receipt DELIVRD",
        "event message-delivered",
        "answered 200 in ",
    ):
        assert said in plain.out
    assert "☺" not in plain.out
    assert with_text.json["message"]["text"] == "smile ☺"
    assert "☺" in with_text.json["why"]["encoding"]


async def test_show_tells_what_went_wrong(desk: Desk) -> None:
    """The carrier's refusal with its meaning, the endpoint's answer, and when it is tried again."""
    desk.catcher.answer = lambda _: b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nnot today"
    try:
        message_id = await accepted(desk, "#refuse:4720")
    finally:
        desk.catcher.answer = lambda _: 200
    done = await desk.good("show", message_id)
    for said in (
        "FAILED",
        "4720 invalid-destination-address",
        "refused by simulator",
        "event message-failed",
        "answered 503 in ",
        "“not today”",
        "Waiting: callback ",
    ):
        assert said in done.out


async def test_replay_calls_back_once_more(desk: Desk) -> None:
    """By message, by event, and in a range; what is not there is said."""
    message_id = await accepted(desk)
    event_id = (await desk.gateway.life(message_id))["events"][0]["id"]

    def called(times: int, catcher: Catcher) -> bool:
        return len(catcher.events(message_id)) >= times

    ways = [("--message", message_id), (event_id,), ("--application", APPLICATION, "--from", "1h")]
    for times, words in enumerate(ways, start=2):
        done = await desk.good("replay", "--json", *words)
        assert done.json["queued"] >= 1
        await desk.catcher.wait_for(partial(called, times))
    done = await desk.good("replay", "--json", message_id)
    assert (done.json["queued"], "there is no such event" in done.err) == (0, True)


# ---- provisioning ----


async def test_a_shop_is_provisioned_used_and_taken_away(desk: Desk) -> None:
    """Account, credential, application, number, carrier and route: made, listed, changed, used, deleted."""
    made, _ = await desk.both(
        ("accounts", "create", "--name", "Shop", "--profile", "current", "--json"),
        ("carriers", "create", "far", "--kind", "simulator", "--in-doubt", "resend"),
    )
    account = made.json["id"]
    assert account.startswith("u-")
    application = await desk.good(
        "applications", "create", "--json", "--account", account, "--callback-url", desk.catcher.url,
        "--callback-username", "me", "--callback-password", "-", "--event", "message-delivered",
        "--rotate-signing-secret", typed="open sesame\n",
    )  # fmt: skip
    app = application.json
    assert (app["callback_password_set"], app["events"]) == (True, ["message-delivered"])
    assert app["signing_secret"].startswith("whsec_")
    assert "open sesame" not in application.out + application.err
    credential, _, _ = await desk.both(
        ("credentials", "create", account, "--label", "till", "--json"),
        ("numbers", "create", "+13125550100", "--application", app["id"]),
        ("routes", "create", "by-far", "--carrier", "far", "--prefix", "+1414", "--priority", "5"),
    )
    login = {
        "TREBUCHET_ACCOUNT": account,
        "TREBUCHET_TOKEN": credential.json["token"],
        "TREBUCHET_SECRET": credential.json["secret"],
    }
    assert credential.err == "the secret is not shown again\n"

    use = ("send", "+14145550123", "hi", "--from", "+13125550100", "--application", app["id"])
    done = await desk.good(*use, "--json", **login)
    await desk.catcher.wait_for_event(done.lines[0]["id"])
    accounts, applications, credentials, numbers, carriers, routes = await desk.both(
        ("accounts", "list"),
        ("applications", "list", "--json"),
        ("credentials", "list", account, "--json"),
        ("numbers", "list"),
        ("carriers", "list"),
        ("routes", "list"),
    )
    life = await desk.gateway.life(done.lines[0]["id"])
    assert life["deliveries"][0]["carrier_id"] == "far"
    assert f"{account}\tShop\tcurrent\t-\n" in accounts.out
    assert f"+13125550100\te164\t{account}\t{app['id']}\t-\n" in numbers.out
    assert "far\tsimulator\tresend\t-\tno\n" in carriers.out
    assert "by-far\t+1414\tany\t5\tfar\n" in routes.out
    assert [item["label"] for item in credentials.lines] == ["till"]
    for hidden in (credential.json["secret"], app["signing_secret"], "open sesame"):
        assert hidden not in applications.out + credentials.out

    await change_all(desk, account, app["id"])
    await take_away(desk, account, app["id"], credential.json["token"])
    assert (await desk.run(*use, **login)).code == 2


async def change_all(desk: Desk, account: str, application: str) -> None:
    """One field of each record, set or emptied, and the rest as it was."""
    expected: list[tuple[tuple[str, ...], dict[str, object]]] = [
        (("accounts", "update", account, "--clear", "profile"), {"profile": None, "name": "Shop"}),
        (
            ("applications", "update", application, "--clear", "event", "--opt-out"),
            {"events": None, "opt_out": True},
        ),
        (("numbers", "update", "+13125550100", "--segments-per-s", "3"), {"segments_per_s": 3}),
        (
            ("carriers", "update", "far", "--receipt-timeout-s", "60"),
            {"receipt_timeout_s": 60, "in_doubt": "resend"},
        ),
        (("routes", "update", "by-far", "--kind", "sms"), {"kind": "sms", "prefix": "+1414"}),
    ]
    changes = await desk.both(*((*words, "--json") for words, _ in expected))
    for changed, (_, fields) in zip(changes, expected, strict=True):
        assert fields.items() <= changed.json.items()
    shown = await desk.good("numbers", "show", "+13125550100", "--json")
    assert shown.json == changes[2].json


async def take_away(desk: Desk, account: str, application: str, token: str) -> None:
    """In order: what is in use is refused with what needs it, and a revoked credential stays in the list."""
    in_use, _ = await asyncio.gather(
        desk.run("accounts", "delete", account), desk.good("credentials", "revoke", account, token)
    )
    assert (in_use.code, "still has 1 number" in in_use.err) == (2, True)
    revoked, _, _ = await desk.both(
        ("credentials", "list", account, "--json"),
        ("numbers", "delete", "+13125550100"),
        ("routes", "delete", "by-far"),
    )
    assert revoked.json["revoked_ms"] is not None
    await desk.both(("applications", "delete", application), ("carriers", "delete", "far"))
    done = await desk.good("accounts", "delete", account)
    assert (done.out, done.err) == ("", f"deleted {account}\n")


WRONG = [
    (["accounts", "show", "nobody"], "/admin/v1/accounts/nobody"),
    (["credentials", "list", "nobody"], "/admin/v1/accounts/nobody/credentials"),
    (["show", "nothing"], "/admin/v1/messages/nothing"),
    (["accounts", "create", "x", "--profile", "old"], "it takes catapult, current"),
    (["accounts", "create", ACCOUNT], f"account {ACCOUNT} already exists"),
    (["carriers", "delete", "simulator"], "still has 1 route"),
    (["messages", "--state", "lost"], "known: "),
    (["acounts"], "acounts"),
]


async def test_what_is_refused_says_what_would_be_right(desk: Desk) -> None:
    """Exit code 2, nothing on stdout, and the reason on stderr."""
    ended = await desk.each((words, {}) for words, _ in WRONG)
    for (words, said), done in zip(WRONG, ended, strict=True):
        assert (words, done.code, done.out) == (words, 2, ""), done
        assert said in done.err, words


async def test_numbers_are_imported_from_a_file_and_from_a_pipe(desk: Desk, tmp_path: Path) -> None:
    """CSV with a header, or one a line; of a chunk with one that is wrong, none."""
    file = tmp_path / "numbers.csv"
    rows = "".join(f"+1502555{place:04},2\n" for place in range(1500))
    file.write_text(f"number,segments_per_s\n{rows}")
    done, piped, wrong = await asyncio.gather(
        desk.run("numbers", "import", str(file), "--application", APPLICATION, "--json"),
        desk.run(
            "numbers", "import", "-", "--application", APPLICATION, typed="# ours\n+15035550100\n\n23456\n"
        ),
        desk.run("numbers", "import", "-", "--application", APPLICATION, typed="+15045550100\n12\n"),
    )
    assert (done.code, done.json) == (0, {"created": 1500})
    assert (piped.code, piped.out) == (0, "created  2\n")
    assert (wrong.code, "[1].number" in wrong.err) == (2, True)
    listed = (await desk.good("numbers", "list", "--limit", "5000", "--json")).lines
    found = {item["number"]: item["segments_per_s"] for item in listed}
    assert (found["+15025551499"], found["23456"], found.get("+15045550100")) == (2, None, None)


async def test_opt_outs_are_made_listed_and_taken_back(desk: Desk) -> None:
    """However the numbers are written."""
    handset = "+12025550142"
    made = await desk.good("opt-outs", "create", "2345678901", "2025550142", "--json")
    assert (made.json["number"], made.json["handset"]) == (NUMBER, handset)
    assert f"{NUMBER}\t{handset}\t" in (await desk.good("opt-outs", "list")).out
    await desk.good("opt-outs", "delete", "2345678901", handset)
    assert (await desk.gateway.admin("GET", "/opt-outs")).json == {"items": []}


# ---- how it does ----


async def test_a_carrier_is_paused_and_what_waits_is_shown(desk: Desk) -> None:
    """`links` says paused and how much waits, `status` for how long; resumed, it is delivered."""
    paused = await desk.good("carriers", "pause", "simulator", "--json")
    try:
        sent = await desk.good("send", HANDSET, "later", "--no-follow", "--json")
        links, status, state = await desk.both(("links", "list", "--json"), ("status",), ("status", "--json"))
    finally:
        resumed = await desk.good("carriers", "resume", "simulator", "--json")
    assert (paused.json["paused"], resumed.json["paused"]) == (True, False)
    [link] = [link for link in links.lines if link["carrier_id"] == "simulator"]
    assert (link["state"], sum(lane["rows"] for lane in link["lanes"])) == ("paused", 1)
    assert f"version    {__version__}\n" in status.out
    assert "lanes  simulator/0: 1 waiting, the oldest for " in status.out
    assert state.json["queued"] == 1
    done = await desk.good("wait", "--message", sent.json["id"])
    assert "message-delivered" in done.out


@pytest.mark.sqlite
async def test_the_configuration_is_checked_beside_a_running_gateway(desk: Desk, tmp_path: Path) -> None:
    """check, settings, migrate and version read this machine's configuration and disturb nobody."""
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nprt = 1\n[callbacks]\ntimeout_s = 'x'\n")
    good, bad, settings, migrate, version = await asyncio.gather(
        desk.run("check"),
        desk.run("check", "--config", str(file)),
        desk.run("settings", "--json", "--set", "callbacks.timeout_s=7"),
        desk.run("migrate"),
        desk.run("version"),
    )
    assert (good.code, "has the current schema" in good.out) == (0, True)
    assert bad.code == 1
    assert len(bad.out.splitlines()) == 2
    assert "server.port" in bad.out
    assert "callbacks.timeout_s" in bad.out
    [timeout] = [row for row in settings.lines if row["setting"] == "callbacks.timeout_s"]
    assert (timeout["value"], timeout["source"].startswith("flag")) == ("7.0", True)
    assert ADMIN_TOKEN not in settings.out
    assert (migrate.code, "has schema" in migrate.out) == (0, True)
    assert version.out == f"trebuchet {__version__}\n"
    assert (await desk.gateway.send()).status == 202


async def test_the_audit_log_is_listed(desk: Desk) -> None:
    """A change of a record is its first line; more are announced where `--limit` leaves some out."""
    await desk.good("opt-outs", "create", "+12345678901", "+12345679999")
    await desk.good("opt-outs", "delete", "+12345678901", "+12345679999")
    shown = await desk.good("audit", "--limit", "1")
    assert "opt-out +12345678901 / +12345679999" in shown.out
    assert "there are more" in shown.err
    listed = (await desk.good("audit", "--json")).lines
    actions = {entry["action"] for entry in listed if entry["target"].endswith("/ +12345679999")}
    assert actions == {"create", "remove"}


async def test_where_no_gateway_answers_it_says_how_to_start_one(desk: Desk) -> None:
    """Exit code 3, at once, whether it follows or asks."""
    nowhere = {"TREBUCHET_URL": "http://127.0.0.1:1"}
    for done in await desk.each((words, nowhere) for words in (["send", HANDSET, "x"], ["tail"], ["status"])):
        assert (done.code, done.out) == (3, "")
        assert done.err == (
            "error: no gateway answers at http://127.0.0.1:1: start one with `trebuchet serve`, or give --url\n"
        )


async def test_without_credentials_it_says_where_they_go(desk: Desk, tmp_path: Path) -> None:
    """A folder that is no gateway's has neither a token nor a first account."""
    status, send = await asyncio.gather(
        desk.run("status", "--data", str(tmp_path)),
        desk.run("send", HANDSET, "x", "--no-follow", "--data", str(tmp_path)),
    )
    assert (status.code, "set TREBUCHET_ADMIN_TOKEN" in status.err) == (2, True)
    assert (send.code, "set TREBUCHET_ACCOUNT, TREBUCHET_TOKEN and TREBUCHET_SECRET" in send.err) == (2, True)
