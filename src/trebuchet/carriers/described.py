"""What the settings of each kind of carrier are: names, defaults and bounds by inspection of the settings types,
meanings from the comments behind their fields. For the reference page and for forms; reads source files."""

import ast
import inspect
import io
import textwrap
import tokenize
from functools import cache
from importlib import import_module
from typing import Any, Final

import msgspec
from msgspec import inspect as types

# Kind → the class of its settings, in `carriers/KIND/settings.py`. Imported when it is asked about: with its package
# comes all that its links need.
KINDS: Final = {
    "smpp": "SmppSettings",
    "mm4": "Mm4Settings",
    "mm7": "Mm7Settings",
    "simulator": "SimulatorSettings",
}


class Setting(msgspec.Struct, frozen=True):
    """One setting of a carrier record. `default` is JSON, None if it must be given."""

    name: str
    default: str | None
    allowed: str  # in words
    meaning: str
    kind: str  # text, number, switch, choice or json: how a form asks for it
    choices: tuple[str, ...] = ()


@cache
def settings_of(kind: str) -> tuple[Setting, ...]:
    """The settings of a kind of carrier, in the order of their definition. Raises KeyError."""
    settings: type[Any] = getattr(import_module(f"trebuchet.carriers.{kind}.settings"), KINDS[kind])
    comments = _comments(settings)
    described = types.type_info(settings)
    assert isinstance(described, types.StructType)
    return tuple(
        Setting(
            field.name,
            _default(field),
            _allowed(field.type),
            comments.get(field.name, ""),
            *_asked(field.type),
        )
        for field in described.fields
    )


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


def _default(field: types.Field) -> str | None:
    if field.required:
        return None
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return msgspec.json.encode(value).decode()


def _asked(kind: types.Type) -> tuple[str, tuple[str, ...]]:
    """How a form asks for a value, and what it offers."""
    match kind:
        case types.LiteralType(values=values):
            return "choice", tuple(map(str, values))
        case types.EnumType(cls=cls):
            return "choice", tuple(str(each.value) for each in cls)
        case types.BoolType():
            return "switch", ()
        case types.IntType() | types.FloatType():
            return "number", ()
        case types.StrType():
            return "text", ()
        case types.Metadata(type=inner):
            return _asked(inner)
    return "json", ()


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
