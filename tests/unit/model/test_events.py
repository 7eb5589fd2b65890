"""The ids of events: what makes an announcement unique."""

from itertools import combinations

import pytest

from trebuchet.model.events import PLACE, EventType, event_id, event_place


@pytest.mark.parametrize("type_", EventType)
def test_an_id_names_message_recipient_and_place(type_: EventType) -> None:
    """The place can be read back from it, also where there are many recipients."""
    id_ = event_id("1585321273456iprz22vjeo4tvooc", 12, type_)
    assert id_ == f"1585321273456iprz22vjeo4tvooc-12-{PLACE[type_]}"
    assert event_place(id_) == PLACE[type_]


def test_only_final_events_share_an_id() -> None:
    """So that the key of the table lets one of them exist, and one only."""
    alike = {
        frozenset(pair)
        for pair in combinations(EventType, 2)
        if event_id("m", 0, pair[0]) == event_id("m", 0, pair[1])
    }
    assert alike == {frozenset({EventType.DELIVERED, EventType.FAILED})}


def test_events_of_a_life_sort_in_its_order() -> None:
    """Sending comes before the final event."""
    ids = [event_id("m", 0, type_) for type_ in (EventType.SENDING, EventType.DELIVERED)]
    assert ids == sorted(ids)
