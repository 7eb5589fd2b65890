"""What a command_status in answer to a submit means for the message. One table.

The classes and codes are those of the field (SMPP 3.4 section 5.1.3 for the numbers). What no row names, and no
`status_map` of the link, may be the carrier's own: it is tried once more and then refused.
"""

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from trebuchet.model import errorcodes
from trebuchet.protocols.smpp.constants import Status, status_name


class Kind(enum.StrEnum):
    TAKEN = "taken"
    REFUSED = "refuse"  # for good
    RETRY = "retry"  # it may pass: an attempt is counted
    THROTTLED = "throttle"  # too fast: the bind pauses, no attempt is counted
    LINK_FAULT = "link"  # the bind's fault, not the message's: bind anew
    LOST = "lost"  # never answered


class Verdict(msgspec.Struct, frozen=True):
    """`error_code` is what the delivery fails with, at once or when `tries` submits were answered so."""

    kind: Kind
    error_code: int = 0
    words: str = ""
    tries: int = 1


class Row(msgspec.Struct, frozen=True):
    kind: Kind
    error_code: int
    meaning: str
    tries: int = 1


def _refused(error_code: int, meaning: str) -> Row:
    return Row(Kind.REFUSED, error_code, meaning)


_FAULT_CODE: Final = 5106  # impossible to route: what a message fails with whose link never recovers

OUTCOMES: Final[dict[int, Row]] = {
    Status.RINVMSGLEN: _refused(4751, "message length refused"),
    Status.RINVCMDLEN: _refused(4752, "command length refused"),
    Status.RINVCMDID: _refused(4752, "operation unknown to the SMSC"),
    Status.RINVBNDSTS: Row(Kind.LINK_FAULT, _FAULT_CODE, "not bound for this operation"),
    Status.RALYBND: Row(Kind.LINK_FAULT, _FAULT_CODE, "already bound"),
    Status.RINVPRTFLG: _refused(4752, "priority flag refused"),
    Status.RINVREGDLVFLG: _refused(4752, "registered delivery flag refused"),
    Status.RSYSERR: Row(Kind.RETRY, 5620, "system error of the SMSC", 5),
    Status.RINVSRCADR: _refused(4740, "source address refused"),
    Status.RINVDSTADR: _refused(4720, "destination address refused"),
    Status.RINVMSGID: _refused(4752, "message id refused"),
    Status.RBINDFAIL: Row(Kind.LINK_FAULT, _FAULT_CODE, "bind failed"),
    Status.RINVPASWD: Row(Kind.LINK_FAULT, _FAULT_CODE, "password refused"),
    Status.RINVSYSID: Row(Kind.LINK_FAULT, _FAULT_CODE, "system_id refused"),
    Status.RCANCELFAIL: _refused(4750, "cancelling failed"),
    Status.RREPLACEFAIL: _refused(4750, "replacing failed"),
    Status.RMSGQFUL: Row(Kind.THROTTLED, 5600, "queue of the SMSC full"),
    Status.RINVSERTYP: _refused(4700, "service type refused"),
    Status.RINVNUMDESTS: _refused(4720, "number of destinations refused"),
    Status.RINVDLNAME: _refused(4720, "distribution list refused"),
    Status.RINVDESTFLAG: _refused(4752, "destination flag refused"),
    Status.RINVSUBREP: _refused(4752, "replacement refused"),
    Status.RINVESMCLASS: _refused(4752, "esm_class refused"),
    Status.RCNTSUBDL: _refused(4720, "cannot submit to a distribution list"),
    Status.RSUBMITFAIL: Row(Kind.RETRY, 5610, "submit failed", 3),
    Status.RINVSRCTON: _refused(4740, "source type of number refused"),
    Status.RINVSRCNPI: _refused(4740, "source numbering plan refused"),
    Status.RINVDSTTON: _refused(4720, "destination type of number refused"),
    Status.RINVDSTNPI: _refused(4720, "destination numbering plan refused"),
    Status.RINVSYSTYP: Row(Kind.LINK_FAULT, _FAULT_CODE, "system type refused"),
    Status.RINVREPFLAG: _refused(4752, "replace_if_present flag refused"),
    Status.RINVNUMMSGS: _refused(4752, "number of messages refused"),
    Status.RTHROTTLED: Row(Kind.THROTTLED, 5600, "throttled"),
    Status.RINVSCHED: _refused(4752, "schedule time refused"),
    Status.RINVEXPIRY: _refused(4752, "validity period refused"),
    Status.RINVDFTMSGID: _refused(4752, "predefined message refused"),
    Status.RX_T_APPN: Row(Kind.RETRY, 5620, "temporary error of the receiver", 5),
    Status.RX_P_APPN: _refused(4750, "permanent error of the receiver"),
    Status.RX_R_APPN: _refused(4750, "rejected by the receiver"),
    Status.RQUERYFAIL: _refused(4750, "query failed"),
    Status.RINVTLVSTREAM: _refused(4752, "optional parameters refused"),
    Status.RTLVNOTALLWD: _refused(4752, "an optional parameter is not allowed"),
    Status.RINVTLVLEN: _refused(4751, "length of an optional parameter refused"),
    Status.RMISSINGTLV: _refused(4752, "an optional parameter is missing"),
    Status.RINVTLVVAL: _refused(4752, "value of an optional parameter refused"),
    Status.RDELIVERYFAILURE: _refused(5650, "delivery failed"),
    Status.RUNKNOWNERR: Row(Kind.RETRY, 5620, "unknown error of the SMSC", 3),
    Status.RSERTYPUNAUTH: _refused(4700, "not authorised for this service type"),
    Status.RPROHIBITED: _refused(4700, "operation prohibited"),
    Status.RSERTYPUNAVAIL: Row(Kind.RETRY, 4700, "service type unavailable", 3),
    Status.RSERTYPDENIED: _refused(4700, "service type denied"),
    Status.RINVDCS: _refused(4752, "data coding refused"),
    Status.RINVSRCADDRSUBUNIT: _refused(4752, "source subunit refused"),
    Status.RINVDSTADDRSUBUNIT: _refused(4752, "destination subunit refused"),
    Status.RINVBCASTFREQINT: _refused(4752, "broadcast interval refused"),
    Status.RINVBCASTALIAS_NAME: _refused(4752, "broadcast alias refused"),
    Status.RINVBCASTAREAFMT: _refused(4752, "format of a broadcast area refused"),
    Status.RINVNUMBCAST_AREAS: _refused(4752, "number of broadcast areas refused"),
    Status.RINVBCASTCNTTYPE: _refused(4752, "broadcast content type refused"),
    Status.RINVBCASTMSGCLASS: _refused(4752, "broadcast message class refused"),
    Status.RBCASTFAIL: _refused(4750, "broadcast failed"),
    Status.RBCASTQUERYFAIL: _refused(4750, "query of a broadcast failed"),
    Status.RBCASTCANCELFAIL: _refused(4750, "cancelling a broadcast failed"),
    Status.RINVBCAST_REP: _refused(4752, "broadcast repeats refused"),
    Status.RINVBCASTSRVGRP: _refused(4752, "broadcast service group refused"),
    Status.RINVBCASTCHANIND: _refused(4752, "broadcast channel refused"),
}

_MAPPED: Final = {
    "throttle": Row(Kind.THROTTLED, 5600, "throttled, by the link's status_map"),
    "retry": Row(Kind.RETRY, 5620, "refused for the moment, by the link's status_map", 5),
    "refuse": Row(Kind.REFUSED, 4750, "refused, by the link's status_map"),
    "link": Row(Kind.LINK_FAULT, _FAULT_CODE, "a fault of the link, by its status_map"),
}
_OWN: Final = Row(Kind.RETRY, 4750, "an error of the carrier's own", 2)
_UNKNOWN: Final = Row(Kind.RETRY, errorcodes.UNKNOWN, "an error of no known meaning", 2)
_OWN_RANGE: Final = range(0x400, 0x500)

# delivery_failure_reason (SMPP 3.4 section 5.3.2.33) says more than RDELIVERYFAILURE does.
_REASONS: Final = {
    0: _refused(4702, "destination unavailable"),
    1: _refused(4720, "destination address invalid"),
    2: _refused(5650, "permanent network error"),
    3: Row(Kind.RETRY, 5650, "temporary network error", 3),
}


def judge(
    status: int, status_map: Mapping[int, str] | None = None, delivery_failure_reason: int | None = None
) -> Verdict:
    """What a command_status other than 0 means. `status_map` is the link's own word on a status. Pure."""
    row = None
    if status_map and status in status_map:
        row = _MAPPED[status_map[status]]
    elif status == Status.RDELIVERYFAILURE and delivery_failure_reason is not None:
        row = _REASONS.get(delivery_failure_reason)
    row = row or OUTCOMES.get(status) or (_OWN if status in _OWN_RANGE else _UNKNOWN)
    return Verdict(row.kind, row.error_code, f"{_name(status)}: {row.meaning}", row.tries)


def _name(status: int) -> str:
    number = f"0x{status:02X}"  # as a `status_map` has it
    return f"{status_name(status)} ({number})" if status in OUTCOMES else number
