"""What is out: a shipment, the transaction of each of its recipients, and what was said of it so far."""

from typing import Final

from trebuchet.carriers.base import Shipment
from trebuchet.clock import Timer
from trebuchet.protocols.mm4.session import State, Transaction

WAITING: Final = frozenset({State.SUBMITTED, State.HELD, State.DEFERRED})


class Transit:
    """A forward that is out."""

    __slots__ = (
        "exchanged",
        "mail",
        "message_id",
        "recipients",
        "settled",
        "shipment",
        "timer",
        "transactions",
        "words",
    )

    def __init__(self, shipment: Shipment, message_id: str, transactions: list[Transaction]) -> None:
        self.shipment = shipment
        self.message_id = message_id
        self.transactions = transactions  # one per delivery
        self.recipients: dict[str, int] = {}  # by RCPT address
        self.mail = b""
        self.timer: Timer | None = None
        self.words = ""  # what the peer said last
        self.exchanged: list[tuple[int, str, bytes]] = []
        self.settled = False

    @property
    def open(self) -> bool:
        """Whether something is still to be waited for."""
        return any(transaction.state in WAITING for transaction in self.transactions)
