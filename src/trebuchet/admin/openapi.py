"""The description of the admin API (OpenAPI 3.1), made from the structs and rows that the API itself works with."""

from collections.abc import Sequence

from trebuchet.admin import requests as ask
from trebuchet.admin.links import BindRequest
from trebuchet.admin.operations import MESSAGE_FILTERS, ReplayRequest
from trebuchet.admin.records import RESOURCES, CredentialFields, Resource
from trebuchet.admin.resources import BULK_COUNT_MAX
from trebuchet.admin.schemas import (
    BOOLEAN,
    COUNT,
    STRING,
    TIME,
    Object,
    array_of,
    body_of,
    map_of,
    object_of,
    shown_record,
    struct_of,
)
from trebuchet.admin.users import NewUser, UserFields
from trebuchet.carriers.status import BindReport
from trebuchet.model.account import Credential, Role
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Attempt, CallbackItem, Event
from trebuchet.model.message import Delivery, Message, Segment
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.storage.base import Exchange

PREFIX = "/admin/v1"
SCHEME = "adminToken"
_TAG = "Admin"

_DEPTH: Object = {"rows": COUNT, "oldest_age_s": {"type": "number", "minimum": 0}}


def paths() -> Object:
    """Path items of the whole API.

    They refer to the schemas `Problem` and `NotFound` and to the security scheme named by `SCHEME`; all else is
    in them.
    """
    found: Object = {}
    for resource in RESOURCES:
        found |= _resource_paths(resource)
    found |= _carrier_paths() | _credential_paths() | _user_paths() | _operation_paths()
    return {PREFIX + path: item for path, item in found.items()}


# ---- records ----


def _resource_paths(resource: Resource) -> Object:
    name = _camel(resource.noun)
    record = shown_record(resource.record)
    made = {**record["properties"], **({"signing_secret": STRING} if name == "Application" else {})}
    answered = {**record, "properties": made}
    body = body_of(resource.fields, resource.needed)
    created: Object = answered
    if resource.bulk:
        body = {"anyOf": [body, {"type": "array", "items": body, "maxItems": BULK_COUNT_MAX}]}
        created = {"anyOf": [record, object_of({"items": array_of(record)})]}
    one: Object = {"parameters": [_path_parameter(key) for key in resource.key]}
    if resource.changeable:
        one["get"] = _operation(f"get{name}", f"Get one {resource.noun}", {"200": record}, missing=True)
        one["patch"] = _operation(
            f"change{name}",
            f"Change fields of one {resource.noun}",
            {"200": answered},
            body=body_of(resource.fields, ()),
            missing=True,
        )
    one["delete"] = _operation(
        f"delete{name}", f"Delete one {resource.noun}", {"204": None}, missing=True, conflict=True
    )
    return {
        f"/{resource.path}": {
            "get": _list(f"list{name}s", f"List the {resource.noun}s", record),
            "post": _operation(
                f"create{name}",
                f"Create one {resource.noun}" + (", or a list of them" if resource.bulk else ""),
                {"201": created},
                body=body,
                conflict=True,
            ),
        },
        f"/{resource.path}" + "".join(f"/{{{key}}}" for key in resource.key): one,
    }


def _carrier_paths() -> Object:
    carrier = next(resource for resource in RESOURCES if resource.path == "carriers")
    return {
        f"/carriers/{{id}}/{verb}": {
            "parameters": [_path_parameter("id")],
            "post": _operation(
                f"{verb}Carrier", summary, {"200": shown_record(carrier.record)}, missing=True
            ),
        }
        for verb, summary in (
            ("pause", "Stop submitting to a carrier; its messages wait"),
            ("resume", "Submit to a paused carrier again"),
        )
    }


def _credential_paths() -> Object:
    credential = shown_record(Credential)
    created = object_of({**credential["properties"], "secret": STRING})
    return {
        "/accounts/{id}/credentials": {
            "parameters": [_path_parameter("id")],
            "get": _list(
                "listCredentials", "List the tokens of an account, revoked ones too", credential, missing=True
            ),
            "post": _operation(
                "createCredential",
                "Create a token with its secret, which no other answer shows",
                {"201": created},
                body=body_of(CredentialFields, ()),
                missing=True,
            ),
        },
        "/accounts/{id}/credentials/{token}": {
            "parameters": [_path_parameter("id"), _path_parameter("token")],
            "delete": _operation(
                "revokeCredential", "Refuse a token from now on", {"204": None}, missing=True
            ),
        },
    }


def _user_paths() -> Object:
    user = object_of({"name": STRING, "role": {"enum": [role.value for role in Role]}, "created_ms": COUNT})
    return {
        "/users": {
            "get": _list("listUsers", "List the people who may log in to the console", user),
            "post": _operation(
                "createUser", "Let somebody in", {"201": user}, body=body_of(NewUser, ()), conflict=True
            ),
        },
        "/users/{name}": {
            "parameters": [_path_parameter("name")],
            "patch": _operation(
                "changeUser",
                "Give a person another role or password, which ends their sessions",
                {"200": user},
                body=body_of(UserFields, ()),
                missing=True,
                conflict=True,
            ),
            "delete": _operation(
                "deleteUser", "Let somebody in no longer", {"204": None}, missing=True, conflict=True
            ),
        },
    }


# ---- operation ----


def _operation_paths() -> Object:
    event = struct_of(Event)
    attempts = array_of(struct_of(Attempt))
    return {
        "/messages": {
            "get": _operation(
                "searchAllMessages",
                "Search the messages of all accounts, newest first; never their texts",
                {"200": _page(object_of(_ROW), {"total": COUNT})},
                parameters=[_query(name, _FILTERS.get(name, STRING)) for name in MESSAGE_FILTERS],
            )
        },
        "/messages/{id}": {
            "parameters": [_path_parameter("id")],
            "get": _operation(
                "getLife",
                "Everything that is known of one message",
                {"200": _life(event, attempts)},
                parameters=[_query("text", BOOLEAN, "Whether to show the text.")],
                missing=True,
            ),
        },
        "/callbacks": {
            "get": _list(
                "listCallbacks",
                "List events with the attempts to call them back",
                object_of({**event["properties"], "attempts": attempts}),
                parameters=[
                    _query("application", STRING),
                    _query("failed_only", BOOLEAN, "Only those that no attempt delivered."),
                    *_SPAN,
                ],
            )
        },
        "/callbacks/replay": {
            "post": _operation(
                "replayCallbacks",
                "Call back once more: named events, those of a message, or a range of an application",
                {"200": object_of({"queued": COUNT, "more": BOOLEAN})},
                body=body_of(ReplayRequest, ()),
            )
        },
        "/receipts/unmatched": {
            "get": _operation(
                "listUnmatchedReceipts",
                "List receipts that match no message, newest first",
                {"200": object_of({"items": array_of(_unmatched_receipt())})},
                parameters=[
                    _query("carrier", STRING),
                    _query("text", BOOLEAN, "Whether to show what they quote of texts, and octets."),
                    _LIMIT,
                ],
            )
        },
        "/audit": {
            "get": _operation(
                "listAudit",
                "List what was changed by whom, newest first",
                {"200": _page(struct_of(AuditEntry), {})},
                parameters=[_query("before", STRING, "Only entries before the one with this id."), _LIMIT],
            )
        },
        "/queues": {
            "get": _operation(
                "getQueues",
                "What waits, by lane and by application",
                {"200": object_of({name: map_of(object_of(_DEPTH)) for name in ("lanes", "callbacks")})},
            )
        },
        **_link_paths(),
        "/status": {"get": _operation("getStatus", "How the gateway is", {"200": object_of(_STATUS)})},
        "/feed": {"get": _feed()},
    }


def _feed() -> Object:
    operation = _operation(
        "watchFeed",
        "What happens, as it happens: server-sent events",
        {},
        parameters=[_query(name, STRING) for name in ("message", "account", "application")],
    )
    operation["responses"]["200"] = _answer("Until the client has gone.", STRING, "text/event-stream")
    return operation


_SPAN = [
    {"name": name, "in": "query", "schema": TIME, "description": description}
    for name, description in (("from", "Not before; ISO 8601."), ("to", "Not after; ISO 8601."))
]
_LIMIT: Object = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": ask.LIMIT_MAX, "default": ask.LIMIT},
}
_FILTERS: dict[str, Object] = {
    "direction": {"enum": ["in", "out"]},
    "kind": {"enum": ["sms", "mms"]},
    "error_code": {"type": "integer", "minimum": 0, "maximum": 99_999},
    "from": TIME,
    "to": TIME,
    "limit": _LIMIT["schema"],
}
_ROW: Object = {
    "id": STRING,
    "recipient": {"type": "integer"},
    "account_id": STRING,
    "application_id": STRING,
    "direction": {"enum": ["in", "out"]},
    "kind": {"enum": ["sms", "mms"]},
    "from": STRING,
    "to": STRING,
    "state": {"enum": [*State, "SENDING"]},
    "error_code": {"type": ["integer", "null"]},
    "segment_count": COUNT,
    "received": TIME,
    "final": {**TIME, "type": ["string", "null"]},
    "tag": {"type": ["string", "null"]},
}
_STATUS: Object = {
    "version": STRING,
    "started": TIME,
    "now": TIME,
    "database": STRING,
    "simulator": BOOLEAN,
    "queued": COUNT,
}


_DECODED: Object = {
    "pdu": {"type": "object", "description": "Field by field, in words."},
    "hex": {**STRING, "description": "The octets; only with the text."},
}
_PDU: Object = {
    "type": "object",
    "properties": {"time": TIME, "lane": STRING, "direction": STRING, **_DECODED},
    "required": ["time", "lane", "direction", "pdu"],
}


def _unmatched_receipt() -> Object:
    receipt = struct_of(Receipt)
    del receipt["properties"]["octets"]
    receipt["properties"] |= _DECODED
    receipt["required"] = [name for name in receipt["required"] if name not in ("octets", "text")]
    return receipt


def _life(event: Object, attempts: Object) -> Object:
    message = struct_of(Message)
    message["required"].remove("text")
    return object_of(
        {
            "message": message,
            "deliveries": array_of(struct_of(Delivery)),
            "claimed": array_of({"type": "integer"}),
            "segments": array_of(struct_of(Segment)),
            "exchanges": array_of(struct_of(Exchange)),
            "events": array_of(event),
            "pending": array_of(struct_of(CallbackItem)),
            "attempts": attempts,
            "pdus": array_of(_PDU),
            "why": object_of({"route": STRING, "encoding": STRING}),
        }
    )


def _link_paths() -> Object:
    lane = object_of({"name": STRING, "room": {"type": "integer"}, "rows": COUNT})
    link = object_of(
        {
            "carrier_id": STRING,
            "kind": STRING,
            "state": STRING,
            "lanes": array_of(lane),
            "binds": array_of(struct_of(BindReport)),
            "receipt_ids": {"type": ["string", "null"]},
        }
    )
    address = {"number": STRING, "ton": COUNT, "npi": COUNT, "address": STRING, "read_back": STRING}
    parameters = [_path_parameter("id")]
    trace = _operation(
        "traceLink",
        "The PDUs of a link as they pass: server-sent events",
        {},
        parameters=[_query("text", BOOLEAN, "Whether to show texts, and octets.")],
        missing=True,
        conflict=True,
    )
    trace["responses"]["200"] = _answer("Until the client has gone.", STRING, "text/event-stream")
    node = object_of(
        {
            "id": STRING,
            "name": STRING,
            "state": STRING,
            "this": BOOLEAN,
            "url": STRING,
            "roles": array_of(STRING),
            "version": STRING,
            "started": STRING,
            "seen": STRING,
            "silent_s": {"type": "number"},
            "lanes": array_of(STRING),
        }
    )
    lane = object_of(
        {
            "lane": STRING,
            "node": {"type": ["string", "null"]},
            "node_name": {"type": ["string", "null"]},
            "epoch": COUNT,
            "since": {"type": ["string", "null"]},
            "until": {"type": ["string", "null"]},
        }
    )
    nodes = {
        "shared": BOOLEAN,
        "this": STRING,
        "now": STRING,
        "lease_s": {"type": "number"},
        "items": array_of(node),
        "lanes": array_of(lane),
    }
    found: Object = {
        "/nodes": {
            "get": _operation(
                "listNodes",
                "The nodes that share the database, and which of them owns which lane",
                {"200": object_of(nodes)},
            )
        },
        "/links": {
            "get": _operation(
                "listLinks", "How the links to carriers stand", {"200": object_of({"items": array_of(link)})}
            )
        },
        "/links/{id}": {
            "parameters": parameters,
            "get": _operation("getLink", "How one link stands", {"200": link}, missing=True),
        },
        "/links/{id}/trace": {"parameters": parameters, "get": trace},
        "/links/{id}/address": {
            "parameters": parameters,
            "get": _operation(
                "tryAddress",
                "How a number goes on the wire over a link",
                {"200": object_of(address)},
                parameters=[{**_query("number", STRING), "required": True}],
                missing=True,
                conflict=True,
            ),
        },
    }
    for verb, summary in (
        ("unbind", "Unbind, and stay so until told otherwise"),
        ("rebind", "End the session if there is one, and bind again"),
    ):
        found[f"/links/{{id}}/{verb}"] = {
            "parameters": parameters,
            "post": _operation(
                f"{verb}Link",
                summary,
                {"200": link},
                body=body_of(BindRequest, ()),
                missing=True,
                conflict=True,
            ),
        }
    return found


# ---- parts of operations ----


def _operation(
    id_: str,
    summary: str,
    success: dict[str, Object | None],
    *,
    body: Object | None = None,
    parameters: Sequence[Object] = (),
    missing: bool = False,
    conflict: bool = False,
) -> Object:
    """An operation with the errors that its kind has. `success`: status → schema, None for no JSON."""
    responses: Object = {status: _answer("Done.", schema) for status, schema in success.items()}
    responses["401"] = _answer("No admin token, or a wrong one.", _ref("Problem"))
    responses["401"]["headers"] = {"WWW-Authenticate": {"required": True, "schema": STRING}}
    if missing:
        responses["404"] = _answer("There is none.", _ref("NotFound"))
    if conflict:
        responses["409"] = _answer("The id is taken, or the record is in use.", _ref("Problem"))
    operation: Object = {
        "operationId": id_,
        "tags": [_TAG],
        "summary": summary,
        "security": [{SCHEME: []}],
        "responses": responses,
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
        responses["413"] = _answer("The body is too large.", _ref("Problem"))
        responses["415"] = _answer("The content type is not application/json.", _ref("Problem"))
    responses["400"] = _answer("Fields or parameters are wrong: all of them are named.", _ref("Problem"))
    responses["500"] = _answer("Our fault.", _ref("Problem"))
    responses["503"] = _answer("The database cannot take it now.", _ref("Problem"))
    return operation


def _list(
    id_: str, summary: str, item: Object, *, parameters: Sequence[Object] = (), missing: bool = False
) -> Object:
    after = _query("after", STRING, "`next` of the page before.")
    return _operation(
        id_, summary, {"200": _page(item, {})}, parameters=[*parameters, _LIMIT, after], missing=missing
    )


def _page(item: Object, more: Object) -> Object:
    page = object_of({"items": array_of(item), **more})
    page["properties"]["next"] = {**STRING, "description": "Absent on the last page."}
    return page


def _answer(description: str, schema: Object | None, kind: str = "application/json") -> Object:
    content = {} if schema is None else {"content": {kind: {"schema": schema}}}
    return {"description": description, **content}


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _path_parameter(name: str) -> Object:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query(name: str, schema: Object, description: str = "") -> Object:
    return {"name": name, "in": "query", "schema": schema} | (
        {"description": description} if description else {}
    )


def _camel(noun: str) -> str:
    return noun.title().replace("-", "")
