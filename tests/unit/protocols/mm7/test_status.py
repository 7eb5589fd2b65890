"""What the status codes of MM7 mean."""

import pytest

from trebuchet.protocols.mm7.status import Outcome, Verdict, outcome_of, text_of


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (1000, Outcome(Verdict.OK)),
        (1100, Outcome(Verdict.OK)),
        (1999, Outcome(Verdict.OK)),
        (2002, Outcome(Verdict.PERMANENT, 4720)),
        (2003, Outcome(Verdict.PERMANENT, 4720)),
        (2004, Outcome(Verdict.PERMANENT, 4712)),
        (2007, Outcome(Verdict.PERMANENT, 4752)),
        (2560, Outcome(Verdict.PERMANENT, 4750)),
        (3000, Outcome(Verdict.TEMPORARY, 5620)),
        (3002, Outcome(Verdict.PERMANENT, 4750)),
        (4000, Outcome(Verdict.TEMPORARY, 5620)),
        (4001, Outcome(Verdict.LINK)),
        (4004, Outcome(Verdict.PERMANENT, 4752)),
        (4005, Outcome(Verdict.PERMANENT, 4750)),
        (4006, Outcome(Verdict.LINK)),
        (4007, Outcome(Verdict.PERMANENT, 4493)),
        (9999, Outcome(Verdict.PERMANENT, 4750)),
    ],
)
def test_a_status_is_an_outcome(status: int, outcome: Outcome) -> None:
    """Only what says so may be tried again; what is wrong with the link is not the message's fault."""
    assert outcome_of(status) == outcome


def test_what_we_answer_has_words() -> None:
    """The specification's."""
    assert text_of(2007) == "Message format corrupt"
