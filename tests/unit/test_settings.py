"""The settings: every row is documented and bounded, sources override each other, every problem is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.errors import TrebuchetError
from trebuchet.settings import (
    Loaded,
    Problem,
    Row,
    Secret,
    ServerSettings,
    Settings,
    SettingsError,
    data_directory,
    describe,
    load,
    reference_markdown,
    rows,
    value_text,
)

ROWS = {row.name: row for row in rows()}
EACH_ROW = pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
NUMBER_ROWS = [row for row in rows() if type(row.default) in (int, float)]


def value_of(loaded: Loaded, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(loaded.settings, section), key)


def as_toml(name: str, text: str) -> str:
    section, key = name.split(".")
    return f"[{section}]\n{key} = {text}\n"


def problems_of(
    toml: str | Path = "",
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> list[Problem]:
    with pytest.raises(SettingsError) as raised:
        load(toml, environ or {}, overrides or {})
    return raised.value.problems


# The rows.


@EACH_ROW
def test_a_row_has_one_sentence(row: Row) -> None:
    """Each setting says what it is in one sentence that ends with a full stop."""
    assert row.description.endswith(".")
    assert row.description[0].isupper()
    assert ". " not in row.description


@EACH_ROW
def test_a_rows_names_follow_from_its_definition(row: Row) -> None:
    """The environment variable is the dotted name in capitals after the prefix; no two settings share one."""
    assert row.environment == "TREBUCHET_" + row.name.replace(".", "_").upper()
    assert [other.name for other in rows() if other.environment == row.environment] == [row.name]
    assert [other.name for other in rows() if other.flag == row.flag] == [row.name]


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("server.data_dir", "--data"),
        ("server.host", "--host"),
        ("server.port", "--port"),
        ("callbacks.timeout_s", "--set callbacks.timeout_s"),
    ],
)
def test_a_row_names_its_flag(name: str, flag: str) -> None:
    """A setting is set by a flag of its own where it has one, else by --set."""
    assert ROWS[name].flag == flag


@pytest.mark.parametrize("row", NUMBER_ROWS, ids=lambda row: row.name)
def test_a_number_has_two_bounds(row: Row) -> None:
    """Each number is refused just outside its bounds and taken on them; the bounds are in its type text."""
    meta = row.checked.__metadata__[0]
    text = value_text(row.default)
    step = 0.01 if "." in text else 1
    assert row.type_text.endswith(f"from {meta.ge} to {meta.le}")
    for taken in (meta.ge, meta.le):
        assert msgspec.convert(taken, row.checked) == taken
    for outside in (meta.ge - step, meta.le + step):
        (problem, *_) = problems_of(overrides={row.name: outside})
        assert problem.where == f"flag {row.flag}"
        assert problem.hint == f"Expected: {row.type_text}."


@EACH_ROW
def test_a_default_is_valid(row: Row) -> None:
    """Each default, written in the file or in the environment, is taken and equals the default."""
    text = row.default.reveal() if row.secret else row.default
    loaded = load(as_toml(row.name, value_text(text)), {}, {})
    assert loaded.settings == Settings()
    assert loaded.sources[row.name] == "file text"
    written = ",".join(text) if isinstance(text, tuple) else str(text)
    assert load("", {row.environment: written}, {}).settings == Settings()


def test_the_reference_names_every_row() -> None:
    """The reference page holds each setting's name, default, sentence and variable, one line each."""
    lines = [line for line in reference_markdown().splitlines() if line.startswith("| `")]
    assert len(lines) == len(rows())
    for line, row in zip(lines, rows(), strict=True):
        assert line.startswith(f"| `{row.name}` | {row.type_text} | ")
        assert value_text(row.default) in line
        assert f"| {row.description} | `{row.environment}`" in line
        assert line.count("|") == 6
    assert "`TREBUCHET_SERVER_PORT`, `--port`" in reference_markdown()


# The sources.


def test_no_source_means_defaults() -> None:
    """Without file, environment and flags every setting has its default."""
    loaded = load("", {}, {})
    assert loaded.settings == Settings()
    assert loaded.sources == dict.fromkeys(ROWS, "default")


@pytest.mark.parametrize(
    ("environ", "overrides", "port", "source"),
    [
        ({}, {}, 1001, "file gateway.toml"),
        ({"TREBUCHET_SERVER_PORT": "1002"}, {}, 1002, "environment TREBUCHET_SERVER_PORT"),
        ({"TREBUCHET_SERVER_PORT": "1002"}, {"server.port": 1003}, 1003, "flag --port"),
        ({}, {"server.port": "1003"}, 1003, "flag --port"),
        ({"TREBUCHET_SERVER_PORT": "1002"}, {"server.port": None}, 1002, "environment TREBUCHET_SERVER_PORT"),
    ],
    ids=["file", "environment over file", "flag over environment", "flag as text", "flag not given"],
)
def test_precedence(environ: dict[str, str], overrides: dict[str, object], port: int, source: str) -> None:
    """A flag overrides the environment, which overrides the file, which overrides the default."""
    files = {Path("gateway.toml"): b"[server]\nport = 1001\n"}
    loaded = load(Path("gateway.toml"), environ, overrides, read=files.__getitem__)
    assert loaded.settings.server.port == port
    assert loaded.sources["server.port"] == source
    assert loaded.sources["server.host"] == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("server.port", " 8081 ", 8081),
        ("callbacks.timeout_s", "2.5", 2.5),
        ("callbacks.timeout_s", "3", 3.0),
        ("callbacks.allow_loopback", "true", True),
        ("callbacks.allow_loopback", "Yes", True),
        ("callbacks.allow_loopback", "1", True),
        ("simulator.enabled", "FALSE", False),
        ("simulator.enabled", "no", False),
        ("simulator.enabled", "0", False),
        (
            "callbacks.allow_networks",
            "10.0.0.0/8, fd00::/8,192.0.2.1",
            ("10.0.0.0/8", "fd00::/8", "192.0.2.1"),
        ),
        ("callbacks.allow_networks", "", ()),
        ("logging.level", "WARNING", "warning"),
        ("server.data_dir", "/var/lib/a folder", "/var/lib/a folder"),
        ("server.data_dir", "", ""),
        (
            "server.public_base_url",
            "https://sms.example.com:8443/gateway",
            "https://sms.example.com:8443/gateway",
        ),
        ("server.public_base_url", "http://[::1]:8080", "http://[::1]:8080"),
        ("server.admin_token", "admin-demo", Secret("admin-demo")),
        ("storage.database", "postgresql://host/db", Secret("postgresql://host/db")),
    ],
)
def test_values_written_as_text(name: str, text: str, value: object) -> None:
    """In the environment and in a flag, numbers, booleans, lists and choices are read from text."""
    from_environment = value_of(load("", {ROWS[name].environment: text}, {}), name)
    assert from_environment == value
    assert type(from_environment) is type(value)
    assert value_of(load("", {}, {name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("outbox.queue_max", "2_000_000", 2_000_000),
        ("callbacks.timeout_s", "3", 3.0),
        ("callbacks.allow_networks", '["10.0.0.0/8"]', ("10.0.0.0/8",)),
        ("simulator.enabled", "false", False),
        ("logging.format", '"json"', "json"),
        ("simulator.seed", "9223372036854775807", 2**63 - 1),
    ],
)
def test_values_in_the_file(name: str, text: str, value: object) -> None:
    """In the file, values have the types of TOML."""
    assert value_of(load(as_toml(name, text), {}, {}), name) == value


def test_a_byte_order_mark_is_taken() -> None:
    """A file that an editor began with a byte order mark is read like any other."""
    loaded = load(Path("gateway.toml"), {}, {}, read=lambda _: b"\xef\xbb\xbf[server]\r\nport = 1\r\n")
    assert loaded.settings.server.port == 1


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PATH", "/bin"),
        ("trebuchet_server_port", "x"),
        ("TREBUCHET_TOKEN", "t-demo"),
        ("TREBUCHET_API_PORT", "tcp://10.0.0.1:8080"),
        ("TREBUCHET_API_SERVICE_HOST", "10.0.0.1"),
        ("TREBUCHET_API_SERVICE_PORT", "8080"),
        ("TREBUCHET_API_SERVICE_PORT_HTTP", "8080"),
        ("TREBUCHET_API_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("TREBUCHET_API_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_variables_of_others_are_ignored(variable: str, text: str) -> None:
    """A variable that is no setting's, or that a container platform sets for a service, changes nothing."""
    assert load("", {variable: text}, {}) == load("", {}, {})


# The problems.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("server.port", '"8080"'),
        ("server.port", "8080.5"),
        ("server.port", "true"),
        ("server.port", "{}"),
        ("server.port", "1979-05-27"),
        ("server.port", "0x" + 9000 * "f"),
        ("server.host", "1"),
        ("server.host", '""'),
        ("server.data_dir", "1979-05-27T07:32:00Z"),
        ("callbacks.timeout_s", "nan"),
        ("callbacks.timeout_s", "inf"),
        ("callbacks.timeout_s", "true"),
        ("callbacks.allow_loopback", "1"),
        ("callbacks.allow_loopback", '"yes"'),
        ("callbacks.allow_networks", '"10.0.0.0/8"'),
        ("callbacks.allow_networks", "[1]"),
        ("callbacks.allow_networks", str(257 * ["10.0.0.0/8"])),
        ("logging.level", '"INFO"'),
        ("logging.level", "[]"),
        ("server.admin_token", "12345"),
    ],
)
def test_a_wrong_type_in_the_file(name: str, text: str) -> None:
    """A value of another type is refused with its place and the type that is expected."""
    (problem,) = problems_of(as_toml(name, text))
    assert problem.where == f"file text, {name}"
    assert problem.what.endswith(f"is not what {name} takes")
    assert problem.hint == f"Expected: {ROWS[name].type_text}."
    assert len(problem.what) < 200


@pytest.mark.parametrize(
    ("name", "text", "type_text"),
    [
        ("server.port", "", "whole number from 0 to 65535"),
        ("server.port", "65536", "whole number from 0 to 65535"),
        ("server.port", "tcp://10.0.0.1:8080", "whole number from 0 to 65535"),
        ("server.port", "true", "whole number from 0 to 65535"),
        ("callbacks.timeout_s", "ten", "number from 0.1 to 300.0"),
        ("callbacks.timeout_s", "nan", "number from 0.1 to 300.0"),
        ("simulator.enabled", "", "true or false"),
        ("simulator.enabled", "on", "true or false"),
        ("logging.level", "loud", "debug, info, warning or error"),
        ("logging.format", "text", "auto, console or json"),
    ],
)
def test_a_wrong_text_in_the_environment(name: str, text: str, type_text: str) -> None:
    """A text that cannot be read as the setting's type is refused with the variable's name."""
    (problem,) = problems_of(environ={ROWS[name].environment: text})
    assert problem == Problem(
        f"environment {ROWS[name].environment}",
        f"{text!r} is not what {name} takes",
        f"Expected: {type_text}.",
    )


@pytest.mark.parametrize(
    ("name", "text", "what", "hint"),
    [
        ("server.data_dir", "~/data", "'~' is not replaced", "whole path"),
        ("server.data_dir", "a\nb", "control character", "line ends"),
        ("server.data_dir", "a\x00b", "control character", "invisible"),
        ("server.data_dir", "a\udcffb", "control character", "invisible"),
        ("server.data_dir", 4097 * "a", "too long", "4096"),
        ("server.public_base_url", "sms.example.com", "not an http or https URL", "https://"),
        ("server.public_base_url", "ftp://sms.example.com", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://a b", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://a:99999", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://a:0", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://[::1", "not an http or https URL", "https://"),
        ("server.public_base_url", "http://a/", "prefix of other URLs", "no final slash"),
        ("server.public_base_url", "http://a?b", "prefix of other URLs", "no final slash"),
        ("server.public_base_url", "http://a#b", "prefix of other URLs", "no final slash"),
        ("server.public_base_url", "http://user@a", "prefix of other URLs", "no final slash"),
        ("tracing.endpoint", "127.0.0.1:4318", "not an http or https URL with a path", "/v1/traces"),
        ("tracing.endpoint", "http://127.0.0.1:4318", "not an http or https URL with a path", "/v1/traces"),
        ("tracing.endpoint", "grpc://a/b", "not an http or https URL with a path", "/v1/traces"),
        ("tracing.endpoint", "http://a:99999/b", "not an http or https URL with a path", "/v1/traces"),
        ("tracing.endpoint", "http://me:key@a/v1/traces", "holds credentials", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("server.admin_token", "two words", "bearer token", "letters, digits"),
        ("server.admin_token", "tökén", "bearer token", "letters, digits"),
        ("storage.database", "gateway.db", "not a database URL", "sqlite:///path"),
        ("callbacks.user_agent", "agent\r\nX: y", "control character", "line ends"),
        ("callbacks.user_agent", "ägent", "HTTP header", "ASCII"),
        ("callbacks.user_agent", " agent", "HTTP header", "blank"),
        (
            "callbacks.allow_networks",
            "10.1.2.3/8",
            "'10.1.2.3/8' is not a network",
            "Did you mean 10.0.0.0/8?",
        ),
        ("callbacks.allow_networks", "fd00::1/8", "is not a network", "Did you mean fd00::/8?"),
        ("callbacks.allow_networks", "localhost", "'localhost' is not a network", "like 10.0.0.0/8"),
        ("callbacks.allow_networks", "10.0.0.0/33", "is not a network", "like 10.0.0.0/8"),
        ("callbacks.allow_networks", "10.0.0.0/8,,", "'' is not a network", "like 10.0.0.0/8"),
    ],
)
def test_a_broken_rule(name: str, text: str, what: str, hint: str) -> None:
    """What a setting's own rule forbids is refused with what would be right."""
    problem = problems_of(environ={ROWS[name].environment: text})[0]
    assert problem.where == f"environment {ROWS[name].environment}"
    assert what in problem.what
    assert hint in problem.hint


def test_every_bad_network_is_named() -> None:
    """Of a list of networks each bad one is a problem of its own."""
    problems = problems_of(overrides={"callbacks.allow_networks": ("10.0.0.0/8", "a", "b")})
    assert [problem.what for problem in problems] == ["'a' is not a network", "'b' is not a network"]


@pytest.mark.parametrize(
    ("toml", "what", "hint"),
    [
        ("[callback]", "callback is unknown", "Did you mean callbacks?"),
        ("[callbacks]\ntimeout = 3", "callbacks.timeout is unknown", "Did you mean callbacks.timeout_s?"),
        ("[api]\nport = 3", "api.port is unknown", "Did you mean server.port?"),
        ("port = 3", "port is unknown", "Did you mean server.port?"),
        ('"server.port" = 3', "server.port is unknown", "Did you mean server.port?"),
        ("zzzz = 3", "zzzz is unknown", "See `trebuchet settings` for all names."),
        ('"a\\u001bb" = 3', "'a\\x1bb' is unknown", "See `trebuchet settings` for all names."),
        ("server = 3", "server is a section, not a value", "Write [server] on a line of its own"),
        ("[[server]]\nport = 3", "server is a section, not a value", "Write [server] on a line of its own"),
    ],
)
def test_an_unknown_name_in_the_file(toml: str, what: str, hint: str) -> None:
    """A name that is no setting's is refused with the nearest that is."""
    (problem,) = problems_of(toml)
    assert problem.where == "file text"
    assert problem.what == what
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("TREBUCHET_CALLBACKS_TIMEOUT", "Did you mean TREBUCHET_CALLBACKS_TIMEOUT_S?"),
        ("TREBUCHET_CALLBACK_TIMEOUT_S", "Did you mean TREBUCHET_CALLBACKS_TIMEOUT_S?"),
        ("TREBUCHET_API_PORT", "Did you mean TREBUCHET_SERVER_PORT?"),
        ("TREBUCHET_SEVRER_PORT", "Did you mean TREBUCHET_SERVER_PORT?"),
    ],
)
def test_an_unknown_variable(variable: str, hint: str) -> None:
    """A variable in a section of ours, or that all but names a setting, is refused with the nearest name."""
    (problem,) = problems_of(environ={variable: "1"})
    assert problem == Problem("environment", f"{variable} is unknown", hint)


def test_an_unknown_flag() -> None:
    """A name that --set does not know is refused with the nearest that it does."""
    (problem,) = problems_of(overrides={"server.prot": 1})
    assert problem == Problem("flag --set", "server.prot is unknown", "Did you mean server.port?")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[server]\nport = = 3\n", "is not TOML at line 2, column 8: Invalid value"),
        (b"[server]\nport = 3\nport = 4\n[api]\n", "is not TOML at line 3"),
        (b'[server]\nhost = "a', "is not TOML at "),
        (b"a = " + 5000 * b"9", "is not TOML: a number is too long"),
        (b"a = " + 5000 * b"[", "is nested too deeply"),
        (b"[server]\nhost = '\xff'\n", "is not UTF-8 at octet 17"),
    ],
)
def test_a_file_that_is_not_toml(content: bytes, what: str) -> None:
    """A file that cannot be parsed is refused with its line."""
    with pytest.raises(SettingsError) as raised:
        load(Path("gateway.toml"), {}, {}, read=lambda _: content)
    (problem,) = raised.value.problems
    assert problem.where == "file gateway.toml"
    assert problem.what.startswith(what)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("callbacks.retry_first_s", "callbacks.retry_max_s"),
        ("simulator.delay_min_ms", "simulator.delay_max_ms"),
    ],
)
def test_settings_that_must_be_in_order(smaller: str, larger: str) -> None:
    """A lower limit above its upper limit is refused with both sources; equal limits are taken."""
    assert load("", {}, {smaller: 70, larger: 70}).sources[larger] == f"flag --set {larger}"
    (problem,) = problems_of(environ={ROWS[larger].environment: "60"}, overrides={smaller: 61})
    assert problem.where == f"flag --set {smaller}"
    assert problem.what == (
        f"{smaller} (61) is more than {larger} (60, environment {ROWS[larger].environment})"
    )


def test_all_problems_are_named_at_once() -> None:
    """One error names the problems of every source, also of a value that another source overrides."""
    with pytest.raises(SettingsError) as raised:
        load(
            "[server]\nport = 70000\nhots = 'x'\n",
            {"TREBUCHET_API_STRICT_NUMBERS": "maybe"},
            {"server.port": 8080, "simulator.delay_min_ms": 500, "logging.colour": 1},
        )
    assert isinstance(raised.value, TrebuchetError)
    assert str(raised.value).splitlines() == [str(problem) for problem in raised.value.problems]
    assert sorted((problem.where, problem.what) for problem in raised.value.problems) == [
        ("environment TREBUCHET_API_STRICT_NUMBERS", "'maybe' is not what api.strict_numbers takes"),
        ("file text", "server.hots is unknown"),
        ("file text, server.port", "70000 is not what server.port takes"),
        ("flag --set", "logging.colour is unknown"),
        (
            "flag --set simulator.delay_min_ms",
            "simulator.delay_min_ms (500) is more than simulator.delay_max_ms (400, default)",
        ),
    ]


def test_an_unreadable_file_does_not_hide_other_problems() -> None:
    """When the file cannot be read, that is one problem among those of the other sources."""

    def read(path: Path) -> bytes:
        raise SettingsError([Problem(f"file {path}", "cannot be read", "Name a readable TOML file.")])

    with pytest.raises(SettingsError) as raised:
        load(Path("gateway.toml"), {"TREBUCHET_SERVER_PORT": "x"}, {}, read=read)
    assert [problem.where for problem in raised.value.problems] == [
        "file gateway.toml",
        "environment TREBUCHET_SERVER_PORT",
    ]


def outcome(toml: str, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Loaded | list[Problem]:
    """What `load` answers, or the problems that it names; any other exception fails the test."""
    try:
        return load(toml, environ, overrides)
    except SettingsError as error:
        return error.problems


def assert_sound(result: Loaded | list[Problem]) -> None:
    """Loaded values are of their types and within their bounds; problems are some, and printable."""
    if isinstance(result, Loaded):
        for row in rows():
            value = value_of(result, row.name)
            assert isinstance(value, Secret) if row.secret else msgspec.convert(value, row.checked) == value
    else:
        assert result
        assert all(str(problem).isprintable() for problem in result)


@given(st.text())
def test_any_text_is_settings_or_an_error(text: str) -> None:
    """Whatever the file holds, it gives settings or an error with printable problems."""
    assert_sound(outcome(text, {}, {}))


OCTETS_AS_TEXT = st.binary(max_size=50).map(lambda octets: octets.decode("utf-8", "surrogateescape"))


KEYS = st.sampled_from([row.name.partition(".")[2] for row in rows()]) | st.text()
SECTIONS = st.sampled_from(list(Settings.__struct_fields__)) | st.text()
TOML_VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(), lambda children: st.lists(children, max_size=3), max_leaves=3
).map(lambda value: msgspec.json.encode(value).decode())


@given(st.dictionaries(SECTIONS, st.dictionaries(KEYS, TOML_VALUES)))
def test_any_tree_is_settings_or_an_error(tree: dict[str, dict[str, str]]) -> None:
    """Whatever names and values well-formed TOML holds, it gives settings or printable problems."""
    lines = []
    for section, content in tree.items():
        lines.append(f"[{value_text(section)}]")
        lines += [f"{value_text(key)} = {text}" for key, text in content.items()]
    assert_sound(outcome("\n".join(lines), {}, {}))


@given(st.dictionaries(st.sampled_from([row.environment for row in rows()]), OCTETS_AS_TEXT))
def test_any_environment_is_settings_or_an_error(environ: dict[str, str]) -> None:
    """Whatever the environment holds, it gives settings or an error with printable problems."""
    assert_sound(outcome("", environ, {}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(ROWS)), JSON_VALUES))
def test_any_value_of_a_flag_is_settings_or_an_error(overrides: dict[str, object]) -> None:
    """Whatever a caller gives for a setting, it gives settings or an error with printable problems."""
    assert_sound(outcome("", {}, overrides))


# Secrets.


@pytest.mark.parametrize("name", [row.name for row in rows() if row.secret])
def test_a_secret_is_not_shown(name: str) -> None:
    """A secret stands in no repr, text or listing of the settings, and they cannot be encoded by mistake."""
    loaded = load("", {ROWS[name].environment: "sqlite://hidden" if "database" in name else "hidden"}, {})
    secret = value_of(loaded, name)
    assert "hidden" in secret.reveal()
    assert "hidden" not in f"{loaded!r} {loaded} {secret} {secret!r} {describe(loaded)}"
    assert {row.name: text for row, text, _ in describe(loaded) if row.secret} == {
        row.name: "set" if row.name == name else "not set" for row in rows() if row.secret
    }
    with pytest.raises(TypeError):
        msgspec.json.encode(loaded.settings)


def test_the_secrets_are_known() -> None:
    """The admin token is a secret, and the database URL, which may hold a password."""
    assert [row.name for row in rows() if row.secret] == ["server.admin_token", "storage.database"]


@pytest.mark.parametrize(
    "value", ["hidden words", 12345, ["hidden"], {"a": "hidden"}, "hidden\x00", 5000 * "hidden"]
)
@pytest.mark.parametrize("name", ["server.admin_token", "storage.database"])
def test_a_refused_secret_is_not_shown(name: str, value: object) -> None:
    """The problem of a secret names its setting, and never the value."""
    (problem,) = problems_of(overrides={name: value})
    assert name in str(problem)
    assert "hidden" not in str(problem)
    assert "12345" not in str(problem)


def test_secrets_compare_by_their_text() -> None:
    """Two secrets are equal when their texts are, and an empty one is false."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("a")
    assert not Secret("")


# What is made of them.


def test_describe() -> None:
    """The listing has each setting in order, its value as TOML writes it, and its source."""
    loaded = load(
        "[logging]\nlevel = 'debug'",
        {"TREBUCHET_CALLBACKS_ALLOW_NETWORKS": "10.0.0.0/8"},
        {"server.port": 0, "simulator.enabled": False},
    )
    described = {row.name: (text, source) for row, text, source in describe(loaded)}
    assert list(described) == list(ROWS)
    assert described["logging.level"] == ('"debug"', "file text")
    assert described["callbacks.allow_networks"] == (
        '["10.0.0.0/8"]',
        "environment TREBUCHET_CALLBACKS_ALLOW_NETWORKS",
    )
    assert described["server.port"] == ("0", "flag --port")
    assert described["simulator.enabled"] == ("false", "flag --set simulator.enabled")
    assert described["callbacks.timeout_s"] == ("10.0", "default")
    assert described["server.data_dir"] == ('""', "default")


@dataclass
class UserFolders:
    """Stands for platformdirs: the user's data folder of a program."""

    home: Path

    def data_path(self, name: str, author: Literal[False]) -> Path:
        return self.home / name / str(author)


@pytest.mark.parametrize(
    ("data_dir", "folder"), [("", "/home/trebuchet/False"), ("/var/lib/sms", "/var/lib/sms")]
)
def test_the_data_directory(data_dir: str, folder: str) -> None:
    """The data folder is the one that is set, else the program's in the user's data directory."""
    server = ServerSettings(data_dir=data_dir)
    assert data_directory(server, UserFolders(Path("/home")).data_path) == Path(folder)


def test_settings_are_frozen() -> None:
    """Settings do not change after they are loaded."""
    settings = load("", {}, {}).settings
    for part, field in ((settings, "server"), (settings.server, "port")):
        with pytest.raises(AttributeError):
            setattr(part, field, None)
