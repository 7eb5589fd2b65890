"""Events and their callbacks, which every announcement is."""

from collections.abc import Sequence

from trebuchet.model.events import Announcement
from trebuchet.storage.sql import statements as sql
from trebuchet.storage.sql.steps import Steps, over


def announce(announcements: Sequence[Announcement]) -> Steps[None]:
    """Write events and queue their callbacks."""
    yield from over(sql.INSERT_EVENTS, [a.event for a in announcements])
    yield from over(sql.INSERT_CALLBACKS, [a.item for a in announcements])
