"""The PDUs as values, one class for each command_id, with the specification's field names.

Sources: SMPP 3.4 section 4, SMPP 5.0 section 4. Text fields hold one character for each octet (Latin-1), so that
any octet of a peer survives; well-formed ones are ASCII. What fits a field is checked by `codec.encode`.

`tlvs` holds the optional parameters as they are on the wire: in order, with duplicates and unknown tags.
"""

from typing import Any, ClassVar, Final

import msgspec

from trebuchet.protocols.smpp.constants import RESPONSE, Command

HIDDEN: Final = "•••"  # in place of a password

Tlvs = tuple[tuple[int, bytes], ...]

# The class of each command_id that we know: every class below that has one enters itself.
CLASSES: Final[dict[int, type["Pdu"]]] = {}


class Pdu(msgspec.Struct, kw_only=True, gc=False):
    """What every PDU has. `status` is 0 in requests; `sequence` is the request's in its response."""

    COMMAND: ClassVar[int]

    sequence: int = 0
    status: int = 0
    tlvs: Tlvs = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "COMMAND" in cls.__dict__:
            CLASSES[int(cls.COMMAND)] = cls

    def response(self, status: int = 0, **fields: Any) -> "Pdu":
        """The response to this request, with its sequence. A generic_nack if it has none of its own."""
        matching = CLASSES.get(self.COMMAND | RESPONSE, GenericNack)
        return matching(sequence=self.sequence, status=status, **fields)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(n, HIDDEN if n == "password" else getattr(self, n)) for n in self.__struct_fields__]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"


class GenericNack(Pdu, kw_only=True, gc=False):
    """The answer to octets that are no PDU that we know. `sequence` is 0 if not even that could be read."""

    COMMAND = Command.GENERIC_NACK


# ---- binding ----


class Bind(Pdu, kw_only=True, gc=False):
    """The body of the three bind requests. `interface_version` is 0x34 for 3.4, 0x50 for 5.0."""

    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = 0
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindResp(Pdu, kw_only=True, gc=False):
    """The body of the three bind responses. The SMSC's version is the TLV sc_interface_version."""

    system_id: str = ""


class BindReceiver(Bind, kw_only=True, gc=False):
    COMMAND = Command.BIND_RECEIVER


class BindReceiverResp(BindResp, kw_only=True, gc=False):
    COMMAND = Command.BIND_RECEIVER_RESP


class BindTransmitter(Bind, kw_only=True, gc=False):
    COMMAND = Command.BIND_TRANSMITTER


class BindTransmitterResp(BindResp, kw_only=True, gc=False):
    COMMAND = Command.BIND_TRANSMITTER_RESP


class BindTransceiver(Bind, kw_only=True, gc=False):
    COMMAND = Command.BIND_TRANSCEIVER


class BindTransceiverResp(BindResp, kw_only=True, gc=False):
    COMMAND = Command.BIND_TRANSCEIVER_RESP


class Outbind(Pdu, kw_only=True, gc=False):
    """The SMSC asks the ESME to bind. It has no response."""

    COMMAND = Command.OUTBIND

    system_id: str = ""
    password: str = ""


class Unbind(Pdu, kw_only=True, gc=False):
    COMMAND = Command.UNBIND


class UnbindResp(Pdu, kw_only=True, gc=False):
    COMMAND = Command.UNBIND_RESP


class EnquireLink(Pdu, kw_only=True, gc=False):
    COMMAND = Command.ENQUIRE_LINK


class EnquireLinkResp(Pdu, kw_only=True, gc=False):
    COMMAND = Command.ENQUIRE_LINK_RESP


# ---- messages ----


class MessageIdResp(Pdu, kw_only=True, gc=False):
    """The body of the responses that carry the id of a message and nothing else."""

    message_id: str = ""


class Sm(Pdu, kw_only=True, gc=False):
    """The body of submit_sm and deliver_sm. `short_message` holds at most 254 octets in 3.4, 255 in 5.0."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class SubmitSm(Sm, kw_only=True, gc=False):
    COMMAND = Command.SUBMIT_SM


class SubmitSmResp(MessageIdResp, kw_only=True, gc=False):
    COMMAND = Command.SUBMIT_SM_RESP


class DeliverSm(Sm, kw_only=True, gc=False):
    COMMAND = Command.DELIVER_SM


class DeliverSmResp(MessageIdResp, kw_only=True, gc=False):
    """`message_id` is unused: leave it empty."""

    COMMAND = Command.DELIVER_SM_RESP


class DestAddress(msgspec.Struct, kw_only=True, gc=False):
    """One destination of submit_multi: with `dest_flag` 1 an address, with 2 a distribution list."""

    dest_flag: int = 1
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    dl_name: str = ""


class UnsuccessSme(msgspec.Struct, kw_only=True, gc=False):
    """One destination that a submit_multi did not reach. `error_status_code` is a command_status."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    error_status_code: int = 0


class SubmitMulti(Pdu, kw_only=True, gc=False):
    """One message to 1 to 255 destinations."""

    COMMAND = Command.SUBMIT_MULTI

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_address: tuple[DestAddress, ...] = ()
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class SubmitMultiResp(Pdu, kw_only=True, gc=False):
    """`unsuccess_sme` lists the failures only."""

    COMMAND = Command.SUBMIT_MULTI_RESP

    message_id: str = ""
    unsuccess_sme: tuple[UnsuccessSme, ...] = ()


class DataSm(Pdu, kw_only=True, gc=False):
    """A message whose octets are the TLV message_payload."""

    COMMAND = Command.DATA_SM

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0


class DataSmResp(MessageIdResp, kw_only=True, gc=False):
    COMMAND = Command.DATA_SM_RESP


# ---- what became of a message, and changing it ----


class QuerySm(Pdu, kw_only=True, gc=False):
    """`source_addr` must be that of the message."""

    COMMAND = Command.QUERY_SM

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QuerySmResp(Pdu, kw_only=True, gc=False):
    """`final_date` is empty while `message_state` is not final."""

    COMMAND = Command.QUERY_SM_RESP

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(Pdu, kw_only=True, gc=False):
    """With an empty `message_id`: all messages of this service_type, source and destination."""

    COMMAND = Command.CANCEL_SM

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class CancelSmResp(Pdu, kw_only=True, gc=False):
    COMMAND = Command.CANCEL_SM_RESP


class ReplaceSm(Pdu, kw_only=True, gc=False):
    """A new text for a message that is not yet delivered."""

    COMMAND = Command.REPLACE_SM

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class ReplaceSmResp(Pdu, kw_only=True, gc=False):
    COMMAND = Command.REPLACE_SM_RESP


class AlertNotification(Pdu, kw_only=True, gc=False):
    """The handset at `source_addr` is reachable again. It has no response."""

    COMMAND = Command.ALERT_NOTIFICATION

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""


# ---- cell broadcast (5.0) ----


class BroadcastSm(Pdu, kw_only=True, gc=False):
    """A cell broadcast. Where, what and how often are TLVs."""

    COMMAND = Command.BROADCAST_SM

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    message_id: str = ""
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0


class BroadcastSmResp(MessageIdResp, kw_only=True, gc=False):
    COMMAND = Command.BROADCAST_SM_RESP


class QueryBroadcastSm(Pdu, kw_only=True, gc=False):
    COMMAND = Command.QUERY_BROADCAST_SM

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QueryBroadcastSmResp(MessageIdResp, kw_only=True, gc=False):
    """The state and the areas are TLVs."""

    COMMAND = Command.QUERY_BROADCAST_SM_RESP


class CancelBroadcastSm(Pdu, kw_only=True, gc=False):
    COMMAND = Command.CANCEL_BROADCAST_SM

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class CancelBroadcastSmResp(Pdu, kw_only=True, gc=False):
    COMMAND = Command.CANCEL_BROADCAST_SM_RESP


def response_to(command: int, sequence: int, status: int) -> Pdu | None:
    """The answer to a PDU of which only the header could be read, or None if it is not to be answered.

    A generic_nack where `command` is unknown. Responses, outbind and alert_notification are not answered.
    """
    if command & RESPONSE:
        return None
    request = CLASSES.get(command)
    if request is None:
        return GenericNack(sequence=sequence, status=status)
    matching = CLASSES.get(command | RESPONSE)
    return matching(sequence=sequence, status=status) if matching else None
