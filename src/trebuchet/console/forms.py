"""Forms as they are posted by pages. Pure."""

from urllib.parse import parse_qs

FIELDS_MAX = 400


def lists_of(body: bytes) -> dict[str, list[str]]:
    """The fields of an urlencoded form with all their values; none of one that cannot be read."""
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; the last of a name counts."""
    return {name: values[-1] for name, values in lists_of(body).items()}
