"""The publisher and the room index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import permutations
from uuid import UUID

import msgspec
import pytest

from tests.fakes.clock import NOON, FakeClock
from waypost.kernel.errors import Unavailable
from waypost.realtime.events import Outgoing
from waypost.realtime.fleet import FleetView
from waypost.realtime.moves import Move, one_of
from waypost.realtime.outbox import Row
from waypost.realtime.record import RedisAway
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.service import QUEUE_EVENTS, Realtime


class Body(msgspec.Struct):
    """Any event."""

    n: int


class Bus:
    """Takes what it gets, or is away."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.away = False

    async def send(self, events: Sequence[Outgoing]) -> None:
        if self.away:
            raise Unavailable
        self.sent += events

    @property
    def heads(self) -> list[bytes]:
        return [event.head for event in self.sent]


async def nothing(_rows: Sequence[Row]) -> None:
    """Nothing was promised."""


@asynccontextmanager
async def publishing(bus: Bus, clock: FakeClock) -> AsyncIterator[Realtime]:
    """A publisher at work."""
    realtime = Realtime(bus, clock, 0.05, nothing)
    running = asyncio.create_task(realtime.run())
    try:
        yield realtime
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def spin(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_events_wait_while_the_bus_is_away_and_come_in_their_order():
    bus, clock = Bus(), FakeClock()
    async with publishing(bus, clock) as realtime:
        bus.away = True
        for n in range(3):
            realtime.publish("room", "event", Body(n))
            await spin()
        assert bus.sent == []
        bus.away = False
        await clock.advance(5)
        await spin()
        await clock.advance(5)
        await spin()
        assert bus.heads == [b'42["event",{"n":0,', b'42["event",{"n":1,', b'42["event",{"n":2,']


async def test_what_is_known_to_be_sent_is_not_sent_again():
    class Half(Bus):
        """A cluster of which one primary does not answer the first time."""

        async def send(self, events: Sequence[Outgoing]) -> None:
            if not self.sent:
                away = RedisAway()
                self.sent += events[:2]
                away.unsent = events[2:]
                raise away
            await super().send(events)

    bus, clock = Half(), FakeClock()
    async with publishing(bus, clock) as realtime:
        for n in range(5):
            realtime.publish("room", "event", Body(n))
        await spin()
        await clock.advance(1)
        await spin()
        assert bus.heads == [b'42["event",{"n":%d,' % n for n in range(5)]


async def test_after_a_dropped_event_the_rooms_next_one_leaves_a_number_out():
    bus, clock = Bus(), FakeClock()
    realtime = Realtime(bus, clock, 0.05, nothing)
    for n in range(QUEUE_EVENTS + 1):
        realtime.publish("full", "event", Body(n))
    assert realtime.dropped == 1
    running = asyncio.create_task(realtime.run())
    while len(bus.sent) < QUEUE_EVENTS:
        await spin()
    realtime.publish("other", "event", Body(1))
    realtime.publish("full", "event", Body(2))
    realtime.publish("full", "event", Body(3))
    await spin(20)
    assert sum(event.skip for event in bus.sent) == 1
    assert next(event for event in bus.sent if event.skip).room == "full"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_is_sent_before_the_end_and_for_no_longer_than_that_may_take():
    bus, clock = Bus(), FakeClock()
    async with publishing(bus, clock) as realtime:
        realtime.publish("room", "event", Body(1))
        realtime.publish_position("fleet", VAN, NOON, At(NOON))
        await realtime.finish(5)
        assert [event.room for event in bus.sent] == ["room", "fleet"]
        bus.away = True
        realtime.publish("room", "event", Body(2))
        await realtime.finish(0.05)
        assert len(bus.sent) == 2


VAN = UUID(int=1)


class At(msgspec.Struct, omit_defaults=True):
    """A position."""

    recorded_at: datetime
    withdrawn: str | None = None


def at(second: float, withdrawn: float | None = None) -> Move:
    moment = NOON + timedelta(seconds=second)
    return Move(moment, At(moment), NOON + timedelta(seconds=withdrawn) if withdrawn is not None else None)


def seconds(move: Move) -> tuple[float, float | None]:
    """When it was, and up to when it takes back."""
    back = (move.withdrawn_at - NOON).total_seconds() if move.withdrawn_at is not None else None
    return (move.recorded_at - NOON).total_seconds(), back


def after_all(*moves: Move) -> Move:
    """What a tick tells of these, each committed after the one before."""
    told = moves[0]
    for move in moves[1:]:
        told = one_of(told, move)
    return told


async def test_within_a_tick_the_newest_position_of_a_vehicle_stays_whatever_came_last():
    bus, clock = Bus(), FakeClock()
    async with publishing(bus, clock) as realtime:
        for move in (at(9), at(0)):
            realtime.publish_position("fleet", VAN, move.recorded_at, move.body)
        await spin(10)
        assert bus.heads == [b'42["fleet:positions",{"positions":[{"recorded_at":"2026-11-22T12:00:09Z"}],']


async def test_a_tick_says_of_a_position_what_it_takes_back():
    bus, clock = Bus(), FakeClock()
    async with publishing(bus, clock) as realtime:
        for move in (at(4, withdrawn=5), at(4)):
            realtime.publish_position("fleet", VAN, move.recorded_at, move.body, withdrawn_at=move.withdrawn_at)
        await spin(10)
        assert [head[-42:] for head in bus.heads] == [b',"withdrawn":"2026-11-22T12:00:05.000Z"}],']


def test_the_order_of_commits_decides_nothing_where_nothing_is_taken_back():
    assert {seconds(after_all(*moves)) for moves in permutations([at(1), at(2), at(3)])} == {(3, None)}


@pytest.mark.parametrize(
    ("moves", "told"),
    [
        ([at(4, withdrawn=5), at(4.5)], (4.5, 5)),  # members who have heard 5 must hear that it is void
        ([at(4, withdrawn=5), at(6)], (6, None)),  # newer than what was taken back: no word is needed
        ([at(4, withdrawn=5), at(2, withdrawn=4)], (2, 5)),  # one after the other: members may have heard either
        ([at(5), at(4, withdrawn=5)], (4, 5)),  # the jump waited for the same tick
        ([at(5), at(4, withdrawn=6)], (4, 6)),  # another node told the newer one
        ([at(7), at(4, withdrawn=5)], (7, None)),  # of another device in it, and good
        ([at(4, withdrawn=5), at(3)], (4, 5)),
    ],
)
def test_what_was_taken_back_within_a_tick_stays_taken_back(moves: list[Move], told: tuple[float, float | None]):
    assert seconds(after_all(*moves)) == told


def test_the_index_forgets_whoever_has_left_every_room():
    index = RoomIndex()
    index.join("a", "x")
    index.join("a", "y")
    index.join("b", "x")
    assert not index.leave("a", "x")
    assert index.forget("a") == ["y"]
    assert not index.leave("a", "y")
    assert index.leave("b", "x")
    assert (index.members, index.rooms) == ({}, {})


def test_a_fleet_never_hears_an_older_position_after_a_newer_one():
    view = FleetView()
    new, old = (
        {"vehicleId": "v", "recordedAt": "2026-11-22T12:00:01.000Z"},
        {"vehicleId": "v", "recordedAt": "2026-11-22T12:00:00.999Z"},
    )
    assert view.news("room", [new]) == [new]
    assert view.news("room", [old, new]) == []
    view.forget("room")
    assert view.news("room", [old]) == [old]
