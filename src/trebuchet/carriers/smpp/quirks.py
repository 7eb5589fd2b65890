"""Peculiarities of SMSCs, as rows of settings. A link names those of its carrier; what it sets itself goes first.

Only what has been seen is here. A new one is a new row, never a branch in the code.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec


class Quirk(msgspec.Struct, frozen=True):
    about: str
    settings: dict[str, Any]


QUIRKS: Final[dict[str, Quirk]] = {
    "ascii-default": Quirk("data_coding 0 is ASCII, not GSM 03.38.", {"default_alphabet": "ascii"}),
    "latin1-default": Quirk(
        "data_coding 0 is ISO 8859-1, not GSM 03.38: @ _ $ £ come out wrong otherwise.",
        {"default_alphabet": "latin1"},
    ),
    "gsm7-as-ia5": Quirk("Writes GSM 03.38 under data_coding 1.", {"ia5_is_gsm7": True}),
    "packed": Quirk("Wants and sends GSM-7 packed, eight characters in seven octets.", {"packed": True}),
    "sar": Quirk(
        "Wants the numbers of parts in optional parameters and writes the header itself.",
        {"long_message": "sar"},
    ),
    "payload": Quirk("Cuts long messages itself.", {"long_message": "payload"}),
    "udh16": Quirk("Wants 16-bit references in the header of parts.", {"long_message": "udh16"}),
    "no-tlvs": Quirk(
        "Refuses submits with optional parameters it did not ask for.",
        {"user_message_reference": False},
    ),
    "no-validity": Quirk("Refuses a validity period.", {"validity": False}),
    "store-and-forward": Quirk("Wants the messaging mode spelt out in esm_class.", {"esm_class_mode": 3}),
    "decimal-receipts": Quirk(
        "Answers submits with hexadecimal ids and reports in decimal.", {"receipt_ids": "hex-decimal"}
    ),
    "hex-receipts": Quirk(
        "Answers submits with decimal ids and reports in hexadecimal.", {"receipt_ids": "decimal-hex"}
    ),
    "padded-ids": Quirk(
        "Reports with other zeros or another case than it answers.", {"receipt_ids": "padded"}
    ),
    "accepted-is-last": Quirk("Never reports more than ACCEPTD.", {"accepted_is_final": True}),
    "plain-receipts": Quirk(
        "Sends receipts without marking them in esm_class. A handset could type one.",
        {"spoofable_text_receipts": True},
    ),
    "short-codes-abbreviated": Quirk(
        "Wants short codes with type of number 6.", {"addresses": {"short_code": {"ton": 6, "npi": 0}}}
    ),
    "short-codes-unknown": Quirk(
        "Wants short codes with type of number 0.", {"addresses": {"short_code": {"ton": 0, "npi": 0}}}
    ),
    "national-numbers": Quirk(
        "Wants numbers of its own country without the country's code.",
        {"addresses": {"e164": {"ton": 2, "npi": 1, "form": "national"}}},
    ),
    "plus": Quirk(
        "Wants E.164 numbers with their plus.", {"addresses": {"e164": {"ton": 1, "npi": 1, "form": "plus"}}}
    ),
    "smpp-3.3": Quirk(
        "Speaks SMPP 3.3: two binds, no optional parameters.",
        {
            "interface_version": "3.3",
            "binds": ["transmitter", "receiver"],
            "user_message_reference": False,
        },
    ),
    "bandwidth": Quirk(
        "Errors in receipts are the last three digits of the codes of this API.",
        {"receipt_errors": "bandwidth"},
    ),
}


def applied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with those of the quirks that they name; of two quirks the later one counts.

    Raises ValueError for a name that is none.
    """
    named = settings.get("quirks", ())
    names = [named] if isinstance(named, str) else named
    merged: dict[str, Any] = {}
    for name in names if isinstance(names, list | tuple) else ():
        quirk = QUIRKS.get(name) if isinstance(name, str) else None
        if quirk is None:
            raise ValueError(f"quirks: there is none called {name!r}; known: {', '.join(sorted(QUIRKS))}")
        for key, value in quirk.settings.items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = merged[key] | value if both else value
    for key, value in settings.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged
