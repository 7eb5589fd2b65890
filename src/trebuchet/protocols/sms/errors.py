"""What can be wrong with a text or with user data: the caller's or the peer's fault, retrying does not help.

    SmsError                 base; a ValueError, since protocols know nothing of the gateway
    ├── NotInAlphabet        a character that GSM 03.38 does not have
    ├── LoneSurrogate        half of a UTF-16 pair, which is no character
    ├── TooManySegments      more parts than a concatenation header can number
    └── MalformedHeader      a user data header whose lengths do not add up

No message of these contains text of the customer, so they may be logged.
"""


class SmsError(ValueError):
    """The text or the user data is not valid."""


class NotInAlphabet(SmsError):
    """A character is not in the GSM 03.38 alphabet. `index` counts code points from 0."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the character at {index} is not in the GSM 03.38 alphabet")
        self.index = index


class LoneSurrogate(SmsError):
    """The text has half of a surrogate pair. `index` counts code points from 0."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the code point at {index} is half of a surrogate pair, not a character")
        self.index = index


class TooManySegments(SmsError):
    """The text needs `segments` parts; a concatenation header can number 255."""

    def __init__(self, segments: int) -> None:
        super().__init__(f"the text needs {segments} segments, more than the 255 that can be numbered")
        self.segments = segments


class MalformedHeader(SmsError):
    """The user data header does not fit its own lengths."""
