"""The settings as rows, read off their definitions; what help texts, listings and the reference page show."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from trebuchet.settings.definitions import Finding, Secret, Settings

ENVIRONMENT_PREFIX: Final = "TREBUCHET_"

REFERENCE_INTRODUCTION: Final = """\
# Settings

Every setting has a default that works. A flag overrides the environment, the environment overrides the file
that `--config` names, and the file overrides the default. `trebuchet settings` prints what is in force and
where it came from; `trebuchet check` says what is wrong, where, and what would be right.

`callbacks.timeout_s`, for example, is the line `timeout_s = 10` under `[callbacks]` in the TOML file, the
variable `TREBUCHET_CALLBACKS_TIMEOUT_S`, or the flag `--set callbacks.timeout_s=10`. A few have a flag of
their own, named in the table. In a variable or a flag, commas separate the items of a list, and true and
false may also be written yes and no or 1 and 0. Secrets are never printed.
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `name` is `section.key`, `flag` the form on the command line.

    `checked` is the type with its bounds (of a secret, that of its text); `rule` finds what they do not.
    """

    name: str
    type_text: str
    default: Any
    description: str
    environment: str
    flag: str
    secret: bool
    checked: Any
    rule: Callable[[Any], Iterator[Finding]] | None


@cache
def rows() -> tuple[Row, ...]:
    """All settings, in the order of their definition."""
    return tuple(
        _row(section.name, field)
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
    )


def _row(section: str, field: msgspec.structs.FieldInfo) -> Row:
    annotation, meta = get_args(field.type)
    name = f"{section}.{field.name}"
    extra = meta.extra or {}
    return Row(
        name=name,
        type_text=_type_text(annotation, meta),
        default=field.default,
        description=meta.description,
        environment=f"{ENVIRONMENT_PREFIX}{section}_{field.name}".upper(),
        flag=extra.get("flag", f"--set {name}"),
        secret=annotation is Secret,
        checked=Annotated[str, meta] if annotation is Secret else field.type,
        rule=extra.get("rule"),
    )


def _type_text(annotation: Any, meta: msgspec.Meta) -> str:
    if get_origin(annotation) is Literal:
        *others, last = get_args(annotation)
        return f"{', '.join(others)} or {last}"
    if annotation in (int, float):
        kind = "whole number" if annotation is int else "number"
        return f"{kind} from {meta.ge} to {meta.le}"
    if annotation is bool:
        return "true or false"
    if annotation is Secret:
        return "secret text"
    if annotation is str:
        return f"text of {meta.min_length} to {meta.max_length} characters" if meta.min_length else "text"
    return f"list of at most {meta.max_length} texts"


def value_text(value: object) -> str:
    """A value as TOML writes it; of a secret only whether it is set."""
    if isinstance(value, Secret):
        return str(value)
    # For texts without control characters, numbers, booleans and lists of them, JSON and TOML are the same.
    return msgspec.json.encode(value).decode()


def in_force(settings: Settings, sources: Mapping[str, str]) -> list[dict[str, str]]:
    """Each setting with its value and default as TOML writes them, where the value came from, and what it is for; of a
    secret only whether it is set."""
    return [
        {
            "name": row.name,
            "value": value_text(attrgetter(row.name)(settings)),
            "default": value_text(row.default),
            "source": sources.get(row.name, "default"),
            "description": row.description,
            "environment": row.environment,
        }
        for row in rows()
    ]


def reference_markdown() -> str:
    """The reference page of the settings, in Markdown."""
    lines = REFERENCE_INTRODUCTION.splitlines()
    for section in msgspec.structs.fields(Settings):
        lines += ["", f"## {section.name}", "", str(section.type.__doc__), ""]
        lines += ["| setting | type | default | what it is | variable, flag |", "|---|---|---|---|---|"]
        lines += [_table_line(row) for row in rows() if row.name.startswith(f"{section.name}.")]
    return "\n".join(lines) + "\n"


def _table_line(row: Row) -> str:
    default = value_text(row.default) if row.secret else f"`{value_text(row.default)}`"
    ways = f"`{row.environment}`" if row.flag.startswith("--set ") else f"`{row.environment}`, `{row.flag}`"
    cells = (f"`{row.name}`", row.type_text, default, row.description, ways)
    return f"| {' | '.join(cells)} |"
