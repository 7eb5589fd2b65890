"""The data of the API's description: schemas, parameters of the search, and examples with the values of
`serve --demo`. They say what `wire`, `search`, `problems` and `callbacks.payload` do; tests hold them to it.
"""

from typing import Any

from trebuchet.api import filters, search, wire
from trebuchet.model.events import EventType

Object = dict[str, Any]

ACCOUNT = "u-demo"
APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
NUMBER = "+12345678901"
HANDSET = "+12345678902"
PICTURE = "https://example.com/picture.jpg"
MESSAGE_ID = "1769860800000w2fuqty55yp2b2ab"

_NO_NUL = "^[^\\u0000]*$"
_E164 = r"\+[1-9][0-9]{6,14}"

# ---- what is sent ----

_SENDER: Object = {
    "description": (
        "One of the account's numbers: E.164, ten or eleven digits of North America, a short code, or an "
        "alphanumeric sender of 11 characters or less."
    ),
    "type": "string",
    "anyOf": [
        {"pattern": f"^({_E164}|1?[2-9][0-9]{{9}}|[2-9][0-9]{{4,5}})$"},
        {"pattern": "^[A-Za-z0-9 +_&-]*[A-Za-z][A-Za-z0-9 +_&-]*$", "maxLength": 11},
    ],
}
_RECIPIENT: Object = {
    "description": "E.164. North American numbers may come without +1. Other digits are taken, and fail later.",
    "type": "string",
    "pattern": rf"^({_E164}|[0-9]{{5,15}}|(\+?1)?(911|933|[2-8]11))$",
}
_MEDIA_URL: Object = {
    "description": "Absolute http or https URL.",
    "type": "string",
    "maxLength": wire.MEDIA_URL_MAX,
    "pattern": wire.MEDIA_URL_PATTERN,
}


def _request(recipients_max: int) -> Object:
    properties: Object = {
        "from": _SENDER,
        "to": {
            "description": (
                "One recipient, or an array of them; several make a group message. Repeated ones are dropped."
            ),
            "anyOf": [
                _RECIPIENT,
                {"type": "array", "items": _RECIPIENT, "minItems": 1, "maxItems": recipients_max},
            ],
        },
        "text": {
            "description": f"{wire.TEXT_MAX} UTF-16 units or less. Required unless media is included.",
            "type": ["string", "null"],
            "maxLength": wire.TEXT_MAX,
            "pattern": _NO_NUL,
        },
        "applicationId": {
            "description": "Id of the application that the number belongs to.",
            "type": "string",
            "minLength": 1,
            "maxLength": wire.APPLICATION_ID_MAX,
            "pattern": _NO_NUL,
        },
        "media": {
            "description": "Makes the message an MMS.",
            "type": ["array", "null"],
            "items": _MEDIA_URL,
            "maxItems": wire.MEDIA_MAX,
        },
        "tag": {
            "description": "Comes back in the answer and in every callback of the message.",
            "type": ["string", "null"],
            "maxLength": wire.TAG_MAX,
            "pattern": _NO_NUL,
        },
        "priority": {
            "description": "high goes ahead of the account's own queue.",
            "enum": [*wire.PRIORITIES, None],
        },
        "expiration": {
            "description": "RFC 3339, in the future. Not submitted by then, the message fails with 4360.",
            "type": ["string", "null"],
            "format": "date-time",
        },
    }
    return {
        "type": "object",
        "description": "Unknown fields are tolerated. Optional fields may be null.",
        "required": ["from", "to", "applicationId"],
        "properties": properties,
        "anyOf": [
            {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
            {"required": ["media"], "properties": {"media": {"type": "array", "minItems": 1}}},
        ],
    }


# ---- what is answered and called back ----

_TIME: Object = {"type": "string", "format": "date-time", "pattern": r"\.[0-9]{3}Z$"}
_STRINGS: Object = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_STATUS: Object = {"enum": list(filters.STATUSES)}
_COUNT: Object = {"type": "integer", "minimum": 0}

_MESSAGE: Object = {
    "type": "object",
    "description": "What was not given is absent, never null.",
    "required": ["id", "owner", "applicationId", "time", "segmentCount", "direction", "to", "from", "text"],
    "properties": {
        "id": {"type": "string", "minLength": 29, "maxLength": 29},
        "owner": {"description": "The account's number of this message.", "type": "string"},
        "applicationId": {"type": "string"},
        "time": _TIME,
        "segmentCount": {"description": "1 for an MMS.", "type": "integer", "minimum": 1},
        "direction": {"enum": ["out", "in"]},
        "to": _STRINGS,
        "from": {"type": "string"},
        "text": {"type": "string"},
        "media": _STRINGS,
        "tag": {"type": "string"},
        "priority": {"enum": list(wire.PRIORITIES)},
        "expiration": {"type": "string"},
    },
}
_RECIPIENT_STATE: Object = {
    "type": "object",
    "required": ["to", "messageStatus", "errorCode"],
    "properties": {
        "to": {"type": "string"},
        "messageStatus": _STATUS,
        "errorCode": {"description": "0: none.", "type": "integer", "minimum": 0},
    },
}
_ROW: Object = {
    "type": "object",
    "properties": {
        "messageId": {"type": "string"},
        "accountId": {"type": "string"},
        "sourceTn": {"type": "string"},
        "destinationTn": {"type": "string"},
        "messageStatus": _STATUS,
        "messageDirection": {"enum": list(filters.DIRECTIONS)},
        "messageType": {"enum": ["sms", "mms"]},
        "segmentCount": _COUNT,
        "errorCode": {"description": "0: none.", "type": "integer", "minimum": 0},
        "receiveTime": _TIME,
        "messageSize": {"description": "Octets of the text in UTF-8.", "type": "integer", "minimum": 0},
        "messageLength": {"description": "Characters of the text.", "type": "integer", "minimum": 0},
        "attachmentCount": _COUNT,
        "recipientCount": _COUNT,
        "product": {"enum": list(filters.PRODUCTS.values())},
        "carrierName": {"description": "Absent if no carrier was chosen.", "type": "string"},
    },
}
_ROW["required"] = [name for name in _ROW["properties"] if name != "carrierName"]

_PAGE: Object = {
    "type": "object",
    "required": ["totalCount", "pageInfo", "messages"],
    "properties": {
        "totalCount": {"type": "integer", "minimum": 0, "maximum": search.REACH},
        "pageInfo": {
            "description": "Only of pages that exist.",
            "type": "object",
            "properties": {
                name: {"type": "string"}
                for name in ("prevPage", "prevPageToken", "nextPage", "nextPageToken")
            },
        },
        "messages": {"type": "array", "items": _ROW},
    },
}
_CALLBACK: Object = {
    "type": "array",
    "description": "Always exactly one event.",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "required": ["time", "type", "to", "description", "message"],
        "properties": {
            "time": _TIME,
            "type": {"enum": [type_.value for type_ in EventType]},
            "to": {
                "description": "The recipient that it is about; inbound: the account's number.",
                "type": "string",
            },
            "errorCode": {"description": "Of message-failed only.", "type": "integer"},
            "description": {"description": "For people.", "type": "string"},
            "message": {"$ref": "#/components/schemas/Message"},
        },
        "if": {"properties": {"type": {"const": EventType.FAILED.value}}},
        "then": {"required": ["errorCode"]},
        "else": {"not": {"required": ["errorCode"]}},
    },
}
_PROBLEM: Object = {
    "type": "object",
    "required": ["type", "description", "message"],
    "properties": {
        "type": {"type": "string"},
        "description": {"type": "string"},
        "fieldErrors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["fieldName", "description"],
                "properties": {"fieldName": {"type": "string"}, "description": {"type": "string"}},
            },
        },
        "message": {"description": "The description again, for clients of 2018.", "type": "string"},
    },
}
_NOT_FOUND: Object = {
    "allOf": [{"$ref": "#/components/schemas/Problem"}],
    "required": ["timestamp", "status", "error", "path"],
    "properties": {
        "timestamp": {"type": "string"},
        "status": {"const": 404},
        "error": {"type": "string"},
        "path": {"type": "string"},
    },
}

SCHEMAS: dict[str, Object] = {
    "MessageRequest": _request(10),
    "MessageRequestOfCatapult": _request(wire.RECIPIENTS_HARD_MAX),
    "Message": _MESSAGE,
    "MessageWithRecipients": {
        "allOf": [{"$ref": "#/components/schemas/Message"}],
        "required": ["recipients"],
        "properties": {"recipients": {"type": "array", "items": _RECIPIENT_STATE, "minItems": 1}},
    },
    "MessagesPage": _PAGE,
    "Callback": _CALLBACK,
    "Problem": _PROBLEM,
    "NotFound": _NOT_FOUND,
    "MediaObject": {
        "type": "object",
        "required": ["contentLength", "mediaName", "content"],
        "properties": {
            "contentLength": {"description": "Octets.", **_COUNT},
            "mediaName": {"type": "string"},
            "content": {"description": "Where it can be downloaded.", "type": "string"},
        },
    },
}

# ---- parameters of the search ----

_TEXT: Object = {"type": "string", "minLength": 1}
_INTEGER: Object = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_MOMENT: Object = {"type": "string", "format": "date-time"}
_NUMBERS = (
    "A full telephone number, up to 10 of them parted by commas, or 5 or more of the first characters of one."
)
_EMPTY = "Of this no data is held: no message matches."

_SEARCH: dict[str, tuple[str, Object]] = {
    "messageId": ("The id of one message.", _TEXT),
    "sourceTn": (_NUMBERS, _TEXT),
    "destinationTn": (_NUMBERS, _TEXT),
    "messageStatus": ("", _STATUS),
    "messageDirection": ("", {"enum": list(filters.DIRECTIONS)}),
    "messageType": ("No message is of the type rcs.", {"enum": list(filters.TYPES)}),
    "carrierName": ("Id of the carrier.", _TEXT),
    "errorCode": ("0 finds messages without error.", _INTEGER),
    "fromDateTime": ("Received at or after; ISO 8601, UTC unless it has an offset.", _MOMENT),
    "toDateTime": ("Received at or before, and 14 days or less after fromDateTime.", _MOMENT),
    "product": ("", {"enum": [*filters.PRODUCTS.values(), *filters.OTHER_PRODUCTS]}),
    "bwQueued": ("Whether it waits in the gateway: QUEUED or SENDING.", {"type": "boolean"}),
    "carrierQueued": ("Whether the carrier has it and has not reported yet.", {"type": "boolean"}),
    "fromSegmentCount": ("At least so many segments.", _INTEGER),
    "toSegmentCount": ("At most so many segments.", _INTEGER),
    "fromMessageSize": ("At least so many octets of text.", _INTEGER),
    "toMessageSize": ("At most so many octets of text.", _INTEGER),
    "campaignId": (_EMPTY, _TEXT),
    "location": (_EMPTY, _TEXT),
    "fromBwLatency": (_EMPTY, _INTEGER),
    "fromCarrierLatency": (_EMPTY, _INTEGER),
    "callingNumberCountryA3": (_EMPTY, _TEXT),
    "calledNumberCountryA3": (_EMPTY, _TEXT),
    "sort": (
        "Field and direction. The default is receiveTime:desc.",
        {"enum": [f"{field}:{way}" for field in filters.SORTS for way in ("asc", "desc")]},
    ),
    "limit": (
        "Rows of a page.",
        {"type": "integer", "minimum": 1, "maximum": filters.LIMIT_MAX, "default": search.LIMIT_DEFAULT},
    ),
    "pageToken": ("prevPageToken or nextPageToken of an answer to the same search.", _TEXT),
    "limitTotalCount": ("Taken, and without effect: totalCount never exceeds 10,000.", {"type": "boolean"}),
}
SEARCH_PARAMETERS: list[Object] = [
    {"name": name, "in": "query", "schema": schema} | ({"description": description} if description else {})
    for name, (description, schema) in _SEARCH.items()
]

# ---- examples ----

_TEXT_REQUEST: Object = {
    "from": NUMBER,
    "to": [HANDSET],
    "text": "Hey, check this out!",
    "applicationId": APPLICATION,
    "tag": "test message",
}
REQUEST_EXAMPLES: dict[str, Object] = {
    "text": {"summary": "A text message", "value": _TEXT_REQUEST},
    "picture": {"summary": "A picture", "value": _TEXT_REQUEST | {"media": [PICTURE]}},
    "group": {"summary": "A group message", "value": _TEXT_REQUEST | {"to": [HANDSET, "+12345678903"]}},
}
_TEXT_MESSAGE: Object = {
    "id": MESSAGE_ID,
    "owner": NUMBER,
    "applicationId": APPLICATION,
    "time": "2026-01-31T12:00:00.000Z",
    "segmentCount": 1,
    "direction": "out",
    "to": [HANDSET],
    "from": NUMBER,
    "text": "Hey, check this out!",
    "tag": "test message",
}
MESSAGE_EXAMPLES: dict[str, Object] = {"text": {"summary": "A text message", "value": _TEXT_MESSAGE}}
PAGE_EXAMPLES: dict[str, Object] = {
    "one": {
        "summary": "One row",
        "value": {
            "totalCount": 1,
            "pageInfo": {},
            "messages": [
                {
                    "messageId": MESSAGE_ID,
                    "accountId": ACCOUNT,
                    "sourceTn": NUMBER,
                    "destinationTn": HANDSET,
                    "messageStatus": "DELIVERED",
                    "messageDirection": "OUTBOUND",
                    "messageType": "sms",
                    "segmentCount": 1,
                    "errorCode": 0,
                    "receiveTime": "2026-01-31T12:00:00.000Z",
                    "messageSize": 20,
                    "messageLength": 20,
                    "attachmentCount": 0,
                    "recipientCount": 1,
                    "product": "LOCAL_A2P",
                    "carrierName": "simulator",
                }
            ],
        },
    }
}
_DELIVERED: Object = {
    "time": "2026-01-31T12:00:01.500Z",
    "type": "message-delivered",
    "to": HANDSET,
    "description": "ok",
    "message": _TEXT_MESSAGE | {"text": ""},
}
EVENT_EXAMPLES: dict[str, Object] = {
    "delivered": {"summary": "Delivered", "value": [_DELIVERED]},
    "failed": {
        "summary": "Failed",
        "value": [
            _DELIVERED
            | {"type": "message-failed", "errorCode": 4720, "description": "invalid-destination-address"}
        ],
    },
    "received": {
        "summary": "Received",
        "value": [
            {
                "time": "2026-01-31T12:00:00.500Z",
                "type": "message-received",
                "to": NUMBER,
                "description": "Incoming message received",
                "message": {name: _TEXT_MESSAGE[name] for name in _TEXT_MESSAGE if name != "tag"}
                | {"direction": "in", "to": [NUMBER], "from": HANDSET, "text": "Hey"},
            }
        ],
    },
}


def _example(type_: str, description: str, **more: Any) -> Object:
    return {"type": type_, "description": description, **more, "message": description}


PROBLEM_EXAMPLES: dict[str, Object] = {
    "400": _example(
        "request-validation",
        "Your request could not be accepted",
        fieldErrors=[
            {"fieldName": "from", "description": "'from' must contain exactly one telephone number"},
            {"fieldName": "text", "description": "'text' is required unless media is included"},
        ],
    ),
    "401-catapult": _example("authentication-error", "Invalid or missing credentials."),
    "401-current": _example("unauthorized", "Authentication Failed"),
    "403-catapult": _example("unauthorized", "Access is denied."),
    "403-current": _example("forbidden", "Access Denied"),
    "415": _example(
        "unsupported-content-type",
        "Content type 'text/plain' not supported. Please use 'application/json'",
    ),
    "429": _example(
        "max-message-queue-size-exceeded",
        "The SMS queue for your account is full and cannot accept more messages right now. Your allowed rate is "
        "60 messages per minute. The capacity of this queue is 900 messages (15 minutes). Reduce your message "
        "sending rate, or contact support to increase your allowed rate.",
    ),
    "429-search": _example(
        "rate_limit_exceeded",
        "Rate limit exceeded. Wait for Retry-After time before sending another request.",
    ),
}
