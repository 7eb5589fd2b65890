"""Who asks for a page."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Person:
    """Without a login everybody is an admin without a name."""

    name: str = ""
    role: str = "admin"  # viewer, operator or admin
    sees_text: bool = True  # what messages say
    csrf: str = field(default="", repr=False)
