"""How a command ends: its exit code, and what it says when it cannot go on."""

import enum

from trebuchet.errors import TrebuchetError


class Code(enum.IntEnum):
    """Exit codes, the same for every command."""

    OK = 0  # done; of `send`: delivered
    NO = 1  # the answer is no: the message failed, the time ran out, a check found problems
    REFUSED = 2  # not accepted: wrong usage, wrong configuration, or the gateway refused the request
    UNREACHABLE = 3  # no gateway answered, or it could not do it
    INTERRUPTED = 130  # Ctrl-C


MEANINGS = {
    Code.OK: "Done. Of `send`: the message was delivered (with `--no-follow`: accepted).",
    Code.NO: "The answer is no: the message failed, the time ran out, or a check found problems.",
    Code.REFUSED: "Not accepted: wrong usage, wrong configuration, or the gateway refused the request.",
    Code.UNREACHABLE: "No gateway answered, or it could not do what was asked.",
    Code.INTERRUPTED: "Interrupted with Ctrl-C.",
}


class CommandError(TrebuchetError):
    """The command ends here. The text says what is wrong and what to do about it, one point a line."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
