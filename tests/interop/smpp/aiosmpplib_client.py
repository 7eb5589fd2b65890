"""aiosmpplib as an ESME: more than 254 octets go in message_payload, and each receipt is matched with its submit."""

import asyncio
import os
import sys
from typing import Any

from aiosmpplib import (
    ESME,
    NPI,
    TON,
    AbstractHook,
    DeliverSm,
    PhoneNumber,
    SubmitSm,
    SubmitSmResp,
)
from aiosmpplib.protocol import BindTransceiverResp
from peer_io import order, plan, say

BIND_TRANSCEIVER_RESP = bytes.fromhex("80000009")
STATES = {"DELIVRD": 2, "UNDELIV": 5}  # as message_state counts them


class Hook:
    """Tells what arrives."""

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        match smpp_message:
            case None if pdu[4:8] == BIND_TRANSCEIVER_RESP:
                # It cannot read a refusal without a body, although the specification wants it so (3.4 section 4.1.6).
                say("refused", status=int.from_bytes(pdu[8:12]))
            case None:
                say("unread", octets=pdu.hex())
            case BindTransceiverResp(command_status=status):
                say("bound", status=status.value)
            case SubmitSmResp(command_status=status, message_id=message_id, log_id=log_id):
                say("response", status=status.value, id=message_id, submit=log_id)
            case DeliverSm() if smpp_message.is_receipt():
                receipt = smpp_message.parse_receipt()
                fields = {
                    "id": receipt["id"],
                    "state": STATES[receipt["stat"]],
                    "submit": smpp_message.log_id,
                }
                say("receipt", text=smpp_message.short_message, **fields)
            case DeliverSm(source=source, destination=destination):
                text = smpp_message.short_message or smpp_message.message_payload
                say("mo", udh="", text=text, source=source.number, destination=destination.number)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        say("unsent", error=repr(error))


AbstractHook.register(Hook)


async def main() -> None:
    asked = plan()
    esme = ESME(
        smsc_host="127.0.0.1",
        smsc_port=asked["port"],
        system_id=asked["system_id"],
        password=asked["password"],
        log_level="WARNING",
        hook=Hook(),
    )
    running = asyncio.create_task(esme.start())
    for number, text in enumerate(asked["texts"]):
        source, destination = (
            PhoneNumber(asked[name], TON.INTERNATIONAL, NPI.ISDN) for name in ("source", "destination")
        )
        await esme.broker.enqueue(
            SubmitSm(short_message=text, source=source, destination=destination, log_id=f"submit {number}")
        )
    line = await asyncio.to_thread(sys.stdin.readline)
    if order(line)["do"] == "unbind":
        await esme.stop()
        await running
        say("unbound")  # it asks, but does not read the answer


asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # a thread may still read the input
