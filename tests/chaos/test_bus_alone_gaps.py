"""What a node told its own members alone is missing everywhere else: once Redis is back, that is said by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.buses import ROOM, Node, node, numbered, own_valkey, send_at_last
from tests.chaos.test_bus_link import BACK_S, GRACE_S, link_to
from tests.waiting import until
from waypost.platform.embedded import Valkey
from waypost.realtime.bus import RedisAway

ORG = ROOM.split(":")[1]
OWN = (f"org:{ORG}:staff", f"org:{ORG}:user:{ORG}")
TRIP = f"org:{ORG}:trip:{ORG}"
SOON_S = 0.2

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def valkey(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Valkey]:
    monkeypatch.setattr("waypost.realtime.alone.ALONE_AFTER_S", SOON_S)
    async with own_valkey() as running:
        yield running


async def both_hear(here: Node, there: Node, *rooms: str) -> None:
    """Each has been told the first event of each room."""
    for room in rooms:
        for each in (here, there):
            await each.bus.subscribe(room)
        await here.bus.send([numbered(1, room)])
    for room in rooms:
        await there.heard(1, room)


async def test_the_others_see_the_gap_though_nothing_is_ever_told_there_again(valkey: Valkey):
    rooms = (ROOM, TRIP, *OWN)
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        await both_hear(here, there, *rooms)
        link.refusing = True
        link.cut()
        await until(lambda: all(map(there.bus.alone.has, rooms)))
        await there.bus.send([numbered(101, room) for room in rooms])
        link.heal()
        for room in rooms:
            await until(lambda room=room: here.seqs(room)[-1] == 3, within_s=BACK_S + GRACE_S + 2)
            assert here.seqs(room) == [1, 3], "one gap"
            assert here.events(room)[-1].body.keys().isdisjoint({"n"})
            here.assert_nothing_unnoticed(room)
            there.assert_nothing_unnoticed(room)
        await until(lambda: not there.bus.alone.gaps)


async def test_what_happened_is_told_alone_to_each_of_its_rooms_and_to_the_others_once_redis_is_back(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        await both_hear(here, there, ROOM, TRIP)
        link.refusing = True
        link.cut()
        await until(lambda: there.bus.alone.has(ROOM) and there.bus.alone.has(TRIP))
        promised = [numbered(2, room, key="what happened") for room in (TRIP, ROOM)]
        with pytest.raises(RedisAway) as away:
            await there.bus.send(promised)
        assert away.value.is_told_here
        assert away.value.unsent == promised
        assert there.numbers() == there.numbers(TRIP) == [1, 2]
        link.heal()
        await until(lambda: not there.bus.alone.away, within_s=BACK_S + GRACE_S)
        await send_at_last(there.bus, promised)
        for room in (ROOM, TRIP):
            assert (await here.heard(2, room))[:2] == [1, 2]
            assert here.seqs(room)[:2] == [1, 2], "nothing is missing there"
            shared = await here.bus.place(room)
            await until(lambda room=room: there.declared(room), within_s=BACK_S)
            assert {place.epoch for place in there.declared(room)} == {shared.epoch}
