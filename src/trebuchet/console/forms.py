"""Forms as they are posted by pages. Pure."""

from urllib.parse import parse_qsl

FIELDS_MAX = 200


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; the last of a name counts, one that cannot be read is left out."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}
    return dict(pairs)
