"""The parts of a message's mail, of files that need no worker."""

import pytest

from trebuchet.carriers.base import File
from trebuchet.carriers.mm4.settings import parse_settings
from trebuchet.carriers.multimedia import Encoder, judged
from trebuchet.media.images import CannotFit
from trebuchet.media.workers import ImageWorkers
from trebuchet.protocols.mm4 import Content, MimePart

CARD = File("card.vcf", "text/vcard", b"BEGIN:VCARD\r\nEND:VCARD\r\n")


def encoder(max_octets: int = 10_000) -> Encoder:
    settings = parse_settings(
        {
            "host": "mta.far.example",
            "domain": "mms.far.example",
            "our_domain": "mms.near.example",
            "answers": False,
            "reports": False,
            "max_octets": max_octets,
        }
    )
    return Encoder(settings, ImageWorkers())


@pytest.mark.anyio
async def test_smil_file_and_text() -> None:
    """In this order."""
    parts = await encoder().parts([CARD], "hello")
    kinds = [b"application/smil", b"text/vcard", b"text/plain"]
    assert len(parts) == len(kinds)
    assert all(kind in part.octets for kind, part in zip(kinds, parts, strict=True))


@pytest.mark.anyio
async def test_a_file_is_encoded_once() -> None:
    """For all messages that have it; the same octets under another name are another part."""
    of = encoder()
    first, second = await of.parts([CARD], "one"), await of.parts([CARD], "two")
    assert first[1] is second[1]
    renamed = await of.parts([File("other.vcf", CARD.content_type, CARD.octets)], "one")
    assert renamed[1].octets != first[1].octets


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "text", "fits"), [(9_995, "hello", True), (9_996, "hello", False)])
async def test_files_and_text_share_the_room(size: int, text: str, fits: bool) -> None:
    """To the octet, for what cannot be made smaller."""
    files = [File("a.pdf", "application/pdf", bytes(size))]
    if fits:
        assert len(await encoder().parts(files, text)) == 3
    else:
        with pytest.raises(CannotFit):
            await encoder().parts(files, text)


def test_files_are_what_they_are() -> None:
    """Not what the peer said; name and text stay."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(32)
    said = Content("hello", (MimePart(content_type="image/jpeg", octets=png, name="a.jpg"),))
    found = judged(said)
    assert (found.text, found.media[0].name, found.media[0].content_type) == ("hello", "a.jpg", "image/png")
