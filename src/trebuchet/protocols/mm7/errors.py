"""What can be wrong with an MM7 document: the peer's fault when reading, the caller's when writing.

    ValueError
    ├── Mm7Error       octets that are no message of MM7 we can read; says with which status to answer
    └── EncodeError    of `protocols.mm4`: a value of ours that XML or MIME does not hold

No message of these contains the value of a field, so they may be logged. Trying again does not help.
"""

from typing import Final

from trebuchet.protocols.mm4.errors import EncodeError

__all__ = ["FORMAT_CORRUPT", "UNSUPPORTED", "VALIDATION", "EncodeError", "Mm7Error"]

FORMAT_CORRUPT: Final = 2007
UNSUPPORTED: Final = 4003
VALIDATION: Final = 4004


class Mm7Error(ValueError):
    """A document cannot be read. `status` is the StatusCode to answer with; `transaction_id` is empty if unknown."""

    def __init__(
        self, what: str, status: int = FORMAT_CORRUPT, *, transaction_id: str = "", namespace: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.transaction_id = transaction_id
        self.namespace = namespace
