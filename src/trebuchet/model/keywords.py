"""Opt-out and help keywords, matched as the whole message only. Sources: CTIA messaging principles; FCC 2025."""

import enum

_OUT = frozenset(
    {
        "STOP",
        "STOPALL",
        "STOP ALL",
        "UNSUBSCRIBE",
        "CANCEL",
        "END",
        "QUIT",
        "REVOKE",
        "OPTOUT",
        "OPT OUT",
        "ARRET",
    }
)
_IN = frozenset({"START", "UNSTOP", "YES"})
_HELP = frozenset({"HELP", "INFO", "AIDE"})
_EDGES = " \t\r\n.,;:!?\"'()[]“”‘’«»"  # quotation marks that phones type, too


class Keyword(enum.StrEnum):
    OUT = "opt out"
    IN = "opt in"
    HELP = "help"


def keyword(text: str) -> Keyword | None:
    """The keyword that the whole text is, whatever its case, blanks and punctuation around it."""
    word = " ".join(text.strip(_EDGES).upper().split())
    if word in _OUT:
        return Keyword.OUT
    if word in _IN:
        return Keyword.IN
    if word in _HELP:
        return Keyword.HELP
    return None
