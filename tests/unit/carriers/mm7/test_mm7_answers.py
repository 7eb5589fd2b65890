"""What an HTTP answer to a SubmitReq means."""

import pytest

from support.mm7 import envelope, submit_response
from trebuchet.carriers.mm7.post import understood
from trebuchet.protocols.mm7.status import Verdict
from trebuchet.webclient.connection import Answer


def answer(status: int, body: bytes) -> Answer:
    return Answer(status, [(b"content-type", b"text/xml")], body, True, 1)


@pytest.mark.parametrize("http_status", [200, 400, 500])
def test_a_document_counts_whatever_the_http_status(http_status: int) -> None:
    """It is what the relay says."""
    said = understood(answer(http_status, envelope("t", submit_response(1000, "m"))), "t")
    assert (said.verdict, said.message_id) == (Verdict.OK, "m")
    said = understood(answer(http_status, envelope("t", submit_response(2002))), "t")
    assert (said.verdict, said.code, said.words) == (Verdict.PERMANENT, 4720, "2002 so it is")


@pytest.mark.parametrize(
    ("http_status", "verdict"),
    [
        (200, None),
        (204, None),
        (301, Verdict.LINK),
        (400, Verdict.PERMANENT),
        (401, Verdict.LINK),
        (403, Verdict.LINK),
        (404, Verdict.LINK),
        (408, Verdict.TEMPORARY),
        (413, Verdict.PERMANENT),
        (429, Verdict.LINK),
        (500, Verdict.TEMPORARY),
        (502, Verdict.TEMPORARY),
        (503, Verdict.LINK),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", envelope("t", "<DeliverReq/>")])
def test_without_one_the_http_status_must_do(http_status: int, verdict: Verdict | None, body: bytes) -> None:
    """A 2xx that says nothing leaves the message in doubt."""
    assert understood(answer(http_status, body), "t").verdict is verdict


@pytest.mark.parametrize(
    ("http_status", "code", "verdict"),
    [
        (200, "soap:Client", Verdict.PERMANENT),
        (500, "soap:Server", Verdict.TEMPORARY),
        (401, "soap:Client", Verdict.LINK),
        (503, "soap:Server", Verdict.LINK),
    ],
)
def test_a_fault_without_a_word_of_mm7(http_status: int, code: str, verdict: Verdict) -> None:
    """It says whose fault it is; a link that is not let in, or not served, is still the link's."""
    body = f"<soap:Fault><faultcode>{code}</faultcode><faultstring>no</faultstring></soap:Fault>"
    assert understood(answer(http_status, envelope("t", body)), "t").verdict is verdict


@pytest.mark.parametrize(
    "document",
    [
        envelope("another", submit_response(1000, "m")),
        envelope("t", "<RSErrorRsp><Status><StatusCode>1000</StatusCode></Status></RSErrorRsp>"),
    ],
)
def test_what_contradicts_itself_leaves_doubt(document: bytes) -> None:
    """An answer to something else, a fault that says success."""
    assert understood(answer(200, document), "t").verdict is None
