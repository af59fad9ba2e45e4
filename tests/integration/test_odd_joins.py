"""Joins that are odd, large or too many, and what they do to nobody else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.fakes.clock import FakeClock
from tests.integration.test_sockets import other, trip_id
from tests.waiting import Listener, listening
from waypost.realtime.bus import RedisAway
from waypost.realtime.events import Place, outgoing
from waypost.realtime.recovery import MOST_MISSED_BYTES
from waypost.realtime.service import trip_room
from waypost.tracking.socket import FLEET_RATE
from waypost.wiring import Services

__all__ = ["other"]  # the fixture

VICTIMS, ROUNDS = 10, 4


async def test_a_since_that_cannot_be_written_down_harms_no_join_of_anybody(api: Api, org: Org, other: Org):
    odd = {"epoch": "\ud800", "seq": 1}
    phone, theirs = await org.phone(), await other.phone()
    async with AsyncExitStack() as exits:
        attacker = await exits.enter_async_context(listening(api.url, await org.token()))
        token = await other.token()
        victims = [await exits.enter_async_context(listening(api.url, token)) for _ in range(VICTIMS)]
        stands = await victims[0].join(trip_id(theirs))
        since = {"epoch": stands["epoch"], "seq": stands["seq"]}

        async def join(socket: Listener, event: str, since: object, trip: str = "") -> bool:
            ack = await socket.call(event, {"since": since} | ({"tripId": trip} if trip else {}))
            return bool(ack["ok"])

        for _ in range(ROUNDS):
            joins = [join(victim, "trip:join", since, trip_id(theirs)) for victim in victims]
            joins[VICTIMS // 2 : VICTIMS // 2] = [
                join(attacker, "trip:join", odd, trip_id(phone)),
                join(attacker, "fleet:join", odd),
                join(attacker, "own:join", {"person": odd, "staff": odd}),
            ]
            assert all(await asyncio.gather(*joins)), "an odd one is a join from the beginning"


async def test_an_odd_question_to_the_bus_is_answered_and_so_are_those_after_it(services: Services):
    """The second line of defence: whatever a question runs into, nobody waits for ever, and the next turn is well."""
    bus, room = services.hub.bus, "org:0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e:fleet"
    place = await bus.place(room)
    questions = [bus.missed(room, Place(epoch, 0)) for epoch in (place.epoch, "\ud800", place.epoch)]
    async with asyncio.timeout(5):
        for answer in await asyncio.gather(*questions, return_exceptions=True):
            assert isinstance(answer, RedisAway) or answer == (place, [])
        assert await bus.missed(room, place) == (place, [])
    assert not bus.questions.waiting


@pytest.mark.parametrize(("size", "recovered"), [(0.9, True), (1.2, False)])
async def test_who_missed_more_than_half_a_mebibyte_is_given_the_snapshot(
    api: Api, org: Org, services: Services, size: float, recovered: bool
):
    phone, count = await org.phone(), 8
    pad = "x" * int(MOST_MISSED_BYTES * size / count)
    async with listening(api.url, await org.token()) as socket:
        before = await socket.join(trip_id(phone))
        await socket.call("trip:leave", {"tripId": trip_id(phone)})
        room = trip_room(org.org_id, trip_id(phone))  # type: ignore[arg-type]  # its text is all that counts
        body = {"tripId": trip_id(phone), "locations": [], "pad": pad}
        await services.hub.bus.send([outgoing(room, "trip:location", body) for _ in range(count)])
        since = {"epoch": before["epoch"], "seq": before["seq"]}
        again: dict[str, Any] = await socket.sio.call("trip:join", {"tripId": trip_id(phone), "since": since})
        assert (again["ok"], again["recovered"], again["seq"]) == (True, recovered, before["seq"] + count)
        assert len(again["missed"]) == (count if recovered else 0)
        assert ("position" in again) is not recovered


async def test_a_fleet_is_joined_thirty_times_at_once_and_twice_a_second_while_all_else_goes_on(
    api: Api, org: Org, services: Services
):
    phone, clock = await org.phone(), FakeClock()
    services.hub.commands.clock = clock
    async with listening(api.url, await org.token()) as socket, listening(api.url, await org.token()) as another:

        async def codes(count: int) -> list[str]:
            acks = [await socket.call("fleet:join", {}) for _ in range(count)]
            return ["ok" if ack["ok"] else ack["error"]["code"] for ack in acks]

        assert await codes(33) == ["ok"] * int(FLEET_RATE.burst) + ["too-many"] * 3
        await socket.join(trip_id(phone))
        await another.join_fleet()
        await clock.advance(1.0)
        assert await codes(3) == ["ok"] * int(FLEET_RATE.per_s) + ["too-many"]
