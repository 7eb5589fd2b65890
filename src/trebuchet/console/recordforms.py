"""Provisioned records as forms: what a page asks for, and what of a posted form becomes the body of an admin request.

The fields are those of the admin API's own structs, and so are all checks: a form only says how each value is written.
Pure.
"""

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import UnsetType

from trebuchet.admin.records import SECRETS, Resource
from trebuchet.api.problems import FieldError, invalid
from trebuchet.carriers.described import Setting, settings_of
from trebuchet.carriers.secrets import HIDDEN

_OF_SETTINGS: Final = "settings."  # before the names of a carrier's settings

# What fields are called and what they are for; a name that is not here speaks for itself.
_LABELS: Final = {
    "id": ("Id", "letters, digits and - . _ ~; made for you if it is left empty and may be"),
    "account_id": ("Account", ""),
    "application_id": ("Application", ""),
    "carrier_id": ("Carrier", ""),
    "callback_url": ("Callback URL", "where events are POSTed; empty: nowhere"),
    "callback_username": ("Callback user name", "for HTTP Basic"),
    "callback_password": ("Callback password", "empty: as it is"),
    "callback_auth": ("Callback authentication", "with every POST, or only after a 401"),
    "events": ("Events", "which ones are called back; none chosen: all"),
    "rotate_signing_secret": ("New signing secret", "sign callbacks (Standard Webhooks); it is shown once"),
    "opt_out": ("STOP, START, HELP", "answered for this application"),
    "help_text": ("Answer to HELP", ""),
    "smart_encoding": ("Smart encoding", "typographic characters become GSM ones where that saves segments"),
    "segments_per_s": ("Segments per second", "empty: no limit"),
    "profile": ("Profile", "empty: by the path of the request"),
    "in_doubt": (
        "When a submit is never answered",
        "resend: may arrive twice; fail: wait for a late receipt",
    ),
    "receipt_timeout_s": ("Receipt time-out in seconds", "empty: the gateway's default"),
    "prefix": ("Prefix", "of the recipients that it is for; empty: all"),
    "priority": ("Priority", "of several with the same prefix, the lowest"),
    "kind": ("Kind", ""),
    "number": ("Number", "E.164, a short code, or up to 11 letters and digits"),
    "handset": ("Handset", "the number that answered STOP"),
    "paused": ("Paused", "its messages wait"),
    "name": ("Name", ""),
}


class FormField(msgspec.Struct, frozen=True):
    """One thing that a form asks for. `kind`: text, secret, number, switch, choice, choices or json."""

    name: str
    label: str
    help: str
    kind: str
    value: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    fixed: bool = False
    placeholder: str = ""
    error: str = ""


def fields_of_record(
    resource: Resource,
    values: Mapping[str, Any],
    references: Mapping[str, Sequence[str]],
    *,
    new: bool,
    carrier_kind: str | None = None,
) -> list[FormField]:
    """What is asked for one record. `references` are the ids that a field such as `account_id` may name."""
    found = []
    for field in msgspec.structs.fields(resource.fields):
        name = field.name
        if name == "settings":
            continue
        label, text = _LABELS.get(name, (name.replace("_", " ").capitalize(), ""))
        kind, choices = _asked(name, field.type, references)
        fixed = not new and name in (*resource.key, *resource.fixed)
        if carrier_kind is not None and name == "kind":
            kind, choices, fixed = "choice", (carrier_kind,), True
        found.append(
            FormField(
                name, label, text, kind, values.get(name), choices, new and name in resource.needed, fixed
            )
        )
    if carrier_kind is not None:
        given = values.get("settings") or {}
        found += [_of_setting(setting, given) for setting in settings_of(carrier_kind)]
    return found


def _of_setting(setting: Setting, given: Mapping[str, Any]) -> FormField:
    value = given.get(setting.name)
    kind = setting.kind
    if kind == "json" and value is not None:
        value = json.dumps(value, ensure_ascii=False)
    if kind == "switch" and value is None:
        value = setting.default == "true"
    if value == HIDDEN:
        kind, value = "secret", None
    return FormField(
        _OF_SETTINGS + setting.name,
        setting.name,
        setting.meaning or setting.allowed.replace("`", ""),
        "secret" if setting.name in ("password", "auth_password") else kind,
        value,
        setting.choices,
        required=setting.default is None,
        placeholder="" if setting.default is None else setting.default.strip('"'),
    )


def _asked(name: str, kind: Any, references: Mapping[str, Sequence[str]]) -> tuple[str, tuple[str, ...]]:
    """How a field is asked for, and what it offers."""
    if name in SECRETS:
        return "secret", ()
    if name in references:
        return "choice", tuple(references[name])
    for option in _options(kind):
        origin = get_origin(option)
        if origin is tuple:
            return "choices", tuple(str(member.value) for member in get_args(option)[0])
        if origin is Literal:
            return "choice", tuple(map(str, get_args(option)))
        if isinstance(option, type) and issubclass(option, enum.Enum):
            return "choice", tuple(str(member.value) for member in option)
        if option is bool:
            return "switch", ()
        if option in (int, float):
            return "number", ()
    return "text", ()


def _options(kind: Any) -> list[Any]:
    """The types that a field may have, without bounds, None and "not given"."""
    if hasattr(kind, "__metadata__"):
        return _options(get_args(kind)[0])
    arguments = get_args(kind)
    if arguments and get_origin(kind) not in (tuple, Literal):
        return [each for argument in arguments for each in _options(argument)]
    return [] if kind in (UnsetType, type(None)) else [kind]


def body_of_form(
    resource: Resource,
    form: Mapping[str, Sequence[str]],
    *,
    new: bool,
    carrier_kind: str | None = None,
    stored: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body that says what a form says; `stored` are the settings of the carrier as they are shown.

    Raises Problem for a value that cannot be written as its kind.
    """
    body: dict[str, Any] = {}
    errors: list[FieldError] = []
    for field in msgspec.structs.fields(resource.fields):
        name = field.name
        if name == "settings" or (not new and name in (*resource.key, *resource.fixed)):
            continue
        kind, _ = _asked(name, field.type, {})
        nullable = type(None) in get_args(field.type)
        _put(body, name, kind, form.get(name, ()), errors, nullable=nullable and not new)
    if carrier_kind is not None:
        body["settings"] = settings = dict(stored or {})
        for setting in settings_of(carrier_kind):
            given = form.get(_OF_SETTINGS + setting.name, ())
            written = given[-1] if given else ""
            secret = settings.get(setting.name) == HIDDEN
            if secret and not written:
                continue
            settings.pop(setting.name, None)
            _put(settings, setting.name, setting.kind, given, errors, nullable=False)
            if setting.kind == "switch" and json.dumps(settings[setting.name]) == setting.default:
                del settings[setting.name]  # a record says only what differs
    if errors:
        raise invalid(errors)
    return body


def _put(
    body: dict[str, Any],
    name: str,
    kind: str,
    given: Sequence[str],
    errors: list[FieldError],
    *,
    nullable: bool,
) -> None:
    """Write one value into a body; an empty field is left out, or null where that takes the value away."""
    written = given[-1].strip() if given else ""
    if kind == "switch":
        body[name] = written in ("on", "true")
    elif kind == "choices":
        if given or nullable:
            body[name] = list(given) or None
    elif kind == "secret":
        if written:
            body[name] = written
    elif written:
        try:
            body[name] = _WRITTEN.get(kind, str)(written)
        except ValueError:
            errors.append(FieldError(name, f"'{name}' must be JSON"))
    elif nullable:
        body[name] = None


def _number(written: str) -> int | float | str:
    """The number; what is none is left to the checks, which say so in their own words."""
    for kind in (int, float):
        try:
            return kind(written)
        except ValueError:
            continue
    return written


_WRITTEN: Final[dict[str, Callable[[str], Any]]] = {"number": _number, "json": json.loads}


def with_errors(
    fields: Sequence[FormField], errors: Sequence[FieldError], form: Mapping[str, Sequence[str]]
) -> tuple[list[FormField], list[str]]:
    """The fields as they were filled in, each with what is wrong with it, and what is wrong with none of them."""
    by_name: dict[str, str] = {}
    for error in errors:
        by_name.setdefault(error.field_name, error.description)
    names = {field.name for field in fields}
    filled = []
    for field in fields:
        value: Any = field.value
        if not field.fixed and field.kind != "secret":
            given = form.get(field.name, ())
            value = (
                bool(given)
                if field.kind == "switch"
                else list(given)
                if field.kind == "choices"
                else (given[-1] if given else "")
            )
        filled.append(msgspec.structs.replace(field, value=value, error=by_name.get(field.name, "")))
    return filled, [words for name, words in by_name.items() if name not in names]
