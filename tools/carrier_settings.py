"""The page of carrier settings, from the settings types: names, defaults and bounds by inspection, meanings from the
comments behind the fields."""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect as types

from trebuchet.carriers.mm4.settings import Mm4Settings
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.carriers.simulator.settings import SimulatorSettings
from trebuchet.carriers.smpp.settings import SmppSettings

KINDS: dict[str, type[Any]] = {
    "smpp": SmppSettings,
    "mm4": Mm4Settings,
    "mm7": Mm7Settings,
    "simulator": SimulatorSettings,
}

_HEAD = """\
# Carrier settings

What `settings` of a carrier record may say, by its kind: `trebuchet carriers create ID --kind KIND --settings JSON`, or
`POST /admin/v1/carriers`. A setting without a default must be given. Secrets are shown as `•••`; sent back so,
they stay.
"""


def carriers_page() -> str:
    return _HEAD + "".join(line for kind, settings in KINDS.items() for line in _section(kind, settings))


def _section(kind: str, settings: type[Any]) -> Iterator[str]:
    yield f"\n## {kind}\n\n| setting | default | what it may be | what it is for |\n|---|---|---|---|\n"
    comments = _comments(settings)
    described = types.type_info(settings)
    assert isinstance(described, types.StructType)
    for field in described.fields:
        cells = (f"`{field.name}`", _default(field), _allowed(field.type), comments.get(field.name, ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _comments(settings: type[Any]) -> dict[str, str]:
    """What stands behind each field, without what is said to the linter."""
    source = textwrap.dedent(inspect.getsource(settings))
    by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for each in definition.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            lines = (
                by_line.get(line, "") for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
            )
            said = "; ".join(filter(None, lines))
            found[each.target.id] = said.rpartition("  # ")[2] if said.startswith("noqa") else said
    return found


def _default(field: types.Field) -> str:
    if field.required:
        return "must be given"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


def _allowed(kind: types.Type) -> str:
    match kind:
        case types.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case types.BoolType():
            return "true, false"
        case types.IntType(ge=least, le=most) | types.FloatType(ge=least, le=most):
            return _range(least, most) or "a number"
        case types.StrType(max_length=longest):
            return f"text, at most {longest}" if longest is not None else "text"
        case types.VarTupleType(item_type=item) | types.ListType(item_type=item):
            return f"list of {_allowed(item)}"
        case types.EnumType(cls=cls):
            return ", ".join(f"`{each.value}`" for each in cls)
        case types.UnionType(types=each):
            return " or ".join(dict.fromkeys(_allowed(one) for one in each))
        case types.NoneType():
            return "null"
        case types.Metadata(type=inner):
            return _allowed(inner)
    return "an object"


def _range(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return ""
    return f"{least:,} to {most:,}"
