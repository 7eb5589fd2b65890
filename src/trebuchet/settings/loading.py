"""From file, environment and flags to frozen settings, with every problem named at once."""

import difflib
import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec

from trebuchet.errors import TrebuchetError
from trebuchet.settings.definitions import Finding, Secret, ServerSettings, Settings
from trebuchet.settings.rows import ENVIRONMENT_PREFIX, Row, rows, value_text

FILE_BYTES_MAX: Final = 262_144  # every setting with a page of comments each is a tenth of this
TEXT_MAX: Final = 4096  # the longest path that Linux takes

WORDS_OF_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

# (shorter or smaller, longer or larger): the first must not exceed the second.
ORDERED: Final = (
    ("callbacks.retry_first_s", "callbacks.retry_max_s"),
    ("simulator.delay_min_ms", "simulator.delay_max_ms"),
)

# A container platform describes its services in variables such as TREBUCHET_API_SERVICE_HOST and
# TREBUCHET_API_PORT_8080_TCP, after the service's name. They are not ours to refuse.
PLATFORM_VARIABLE: Final = re.compile(
    r"\w+_(SERVICE_HOST=|SERVICE_PORT\w*=|PORT_\d+_(TCP|UDP|SCTP)\w*=|PORT=(tcp|udp|sctp)://)"
)


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where it stands, what it is, and what would be right."""

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.hint}"


class SettingsError(TrebuchetError, ValueError):
    """The configuration cannot be used. `problems` names everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Loaded(msgspec.Struct, frozen=True):
    """The settings in force, and for each name where its value came from.

    A source is "default", "file PATH", "environment NAME" or "flag --NAME".
    """

    settings: Settings
    sources: Mapping[str, str]


class _Given(NamedTuple):
    """A value that a source gives for a row. `written` values are texts that stand for any type."""

    row: Row
    value: object
    source: str
    where: str
    written: bool


def read_file(path: Path) -> bytes:
    """The octets of a configuration file. Blocks. Raises SettingsError if unreadable or too large."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise SettingsError([Problem(f"file {path}", what, "Name a readable TOML file.")]) from error
    if len(content) > FILE_BYTES_MAX:
        raise SettingsError(
            [Problem(f"file {path}", "is too large", f"The limit is {FILE_BYTES_MAX} octets.")]
        )
    return content


def load(
    toml: str | Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    *,
    read: Callable[[Path], bytes] = read_file,
) -> Loaded:
    """Lay default, file, environment and flags over each other and check every value given.

    `toml` is the path of a file, or the text itself ("" for none). `overrides` maps names such as
    "callbacks.timeout_s" to values of the right type or to texts as in the environment; None means not given.
    An invalid value is a problem even where another source overrides it.

    Raises SettingsError with all the problems. Blocks while `read` does.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {row.name: row.default for row in rows()}
    sources = {row.name: "default" for row in rows()}
    for given in (
        *_from_file(toml, read, problems),
        *_from_environment(environ, problems),
        *_from_overrides(overrides, problems),
    ):
        name = given.row.name
        try:
            value = _converted(given)
        except (msgspec.ValidationError, UnicodeError):  # the latter: half a surrogate pair
            values.pop(name, None)
            findings = [_unexpected(given)]
        else:
            findings = list(_broken_rules(given.row, value))
            values[name] = Secret(value) if given.row.secret and isinstance(value, str) else value
        sources[name] = given.source
        problems += (Problem(given.where, what, hint) for what, hint in findings)
    problems += _out_of_order(values, sources)
    if problems:
        raise SettingsError(problems)
    return Loaded(_settings(values), sources)


def describe(loaded: Loaded) -> list[tuple[Row, str, str]]:
    """Each setting with its value in force and where that came from; of a secret only whether it is set."""
    described = []
    for row in rows():
        section, key = row.name.split(".")
        value = getattr(getattr(loaded.settings, section), key)
        described.append((row, value_text(value), loaded.sources[row.name]))
    return described


def data_directory(server: ServerSettings, user_data_path: Callable[[str, Literal[False]], Path]) -> Path:
    """The data folder: as set, else the user's. `user_data_path` is that of platformdirs. Makes nothing."""
    return Path(server.data_dir) if server.data_dir else user_data_path("trebuchet", False)


def _settings(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, Any] = {}
    for section in msgspec.structs.fields(Settings):
        prefix = f"{section.name}."
        given = {name.removeprefix(prefix): values[name] for name in values if name.startswith(prefix)}
        sections[section.name] = section.type(**given)
    return Settings(**sections)


# The sources.


def _from_file(toml: str | Path, read: Callable[[Path], bytes], problems: list[Problem]) -> Iterator[_Given]:
    source = f"file {toml}" if isinstance(toml, Path) else "file text"
    by_name = {row.name: row for row in rows()}
    sections = Settings.__struct_fields__
    for section, content in _parsed(toml, read, source, problems).items():
        if section not in sections:
            problems.append(_unknown(source, section, (*sections, *by_name)))
        elif not isinstance(content, dict):
            hint = f"Write [{section}] on a line of its own, and its settings below."
            problems.append(Problem(source, f"{section} is a section, not a value", hint))
        else:
            for key, value in content.items():
                name = f"{section}.{key}"
                if name in by_name:
                    yield _Given(by_name[name], value, source, f"{source}, {name}", written=False)
                else:
                    problems.append(_unknown(source, name, by_name))


def _parsed(
    toml: str | Path, read: Callable[[Path], bytes], source: str, problems: list[Problem]
) -> dict[str, Any]:
    """The tree that the file holds; empty, with a problem noted, when there is none."""
    try:
        content = toml if isinstance(toml, str) else read(toml)
    except SettingsError as error:
        problems += error.problems
        return {}
    try:
        # The mark that "-sig" takes away is what editors of Windows begin a file with.
        return tomllib.loads(content if isinstance(content, str) else content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problems.append(Problem(source, f"is not UTF-8 at octet {error.start}", "Save it as UTF-8."))
    except (ValueError, RecursionError) as error:
        problems.append(_not_toml(source, error))
    return {}


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> Iterator[_Given]:
    by_variable = {row.environment: row for row in rows()}
    sections = tuple(f"{ENVIRONMENT_PREFIX}{section}_".upper() for section in Settings.__struct_fields__)
    for variable, text in sorted(environ.items()):
        source = f"environment {variable}"
        if variable in by_variable:
            yield _Given(by_variable[variable], text, source, source, written=True)
        elif PLATFORM_VARIABLE.match(f"{variable}={text}") or not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        # Other variables with our prefix may belong to other programs, unless they all but name a setting.
        elif variable.startswith(sections) or difflib.get_close_matches(variable, by_variable, cutoff=0.9):
            problems.append(_unknown("environment", variable, by_variable))


def _from_overrides(overrides: Mapping[str, object], problems: list[Problem]) -> Iterator[_Given]:
    by_name = {row.name: row for row in rows()}
    for name, value in overrides.items():
        if name not in by_name:
            problems.append(_unknown("flag --set", name, by_name))
        elif value is not None:
            source = f"flag {by_name[name].flag}"
            yield _Given(by_name[name], value, source, source, written=isinstance(value, str))


# The values.


def _converted(given: _Given) -> Any:
    """The value in the row's type (of a secret, its text). Raises msgspec.ValidationError."""
    checked, kind = given.row.checked, get_args(given.row.checked)[0]
    if given.written and isinstance(given.value, str):
        # Lax conversion reads numbers out of texts; every other type has its own words here.
        return msgspec.convert(_from_text(kind, given.value), checked, strict=kind not in (int, float))
    return msgspec.convert(given.value, checked)


def _from_text(kind: Any, text: str) -> object:
    if kind is str:
        return text
    word = text.strip()
    if kind is bool:
        return WORDS_OF_TRUTH.get(word.lower(), word)
    if get_origin(kind) is tuple:
        return tuple(item.strip() for item in word.split(",")) if word else ()
    return word.lower() if get_origin(kind) is Literal else word


def _broken_rules(row: Row, value: object) -> Iterator[Finding]:
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and len(text) > TEXT_MAX:
            yield "is too long", f"The limit is {TEXT_MAX} characters."
            return
        if isinstance(text, str) and not text.isprintable():
            yield "has a control character", "Remove line ends, tabs and other invisible characters."
            return
    if row.rule:
        yield from row.rule(value)


def _out_of_order(values: Mapping[str, Any], sources: Mapping[str, str]) -> Iterator[Problem]:
    for small, large in ORDERED:
        if small in values and large in values and values[small] > values[large]:
            what = f"{small} ({values[small]}) is more than {large} ({values[large]}, {sources[large]})"
            yield Problem(sources[small], what, "Lower the first or raise the second.")


# What is said of a problem. A value is shown shortened and escaped, a secret's never.


def _unexpected(given: _Given) -> Finding:
    row = given.row
    got = "this" if row.secret else _short(given.value)
    return f"{got} is not what {row.name} takes", f"Expected: {row.type_text}."


def _unknown(where: str, name: str, known: Iterable[str]) -> Problem:
    # The key alone is compared too: the right key in the wrong section is a likely slip.
    key = name.rpartition(".")[2]
    same_key = [other for other in known if other.rpartition(".")[2] == key]
    close = same_key or difflib.get_close_matches(name[:60], known, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}?" if close else "See `trebuchet settings` for all names."
    return Problem(
        where, f"{name if name.isprintable() and len(name) <= 60 else _short(name)} is unknown", hint
    )


def _not_toml(source: str, error: Exception) -> Problem:
    found = re.fullmatch(r"(?P<what>.*) \((?P<place>at .*)\)", str(error), re.DOTALL)
    if isinstance(error, RecursionError):
        what = "is nested too deeply"
    elif found:
        what = f"is not TOML {found['place']}: {found['what']}"
    else:  # a number that Python refuses to read
        what = "is not TOML: a number is too long"
    return Problem(source, what, "Write lines like `port = 8080` under `[server]`; texts stand in quotes.")


def _short(value: object) -> str:
    if isinstance(value, bool):
        return value_text(value)
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    try:
        return short.repr(value)
    except ValueError:
        return "a number of thousands of digits"
