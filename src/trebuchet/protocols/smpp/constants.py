"""The numbers of SMPP and their names. Sources: SMPP 3.4 section 5, SMPP 5.0 section 4.7."""

from enum import IntEnum
from typing import Final

RESPONSE: Final = 0x80000000  # the bit that makes a command_id that of the response
HEADER_OCTETS: Final = 16
# 64 KiB of message_payload with everything around it. No PDU of the field comes near; others stop at 16 KiB.
MAX_PDU_OCTETS: Final = 70_000

# What reading takes of a string, without its NUL, whatever its field should hold.
READ_CHARACTERS: Final = 64
READ_MESSAGE_ID_CHARACTERS: Final = 255

# interface_version (SMPP 3.4 section 5.2.4)
VERSION_3_3: Final = 0x33
VERSION_3_4: Final = 0x34
VERSION_5_0: Final = 0x50

# esm_class (SMPP 3.4 section 5.2.12): messaging mode, message type, GSM features
MODE_MASK: Final = 0x03
DATAGRAM: Final = 0x01
FORWARD: Final = 0x02
STORE_AND_FORWARD: Final = 0x03
TYPE_MASK: Final = 0x3C
RECEIPT: Final = 0x04  # deliver_sm: the SMSC's delivery receipt
DELIVERY_ACK: Final = 0x08
USER_ACK: Final = 0x10
CONVERSATION_ABORT: Final = 0x18
INTERMEDIATE: Final = 0x20  # deliver_sm: an intermediate notification
UDHI: Final = 0x40  # the message starts with a user data header
REPLY_PATH: Final = 0x80

# registered_delivery (SMPP 3.4 section 5.2.17, 5.0 section 4.7.21)
RECEIPT_MASK: Final = 0x03
RECEIPT_ON_ANY: Final = 0x01
RECEIPT_ON_FAILURE: Final = 0x02
RECEIPT_ON_SUCCESS: Final = 0x03  # 5.0; reserved in 3.4
ACK_ON_DELIVERY: Final = 0x04
ACK_BY_USER: Final = 0x08
NOTIFY_INTERMEDIATE: Final = 0x10


class Command(IntEnum):
    """command_id: one for each PDU."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM = 0x00000003
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    REPLACE_SM = 0x00000007
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM = 0x00000008
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI = 0x00000021
    SUBMIT_MULTI_RESP = 0x80000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103
    BROADCAST_SM = 0x00000111
    BROADCAST_SM_RESP = 0x80000111
    QUERY_BROADCAST_SM = 0x00000112
    QUERY_BROADCAST_SM_RESP = 0x80000112
    CANCEL_BROADCAST_SM = 0x00000113
    CANCEL_BROADCAST_SM_RESP = 0x80000113


class Status(IntEnum):
    """command_status by its 5.0 name without ESME_. A peer may answer with any other number."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVTLVSTREAM = 0xC0
    RTLVNOTALLWD = 0xC1
    RINVTLVLEN = 0xC2
    RMISSINGTLV = 0xC3
    RINVTLVVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF
    RSERTYPUNAUTH = 0x100
    RPROHIBITED = 0x101
    RSERTYPUNAVAIL = 0x102
    RSERTYPDENIED = 0x103
    RINVDCS = 0x104
    RINVSRCADDRSUBUNIT = 0x105
    RINVDSTADDRSUBUNIT = 0x106
    RINVBCASTFREQINT = 0x107
    RINVBCASTALIAS_NAME = 0x108
    RINVBCASTAREAFMT = 0x109
    RINVNUMBCAST_AREAS = 0x10A
    RINVBCASTCNTTYPE = 0x10B
    RINVBCASTMSGCLASS = 0x10C
    RBCASTFAIL = 0x10D
    RBCASTQUERYFAIL = 0x10E
    RBCASTCANCELFAIL = 0x10F
    RINVBCAST_REP = 0x110
    RINVBCASTSRVGRP = 0x111
    RINVBCASTCHANIND = 0x112


class Ton(IntEnum):
    """Type of number (SMPP 3.4 section 5.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(IntEnum):
    """Numbering plan indicator (SMPP 3.4 section 5.2.6)."""

    UNKNOWN = 0
    E164 = 1
    DATA = 3  # X.121
    TELEX = 4
    LAND_MOBILE = 6  # E.212
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP = 18


class MessageState(IntEnum):
    """What became of a message (SMPP 3.4 section 5.2.28, 5.0 section 4.7.15)."""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


_STATUS_NAMES: Final = {status.value: status.name for status in Status}


def status_name(value: int) -> str:
    """The name of a command_status, or its eight hexadecimal digits if it has none: "0x00000421"."""
    return _STATUS_NAMES.get(value) or f"0x{value:08X}"
