"""The documentation says what the code does, as far as a test can tell: names, examples, links."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from tools import build_docs

from trebuchet.api.filters import FILTERS, OPTIONS, SORTS, STATUSES
from trebuchet.api.wire import send_answer
from trebuchet.callbacks.payload import render
from trebuchet.cli.reference import commands
from trebuchet.cli.tree import build
from trebuchet.model.account import CallbackAuth, InDoubt, Profile
from trebuchet.model.errorcodes import ERROR_CODES, wire_name
from trebuchet.model.events import DESCRIPTIONS, Event, EventType
from trebuchet.model.message import Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.settings import Settings, load, rows
from trebuchet.telemetry import METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE = DOCS / "reference"

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)|<img [^>]*src=\"(?P<image>[^\"]+)\"")
HEADING = re.compile(r"#{1,6} (.+)")
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
SETTING = re.compile(rf"(?:{'|'.join(Settings.__struct_fields__)})\.[a-z_]+")
COMMAND = re.compile(r"(?:^|[`|&;(] *)trebuchet ([a-z][a-z-]*)", re.MULTILINE)
VARIABLE = re.compile(r"TREBUCHET_[A-Z_]+")
TELEPHONE = re.compile(r"\+\d{8,15}")
# The demo account's numbers and the recipients that the API's own samples use; the block kept for fiction; the
# simulator's numbers, whose area code is nobody's.
HARMLESS = re.compile(r"\+1234567890[1-9]|\+1[2-9]\d{2}55501\d{2}|\+1999555\d{4}")

# Of the command line itself, not settings (`trebuchet.cli.connection`).
OTHER_VARIABLES = {
    "TREBUCHET_URL",
    "TREBUCHET_ADMIN_TOKEN",
    "TREBUCHET_ACCOUNT",
    "TREBUCHET_TOKEN",
    "TREBUCHET_SECRET",
}


# Every command, by the words that call it, with its options.
COMMANDS = {
    words: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for words, command in commands(typer.main.get_command(build([])), ())
}


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def outside_blocks(path: Path) -> str:
    return BLOCK.sub("", text_of(path))


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """(place, text) of every code block of a language."""
    for page in PAGES:
        for number, block in enumerate(BLOCK.finditer(text_of(page))):
            if block["language"] == language:
                yield f"{page.relative_to(ROOT)}, block {number}", block["text"]


def links(path: Path) -> Iterator[str]:
    """Targets within the repository."""
    for link in LINK.finditer(outside_blocks(path)):
        target = link["target"] or link["image"]
        if not re.match(r"[a-z]+:", target):
            yield target


def resolved(page: Path, target: str) -> tuple[Path, str]:
    """The file that a link of a page names, and the anchor in it."""
    name, _, anchor = unquote(target).partition("#")
    return ((page.parent / name).resolve() if name else page), anchor


def anchors(path: Path) -> set[str]:
    """The anchors that headings make: lower case, blanks to dashes, punctuation dropped."""
    found = set()
    for line in outside_blocks(path).splitlines():
        if heading := HEADING.fullmatch(line):
            found.add(re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-"))
    return found


def named_in(path: Path, names: list[str]) -> list[str]:
    """Those of `names` that no code on the page holds as a word."""
    codes = {word for code in CODE.findall(text_of(path)) for word in (code, *code.split())}
    return [name for name in names if name not in codes]


def test_generated_pages_are_fresh() -> None:
    """A page made from a table of the code says what the table says; `make docs` writes it anew."""
    assert [path.name for path in build_docs.stale()] == []


def test_every_setting_is_named() -> None:
    """The reference lists each setting and its variable."""
    names = [name for row in rows() for name in (row.name, row.environment)]
    assert named_in(REFERENCE / "settings.md", names) == []


def test_every_metric_is_named() -> None:
    """The reference lists each metric."""
    assert named_in(REFERENCE / "metrics.md", [metric.name for metric in METRICS]) == []


def test_every_error_code_is_named() -> None:
    """The reference lists each code with its name on the wire, and says when the gateway itself gives one."""
    page = text_of(REFERENCE / "error-codes.md")
    assert [e.code for e in ERROR_CODES.values() if f"| {e.code} | `{e.name}` |" not in page] == []
    assert set(build_docs.GIVEN_WHEN) <= set(ERROR_CODES)


def test_every_event_is_described() -> None:
    """The page of the events has a section for each type."""
    assert [type_ for type_ in EventType if type_ not in anchors(REFERENCE / "events.md")] == []


def test_every_state_is_in_the_glossary() -> None:
    """Whoever meets a state in an answer finds the word."""
    glossary = text_of(REFERENCE / "glossary.md")
    assert [state for state in State if f"**{state}**" not in glossary] == []


def test_every_command_is_named() -> None:
    """Some page shows each command of the command line."""
    named = {word for page in PAGES for word in COMMAND.findall(text_of(page))}
    assert {words[0] for words in COMMANDS} - named == set()


@pytest.mark.parametrize("choice", [*Profile, *CallbackAuth, *InDoubt])
def test_every_choice_of_a_record_is_named(choice: str) -> None:
    """What a field of a provisioned record may be is in the reference of the API that sets it."""
    assert named_in(REFERENCE / "admin-api.md", [choice]) == []


def test_every_parameter_of_the_search_is_named() -> None:
    """The reference lists each filter, option and field to sort by."""
    names = [*FILTERS, *OPTIONS, *SORTS, *STATUSES, "pageToken"]
    assert named_in(REFERENCE / "http-api.md", names) == []


def test_settings_in_the_text_exist() -> None:
    """No page names a setting or a variable that there is not."""
    known = {row.name for row in rows()}
    variables = {row.environment for row in rows()} | OTHER_VARIABLES
    wrong = [
        (page.name, name)
        for page in PAGES
        for name in (
            *(c for c in CODE.findall(text_of(page)) if SETTING.fullmatch(c) and c not in known),
            *(v for v in VARIABLE.findall(text_of(page)) if v not in variables and not v.endswith("_")),
        )
    ]
    assert wrong == []


def test_commands_in_the_text_exist() -> None:
    """No page shows a command that there is not."""
    known = {words[0] for words in COMMANDS}
    wrong = [(p.name, word) for p in PAGES for word in COMMAND.findall(text_of(p)) if word not in known]
    assert wrong == []


def test_examples_of_commands_can_be_typed() -> None:
    """Each line of a shell example that calls the command line names a command and options that it has."""
    examples = [
        (place, line)
        for place, text in blocks("sh")
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("trebuchet ")
    ]
    assert [found for place, line in examples if (found := objection(line, place))] == []
    assert len(examples) > 20


def objection(line: str, place: str) -> str:
    """What is wrong with a command line, or an empty text."""
    _, *words = shlex.split(line.removesuffix("&"))
    name = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in COMMANDS), None)
    if name is None:
        return f"{place}: no command {line!r}"
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    unknown = given - COMMANDS[name]
    return f"{place}: {' '.join(name)} has no {', '.join(sorted(unknown))}" if unknown else ""


def test_metrics_in_the_text_exist() -> None:
    """No page names a metric that there is not."""
    known = {metric.name for metric in METRICS}
    found = [(p.name, m) for p in PAGES for m in re.findall(r"\btrebuchet_[a-z_]+\b", text_of(p))]
    suffixes = ("_bucket", "_sum", "_count")
    wrong = [(p, m) for p, m in found if m not in known and not m.endswith(suffixes)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading that the file has."""
    broken = []
    for target in links(page):
        path, anchor = resolved(page, target)
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_page_is_found_from_the_index() -> None:
    """Whoever begins at docs/README.md can get to every page."""
    seen: set[Path] = set()
    todo = [INDEX]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = (resolved(page, target)[0] for target in links(page))
        todo += [path for path in targets if path.suffix == ".md" and path.is_file()]
    assert set(PAGES) - {ROOT / "README.md"} - seen == set()


def test_json_examples_are_json() -> None:
    """Every block that claims to be JSON parses."""
    for place, text in blocks("json"):
        try:
            json.loads(text)
        except ValueError as error:
            pytest.fail(f"{place}: {error}")


def example_message(shown: dict[str, Any], profile: Profile) -> Message:
    """A message that an example shows."""
    return Message(
        id=shown["id"],
        account_id="u-demo",
        application_id=shown["applicationId"],
        direction=Direction(shown["direction"]),
        kind=Kind.MMS if "media" in shown or len(shown["to"]) > 1 else Kind.SMS,
        owner=shown["owner"],
        source=shown["from"],
        destinations=tuple(shown["to"]),
        text=shown["text"],
        media=tuple(shown["media"]) if "media" in shown else None,
        tag=shown.get("tag"),
        priority=shown.get("priority"),
        expiration=shown.get("expiration"),
        valid_until_ms=0,
        segment_count=shown["segmentCount"],
        encoding="GSM-7",
        profile=profile,
        received_ms=milliseconds(shown["time"]),
    )


def milliseconds(written: str) -> int:
    return round(datetime.fromisoformat(written).timestamp() * 1000)


def compact(text: str) -> str:
    """JSON without blanks between its parts; the order of keys stays."""
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def test_callback_examples_are_what_is_posted() -> None:
    """Each example of a callback is, but for blanks, what the gateway POSTs for such an event."""
    examples = [(place, text) for place, text in blocks("json") if text.startswith("[")]
    for place, text in examples:
        (shown,) = json.loads(text)
        type_, code = EventType(shown["type"]), shown.get("errorCode")
        profile = Profile.CATAPULT if shown["message"]["text"] else Profile.CURRENT
        expected = wire_name(code) if code else DESCRIPTIONS[type_]
        event = Event("", "", 0, type_, shown["to"], code, expected, milliseconds(shown["time"]))
        assert render(event, example_message(shown["message"], profile)).decode() == compact(text), place
    assert {json.loads(text)[0]["type"] for _, text in examples} == set(EventType)


def test_answer_examples_are_what_is_answered() -> None:
    """Each example of a 202 is, but for blanks, what the gateway answers for such a message."""
    examples = [(place, text) for place, text in blocks("json") if text.startswith('{"id"')]
    for place, text in examples:
        message = example_message(json.loads(text), Profile.CATAPULT)
        assert send_answer(message).decode() == compact(text), place
    assert len(examples) >= 2


def test_toml_examples_are_settings() -> None:
    """Every TOML block is a configuration that the gateway takes."""
    for place, text in blocks("toml"):
        assert load(text, {}, {}).settings is not None, place


def test_python_examples_compile() -> None:
    """Every block that claims to be Python is Python."""
    for place, text in blocks("python"):
        compile(text, place, "exec")


def test_telephone_numbers_are_nobodys() -> None:
    """Examples use only numbers that cannot be anybody's."""
    wrong = [(p.name, n) for p in PAGES for n in TELEPHONE.findall(text_of(p)) if not HARMLESS.fullmatch(n)]
    assert wrong == []


def test_paths_in_the_text_exist() -> None:
    """A file of the repository that a page names is there."""
    path = re.compile(r"(?:src|tests|bench|tools|docs|deploy|requirements)/[\w./-]+")
    wrong = [
        (page.name, name)
        for page in PAGES
        for name in CODE.findall(text_of(page))
        if path.fullmatch(name) and not (ROOT / name).exists()
    ]
    assert wrong == []
