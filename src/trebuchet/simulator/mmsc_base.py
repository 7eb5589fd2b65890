"""What an MMSC takes and says, whatever protocol its peer speaks: the seam between its account and its relay.

The account knows the simulated network, the relay its protocol. A relay of another protocol, such as MM7, reads what
its peer submits into `Heard`, asks `Account.take` what becomes of it, and says so in its own words; the account has
it say what became of each message (`Report`) and what somebody typed on a handset (`Written`).
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from trebuchet.errors import TrebuchetError
from trebuchet.model.receipt import ReceiptState
from trebuchet.simulator.base import File


class Counts(msgspec.Struct):
    """What the MMSC has seen since it started."""

    forwards: int = 0  # messages, repetitions included
    refused: int = 0
    busy: int = 0  # refused for the moment
    answers: int = 0  # that the peer took
    reports: int = 0  # that the peer took
    inbound: int = 0  # what handsets typed and the peer took
    unsaid: int = 0  # answers and reports that the peer did not take


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One message that the peer submitted."""

    message_id: str  # the peer's own; what it submits again under it is recognised
    source: str
    recipients: tuple[str, ...]  # whom to deliver it to, each once
    shown: tuple[str, ...]  # whom the handsets show as its recipients
    text: str
    files: tuple[File, ...] = ()
    wants_report: bool = False
    origin: str = ""  # where reports go, in the relay's own words
    report_as: str = ""  # what its report says instead of what became of it; "": the truth


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message for one recipient. `said`: what to say instead, as in `Heard.report_as`."""

    message_id: str
    origin: str
    source: str  # who had sent it
    recipient: str
    state: ReceiptState
    code: int | None = None  # why it failed
    said: str = ""
    at_ms: int


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody typed on a handset."""

    id: str
    handset: str
    recipients: tuple[str, ...]
    text: str
    files: Sequence[File]


class NotSaid(TrebuchetError):
    """The peer did not take it now; it is to be said again."""


class Relay(Protocol):
    """The side of the MMSC that the peer talks to."""

    async def report(self, report: Report) -> None:
        """Returns once the peer has it, or will never take it. Raises NotSaid."""
        ...

    async def write(self, written: Written) -> None:
        """Returns once the peer has it. Raises NoLink, which says why not."""
        ...

    def down(self, until_ms: int) -> None:
        """The network broke: drop every connection, and take none until then."""
        ...
