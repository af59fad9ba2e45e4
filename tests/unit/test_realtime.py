"""The publisher and the room index."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec

from tests.fakes.clock import NOON, FakeClock
from waypost.kernel.errors import Unavailable
from waypost.realtime.fleet import FleetView
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.service import QUEUE_EVENTS, Outgoing, Realtime


class Body(msgspec.Struct):
    """Any event."""

    n: int


class Bus:
    """Takes what it gets, or is away."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.away = False

    async def send(self, events: list[Outgoing]) -> None:
        if self.away:
            raise Unavailable
        self.sent += events


async def spin(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_events_wait_while_the_bus_is_away_and_come_in_their_order():
    bus, clock = Bus(), FakeClock()
    realtime = Realtime(bus, clock, 0.05)
    running = asyncio.create_task(realtime.run())
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
    assert [event.body for event in bus.sent] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_after_a_dropped_event_the_rooms_next_one_leaves_a_number_out():
    bus, clock = Bus(), FakeClock()
    realtime = Realtime(bus, clock, 0.05)
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


async def test_within_a_tick_the_newest_position_of_a_vehicle_stays_whatever_came_last():
    bus, clock = Bus(), FakeClock()
    realtime = Realtime(bus, clock, 0.05)
    van = UUID(int=1)
    realtime.publish_position("fleet", van, NOON, Body(2))
    realtime.publish_position("fleet", van, NOON - timedelta(seconds=9), Body(1))
    running = asyncio.create_task(realtime.run())
    await spin(10)
    assert [event.body for event in bus.sent] == [b'{"positions":[{"n":2}]}']
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


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
