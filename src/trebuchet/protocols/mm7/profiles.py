"""What peers expect of the documents we write: rows of data. Reading takes every namespace and version."""

from typing import Final

import msgspec

_SCHEMA: Final = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"


class Profile(msgspec.Struct, frozen=True):
    """One way of writing MM7."""

    namespace: str
    version: str  # MM7Version
    soap_action: str = '""'


STANDARD: Final = "rel6-1.4"

PROFILES: Final = {
    "rel5-1.0": Profile(f"{_SCHEMA}REL-5-MM7-1-0", "5.3.0"),
    "rel5-1.1": Profile(f"{_SCHEMA}REL-5-MM7-1-1", "5.4.0"),
    "rel5-1.2": Profile(f"{_SCHEMA}REL-5-MM7-1-2", "5.6.0"),
    "rel5-1.3": Profile(f"{_SCHEMA}REL-5-MM7-1-3", "5.6.0"),
    "rel6-1.0": Profile(f"{_SCHEMA}REL-6-MM7-1-0", "6.0.0"),
    "rel6-1.1": Profile(f"{_SCHEMA}REL-6-MM7-1-1", "6.3.0"),
    "rel6-1.2": Profile(f"{_SCHEMA}REL-6-MM7-1-2", "6.5.0"),
    "rel6-1.3": Profile(f"{_SCHEMA}REL-6-MM7-1-3", "6.6.0"),
    STANDARD: Profile(f"{_SCHEMA}REL-6-MM7-1-4", "6.8.0"),
}
