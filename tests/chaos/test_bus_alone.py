"""A node that Redis has left serves its own members by itself, and says so once it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.buses import ROOM, Node, idle_node, node, numbered, own_valkey, send_at_last
from tests.chaos.test_bus_link import BACK_S, GRACE_S, link_to
from tests.waiting import until
from waypost.platform.embedded import Valkey
from waypost.realtime.alone import ALONE_AFTER_S
from waypost.realtime.bus import RedisAway
from waypost.realtime.events import Place

ANOTHER = "org:0190f5c2-8f2e-7a5c-9d7e-000000000002:fleet"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    async with own_valkey() as running:
        yield running


async def until_alone(each: Node) -> None:
    await until(lambda: each.bus.alone.has(ROOM), within_s=ALONE_AFTER_S + 8)


async def test_members_are_served_while_redis_is_away_and_join_anew_when_it_is_back(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        before = await here.bus.place(ROOM)
        await valkey.stop()
        with pytest.raises(RedisAway):
            await here.bus.send([numbered(-1)])
        assert here.numbers() == [1], "a short break is waited out"
        await until_alone(here)

        async with asyncio.timeout(1):
            await here.bus.subscribe(ROOM)
            await here.bus.subscribe(ANOTHER)
            alone = await here.bus.place(ROOM)
            assert (await here.bus.missed(ROOM, before))[1] is None
            await here.bus.send([numbered(2), numbered(3)])
            with pytest.raises(RedisAway) as raised:
                await here.bus.send([numbered(4), numbered(5, key="five"), numbered(5, ANOTHER, key="five")])
        assert alone.epoch != before.epoch
        assert raised.value.is_told_here
        assert [(event.room, event.key) for event in raised.value.unsent] == [(ROOM, "five"), (ANOTHER, "five")]
        with pytest.raises(RedisAway):
            await here.bus.send(raised.value.unsent)
        assert here.numbers() == [1, 2, 3, 4, 5], "each once"
        assert here.numbers(ANOTHER) == [5]
        assert [Place(event.epoch, event.seq) for event in here.events()[1:]] == [
            Place(alone.epoch, number) for number in (1, 2, 3, 4)
        ]
        assert await here.bus.missed(ROOM, Place(alone.epoch, 4)) == (Place(alone.epoch, 4), [])
        assert there.numbers() == [1]

        await valkey.start()
        for each in (here, there):
            await until(each.declared, within_s=BACK_S + GRACE_S)
        await send_at_last(here.bus, raised.value.unsent)
        await here.bus.send([numbered(6)])
        await until(lambda: here.numbers()[-1] == there.numbers()[-1] == 6)
        assert there.numbers() == [1, 5, 6]
        for each in (here, there):
            each.assert_nothing_unnoticed()
            assert each.events()[-1].epoch not in (alone.epoch, before.epoch)
        assert await here.bus.place(ROOM) == await there.bus.place(ROOM)


async def test_a_node_that_is_cut_off_alone_comes_back_and_the_others_see_the_gap_it_left(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        shared = await here.bus.place(ROOM)
        link.refusing = True
        link.cut()
        await until_alone(there)
        await here.bus.send([numbered(2)])
        await there.bus.send([numbered(101), numbered(102)])
        assert there.numbers() == [1, 101, 102]
        link.heal()
        await until(there.declared, within_s=BACK_S + GRACE_S)
        assert there.declared() == [Place(shared.epoch, 2)], "its members have to come back to what all others see"
        await there.bus.send([numbered(103)])
        assert (await here.heard(3))[-1] == 103
        assert here.numbers() == [1, 2, 103]
        assert here.declared() == [Place(shared.epoch, 3)], "the next event after those that went no further"
        await there.bus.send([numbered(104), numbered(105)])
        assert (await here.heard(5))[3:] == [104, 105]
        assert here.seqs() == [1, 2, 4, 5, 6], "one gap, before the first"
        assert await there.heard(7) == [1, 101, 102, 2, 103, 104, 105]
        for each in (here, there):
            each.assert_nothing_unnoticed()


async def test_a_room_that_was_left_in_peace_meanwhile_goes_on_as_if_nothing_had_been(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        link.refusing = True
        link.cut()
        await until_alone(there)
        await here.bus.send([numbered(2)])
        link.heal()
        assert await there.heard(2, within_s=BACK_S + GRACE_S) == [1, 2]
        assert there.declared() == []


async def test_a_node_that_begins_without_redis_serves_its_members_too(valkey: Valkey):
    await valkey.stop()
    async with node(valkey.url()) as here:
        with pytest.raises(RedisAway):
            await here.bus.subscribe(ROOM)
        await until_alone(here)
        await here.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        assert here.seqs() == [1]
        await valkey.start()
        await until(here.declared, within_s=BACK_S + GRACE_S)
        await here.bus.send([numbered(2)])
        assert await here.heard(2) == [1, 2]
        assert here.seqs() == [1, 2], "the number after the gap"


async def test_who_only_sends_is_never_content_with_itself(valkey: Valkey):
    await valkey.stop()
    async with idle_node(valkey.url()) as worker:
        for _ in range(3):
            with pytest.raises(RedisAway) as raised:
                await worker.bus.send([numbered(1)])
            assert not raised.value.is_told_here
            assert raised.value.unsent == [numbered(1)]
            await asyncio.sleep(ALONE_AFTER_S / 2)
