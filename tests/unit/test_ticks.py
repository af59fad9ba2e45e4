"""When a room's events leave, and that a dropped one is owned up to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from tests.unit.test_events import at
from tests.waiting import until
from waypost.realtime import broadcast
from waypost.realtime.broadcast import Broadcast, Paces
from waypost.realtime.events import Event, Place, outgoing
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.ticks import MOST_HELD, Ticks

TRIP, FLEET = "org:o:trip:t", "org:o:fleet"


def position(seq: int, vehicle: str = "a", second: int | None = None) -> Event:
    body = {"positions": [at(vehicle, seq if second is None else second)]}
    return Event(outgoing(FLEET, "fleet:positions", body), Place("e", seq))


def moved(seq: int, room: str = TRIP) -> Event:
    return Event(outgoing(room, "trip:event", {"n": seq}), Place("e", seq))


def spans(events: Sequence[Event]) -> list[tuple[int, int]]:
    return [(event.first, event.seq) for event in events]


def test_the_first_event_of_an_idle_room_leaves_at_once():
    assert spans(Ticks().take(position(1), 0.05, now=10)) == [(1, 1)]


def test_what_follows_within_the_tick_leaves_as_one():
    ticks = Ticks()
    ticks.take(position(1), 0.05, now=10)
    assert [ticks.take(position(seq), 0.05, now=10.01) for seq in (2, 3)] == [[], []]
    assert ticks.due(10.04) == []
    assert ticks.next_at == 10.05
    ((room, events),) = ticks.due(10.05)
    assert (room, spans(events)) == (FLEET, [(2, 3)])


def test_an_event_among_positions_keeps_its_place_and_itself():
    ticks = Ticks()
    ticks.take(position(1), 0.05, now=0)
    for event in (position(2), position(3), moved(4, FLEET), moved(5, FLEET), position(6), position(7)):
        assert ticks.take(event, 0.05, now=0) == []
    ((_, events),) = ticks.due(1)
    assert spans(events) == [(2, 3), (4, 4), (5, 5), (6, 7)]


def test_a_room_that_was_quiet_for_a_tick_is_idle_again():
    ticks = Ticks()
    ticks.take(position(1), 0.05, now=0)
    assert ticks.due(0.06) == []
    assert ticks.next_at is None
    assert spans(ticks.take(position(2), 0.05, now=0.07)) == [(2, 2)]


def test_without_a_tick_everything_leaves_at_once():
    ticks = Ticks()
    assert [len(ticks.take(moved(seq), 0, now=0)) for seq in (1, 2, 3)] == [1, 1, 1]
    assert ticks.next_at is None


def test_a_room_holds_so_much_and_no_more():
    ticks = Ticks()
    leaving = [ticks.take(moved(seq), 60, now=0) for seq in range(MOST_HELD + 1)]
    assert [len(events) for events in leaving if events] == [1, MOST_HELD]


class Wall:
    """Where events are written to; keeps them per member."""

    def __init__(self) -> None:
        self.read: dict[str, list[Event]] = {}
        self.writes = 0
        self.held: list[bool] = []

    def write(self, sids: Collection[str], events: Sequence[Event], may_hold: bool) -> None:
        self.writes += 1
        self.held.append(may_hold)
        for sid in sids:
            self.read.setdefault(sid, []).extend(events)


@asynccontextmanager
async def running(*members: str, room: str = TRIP) -> AsyncIterator[tuple[Broadcast, Wall, RoomIndex]]:
    index, wall = RoomIndex(), Wall()
    for sid in members:
        index.join(sid, room)
    fan = Broadcast(index, Paces(fleet_tick_s=0.01, crowd=3, crowd_tick_s=0.01), wall.write)
    task = asyncio.create_task(fan.run())
    try:
        yield fan, wall, index
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_member_gets_every_event_in_order():
    async with running("a", "b", "c") as (fan, wall, _):
        for seq in range(1, 101):
            fan.deliver(moved(seq))
        await until(lambda: len(wall.read.get("c", [])) == 100)
        for sid in "abc":
            assert [event.seq for event in wall.read[sid]] == list(range(1, 101))
        assert wall.writes < 100, "a crowd is written to in ticks"
        assert wall.held == [False] * wall.writes, "and for no second one"


async def test_who_has_left_hears_no_more():
    async with running("a", "b") as (fan, wall, index):
        fan.deliver(moved(1))
        await until(lambda: "b" in wall.read)
        index.leave("b", TRIP)
        fan.deliver(moved(2))
        await until(lambda: len(wall.read["a"]) == 2)
        assert [event.seq for event in wall.read["b"]] == [1]
        assert wall.held == [True, True], "a room without a tick leaves it to its members'"


async def test_a_crowd_is_written_to_in_slices(monkeypatch):
    monkeypatch.setattr(broadcast, "AT_ONCE", 2)
    async with running(*"abcde") as (fan, wall, _):
        fan.deliver(moved(1))
        await until(lambda: len(wall.read) == 5)
        assert wall.writes == 3


async def test_a_dropped_event_leaves_a_gap_that_a_client_must_see(monkeypatch):
    monkeypatch.setattr(broadcast, "WAITING_EVENTS", 2)
    async with running("a") as (fan, wall, _):
        for seq in (1, 2, 3):
            fan.deliver(moved(seq))
        await until(lambda: len(wall.read.get("a", [])) == 3)
        last = wall.read["a"][-1]
        assert (last.seq, last.first) == (3, 4), "who stands at 2 must not take it for 3"
        assert (fan.dropped, last.body["locations"]) == (1, [])


async def test_a_fleet_never_hears_an_older_position_after_a_newer_one():
    async with running("a", room=FLEET) as (fan, wall, _):
        fan.deliver(position(1, second=30))
        await until(lambda: wall.read)
        fan.deliver(position(2, second=20))
        await until(lambda: len(wall.read["a"]) == 2)
        assert [len(event.body["positions"]) for event in wall.read["a"]] == [1, 0]
        assert [event.seq for event in wall.read["a"]] == [1, 2]


async def test_one_odd_event_does_not_silence_the_node():
    async with running("a", room=FLEET) as (fan, wall, _):
        fan.deliver(Event(outgoing(FLEET, "fleet:positions", {"positions": [{"nothing": 1}]}), Place("e", 1)))
        fan.deliver(position(2))
        await until(lambda: wall.read)
        assert [event.seq for event in wall.read["a"]] == [2]


def test_what_cannot_be_joined_leaves_one_by_one():
    ticks = Ticks()
    ticks.take(position(1), 0.05, now=0)
    for seq in (2, 3):
        odd = Event(outgoing(FLEET, "fleet:positions", {"positions": [{"nothing": seq}]}), Place("e", seq))
        ticks.take(odd, 0.05, now=0)
    ((_, events),) = ticks.due(1)
    assert spans(events) == [(2, 2), (3, 3)]
