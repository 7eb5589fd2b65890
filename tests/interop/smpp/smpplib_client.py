"""smpplib as an ESME: binds, submits each text in parts of its own making, prints what arrives, unbinds when asked."""

import select
import sys
from typing import Any

import smpplib.client
import smpplib.exceptions
import smpplib.gsm
from peer_io import order, plan, say

RECEIPT = 0x04
TYPE_BITS = 0x3C
UDHI = 0x40
UCS2 = 8


def words(value: bytes | None) -> str:
    return (value or b"").decode("ascii").rstrip("\0")


def delivered(pdu: Any) -> None:
    octets = pdu.short_message or pdu.message_payload or b""
    if pdu.esm_class & TYPE_BITS == RECEIPT:
        state = pdu.message_state
        say("receipt", id=words(pdu.receipted_message_id), state=state, text=words(octets))
        return
    header = octets[: octets[0] + 1] if pdu.esm_class & UDHI else b""
    text = octets[len(header) :].decode("utf-16-be" if pdu.data_coding == UCS2 else "ascii")
    addresses = {"source": words(pdu.source_addr), "destination": words(pdu.destination_addr)}
    say("mo", udh=header.hex(), text=text, **addresses)


def main() -> None:
    asked = plan()
    client = smpplib.client.Client("127.0.0.1", asked["port"], timeout=30, allow_unknown_opt_params=True)
    client.set_message_received_handler(delivered)
    client.set_message_sent_handler(
        lambda pdu: say("response", status=pdu.status, id=words(pdu.message_id) if not pdu.status else "")
    )
    client.set_error_pdu_handler(lambda _: None)  # the handler above tells the status
    client.connect()
    try:
        client.bind_transceiver(system_id=asked["system_id"], password=asked["password"])
    except smpplib.exceptions.PDUError as error:
        say("refused", status=error.args[1])
        client.disconnect()
        return
    say("bound")
    for text in asked["texts"]:
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        for part in parts:
            client.send_message(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=asked["source"],
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=asked["destination"],
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=1,
            )
    while True:
        readable, _, _ = select.select([client._socket, sys.stdin], [], [])
        if sys.stdin in readable and order(sys.stdin.readline())["do"] == "unbind":
            break
        if client._socket in readable:
            client.read_once()
    response = client.unbind()
    say("unbound", status=response.status)
    client.disconnect()


main()
