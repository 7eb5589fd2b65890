"""Names of media objects: what clients write, in any way of writing it, and what URLs of ours say."""

from urllib.parse import quote, urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trebuchet.media.names import NAME_MAX, BadName, inbound_name, name_of, path_of

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=NAME_MAX // 4).filter(
    lambda name: name not in {".", ".."}
)
BASE = "https://gateway.example/v2/users/u-1/media/"


@given(NAMES, st.sampled_from(["", "/", "/~!$&'()*+,;=:@"]))
@example("id/0/a b.txt", "/")
@example("100%25", "")
@example("a+b", "/")
def test_a_name_is_one_whichever_way_it_is_written(name: str, plain: str) -> None:
    """Clients encode its slashes or not, and differ in what else they leave as it is."""
    assert name_of(quote(name, safe=plain).encode()) == name


@given(NAMES)
@example("../../etc/passwd")
@example("/leading")
@example("a//b/./c/..")
def test_a_url_of_ours_names_the_object(name: str) -> None:
    """Also after a client resolved dot segments, as all do: none of it is lost on the way."""
    resolved = urljoin(BASE, BASE + path_of(name))
    assert resolved.startswith(BASE)
    assert name_of(resolved.removeprefix(BASE).encode()) == name


def test_parts_of_a_path_stay_readable() -> None:
    """Consumers take the last part and its extension."""
    assert path_of("id/0/a b.jpg") == "id/0/a%20b.jpg"


@given(st.binary(max_size=40))
def test_any_path_is_a_name_or_refused(path: bytes) -> None:
    """Nothing else comes of it, and a name that is taken comes back as itself."""
    try:
        name = name_of(path)
    except BadName:
        return
    assert name_of(path_of(name).encode()) == name


REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "a line end": b"a%0Ab",
    "a zero": b"a%00",
    "a delete": b"%7F",
    "not UTF-8": b"%ff",
    "half a character": b"%C3",
    "a surrogate": b"%ED%A0%80",
    "too long": b"n" * (NAME_MAX + 1),
    "too long in UTF-8": quote("\u20ac" * (NAME_MAX // 3 + 1)).encode(),
    "here": b".",
    "above": b"%2E%2E",
}


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED)
def test_what_is_no_name_is_refused(path: bytes) -> None:
    """With the reason; names are text of at most 1024 octets without control characters."""
    with pytest.raises(BadName, match=r"^the media name "):
        name_of(path)


def test_the_longest_name_is_taken() -> None:
    """The bound is of octets."""
    assert len(name_of(quote("\u20ac" * (NAME_MAX // 3)).encode())) == NAME_MAX // 3


def test_a_received_file_is_named_after_its_message() -> None:
    """Message, place and file name, as the API has it."""
    assert (
        inbound_name("14762070468292kw2fuqty55yp2b2", 0, "bw.png") == "14762070468292kw2fuqty55yp2b2/0/bw.png"
    )
