"""Which URLs name objects of our own media store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.media.library import own_place
from trebuchet.media.names import path_of

BASE = "https://gateway.example"

OURS: dict[str, tuple[str, str, tuple[str, str]]] = {
    "catapult": (BASE, f"{BASE}/v2/users/u-1/media/cat.png", ("u-1", "cat.png")),
    "current": (BASE, f"{BASE}/api/v2/users/u-1/media/cat.png", ("u-1", "cat.png")),
    "first version": (BASE, f"{BASE}/v1/users/u-1/media/cat.png", ("u-1", "cat.png")),
    "encoded slashes": (BASE, f"{BASE}/v2/users/u-1/media/id%2F0%2Fa%20b.jpg", ("u-1", "id/0/a b.jpg")),
    "plain slashes": (BASE, f"{BASE}/v2/users/u-1/media/id/0/a%20b.jpg", ("u-1", "id/0/a b.jpg")),
    "other case": (BASE, "HTTPS://Gateway.EXAMPLE/v2/users/u-1/media/a", ("u-1", "a")),
    "usual port": (BASE, "https://gateway.example:443/v2/users/u-1/media/a", ("u-1", "a")),
    "port": ("http://gateway.example:8080", "http://gateway.example:8080/v2/users/u/media/a", ("u", "a")),
    "behind a path": (f"{BASE}/sms", f"{BASE}/sms/v2/users/u-1/media/a", ("u-1", "a")),
    "an account called media": (BASE, f"{BASE}/v2/users/media/media/media/a", ("media", "media/a")),
    "user name": (BASE, "https://t:s@gateway.example/v2/users/u-1/media/a", ("u-1", "a")),
    "fragment": (BASE, f"{BASE}/v2/users/u-1/media/a#top", ("u-1", "a")),
}


@pytest.mark.parametrize(("base", "url", "place"), OURS.values(), ids=OURS)
def test_urls_of_ours_name_an_account_and_an_object(base: str, url: str, place: tuple[str, str]) -> None:
    """Under every path that the API has, in every way of writing the name."""
    assert own_place(url, base) == place


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40))
def test_urls_that_we_give_out_are_ours(name: str) -> None:
    """Whatever the name, except those that no URL can name."""
    place = own_place(f"{BASE}/v2/users/u-1/media/{path_of(name)}", BASE)
    assert place == (None if name in {".", ".."} else ("u-1", name))


FOREIGN: dict[str, str] = {
    "another host": "https://elsewhere.example/v2/users/u-1/media/a",
    "a longer host": "https://gateway.example.net/v2/users/u-1/media/a",
    "our host as user name": "https://gateway.example@elsewhere.example/v2/users/u-1/media/a",
    "another scheme": "http://gateway.example/v2/users/u-1/media/a",
    "another port": "https://gateway.example:8443/v2/users/u-1/media/a",
    "no port at all": "https://gateway.example:port/v2/users/u-1/media/a",
    "another path": "https://gateway.example/v2/users/u-1/messages/a",
    "another version": "https://gateway.example/v3/users/u-1/media/a",
    "no name": "https://gateway.example/v2/users/u-1/media/",
    "the list": "https://gateway.example/v2/users/u-1/media",
    "a query": "https://gateway.example/v2/users/u-1/media/a?x=1",
    "control characters": "https://gateway.example/v2/users/u-1/media/a%00",
    "half an address": "https://[::1/v2/users/u-1/media/a",
    "nothing": "",
}


@pytest.mark.parametrize("url", FOREIGN.values(), ids=FOREIGN)
def test_other_urls_are_not_ours(url: str) -> None:
    """They are fetched like any other, or refused there."""
    assert own_place(url, BASE) is None
