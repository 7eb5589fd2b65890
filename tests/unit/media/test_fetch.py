"""What a URL, a failure and an answer mean to a message, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.media.fetch import (
    Fetched,
    Unavailable,
    judge,
    last_part,
    name_for,
    refused,
    split_credentials,
    unavailable,
)
from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.webclient import (
    AddressRefused,
    AnswerMalformed,
    ConnectFailed,
    ConnectionLost,
    RedirectRefused,
    ResolveFailed,
    TimedOut,
    TlsFailed,
    TooLarge,
    UrlRefused,
    WebError,
)

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))


FAILURES: list[tuple[WebError, int, bool]] = [
    (UrlRefused("x"), 4410, False),
    (AddressRefused("x"), 4410, False),
    (RedirectRefused("x"), 4410, False),
    (TooLarge("x"), 4411, False),
    (ResolveFailed("x"), 4410, True),
    (ConnectFailed("x"), 4410, True),
    (TlsFailed("x"), 4410, True),
    (TimedOut("x"), 4410, True),
    (AnswerMalformed("x"), 4410, True),
    (ConnectionLost("x"), 4410, True),
]


@pytest.mark.parametrize(("error", "code", "temporary"), FAILURES)
def test_each_failure_of_the_client_has_a_code(error: WebError, code: int, temporary: bool) -> None:
    """Unreadable or too large; and whether the same URL may do later."""
    failure = unavailable(error)
    assert (failure.code, failure.words, failure.temporary) == (code, "x", temporary)


def test_every_failure_of_the_client_is_in_the_table() -> None:
    """Whoever adds one says what it means to a message."""
    assert {type(error) for error, _, _ in FAILURES} == set(WebError.__subclasses__())


@pytest.mark.parametrize(
    ("status", "temporary"),
    [
        (300, False),
        (304, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (410, False),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
        (599, True),
    ],
)
def test_an_error_answer_says_whether_to_come_back(status: int, temporary: bool) -> None:
    """The server's own trouble, its time-outs and its rate limits may pass."""
    failure = refused(status)
    assert (failure.code, failure.temporary) == (4410, temporary)
    assert str(status) in failure.words


def test_the_codes_are_the_documented_ones() -> None:
    """Each has a row in the table of error codes."""
    assert {code: ERROR_CODES[code].name for code in (4410, 4411, 4412)} == {
        4410: "media-unavailable",
        4411: "rejected-message-size-limit-exceeded",
        4412: "media-content-invalid",
    }


def test_octets_that_may_be_delivered_are_a_file() -> None:
    """By what they are, under a name that says so."""
    assert judge("cat.png", JPEG, "image/png", 1000) == Fetched("cat.jpg", "image/jpeg", JPEG)


@pytest.mark.parametrize(
    ("octets", "claimed", "code", "words"),
    [
        (JPEG, "image/jpeg", 4411, "260 octets; at most 259"),
        (b"", "image/jpeg", 4410, "empty"),
        (b"PK\3\4" + bytes(50), "image/jpeg", 4412, "application/zip"),
        (b"<html>log in</html>", "image/jpeg", 4412, "text/html"),
        (bytes(100), "image/jpeg", 4412, "application/octet-stream"),
    ],
)
def test_octets_that_may_not_be_delivered_have_a_code(
    octets: bytes, claimed: str, code: int, words: str
) -> None:
    """Too many, none, or of a type that carriers do not take; trying again does not help."""
    with pytest.raises(Unavailable, match=words) as failure:
        judge("a.jpg", octets, claimed, 259)
    assert (failure.value.code, failure.value.temporary) == (code, False)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.example/cat.jpg", "cat.jpg"),
        ("http://a.example/one/two/cat.jpg?x=/y.png#/z.gif", "cat.jpg"),
        ("http://a.example/one%2Fcat%20%C3%A4.jpg", "one/cat ä.jpg"),
        ("http://a.example/dir/", ""),
        ("http://a.example", ""),
        ("http://a.example?x=/y", ""),
    ],
)
def test_the_last_part_of_a_path_is_the_name(url: str, name: str) -> None:
    """Decoded; the host is never it."""
    assert last_part(url) == name


@pytest.mark.parametrize(
    ("name", "content_type", "made"),
    [
        ("cat.jpg", "image/jpeg", "cat.jpg"),
        ("cat.JPEG", "image/jpeg", "cat.JPEG"),
        ("cat.tif", "image/tiff", "cat.tif"),
        ("cat.php", "image/jpeg", "cat.jpg"),
        ("cat.jpg.exe", "image/jpeg", "cat.jpg.jpg"),
        ("cat", "image/png", "cat.png"),
        ("", "image/png", "media.png"),
        (".jpg", "image/jpeg", "jpg.jpg"),
        ("..", "image/png", "media.png"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("one/cat ä.jpg", "image/jpeg", "cat ä.jpg"),
        ("C:\\cat.jpg", "image/jpeg", "C_cat.jpg"),
        ('a"b<c>\r\nd.jpg', "image/jpeg", "a_b_c_d.jpg"),
        ("a" * 200 + ".jpg", "image/jpeg", "a" * 96 + ".jpg"),
        ("a" * 200, "image/jpeg", "a" * 96 + ".jpg"),
        ("cat.xyz", "application/octet-stream", "cat.bin"),
    ],
)
def test_a_name_fits_its_content_and_any_file_system(name: str, content_type: str, made: str) -> None:
    """No folders, nothing that a header or a shell would mind, the extension that handsets go by."""
    assert name_for(name, content_type) == made


@given(st.text(max_size=300), st.sampled_from(["image/jpeg", "text/plain", "x/y"]))
def test_any_name_becomes_a_short_plain_one(name: str, content_type: str) -> None:
    """With one extension at least, and neither empty nor hidden."""
    made = name_for(name, content_type)
    assert 3 <= len(made) <= 100
    assert "." in made[1:]
    assert not made.startswith(".")
    assert not set(made) & set('/\\"<>:|?*\r\n\0')


@pytest.mark.parametrize(
    ("url", "bare", "token"),
    [
        ("http://a.example/x", "http://a.example/x", None),
        ("http://a.example/x@y", "http://a.example/x@y", None),
        ("http://a.example/?u=x@y", "http://a.example/?u=x@y", None),
        ("http://user:secret@a.example/x", "http://a.example/x", b"Basic dXNlcjpzZWNyZXQ="),
        ("HTTPS://user@a.example:81", "HTTPS://a.example:81", b"Basic dXNlcjo="),
        ("http://us%40er:p%3Aw%2F@[::1]:81/?q", "http://[::1]:81/?q", b"Basic dXNAZXI6cDp3Lw=="),
        ("http://user:a:b@a.example/", "http://a.example/", b"Basic dXNlcjphOmI="),
        ("ftp://user@a.example/", "ftp://user@a.example/", None),
        ("not a url", "not a url", None),
    ],
)
def test_user_name_and_password_leave_the_url(url: str, bare: str, token: bytes | None) -> None:
    """They go into a header (RFC 7617), percent-decoded."""
    headers = () if token is None else ((b"Authorization", token),)
    assert split_credentials(url) == (bare, headers)


def test_a_url_with_two_hosts_is_refused() -> None:
    """Readers disagree on which of them is meant; and the password is not repeated."""
    with pytest.raises(Unavailable, match="more than one @") as failure:
        split_credentials("http://user:secret@a.example@b.example/")
    assert "secret" not in str(failure.value)
    assert not failure.value.temporary
