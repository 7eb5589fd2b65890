"""What a peer is owed, and is told until it has taken it."""

import msgspec


class OwedMail(msgspec.Struct, array_like=True, frozen=True):
    """One mail, such as a delivery report. As in `model.message`, the order of the fields is that of the columns."""

    id: str  # what it is about: of two with the same id one is enough
    carrier_id: str
    mailbox: str
    mail: str  # its octets, each a character of Latin-1
    created_ms: int
