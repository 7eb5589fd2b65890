"""A message's whole life as lines."""

from typing import Any

from trebuchet.cli.life import error_text, life_lines
from trebuchet.cli.output import BAD, GOOD

T = 1_769_860_800_000  # 2026-01-31T12:00:00Z

MESSAGE: dict[str, Any] = {
    "id": "1769860800000aaaaaaaaaaaaaaaa",
    "account_id": "u-demo",
    "application_id": "app-1",
    "direction": "out",
    "kind": "sms",
    "owner": "+12345678901",
    "source": "+12345678901",
    "destinations": ["+12345678902"],
    "media": None,
    "tag": "t1",
    "priority": None,
    "expiration": None,
    "valid_until_ms": T + 86_400_000,
    "segment_count": 1,
    "encoding": "GSM-7",
    "profile": "catapult",
    "received_ms": T,
}
DELIVERY: dict[str, Any] = {
    "recipient": 0,
    "to": "+12345678902",
    "state": "DELIVERED",
    "carrier_id": "simulator",
    "lane": "simulator/0",
    "error_code": None,
    "description": "",
}
SEGMENT: dict[str, Any] = {
    "recipient": 0,
    "number": 0,
    "carrier_id": "simulator",
    "carrier_message_id": "c-1",
    "state": "DELIVRD",
    "receipt_error": None,
    "responded_ms": T + 12,
    "receipt_ms": T + 250,
}
EVENT: dict[str, Any] = {
    "id": "m-0-9",
    "message_id": MESSAGE["id"],
    "recipient": 0,
    "type": "message-delivered",
    "to": "+12345678902",
    "error_code": None,
    "time_ms": T + 250,
}
ATTEMPT: dict[str, Any] = {
    "event_id": "m-0-9",
    "started_ms": T + 251,
    "duration_ms": 3,
    "status": 200,
    "error": None,
    "answer": "ok",
}
LIFE: dict[str, Any] = {
    "message": MESSAGE,
    "deliveries": [DELIVERY],
    "claimed": [],
    "segments": [SEGMENT],
    "exchanges": [],
    "events": [EVENT],
    "pending": [],
    "attempts": [ATTEMPT],
    "why": {
        "route": {"carrier_id": "simulator", "prefix": ""},
        "encoding": "GSM-7: every character is in it",
    },
}


def text_of(life: dict[str, Any]) -> str:
    return "\n".join(line.text for line in life_lines(life))


def test_a_delivered_message_reads_from_request_to_callback() -> None:
    """Head, reasons, recipients, and everything that happened in order of time."""
    assert (
        text_of(LIFE)
        == """\
Outbound sms 1769860800000aaaaaaaaaaaaaaaa
  accepted     2026-01-31T12:00:00.000Z
  account      u-demo
  application  app-1
  from         +12345678901
  to           +12345678902
  tag          t1
  valid until  2026-02-01T12:00:00.000Z
  profile      catapult
  segments     1
  route        carrier_id simulator
  encoding     GSM-7: every character is in it

Recipients
  +12345678902     DELIVERED  through simulator (simulator/0)

Time line (UTC)
  12:00:00.000         +0 ms  accepted with 202: 1 segment(s)
  12:00:00.012        +12 ms  taken by simulator as c-1: +12345678902, segment 1
  12:00:00.250       +250 ms  receipt DELIVRD: +12345678902, segment 1
  12:00:00.250       +250 ms  event message-delivered: +12345678902
  12:00:00.251       +251 ms  callback m-0-9 answered 200 in 3 ms"""
    )


def test_a_failure_says_its_code_and_what_it_means() -> None:
    """Recipient, exchange and event name the error code with its meaning."""
    failed = {**DELIVERY, "state": "FAILED", "error_code": 4720, "description": "no such number"}
    exchange = {
        "recipient": 0,
        "at_ms": T + 5,
        "what": "refused",
        "carrier_id": "simulator",
        "error_code": 4720,
        "description": "no such number",
    }
    event = {**EVENT, "type": "message-failed", "error_code": 4720}
    lines = life_lines(
        {
            **LIFE,
            "deliveries": [failed],
            "segments": [],
            "exchanges": [exchange],
            "events": [event],
            "attempts": [],
        }
    )
    meaning = "4720 invalid-destination-address: carrier: bad number / landline"
    bad = [line.text.strip() for line in lines if line.style == BAD]
    assert bad == [
        f"+12345678902     FAILED  through simulator (simulator/0)  {meaning}  “no such number”",
        f"12:00:00.005         +5 ms  refused by simulator: +12345678902, {meaning}, no such number",
        f"12:00:00.250       +250 ms  event message-failed: +12345678902, {meaning}",
    ]


def test_every_callback_attempt_is_told_and_what_still_waits() -> None:
    """A refused attempt shows the answer, one without an answer its error, and the next try its time."""
    refused = {**ATTEMPT, "status": 500, "answer": "out of order"}
    lost = {
        **ATTEMPT,
        "started_ms": T + 6000,
        "status": None,
        "error": "timed out",
        "duration_ms": 10_000,
        "answer": "",
    }
    waiting = {"event_id": "m-0-9", "attempts": 2, "due_ms": T + 60_000}
    life = {**LIFE, "attempts": [lost, refused], "pending": [waiting]}
    lines = text_of(life).splitlines()
    assert lines[-3:] == [
        "  12:00:00.251       +251 ms  callback m-0-9 answered 500 in 3 ms, “out of order”",
        "  12:00:06.000        +6.0 s  callback m-0-9 failed: timed out in 10.0 s",
        "Waiting: callback m-0-9, tried 2 times, next 2026-01-31T12:01:00.000Z",
    ]


def test_a_claimed_delivery_is_sending() -> None:
    """What is with the carrier right now is shown as the API shows it."""
    life = {**LIFE, "deliveries": [{**DELIVERY, "state": "QUEUED"}], "claimed": [0]}
    assert "  +12345678902     SENDING" in text_of(life)
    assert "SENDING" not in text_of({**life, "claimed": []})


def test_the_text_is_shown_only_if_it_came() -> None:
    """The gateway leaves the text out unless it was asked for."""
    assert "  text  " not in text_of(LIFE)
    assert "  text         Hello" in text_of({**LIFE, "message": {**MESSAGE, "text": "Hello"}})


def test_an_inbound_message_was_received() -> None:
    """It was not accepted with 202, and its end is green."""
    life = {
        **LIFE,
        "message": {**MESSAGE, "direction": "in", "valid_until_ms": 0},
        "deliveries": [{**DELIVERY, "state": "ACCEPTED"}],
        "segments": [],
    }
    assert text_of(life).startswith("Inbound sms")
    assert "+0 ms  received: 1 segment(s)" in text_of(life)
    assert [line.style for line in life_lines(life) if "ACCEPTED" in line.text] == [GOOD]


def test_a_group_exchange_names_every_recipient() -> None:
    """Recipient -1 stands for all of them."""
    exchange = {
        "recipient": -1,
        "at_ms": T,
        "what": "snoozed",
        "carrier_id": None,
        "error_code": None,
        "description": "",
    }
    both = [DELIVERY, {**DELIVERY, "recipient": 1, "to": "+12345678903"}]
    life = {**LIFE, "deliveries": both, "exchanges": [exchange]}
    assert "snoozed here: +12345678902, +12345678903" in text_of(life)


def test_error_codes_have_a_meaning() -> None:
    """A code of a newer version is shown as it is."""
    assert error_text(None) == ""
    assert error_text(4432) == "4432 rejected-forbidden-country: country/zone not enabled"
    assert error_text(1) == "1 (no code of this version)"


def test_the_pdus_come_last() -> None:
    """What was exchanged, in order, with the lane; octets only when asked for."""
    submit = {
        "time": "2026-01-31T12:00:00.002Z",
        "lane": "acme/0",
        "direction": "out",
        "pdu": {"command": "submit_sm", "command_status": "ROK", "sequence_number": 7},
        "hex": "0000001000000004",
    }
    refusal = {
        "time": "2026-01-31T12:00:00.012Z",
        "lane": "acme/0",
        "direction": "in",
        "pdu": {"command": "submit_sm_resp", "command_status": "RINVDSTADR", "sequence_number": 7},
    }
    given = {**LIFE, "pdus": [submit, refusal]}
    lines = [line.text for line in life_lines(given)]
    assert lines[lines.index("PDUs (UTC)") + 1 :] == [
        "12:00:00.002  acme/0  → submit_sm",
        "    sequence_number         7",
        "12:00:00.012  acme/0  ← submit_sm_resp  RINVDSTADR",
        "    sequence_number         7",
    ]
    assert "    0000001000000004" in [line.text for line in life_lines(given, with_hex=True)]
    assert "PDUs (UTC)" not in [line.text for line in life_lines(LIFE)]


def test_a_callback_that_was_tried_once() -> None:
    """Is said to be so."""
    pending = [{"event_id": "m-0-9", "attempts": 1, "due_ms": T + 60_000}]
    lines = [line.text for line in life_lines({**LIFE, "pending": pending})]
    assert "Waiting: callback m-0-9, tried once, next 2026-01-31T12:01:00.000Z" in lines
