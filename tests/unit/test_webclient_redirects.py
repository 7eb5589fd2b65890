"""Where a redirect leads, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.webclient import Document, RedirectRefused
from trebuchet.webclient.addresses import parse_url
from trebuchet.webclient.connection import Answer
from trebuchet.webclient.redirects import headers_for, next_url


def answer(status: int, *locations: bytes) -> Answer:
    return Answer(status, [(b"location", location) for location in locations], b"", True, 0)


def following(url: str, location: bytes, status: int = 302) -> str | None:
    return next_url(url, parse_url(url), answer(status, location), 1)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"http://b.example/x", "http://b.example/x"),
        (b"https://b.example/x", "https://b.example/x"),
        (b"HTTPS://b.example/x", "HTTPS://b.example/x"),
        (b"//b.example/x", "http://b.example/x"),
        (b"/x?y=z", "http://a.example:81/x?y=z"),
        (b"x", "http://a.example:81/one/x"),
        (b"../x", "http://a.example:81/x"),
        (b"?q", "http://a.example:81/one/two?q"),
        (b"", "http://a.example:81/one/two?old"),
        ("/ä".encode(), "http://a.example:81/ä"),
        (b"ftp://b.example/", "ftp://b.example/"),
        (b"http://user:secret@b.example/", "http://user:secret@b.example/"),
    ],
)
def test_a_location_is_read_against_the_url(location: bytes, url: str) -> None:
    """Absolute, without scheme, without host, relative (RFC 3986 section 5); whether it may be used comes later."""
    assert following("http://a.example:81/one/two?old", location) == url


@pytest.mark.parametrize("status", [200, 201, 204, 300, 304, 305, 306, 400, 500])
def test_other_answers_lead_nowhere(status: int) -> None:
    """Only the five redirects of today are followed, whatever headers other answers have."""
    assert following("http://a.example/", b"/x", status) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_without_location_is_the_answer(status: int) -> None:
    """There is nowhere to go."""
    assert next_url("http://a.example/", parse_url("http://a.example/"), answer(status), 1) is None


@pytest.mark.parametrize(
    ("url", "locations", "hops_left", "words"),
    [
        ("https://a.example/", [b"http://a.example/"], 1, "from https to another scheme"),
        ("https://a.example/", [b"HTTP://a.example/"], 1, "from https to another scheme"),
        ("https://a.example/", [b"ftp://a.example/"], 1, "from https to another scheme"),
        ("http://a.example/", [b"/x"], 0, "once too often"),
        ("http://a.example/", [b"/x", b"/y"], 1, "more than one place"),
        ("http://a.example/", [b"/\xff"], 1, "not a URL"),
        ("http://a.example/", [b"http://[::1/"], 1, "not a URL"),
    ],
)
def test_a_redirect_is_refused_with_the_reason(
    url: str, locations: list[bytes], hops_left: int, words: str
) -> None:
    """Out of https, too often, to two places at once, to what cannot be read."""
    with pytest.raises(RedirectRefused, match=words):
        next_url(url, parse_url(url), answer(302, *locations), hops_left)


def test_the_same_location_twice_is_one() -> None:
    """A proxy that repeats a header does no harm."""
    assert next_url("http://a.example/", parse_url("http://a.example/"), answer(302, b"/x", b"/x"), 1)


HEADERS = [
    (b"Authorization", b"Basic x"),
    (b"Cookie", b"a"),
    (b"X-Key", b"k"),
    (b"ACCEPT", b"*/*"),
    (b"User-Agent", b"T"),
]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://a.example/other", 5),
        ("http://A.example:80/", 5),
        ("http://a.example:81/", 2),
        ("https://a.example/", 2),
        ("http://b.a.example/", 2),
        ("http://a.example./", 2),
    ],
)
def test_another_origin_is_told_nothing_but_what_we_are(url: str, kept: int) -> None:
    """Within scheme, host and port all headers go on; beyond, only Accept and User-Agent do."""
    headers = headers_for(parse_url(url), parse_url("http://a.example/one"), HEADERS)
    assert list(headers) == HEADERS[-kept:]


@given(st.sampled_from(["http://a.example/one", "https://[2001:db8::1]:8443/?x"]), st.binary(max_size=40))
def test_any_location_is_a_text_or_a_refusal(url: str, location: bytes) -> None:
    """Whatever the peer writes, nothing else comes out; and never a way out of https."""
    try:
        found = following(url, location)
    except RedirectRefused:
        return
    assert found is not None
    assert found.startswith("http") or not url.startswith("https:")


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ([], ""),
        ([(b"content-type", b"image/PNG; a=b")], "image/PNG; a=b"),
        ([(b"content-type", b"\xff")], ""),
    ],
)
def test_a_document_has_the_content_type_that_was_claimed(
    headers: list[tuple[bytes, bytes]], content_type: str
) -> None:
    """As the peer wrote it, empty when it is missing or not in ASCII."""
    assert Document("http://a.example/", 200, headers, b"", 0).content_type == content_type
