"""What a node that serves alone tells its members, and what it keeps to say later."""

from __future__ import annotations

import tracemalloc
from uuid import UUID

from waypost.realtime.alone import Alone
from waypost.realtime.events import Event, outgoing
from waypost.realtime.live import HeardRoom, LiveRooms
from waypost.realtime.service import fleet_room, trip_room, user_room

ORG = UUID(int=1)
ROOMS = (trip_room(ORG, UUID(int=2)), fleet_room(ORG), user_room(ORG, UUID(int=3)))
MANY = 50_000


def alone(told: list[Event], *rooms: str) -> Alone:
    """``rooms`` have members here."""
    live = LiveRooms(told.append, lambda *_: None)
    live.rooms.update((room, HeardRoom(room)) for room in rooms)
    return Alone(live)


def test_what_happened_is_told_once_to_each_of_the_rooms_that_share_its_id():
    told: list[Event] = []
    here = alone(told, *ROOMS)
    events = [outgoing(room, "trip:event", {"eventId": "x"}, key="x") for room in ROOMS]
    for _ in range(2):
        assert here.tell(events) == events, "all of it is still to be sent to the others"
    assert [event.room for event in told] == list(ROOMS)


def test_what_is_marked_costs_the_same_however_many_rooms_wait_to_be_told_of_a_gap():
    here = alone([])
    here.tell([outgoing(f"org:{ORG}:trip:{UUID(int=n)}", "trip:location", {}) for n in range(MANY)])
    others = [outgoing(fleet_room(UUID(int=9)), "fleet:positions", {})]
    here.with_gaps(others)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert here.with_gaps(others) == others
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - before < 10_000, "no copy of them is made"


def test_the_gaps_are_said_some_at_a_time_and_once_each():
    here = alone([])
    here.tell([outgoing(room, "trip:event", {}) for room in ROOMS])
    said: list[str] = []
    while events := here.gaps_to_say(2):
        assert len(events) <= 2
        for event in here.with_gaps(events):
            assert event.skip == 1
            here.sent(event)
            said.append(event.room)
    assert sorted(said) == sorted(ROOMS)
    assert not here.gaps


def test_of_several_events_of_a_room_the_gap_is_before_the_first():
    here = alone([])
    here.tell([outgoing(ROOMS[0], "trip:location", {})])
    events = [outgoing(ROOMS[0], "trip:location", {"n": n}) for n in range(3)]
    assert [event.skip for event in here.with_gaps(events)] == [1, 0, 0]
    promised = [outgoing(ROOMS[0], "trip:event", {}, key="known already"), *events]
    assert [event.skip for event in here.with_gaps(promised)] == [1, 1, 0, 0]
