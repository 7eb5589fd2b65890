"""Optional parameters: the table of tags, values, and their order in a PDU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.smpp import DecodeError, EncodeError, Status, Tag, tlv
from trebuchet.protocols.smpp.tlv import Kind

HEADER = bytes.fromhex("00000010000000150000000000000007")  # of any PDU; a TLV stream follows the body


def test_every_tag_has_its_row() -> None:
    """The table and the names agree, and a name is the specification's in lower case."""
    assert set(tlv.TAGS) == set(Tag)
    assert {tag: row.name for tag, row in tlv.TAGS.items()} == {tag: tag.name.lower() for tag in Tag}
    assert all(row.shortest <= row.longest <= 65_535 for row in tlv.TAGS.values())


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (Tag.MESSAGE_STATE, 2, "02"),
        (Tag.USER_MESSAGE_REFERENCE, 1, "0001"),
        (Tag.SAR_MSG_REF_NUM, 65_535, "ffff"),
        (Tag.QOS_TIME_TO_LIVE, 3600, "00000e10"),
        (Tag.MS_MSG_WAIT_FACILITIES, 0x82, "82"),
        (Tag.SOURCE_TELEMATICS_ID, 255, "ff"),
        (Tag.SOURCE_TELEMATICS_ID, 256, "0100"),
        (Tag.SOURCE_TELEMATICS_ID, b"\x00\x01", "0001"),
        (Tag.ALERT_ON_MESSAGE_DELIVERY, b"", ""),
        (Tag.ALERT_ON_MESSAGE_DELIVERY, 1, "01"),
        (Tag.RECEIPTED_MESSAGE_ID, "1a2b", "3161326200"),
        (Tag.RECEIPTED_MESSAGE_ID, "", "00"),
        (Tag.RECEIPTED_MESSAGE_ID, b"1a2b", "31613262"),
        (Tag.ADDITIONAL_STATUS_INFO_TEXT, "é", "e900"),
        (Tag.MESSAGE_PAYLOAD, b"", ""),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x22", "030022"),
        (Tag.MS_VALIDITY, b"\x04\x01\x00\x05", "04010005"),
        (0x1400, b"abc", "616263"),
        (0xFFFF, b"", ""),
    ],
)
def test_a_value_becomes_octets(tag: int, value: int | str | bytes, octets: str) -> None:
    """Numbers take the length of their tag, texts get a NUL, octets stay as they are."""
    assert tlv.pack(tag, value) == (tag, bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("tag", "value", "complaint"),
    [
        (Tag.MESSAGE_STATE, 256, "message_state: the number does not fit 1 octets"),
        (Tag.MESSAGE_STATE, -1, "does not fit"),
        (Tag.SOURCE_TELEMATICS_ID, 65_536, "does not fit 2"),
        (Tag.USER_MESSAGE_REFERENCE, b"\1", "1 octets, the TLV holds 2 to 2"),
        (Tag.USER_MESSAGE_REFERENCE, "1", "no string"),
        (Tag.MESSAGE_PAYLOAD, "text", "no string"),
        (Tag.MESSAGE_PAYLOAD, 1, "no number"),
        (Tag.MESSAGE_PAYLOAD, bytes(65_536), "holds 0 to 65535"),
        (Tag.RECEIPTED_MESSAGE_ID, 1, "no number"),
        (Tag.RECEIPTED_MESSAGE_ID, "x" * 65, "66 octets"),
        (Tag.RECEIPTED_MESSAGE_ID, "a\0b", "NUL"),
        (Tag.RECEIPTED_MESSAGE_ID, "ab€", "character at 2"),
        (Tag.RECEIPTED_MESSAGE_ID, b"", "0 octets"),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00", "2 octets"),
        (0x1400, 1, "0x1400: the TLV is no number"),
        (0x1400, "a", "0x1400: the TLV is no string"),
    ],
)
def test_a_value_that_does_not_fit(tag: int, value: int | str | bytes, complaint: str) -> None:
    """The error names the TLV and what it holds."""
    with pytest.raises(EncodeError, match=complaint):
        tlv.pack(tag, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"1a2b\0", "1a2b"), (b"1a2b", "1a2b"), (b"", ""), (b"\0", ""), (b"a\0\0", "a\0"), (b"\xe9\0", "é")],
)
def test_texts(value: bytes, text: str) -> None:
    """One NUL at the end is dropped if it is there."""
    assert tlv.text(value) == text


@pytest.mark.parametrize(
    ("value", "number"), [(b"", 0), (b"\x02", 2), (b"\x01\x00", 256), (b"\xff" * 4, 2**32 - 1)]
)
def test_integers(value: bytes, number: int) -> None:
    """A number has any length."""
    assert tlv.integer(value) == number


def test_the_first_of_several() -> None:
    """A tag may occur more than once; the first counts where one is wanted."""
    tlvs = ((Tag.CALLBACK_NUM, b"1"), (Tag.MESSAGE_STATE, b"\2"), (Tag.CALLBACK_NUM, b"2"))
    assert tlv.first(tlvs, Tag.CALLBACK_NUM) == b"1"
    assert tlv.first(tlvs, Tag.MESSAGE_STATE) == b"\2"
    assert tlv.first(tlvs, Tag.MESSAGE_PAYLOAD) is None


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=8).map(tuple))
def test_any_tlvs_read_back(tlvs: tuple[tuple[int, bytes], ...]) -> None:
    """Order, duplicates, and tags that nobody knows are kept."""
    assert tlv.decode(HEADER + tlv.encode(tlvs), len(HEADER)) == tlvs


@pytest.mark.parametrize(
    ("tlvs", "complaint"),
    [
        (((-1, b""),), "tag"),
        (((0x10000, b""),), "tag"),
        (((0x1400, bytes(65_536)),), "65536 octets in tag 0x1400"),
    ],
)
def test_tlvs_that_cannot_be_written(tlvs: tuple[tuple[int, bytes], ...], complaint: str) -> None:
    """A tag and a length have two octets."""
    with pytest.raises(EncodeError, match=complaint):
        tlv.encode(tlvs)


@pytest.mark.parametrize("nuls", [0, 1, 2, 3])
def test_nuls_behind_the_last(nuls: int) -> None:
    """Too few to be a TLV, they are ignored: some peers write one NUL too many."""
    assert tlv.decode(HEADER + bytes.fromhex("0427000102") + bytes(nuls), len(HEADER)) == ((0x0427, b"\2"),)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        ("01", "1 octets behind the last TLV"),
        ("000001", "3 octets behind the last TLV"),
        ("042700010201", "1 octets behind the last TLV"),
        ("04270001", "0x0427 is longer than the PDU"),
        ("0424ffff00", "0x0424 is longer than the PDU"),
        ("0427000102001e000931", "0x001E is longer than the PDU"),
    ],
)
def test_a_stream_that_does_not_add_up(stream: str, complaint: str) -> None:
    """It is answered with RINVTLVSTREAM, under the command and the sequence of the PDU."""
    with pytest.raises(DecodeError, match=complaint) as caught:
        tlv.decode(HEADER + bytes.fromhex(stream), len(HEADER))
    error = caught.value
    assert (error.status, error.command, error.sequence) == (Status.RINVTLVSTREAM, 0x15, 7)


@given(st.sampled_from([t for t, row in tlv.TAGS.items() if row.kind is Kind.INT]), st.integers(0, 255))
def test_numbers_read_back(tag: int, number: int) -> None:
    """A number is the same after packing, whatever the length of its tag."""
    packed, value = tlv.pack(tag, number)
    assert packed == tag
    assert tlv.integer(value) == number
    assert len(value) == tlv.TAGS[tag].shortest
