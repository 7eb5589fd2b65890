"""smpp34 as an SMSC with the habits of many: ids in hexadecimal, receipts with decimal ones and without TLVs."""

import asyncio
import os
import sys
from typing import Any

from peer_io import order, plan, say
from smpp34 import Esme, Server, SubmitSmEvent, Unbound


class Smsc:
    """The server, and what it remembers of each submit."""

    def __init__(self, port: int, first_id: int) -> None:
        self.server = Server("127.0.0.1", port, system_id="smpp34")
        self.first_id = first_id
        self.esme: Esme | None = None
        self.submits: dict[str, SubmitSmEvent] = {}

    async def listen(self) -> None:
        await self.server.start()
        say("listening")
        while True:
            match event := await self.server.next():
                case Esme():
                    self.esme = event
                    say("bound", system_id=event.system_id, receives=event.can_receive)
                case Unbound():
                    say("unbound")
                case SubmitSmEvent():
                    self.submitted(event)

    def submitted(self, event: SubmitSmEvent) -> None:
        message_id = f"{self.first_id + len(self.submits):x}"
        self.submits[message_id] = event
        say(
            "submit",
            id=message_id,
            source=event.source_addr,
            destination=event.destination_addr,
            esm_class=event.esm_class,
            data_coding=event.data_coding,
            registered_delivery=event.registered_delivery,
            octets=event.short_message.hex(),
        )
        event.accept(message_id)

    async def receipt(self, message_id: str, stat: str) -> int:
        submit = self.submits[message_id]
        text = (
            f"id:{int(message_id, 16)} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 "
            f"stat:{stat} err:000 text:-"
        )
        return await self.deliver(submit.destination_addr, submit.source_addr, text.encode(), esm_class=4)

    async def deliver(self, source: str, destination: str, octets: bytes, **fields: Any) -> int:
        assert self.esme is not None
        answer = await self.esme.deliver_sm(
            destination,
            octets,
            source_addr=source,
            source_addr_ton=1,
            source_addr_npi=1,
            dest_addr_ton=1,
            dest_addr_npi=1,
            **fields,
        )
        return answer.command_status


async def main() -> None:
    asked = plan()
    smsc = Smsc(asked["port"], asked["first_id"])
    listening = asyncio.create_task(smsc.listen())
    while not listening.done():
        match order(await asyncio.to_thread(sys.stdin.readline)):
            case {"do": "receipt", "id": message_id, "stat": stat}:
                say("acknowledged", id=message_id, status=await smsc.receipt(message_id, stat))
            case {"do": "mo", "source": source, "destination": destination, "octets": octets, **fields}:
                status = await smsc.deliver(source, destination, bytes.fromhex(octets), **fields)
                say("acknowledged", id="", status=status)
            case {"do": "end"}:
                break


asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # the extension module crashes when the interpreter ends by itself
