"""Joining and joining again, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.clock import FakeClock
from waypost.client.link import Unreachable
from waypost.client.membership import AT_ONCE, Handlers, Joiner, Membership, OwnRooms, Step
from waypost.client.room import RoomEvent, placed


@dataclass(slots=True)
class Server:
    """Takes what is asked; the test answers."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    answers: asyncio.Queue[Mapping[str, Any] | None] = field(default_factory=asyncio.Queue)

    async def call(self, event: str, data: object, within_s: float) -> Mapping[str, Any]:
        self.asked.append((event, data))
        answer = await self.answers.get()
        if answer is None:
            raise Unreachable
        return answer

    async def answer(self, ack: Mapping[str, Any] | None) -> None:
        self.answers.put_nowait(ack)
        await spin()


async def spin() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@dataclass(slots=True)
class World:
    """A membership of a fleet, and what it has said."""

    clock: FakeClock = field(default_factory=FakeClock)
    server: Server = field(default_factory=Server)
    said: list[Any] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    member: Membership = field(init=False)

    def __post_init__(self) -> None:
        handlers = Handlers(
            snapshot=lambda ack: self.said.append(f"snapshot {ack['seq']}"),
            event=lambda event: self.said.append(event.seq),
            refused=lambda error: self.said.append(error["code"]),
            step=self.steps.append,
        )
        self.member = Membership("fleet:join", {}, handlers, Joiner(self.clock, lambda: 0.5))

    @asynccontextmanager
    async def online(self) -> AsyncIterator[None]:
        staying = asyncio.create_task(self.member.stay(self.server))
        await spin()
        yield
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)


def ack(seq: int, **more: object) -> dict[str, Any]:
    return {"ok": True, "epoch": "a", "seq": seq, "recovered": False, "missed": [], **more}


def event(seq: int, event_id: str | None = None, name: str = "trip:event") -> RoomEvent:
    found = placed(name, {"epoch": "a", "seq": seq, **({"eventId": event_id} if event_id else {})})
    assert found is not None
    return found


async def test_it_joins_again_after_a_gap_within_two_seconds_from_where_it_stands():
    world = World()
    async with world.online():
        await world.server.answer(ack(5))
        world.member.receive(event(8))
        world.member.receive(event(9))
        await spin()
        await world.clock.advance(0.9)
        assert len(world.server.asked) == 1
        await world.clock.advance(0.2)
        await spin()
        assert world.server.asked[1] == ("fleet:join", {"since": {"epoch": "a", "seq": 5}})
        missed = [{"event": "trip:event", "data": {"epoch": "a", "seq": seq}} for seq in (6, 7)]
        await world.server.answer(ack(7, recovered=True, missed=missed))
    assert world.said == ["snapshot 5", 6, 7, 8, 9]
    assert [(step.by, step.seq) for step in world.steps] == [
        ("snapshot", 5), ("missed", 6), ("missed", 7), ("event", 8), ("event", 9),
    ]  # fmt: skip


async def test_after_a_reconnect_it_goes_on_from_where_it_stood():
    world = World()
    async with world.online():
        await world.server.answer(ack(5))
    async with world.online():
        assert world.server.asked[1] == ("fleet:join", {"since": {"epoch": "a", "seq": 5}})


async def test_a_repeat_is_counted_and_not_told():
    world = World()
    async with world.online():
        await world.server.answer(ack(5))
        for each in (event(6, "e"), event(7, "e"), event(8)):
            world.member.receive(each)
    assert world.said == ["snapshot 5", 6, 8]


async def test_it_tries_again_without_an_answer_and_after_a_refusal_that_allows_it():
    world = World()
    async with world.online():
        await world.server.answer(None)
        await world.clock.advance(3)
        await spin()
        await world.server.answer({"ok": False, "error": {"code": "realtime-away", "retry": True, "retryAfter": 7}})
        await world.clock.advance(6.9)
        assert len(world.server.asked) == 2
        await world.clock.advance(0.2)
        await spin()
        await world.server.answer({"ok": False, "error": {"code": "denied", "retry": False}})
        await world.clock.advance(600)
        assert len(world.server.asked) == 3
    assert world.said == ["realtime-away", "denied"]


async def test_ones_own_rooms_are_recovered_or_said_to_be_stale():
    clock, server, told, stale = FakeClock(), Server(), list[int](), list[None]()
    own = OwnRooms(lambda event: told.append(event.seq), lambda: stale.append(None), Joiner(clock, lambda: 0.5))

    def rooms(person: dict[str, Any], staff: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "rooms": {"person": person, "staff": staff}}

    staying = asyncio.create_task(own.stay(server))
    await spin()
    await server.answer(rooms(ack(5), ack(9)))
    own.receive(event(6, name="job:progress"))
    own.receive(event(10, name="notification:changed"))
    own.receive(event(12, name="notification:changed"))
    await spin()
    await clock.advance(1)
    await spin()
    assert server.asked[1][1] == {"since": {"person": {"epoch": "a", "seq": 6}, "staff": {"epoch": "a", "seq": 10}}}
    missed = [{"event": "notification:changed", "data": {"epoch": "a", "seq": 11}}]
    await server.answer(rooms(ack(6, recovered=True), ack(11, recovered=True, missed=missed)))
    assert (told, len(stale)) == ([6, 10, 11, 12], 1)
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)


async def test_a_few_joins_are_under_way_at_once_and_the_others_wait_for_their_turn():
    clock, server = FakeClock(), Server()
    gate = asyncio.Semaphore(AT_ONCE)
    members = [Membership(f"join {n}", {}, Handlers(), Joiner(clock, lambda: 0.5, gate)) for n in range(20)]
    staying = [asyncio.create_task(member.stay(server)) for member in members]
    await spin()
    assert len(server.asked) == AT_ONCE
    for _ in members:
        await server.answer(ack(5))
    assert len(server.asked) == 20
    for task in staying:
        task.cancel()
    await asyncio.gather(*staying, return_exceptions=True)
