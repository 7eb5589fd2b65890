"""The description of the HTTP API (OpenAPI 3.1), and the page that shows it without reaching for the network."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trebuchet import __version__
from trebuchet.api import schemas

Object = dict[str, Any]

_ABOUT = (
    "An open, self-hosted messaging gateway that speaks Bandwidth's V2 Messaging API. A message that is answered "
    "with 202 is on disk. What becomes of it is called back, one event per POST (see Webhooks)."
)
_TAG = "Messages"
_MEDIA_TAG = "Media"

# Prefix → name of the account in the path, and its profile's limit of recipients.
_PREFIXES = {
    "/v2": ("userId", "catapult", "MessageRequestOfCatapult"),
    "/api/v2": ("accountId", "current", "MessageRequest"),
}

# Prefix → name of the account in the path, its profile, and the status of what was done without a body.
_MEDIA_PREFIXES = {
    "/v2": ("userId", "catapult", "204"),
    "/api/v2": ("accountId", "current", "204"),
    "/v1": ("userId", "catapult", "200"),
}


def document(server_url: str, extra_paths: Mapping[str, Any]) -> Object:
    """The whole description. `extra_paths` are path items of other groups of calls; they need no schema of ours."""
    paths: Object = {}
    for prefix, (account, profile, request) in _PREFIXES.items():
        path = f"{prefix}/users/{{{account}}}/messages"
        paths[path] = {
            "parameters": [_account(account)],
            "post": _create(profile, request),
            "get": _search(profile),
        }
        paths[path + "/{messageId}"] = {
            "parameters": [_account(account), _MESSAGE_ID],
            "get": _get(profile),
        }
    for prefix, (account, profile, done) in _MEDIA_PREFIXES.items():
        path = f"{prefix}/users/{{{account}}}/media"
        paths[path] = {"parameters": [_account(account)], "get": _list_media(prefix, profile)}
        paths[path + "/{mediaName}"] = {
            "parameters": [_account(account), _MEDIA_NAME],
            "get": _get_media(prefix, profile),
            "put": _put_media(prefix, profile, done),
            "delete": _delete_media(prefix, profile, done),
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trebuchet", "version": __version__, "description": _ABOUT},
        "servers": [{"url": server_url}],
        "tags": [
            {"name": _TAG, "description": "Accepting messages, and finding them again."},
            {"name": _MEDIA_TAG, "description": "Pictures and other files, for messages and from them."},
        ],
        "security": [{"credentials": []}],
        "paths": paths | dict(extra_paths),
        "webhooks": {"event": {"post": _event()}},
        "components": {
            "securitySchemes": {
                "credentials": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "API token and secret of the account in the path.",
                },
                "adminToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The admin token of the gateway, for the calls of /admin/v1.",
                },
            },
            "schemas": schemas.SCHEMAS,
        },
    }


# ---- operations ----


def _create(profile: str, request: str) -> Object:
    return {
        "operationId": f"createMessage_{profile}",
        "tags": [_TAG],
        "summary": "Send a message",
        "description": (
            "Text to one recipient is an SMS; media or several recipients make it an MMS. 202 means stored and "
            "queued: whether the numbers may be used, and what the carrier says, is called back."
        ),
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(request), "examples": schemas.REQUEST_EXAMPLES}},
        },
        "responses": {
            "202": {
                "description": "Accepted: stored, and queued for its carrier.",
                "headers": {
                    "Location": {
                        "description": "Path of the message.",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                },
                "content": {
                    "application/json": {"schema": _ref("Message"), "examples": schemas.MESSAGE_EXAMPLES}
                },
            },
            "400": _problem("The body is no JSON object, or fields are wrong: all of them are named.", "400"),
            **_denied(profile),
            "409": _problem("The Idempotency-Key was used with a different request."),
            "413": _problem("The body is too large."),
            "415": _problem("The content type is not application/json.", "415"),
            "429": _problem("The queue of the account, or of the gateway, is full.", "429"),
            **_ours(),
        },
    }


def _search(profile: str) -> Object:
    limited = _problem("Too many searches from this address.", "429-search")
    limited["headers"] = {"Retry-After": _RETRY_AFTER}
    return {
        "operationId": f"searchMessages_{profile}",
        "tags": [_TAG],
        "summary": "Search messages",
        "description": (
            "One row per recipient, newest first. All given filters must match, and at least one must be given. "
            "The text is never shown. limit and the rows before a page are 10,000 together at most, and "
            "totalCount counts no further."
        ),
        "parameters": schemas.SEARCH_PARAMETERS,
        "responses": {
            "200": {
                "description": "One page of rows.",
                "content": {
                    "application/json": {"schema": _ref("MessagesPage"), "examples": schemas.PAGE_EXAMPLES}
                },
            },
            "400": _problem("No filter, or parameters are wrong: all of them are named."),
            **_denied(profile),
            "429": limited,
            **_ours(),
        },
    }


def _get(profile: str) -> Object:
    return {
        "operationId": f"getMessage_{profile}",
        "tags": [_TAG],
        "summary": "Get one message",
        "description": "An extension. The text is shown if the account's profile was catapult at the time.",
        "responses": {
            "200": {
                "description": "The message, and what became of it for each recipient.",
                "content": {"application/json": {"schema": _ref("MessageWithRecipients")}},
            },
            **_denied(profile),
            "404": {
                "description": "The account has no such message.",
                "content": {"application/json": {"schema": _ref("NotFound")}},
            },
            **_ours(),
        },
    }


def _media_id(call: str, prefix: str) -> str:
    return f"{call}_{prefix.strip('/').replace('/', '_')}"


def _list_media(prefix: str, profile: str) -> Object:
    token = {"description": "There while more pages are.", "schema": {"type": "string"}}
    return {
        "operationId": _media_id("listMedia", prefix),
        "tags": [_MEDIA_TAG],
        "summary": "List media",
        "description": "In the order of their names, 1,000 at a time.",
        "parameters": [
            {
                "name": "Continuation-Token",
                "in": "header",
                "description": "Of the answer before.",
                "schema": {"type": "string", "format": "byte"},
            }
        ],
        "responses": {
            "200": {
                "description": "One page of objects.",
                "headers": {"Continuation-Token": token},
                "content": {"application/json": {"schema": {"type": "array", "items": _ref("MediaObject")}}},
            },
            "400": _problem("The token is none of ours."),
            **_denied(profile),
            **_ours(),
        },
    }


def _get_media(prefix: str, profile: str) -> Object:
    octets = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    return {
        "operationId": _media_id("getMedia", prefix),
        "tags": [_MEDIA_TAG],
        "summary": "Download",
        "description": "With the type and the Cache-Control of the upload. Range, If-Range and If-None-Match are kept.",
        "responses": {
            "200": {"description": "The object.", **octets},
            "206": {"description": "The octets that Range asks for.", **octets},
            "304": {"description": "The client has it."},
            "400": _problem("The name is none."),
            **_denied(profile),
            "404": {
                "description": "The account has no such object, or it has expired.",
                "content": {"application/json": {"schema": _ref("NotFound")}},
            },
            "416": {"description": "Nothing is there that Range asks for."},
            **_ours(),
        },
    }


def _put_media(prefix: str, profile: str, done: str) -> Object:
    return {
        "operationId": _media_id("putMedia", prefix),
        "tags": [_MEDIA_TAG],
        "summary": "Upload",
        "description": "In place of an object of the same name. It expires after `media.keep_h` hours.",
        "requestBody": {
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {
            done: {"description": "It is on disk."},
            "400": _problem("The name is none, or a header cannot be given back."),
            **_denied(profile),
            "408": _problem("Nothing came for half a minute."),
            "413": _problem("It has more octets than `media.max_bytes`."),
            **_ours(),
        },
    }


def _delete_media(prefix: str, profile: str, done: str) -> Object:
    return {
        "operationId": _media_id("deleteMedia", prefix),
        "tags": [_MEDIA_TAG],
        "summary": "Delete",
        "responses": {
            done: {"description": "It is not there any more, or was not."},
            "400": _problem("The name is none."),
            **_denied(profile),
            **_ours(),
        },
    }


def _event() -> Object:
    return {
        "operationId": "event",
        "tags": [_TAG],
        "summary": "An event of a message, POSTed to the application's callback URL",
        "description": (
            "Any 2xx within 10 seconds ends it; everything else is tried again, with growing waits, for 24 hours. "
            "Events may come twice: (message id, to, type) tells them apart."
        ),
        "security": [],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Callback"), "examples": schemas.EVENT_EXAMPLES}},
        },
        "responses": {"2XX": {"description": "Taken. The body is not read for meaning."}},
    }


# ---- parts of operations ----


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _account(name: str) -> Object:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": "Id of the account that the credentials belong to.",
        "schema": {"type": "string", "minLength": 1},
        "example": schemas.ACCOUNT,
    }


_MESSAGE_ID: Object = {
    "name": "messageId",
    "in": "path",
    "required": True,
    "description": "The id of the 202.",
    "schema": {"type": "string", "minLength": 1},
}

_MEDIA_NAME: Object = {
    "name": "mediaName",
    "in": "path",
    "required": True,
    "description": "Slashes may be written as they are or encoded.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 1024},
    "example": "cat.png",
}

_IDEMPOTENCY_KEY: Object = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "An extension. A request that is repeated with its key within 24 hours gets the first answer and makes no "
        "second message."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*[!-~][ -~]*$"},
}

_RETRY_AFTER: Object = {
    "description": "Seconds to wait.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}


def _problem(description: str, example: str | None = None) -> Object:
    content: Object = {"schema": _ref("Problem")}
    if example is not None:
        content["example"] = schemas.PROBLEM_EXAMPLES[example]
    return {"description": description, "content": {"application/json": content}}


def _denied(profile: str) -> Object:
    unauthorized = _problem("No or wrong credentials.", f"401-{profile}")
    unauthorized["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return {"401": unauthorized, "403": _problem("Credentials of another account.", f"403-{profile}")}


def _ours() -> Object:
    unavailable = _problem("The database cannot take it now.")
    unavailable["headers"] = {"Retry-After": _RETRY_AFTER}
    return {"500": _problem("Our fault."), "503": unavailable}


# ---- the page ----

# The policy makes sure that nothing is fetched from elsewhere, whatever the scripts would like.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'">
<title>Trebuchet: HTTP API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div id="swagger-ui"></div>
<script>{bundle}</script>
<script>
window.onload = () => SwaggerUIBundle({{
  url: {url}, dom_id: "#swagger-ui", validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout",
}});
</script>
</body>
</html>
"""


def docs_page(openapi_url: str) -> str:
    """The page that shows the description at `openapi_url`, of the same origin. Reads 2 MB of files: keep it.

    Only the files of the package `offapi` are used: to import it makes every one of its pages, which takes
    160 ms and 60 MB.
    """
    package = importlib.util.find_spec("offapi")
    assert package is not None
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0])
    return _PAGE.format(
        style=(folder / "swagger_style.css").read_text("utf-8"),
        bundle=(folder / "swagger_bundle.js").read_text("utf-8"),
        url=json.dumps(openapi_url).replace("<", "\\u003c"),
    )
