"""The presentation that our messages have."""

import xml.etree.ElementTree as ET

import pytest

from trebuchet.protocols.mm4 import MimePart, presentation
from trebuchet.protocols.mm4.smil import document


def medium(content_type: str, name: str = "") -> MimePart:
    return MimePart(content_type=content_type, octets=b"x", name=name)


def slides(parts: tuple[MimePart, ...]) -> list[tuple[str, str | None, str | None]]:
    """Element, source and region of what each slide shows."""
    root = ET.fromstring(parts[0].octets)
    shown = [list(par) for par in root.findall("./body/par")]
    assert all(len(each) == 1 for each in shown)
    return [(each[0].tag, each[0].get("src"), each[0].get("region")) for each in shown]


def test_each_medium_and_the_text_has_a_slide() -> None:
    """In order, the text last; pictures and films where pictures go, sounds nowhere, other files by reference."""
    parts = presentation(
        [
            medium("image/jpeg"),
            medium("video/3gpp"),
            medium("audio/amr"),
            medium("text/x-vcard"),
            medium("application/pdf"),
        ],
        "hello",
    )
    assert slides(parts) == [
        ("img", "img1.jpg", "Image"),
        ("video", "vid2.3gp", "Image"),
        ("audio", "aud3.amr", None),
        ("ref", "file4.vcf", None),
        ("ref", "file5.pdf", None),
        ("text", "txt6.txt", "Text"),
    ]
    assert [part.content_id for part in parts] == ["smil", "img1", "vid2", "aud3", "file4", "file5", "txt6"]
    assert all(part.name == part.content_location for part in parts)
    assert (parts[-1].octets, parts[-1].charset) == (b"hello", "utf-8")


def test_regions_are_those_that_slides_use() -> None:
    """Image and Text are laid out."""
    root = ET.fromstring(presentation([medium("image/png")])[0].octets)
    assert [region.get("id") for region in root.findall("./head/layout/region")] == ["Image", "Text"]


def test_a_message_without_text_has_no_text_part() -> None:
    """And one without media has only that."""
    assert [part.content_type for part in presentation([medium("image/png")])] == [
        "application/smil",
        "image/png",
    ]
    assert [part.content_type for part in presentation([], "hello")] == ["application/smil", "text/plain"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("IMG_2026-11-23.jpeg", "IMG_2026-11-23.jpeg"),
        ("crème.jpg", "img1.jpg"),
        ("my cat.jpg", "img1.jpg"),
        ("../cat.jpg", "img1.jpg"),
        (".cat", "img1.jpg"),
        ('a"b.jpg', "img1.jpg"),
        ("x" * 80, "img1.jpg"),
        ("smil.xml", "img1.jpg"),
        ("", "img1.jpg"),
    ],
)
def test_names_that_handsets_know_are_kept(name: str, kept: str) -> None:
    """Letters, digits, dots, dashes; any other is replaced by one for its kind."""
    assert presentation([medium("image/jpeg", name)])[1].name == kept


def test_names_differ() -> None:
    """Two media of one name, in any case, or with the name that another would get, are told apart."""
    parts = presentation(
        [medium("image/jpeg", "img3.jpg"), medium("image/jpeg", "A.jpg"), medium("image/jpeg", "a.JPG")]
    )
    assert [part.name for part in parts[1:]] == ["img3.jpg", "A.jpg", "ximg3.jpg"]


def test_an_unknown_type_has_a_suffix() -> None:
    """So that it is a file's name."""
    assert presentation([medium("application/x-own")])[1].name == "file1.bin"


def test_sources_are_escaped() -> None:
    """The document is well-formed whatever a Content-Location is."""
    part = MimePart(content_type="image/png", octets=b"", content_location="a\"<&'>b.png")
    root = ET.fromstring(document([part]))
    assert [each.get("src") for each in root.findall("./body/par/img")] == ["a\"<&'>b.png"]
