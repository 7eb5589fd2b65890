"""The states of a session, and which requests who may send in which: one table for both roles.

Source: SMPP 3.4 section 2, 5.0 sections 2.3 and 2.4.
"""

import enum

from trebuchet.protocols.smpp.constants import Command


class Role(enum.Enum):
    ESME = "esme"
    SMSC = "smsc"


class State(enum.Enum):
    """Source: SMPP 5.0 section 2.3. OPEN begins with the connection."""

    OPEN = "open"
    OUTBOUND = "outbound"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


BOUND = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
BOUND_BY: dict[int, State] = {
    Command.BIND_TRANSMITTER: State.BOUND_TX,
    Command.BIND_RECEIVER: State.BOUND_RX,
    Command.BIND_TRANSCEIVER: State.BOUND_TRX,
}

_ALWAYS = frozenset({Command.ENQUIRE_LINK})
BINDS = frozenset({Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})
_SUBMITS = frozenset(
    {
        Command.SUBMIT_SM,
        Command.SUBMIT_MULTI,
        Command.DATA_SM,
        Command.QUERY_SM,
        Command.CANCEL_SM,
        Command.REPLACE_SM,
        Command.BROADCAST_SM,
        Command.QUERY_BROADCAST_SM,
        Command.CANCEL_BROADCAST_SM,
        Command.UNBIND,
    }
)
_DELIVERS = frozenset({Command.DELIVER_SM, Command.DATA_SM, Command.ALERT_NOTIFICATION, Command.UNBIND})

# Which requests who may send in which state (SMPP 5.0 section 2.4). A response is legal when its request was.
LEGAL: dict[tuple[Role, State], frozenset[int]] = {
    (Role.ESME, State.OPEN): _ALWAYS | BINDS,
    (Role.ESME, State.OUTBOUND): _ALWAYS | {Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER},
    (Role.ESME, State.BOUND_TX): _ALWAYS | _SUBMITS,
    (Role.ESME, State.BOUND_RX): _ALWAYS | {Command.UNBIND},
    (Role.ESME, State.BOUND_TRX): _ALWAYS | _SUBMITS,
    (Role.ESME, State.UNBOUND): _ALWAYS,
    (Role.ESME, State.CLOSED): frozenset(),
    (Role.SMSC, State.OPEN): _ALWAYS | {Command.OUTBIND},
    (Role.SMSC, State.OUTBOUND): _ALWAYS,
    (Role.SMSC, State.BOUND_TX): _ALWAYS | {Command.UNBIND},
    (Role.SMSC, State.BOUND_RX): _ALWAYS | _DELIVERS,
    (Role.SMSC, State.BOUND_TRX): _ALWAYS | _DELIVERS,
    (Role.SMSC, State.UNBOUND): _ALWAYS,
    (Role.SMSC, State.CLOSED): frozenset(),
}

# Not answered by the peer (SMPP 3.4 sections 4.1.8 and 4.12).
UNANSWERED = frozenset({Command.OUTBIND, Command.ALERT_NOTIFICATION})
