"""What the HTTP client of the command line makes of octets."""

import pytest

from trebuchet.cli.client import Client, ConnectionLost, FeedEvent, events_of, refusal
from trebuchet.cli.outcome import Code, CommandError


def test_events_comments_and_kinds() -> None:
    """An entry per blank line, comments passed on, other kinds by their name, CR LF as LF."""
    stream = (
        b': hello\n\ndata: {"what":"accepted"}\n\nevent: missed\ndata: {}\n\n'
        b'event: missed\r\n\r\nid: 7\ndata:{"a":\ndata:1}\n\n'
    )
    assert list(events_of(iter(stream.splitlines(keepends=True)))) == [
        FeedEvent("comment", {}),
        FeedEvent("message", {"what": "accepted"}),
        FeedEvent("missed", {}),
        FeedEvent("missed", {}),
        FeedEvent("message", {"a": 1}),
    ]


def test_a_feed_that_is_not_json_is_lost() -> None:
    """It is treated like a broken connection: opened again."""
    with pytest.raises(ConnectionLost, match="not JSON"):
        list(events_of(iter([b"data: {\n", b"\n"])))


@pytest.mark.parametrize(
    ("status", "problem", "code", "text"),
    [
        (404, {"description": "there is no account u-1"}, Code.REFUSED, "there is no account u-1"),
        (
            400,
            {
                "description": "not accepted",
                "fieldErrors": [{"fieldName": "from", "description": "is missing"}],
            },
            Code.REFUSED,
            "not accepted\nfrom: is missing",
        ),
        (503, {"description": "disk full"}, Code.UNREACHABLE, "the gateway could not do it (503): disk full"),
    ],
)
def test_problems_become_errors(status: int, problem: dict[str, object], code: Code, text: str) -> None:
    """What the gateway says, field by field, and whose turn it is."""
    error = refusal(status, problem)
    assert (error.code, str(error)) == (code, text)


def test_refused_credentials_say_where_to_put_the_right_ones() -> None:
    """A 401 names the variables."""
    assert "TREBUCHET_ADMIN_TOKEN" in str(refusal(401, {"description": "no"}))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http://[::1",
        "http://u:p@h",
        "http://a b",
        "http://h\x00",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """Only http and https, a host, and no credentials in the URL."""
    with pytest.raises(CommandError, match="is not the URL of a gateway"):
        Client(url, "Bearer t")


def test_credentials_are_not_in_the_repr() -> None:
    """A client may be printed."""
    assert "hidden" not in repr(Client("http://h", "Bearer hidden"))
