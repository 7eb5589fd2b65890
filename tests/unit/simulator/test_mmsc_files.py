"""The pictures that handsets of the MMSC show."""

import pytest

from trebuchet.simulator.base import File
from trebuchet.simulator.mmsc_files import Files


def file(octets: bytes, name: str = "cat.jpg") -> File:
    return File(name, "image/jpeg", octets)


def test_a_file_is_found_by_its_url() -> None:
    """Wherever it is served."""
    files = Files(100)
    files.base_url = "http://127.0.0.1:8081"
    url = files.keep(file(b"meow"))
    assert url.startswith("http://127.0.0.1:8081/sim/v1/files/")
    assert url.endswith("/cat.jpg")
    assert files.find(url) == file(b"meow")


@pytest.mark.parametrize(
    ("name", "end"),
    [("", "/file"), ("../a b.jpg", "/..%2Fa%20b.jpg"), ("кот.jpg", "/%D0%BA%D0%BE%D1%82.jpg")],
)
def test_any_name_makes_one_part_of_a_path(name: str, end: str) -> None:
    """No name leads elsewhere."""
    assert Files(100).keep(file(b"meow", name)).endswith(end)


def test_the_same_octets_are_kept_once() -> None:
    """And whatever is over the bound goes, the longest unused first."""
    files = Files(10)
    first, second = files.keep(file(b"11111")), files.keep(file(b"22222"))
    assert files.keep(file(b"11111")) == first
    files.keep(file(b"33333"))
    assert files.find(second) is None
    assert files.find(first) == file(b"11111")


@pytest.mark.parametrize("url", ["", "https://pictures.example/cat.jpg", "http://127.0.0.1/sim/v1/files/0/x"])
def test_other_urls_are_of_no_file(url: str) -> None:
    """Nothing is fetched."""
    assert Files(100).find(url) is None
