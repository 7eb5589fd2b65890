"""Text from octets, in the charsets that mail is written in.

The names are a closed table: Python's own look-up takes codecs that are slow on purpose-made input, and remembers
every name it was ever asked for.
"""

import re
from typing import Final

_PYTHON: Final = {
    "usascii": "ascii",
    "ascii": "ascii",
    "utf8": "utf-8",
    "utf16": "utf-16",
    "utf16be": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32",
    "iso10646ucs2": "utf-16-be",
    "ucs2": "utf-16-be",
    "utf7": "utf-7",
    "latin1": "latin-1",
    "macintosh": "mac-roman",
    "ansix341968": "ascii",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "hzgb2312": "hz",
    "big5": "big5",
    "big5hkscs": "big5hkscs",
    "shiftjis": "shift_jis",
    "sjis": "shift_jis",
    "windows31j": "cp932",
    "cp932": "cp932",
    "eucjp": "euc_jp",
    "euckr": "euc_kr",
    "ksc56011987": "cp949",
    "iso2022jp": "iso2022_jp",
    "iso2022kr": "iso2022_kr",
    "tis620": "tis_620",
}
_PYTHON.update({f"iso8859{number}": f"iso8859-{number}" for number in range(1, 17) if number != 12})
_PYTHON.update({f"windows{number}": f"cp{number}" for number in (874, *range(1250, 1259))})
_PYTHON.update({f"cp{number}": f"cp{number}" for number in (437, 850, 852, 866, 874, *range(1250, 1259))})
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]")
# Controls that would break a header or a line of a log; tabs and line ends included.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def decoded(octets: bytes, charset: str = "") -> str:
    """The text of `octets`. Without a charset, with an unknown one or a wrong one: UTF-8, else Windows-1252.

    Never fails; a byte order mark at the beginning is dropped.
    """
    named = _PYTHON.get(_NOT_IN_NAMES.sub("", charset[:40].lower()), "utf-8")
    if named == "utf-16" and octets[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
        named = "utf-16-be"  # RFC 2781 section 4.3
    for codec in dict.fromkeys((named, "utf-8")):
        try:
            return octets.decode(codec).removeprefix("\ufeff")
        except UnicodeError:
            continue
    return octets.decode("cp1252", "replace")


def on_one_line(text: str) -> str:
    """Without control characters and without blanks around it: a text that a header can hold."""
    return _CONTROLS.sub(" ", text).strip()
