"""What can be wrong with an MM4 message: the peer's fault when reading, the caller's when writing.

    ValueError
    ├── Mm4Error       a mail that is no MM4 message we can read; says with which status to answer, and whom
    └── EncodeError    a value of ours that its header or part does not hold

No message of these contains the value of a field, so they may be logged. Trying again does not help.
"""

from typing import Final

import msgspec

CORRUPT: Final = "Error-message-format-corrupt"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What could still be read of a mail that is refused; empty where it could not."""

    message_type: str = ""  # a MessageType, or what else the peer wrote; empty: not a mail of MM4
    transaction_id: str = ""
    message_id: str = ""
    version: str = ""
    reply_to: str = ""  # the mailbox that an answer goes to
    ack_request: bool = False


class Mm4Error(ValueError):
    """A mail cannot be read. `status` is the RequestStatus to answer with; `what` is for people."""

    def __init__(self, what: str, status: str = CORRUPT, about: About | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.about = about or About()


class EncodeError(ValueError):
    """A value does not fit the header that it is for."""

    def __init__(self, header: str, reason: str) -> None:
        super().__init__(f"{header}: {reason}")
        self.header = header
        self.reason = reason
