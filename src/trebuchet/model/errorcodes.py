"""Delivery error codes as applications see them in `message-failed`.

First digit: 4 the request, 5 a server, 9 ambiguous; second digit 6 or 7: the carrier's side. The names are
those on the wire, misspelt ones included; programs must look at the number only.
"""

import msgspec


class ErrorCode(msgspec.Struct, frozen=True):
    code: int
    name: str  # the `description` on the wire
    meaning: str
    billable: bool


_ROWS = (
    (4001, "service-not-allowed", "catch-all rejection", False),
    (4301, "malformed-invalid-encoding", "text cannot be encoded", False),
    (4302, "malformed-invalid-from-number", "sender not a routable number", False),
    (4303, "malformed-invalid-to-number", "recipient not a routable number", False),
    (4350, "malformed-for-destination", "passed intake, malformed at send time", False),
    (4360, "message-not-sent-expiration-date-passed", "`expiration` passed in the queue", False),
    (4401, "rejected-routing-error", "loop / from = to / mis-provisioned", False),
    (4403, "rejected-forbidden-from-number", "sender not yours, disconnected or not enabled", False),
    (4404, "rejected-forbidden-to-number", "recipient may not be messaged", False),
    (4405, "rejected-unallocated-from-number", "sender not an active number", False),
    (4406, "rejected-unallocated-to-number", "recipient not assigned to a carrier", False),
    (4407, "rejected-account-not-defined-from-number", "sender has no account", False),
    (4408, "rejected-account-not-defined-to-number", "recipient has no account", False),
    (4409, "rejected-invalid-from-profile", "destination profile unusable, mostly no MMS", False),
    (4410, "media-unavailable", "media URL could not be fetched", False),
    (4411, "rejected-message-size-limit-exceeded", "media too big in total", False),
    (4412, "media-content-invalid", "media content type not parsable/supported", False),
    (4420, "rejected-carrier-does-not-exist", "no such upstream carrier", False),
    (4421, "rejected-forbidden-no-destination", "account may not send to that destination", False),
    (4431, "rejected-forbidden-shortcode", "account has no short-code messaging", False),
    (4432, "rejected-forbidden-country", "country/zone not enabled", False),
    (4433, "rejected-forbidden-tollfree", "account has no toll-free messaging", False),
    (4434, "rejected-forbidden-tollfree-for-recipient", "that toll-free recipient not allowed", False),
    (4435, "forbidden-too-many-recipients", "group larger than 10", False),
    (4451, "rejected-wrong-user-id", "unknown user id", False),
    (4452, "rejected-wrong-application-id", "unknown application or not the account's", False),
    (4470, "rejected-spam-detected", "Bandwidth's spam filter", True),
    (4481, "rejected-from-number-in-blacklist", "sender blocked", False),
    (4482, "rejected-to-number-in-blacklist", "recipient blocked", False),
    (4492, "reject-emergency", "emergency number", False),
    (4493, "rejected-unauthorized", "sender not authorised", False),
    (4700, "invalid-service-type", "carrier/handset lacks the service", True),
    (4701, "destination-service-unavailable", "destination unreachable", True),
    (4702, "destination-subscriber-unavailable", "handset off, full, barred…", True),
    (4711, "rejected-message-size-limit-exceeded", "carrier: MMS too big", True),
    (4712, "media-content-invalid", "carrier: media type", True),
    (4720, "invalid-destination-address", "carrier: bad number / landline", True),
    (4721, "destination-tn-deactivated", "number on deactivation list", True),
    (4730, "no-route-to-destination-carrier", "carrier has no (roaming) route", True),
    (4740, "invalid-source-address-address", "carrier rejects the sender (name doubled in the docs)", True),
    (4750, "destination-rejected-message", "carrier rejected, no reason", True),
    (4751, "destination-rejected-message-size-invalid", "too long for carrier", True),
    (4752, "destination-rejected-malformed", "malformed for carrier", True),
    (4753, "destination-rejected-handset", "handset rejected", True),
    (4770, "destination-spam-detected", "carrier spam filter", True),
    (4771, "rejected-shortened-url", "public URL shortener", True),
    (4772, "rejected-tn-blocked", "sender or receiver blocked downstream", True),
    (4773, "inactive-campaign", "10DLC campaign inactive", True),
    (4774, "provisioning-issue", "industry database problem", True),
    (4775, "destination-rejected-due-to-user-opt-out", "recipient sent STOP", True),
    (4780, "volume-violation-tmo", "T-Mobile daily cap", True),
    (4781, "volume-violation-att", "AT&T throughput", True),
    (4785, "volumetric-violation", "other carrier volume", True),
    (4790, "destination-rejected-sc-not-allowed", "short code barred for recipient", True),
    (4791, "destination-rejected-campaign-not-allowed", "short-code campaign barred", True),
    (4792, "destination-rejected-sc-not-provisioned", "short code not provisioned", True),
    (4793, "destination-rejected-sc-expired", "short code expired", True),
    (4795, "tfn-not-verified", "toll-free number unverified", True),
    (5100, "temporary-app-error", "internal", False),
    (5101, "temporary-app-shutdown", "internal", False),
    (5106, "impossible-to-route", "retries exhausted", False),
    (5111, "temporary-app-connection-closed", "internal", False),
    (5201, "temporary-rout-error-retries-exceeded", "expired after retries", False),
    (5211, "temporary-app-error-app-busy", "busy", False),
    (5220, "temporary-store-error", "could not store", False),
    (5231, "discarded-concatenation-timeout", "parts missing", False),
    (5500, "message-send-failed", "general failure", False),
    (5501, "message-send-failed", "no destination available", False),
    (5600, "destination-carrier-queue-full", "carrier congestion/throttle", True),
    (5610, "submit_sm-or-submit_multi-failed", "the carrier refused the submit without a reason", True),
    (5620, "destination-app-error", "carrier application error", True),
    (5630, "message-not-acknowle", "no acknowledgement (truncated in the docs; api-docs issue 1150)", True),
    (5650, "destination-failed", "carrier failed towards handset", True),
    (5999, "unknown-error", "unknown internal (in 2018 listed as downstream, billable)", False),
    (9902, "delivery-receipt-expired", "no receipt within 2 h", True),
    (9999, "unknown-error", "unmapped carrier code (description may be the carrier's own text)", True),
)
ERROR_CODES = {row[0]: ErrorCode(*row) for row in _ROWS}

# The ones that the gateway itself gives.
MALFORMED_ENCODING = 4301
MALFORMED_FOR_DESTINATION = 4350
EXPIRED = 4360
SAME_NUMBER = 4401
FOREIGN_FROM = 4403
FORBIDDEN_TO = 4404
UNKNOWN_FROM = 4405
NO_CARRIER = 4420
FORBIDDEN_COUNTRY = 4432
TOO_MANY_RECIPIENTS = 4435
WRONG_APPLICATION = 4452
MALFORMED_TO = 4303
EMERGENCY = 4492
SERVICE_UNAVAILABLE = 4701
OPTED_OUT = 4775
IMPOSSIBLE_TO_ROUTE = 5106
NOT_ACKNOWLEDGED = 5630
RECEIPT_EXPIRED = 9902
UNKNOWN = 9999


def wire_name(code: int) -> str:
    """The `description` of a code; that of 9999 for a code that is not in the table."""
    return ERROR_CODES.get(code, ERROR_CODES[UNKNOWN]).name
