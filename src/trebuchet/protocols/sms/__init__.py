"""Short message texts: from characters to the octets of each part, and back.

A text has an encoding (`choose`), which decides how many parts it takes (`count`) and what they are
(`segment`). The other way, user data may start with a header (`udh`), parts are put together (`join`), and
octets become text (`decode`). `smart_encode` makes texts cheaper before all that. The alphabet is `gsm7`.

Pure functions: no I/O, no clock, no randomness. Errors are the tree in `errors`.
"""

from trebuchet.protocols.sms import gsm7, udh
from trebuchet.protocols.sms.dcs import (
    Choice,
    DataCoding,
    Encoding,
    Reason,
    choose,
    data_coding,
    decode,
    encoding_of,
)
from trebuchet.protocols.sms.errors import (
    LoneSurrogate,
    MalformedHeader,
    NotInAlphabet,
    SmsError,
    TooManySegments,
)
from trebuchet.protocols.sms.reassembly import Part, Reassembled, join
from trebuchet.protocols.sms.segmentation import MAX_SEGMENTS, Segment, SegmentCount, count, segment
from trebuchet.protocols.sms.smart import normalise, smart_encode

__all__ = [
    "MAX_SEGMENTS",
    "Choice",
    "DataCoding",
    "Encoding",
    "LoneSurrogate",
    "MalformedHeader",
    "NotInAlphabet",
    "Part",
    "Reason",
    "Reassembled",
    "Segment",
    "SegmentCount",
    "SmsError",
    "TooManySegments",
    "choose",
    "count",
    "data_coding",
    "decode",
    "encoding_of",
    "gsm7",
    "join",
    "normalise",
    "segment",
    "smart_encode",
    "udh",
]
