"""What an SMSC remembers of an account's messages, so that its ESME can ask for, cancel and replace them.

Source: SMPP 3.4 sections 4.8 (query_sm), 4.9 (cancel_sm) and 4.10 (replace_sm). A message can be cancelled or
replaced as long as its receipt is to come and no handset has shown it: it waits for a handset that is off, or it
is going to fail. The parts of a long message cannot, as they are shown together.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from trebuchet.model.receipt import INTERMEDIATE, Receipt
from trebuchet.protocols.smpp import pdu, times
from trebuchet.protocols.smpp.constants import MessageState, Status
from trebuchet.simulator import onair
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.smsc_settings import IdStyle

_REMEMBERED_MAX: Final = 20_000  # messages of one account, the newest
_FAILED: Final = 0xFF  # error_code of a message that failed: one octet has no room for our codes


class _Kept(msgspec.Struct):
    """One message, as its receipts have it. `changeable`: it is whole, not a part of a long one."""

    network_id: str
    source: str
    destination: str
    service_type: str = ""
    coding: int = 0
    changeable: bool = False
    state: MessageState = MessageState.ENROUTE
    final_ms: int | None = None
    failed: bool = False


class Messages:
    """The messages of one account, by the id that its ESME was told."""

    def __init__(self, network: SimulatedNetwork, ids: IdStyle) -> None:
        self._network = network
        self._ids = ids
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def accepted(self, network_id: str, submit: onair.Submit, heard: onair.Heard) -> str:
        """A submit was taken. Returns the id to answer it with."""
        message_id, _ = onair.ids(network_id, self._ids)
        kept = self._keep(message_id, network_id, heard.source, heard.destination)
        kept.service_type = submit.service_type
        kept.coding = heard.coding
        kept.changeable = heard.part is None
        return message_id

    def reported(self, receipt: Receipt) -> None:
        """What became of a message. It may not have been answered yet."""
        message_id, _ = onair.ids(receipt.carrier_message_id, self._ids)
        kept = self._keep(message_id, receipt.carrier_message_id, receipt.sender, receipt.handset)
        if kept.final_ms is None:
            kept.state = onair.STATES[receipt.state]
            if receipt.state not in INTERMEDIATE:
                kept.final_ms = receipt.at_ms
                kept.failed = receipt.error_code is not None

    def answer(self, request: pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm) -> pdu.Pdu:
        """Do what is asked, and say so."""
        if isinstance(request, pdu.QuerySm):
            return self._query(request)
        if isinstance(request, pdu.CancelSm):
            return request.response(status=self._cancel(request))
        return request.response(status=self._replace(request))

    def _query(self, request: pdu.QuerySm) -> pdu.Pdu:
        kept = self._find(request)
        if kept is None:
            return request.response(status=Status.RINVMSGID)
        return request.response(
            message_id=request.message_id,
            final_date=times.absolute(kept.final_ms // 1000) if kept.final_ms is not None else "",
            message_state=int(kept.state),
            error_code=_FAILED if kept.failed else 0,
        )

    def _cancel(self, request: pdu.CancelSm) -> int:
        """With an id that message, else all of the same service_type, source and destination."""
        if request.message_id:
            kept = self._find(request)
            if kept is None:
                return Status.RINVMSGID
            chosen = [kept]
        else:
            service, source = request.service_type, onair.number(request.source_addr_ton, request.source_addr)
            destination = onair.number(request.dest_addr_ton, request.destination_addr)
            chosen = [
                kept
                for kept in self._kept.values()
                if (kept.service_type, kept.source, kept.destination) == (service, source, destination)
            ]
        withdrawn = [
            kept.network_id
            for kept in chosen
            if kept.changeable and kept.final_ms is None and self._network.withdraw(kept.network_id)
        ]
        return Status.ROK if withdrawn else Status.RCANCELFAIL

    def _replace(self, request: pdu.ReplaceSm) -> int:
        kept = self._find(request)
        if kept is None:
            return Status.RINVMSGID
        text = onair.text_of(request, kept.coding)
        registered = request.registered_delivery
        replaced = kept.changeable and self._network.rewrite(
            kept.network_id, lambda row: onair.rewritten(row, text, registered)
        )
        return Status.ROK if replaced else Status.RREPLACEFAIL

    def _find(self, request: pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm) -> _Kept | None:
        """The message, if it is of the source that is named beside its id."""
        kept = self._kept.get(request.message_id)
        source = onair.number(request.source_addr_ton, request.source_addr)
        return kept if kept is not None and kept.source == source else None

    def _keep(self, message_id: str, network_id: str, source: str, destination: str) -> _Kept:
        kept = self._kept.get(message_id)
        if kept is None:
            kept = self._kept[message_id] = _Kept(network_id, source, destination)
            if len(self._kept) > _REMEMBERED_MAX:
                self._kept.popitem(last=False)
        return kept
