"""JSON schemas of the structs that the admin API works with, as they are seen on the wire."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trebuchet.admin.records import SECRETS

Object = dict[str, Any]

STRING: Object = {"type": "string"}
COUNT: Object = {"type": "integer", "minimum": 0}
BOOLEAN: Object = {"type": "boolean"}
TIME: Object = {"type": "string", "format": "date-time"}


def object_of(properties: Object) -> Object:
    """An object that has all of these."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def array_of(items: Object) -> Object:
    return {"type": "array", "items": items}


def map_of(values: Object) -> Object:
    return {"type": "object", "additionalProperties": values}


def struct_of(struct: type[msgspec.Struct]) -> Object:
    """A struct as answers show it: with all of its fields, also if it is an array on its way to the database."""
    return object_of({field.name: schema_of(field.type) for field in msgspec.structs.fields(struct)})


def shown_record(record: type[msgspec.Struct]) -> Object:
    """A record as `records.shown` shows it."""
    properties: Object = struct_of(record)["properties"]
    properties.pop("secret_sha256", None)
    for secret in SECRETS:
        if properties.pop(secret, None) is not None:
            properties[f"{secret}_set"] = BOOLEAN
    return object_of(properties)


def body_of(struct: type[msgspec.Struct], needed: Sequence[str]) -> Object:
    """A body of which `needed` fields must be given, and unknown ones must not."""
    properties = {field.encode_name: schema_of(field.type) for field in msgspec.structs.fields(struct)}
    body: Object = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**body, "required": list(needed)} if needed else body


def schema_of(type_: Any) -> Object:
    """The JSON schema of a type, with nothing outside of it."""
    (schema,), components = msgspec.json.schema_components((type_,), ref_template="{name}")
    inlined: Object = _inlined(schema, components)
    return inlined


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"]], components)
    found = {name: _inlined(value, components) for name, value in schema.items() if name != "title"}
    if "pattern" in found:
        # JSON Schema's regular expressions are those of ECMA-262, which has $ for the end and nothing else.
        found["pattern"] = found["pattern"].replace(r"\Z", "$")
    return found
