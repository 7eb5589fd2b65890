"""What can go wrong between a mail and its peer.

SmtpError              the text is one line for an operator's eyes, without secrets and without the mail
├── SmtpRefused        the peer will never take this mail            sender's fault, retrying does not help
├── SmtpTemporary      the peer does not take this mail now          peer's fault, retrying helps later
├── SmtpLost           the connection ended, or went silent          nobody's fault; retrying may deliver twice if
│                                                                    `after_data`, and cannot if not
└── SmtpUnavailable    no dialogue came about                        link's fault: address, TLS, credentials, peer down
"""

from trebuchet.errors import TrebuchetError
from trebuchet.smtp.mail import Reply


class SmtpError(TrebuchetError):
    """A mail was not taken, or that is not known. `dialogue` holds what was said, as in `Submitted`."""

    dialogue: tuple[str, ...] = ()


class SmtpRefused(SmtpError):
    """The whole mail was refused for good, by 5xx.

    `command` is what the peer answered so: MAIL, DATA, or `.` for the mail itself. A mail that is larger than the
    peer has announced is refused here, with the reply 552 to EHLO. Nothing was taken.
    """

    def __init__(self, reply: Reply, command: str) -> None:
        super().__init__(f"{command} was answered {reply.line}")
        self.reply = reply
        self.command = command


class SmtpTemporary(SmtpError):
    """The whole mail was refused for now, by 4xx; fields as of SmtpRefused. Nothing was taken."""

    def __init__(self, reply: Reply, command: str) -> None:
        super().__init__(f"{command} was answered {reply.line}")
        self.reply = reply
        self.command = command


class SmtpLost(SmtpError):
    """The connection ended, an answer did not come in time, or it made no sense.

    With `after_data` the final dot had been written: whether the peer has the mail is unknown. Without, the peer
    cannot have it.
    """

    def __init__(self, reason: str, *, after_data: bool) -> None:
        super().__init__(f"{reason}, {'after' if after_data else 'before'} the end of the mail")
        self.reason = reason
        self.after_data = after_data


class SmtpUnavailable(SmtpError):
    """No dialogue came about: name, connection, greeting, TLS or credentials. Nothing was handed over.

    `reply` is the peer's refusal, where it gave one.
    """

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason if reply is None else f"{reason}: {reply.line}")
        self.reason = reason
        self.reply = reply
