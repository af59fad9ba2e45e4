"""The bus on a Valkey Cluster: each room on the server that has its slot, also after that has become another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from tests.buses import ROOM, Node, node, numbered, send_at_last
from tests.clusters import Cluster, running_cluster
from tests.waiting import until
from waypost.realtime.events import Place
from waypost.realtime.scripts import channel_of, keys_of

ROOMS = [f"org:{n}:fleet" for n in range(60)]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with running_cluster() as running:
        yield running


async def all_heard(nodes: list[Node], count: int, within_s: float = 10) -> None:
    """By each node in each room."""
    await asyncio.gather(*(each.heard(count, room, within_s) for each in nodes for room in ROOMS))


async def test_rooms_of_all_servers_are_heard_everywhere_with_contiguous_numbers(cluster: Cluster):
    async with node(cluster.url) as here, node(cluster.url) as there:
        assert len({cluster.owner_of(room).port for room in ROOMS}) == 3
        await asyncio.gather(*(each.bus.subscribe(room) for each in (here, there) for room in ROOMS))
        for turn in range(10):
            await asyncio.gather(
                here.bus.send([numbered(turn, room) for room in ROOMS]),
                there.bus.send([numbered(100 + turn, room) for room in ROOMS]),
            )
        await all_heard([here, there], 20)
        for room in ROOMS:
            assert here.seqs(room) == there.seqs(room) == list(range(1, 21))
            place, events = await there.bus.missed(room, Place(here.events(room)[0].epoch, 5))
            assert place.seq == 20
            assert events is not None
            assert [event.text for event in events] == [event.text for event in here.events(room)[5:]]
        assert await cluster.owner_of(ROOM).ask("EXISTS", *keys_of(ROOM)) == 0, "nothing is made of a room unasked"


async def test_a_slot_that_moves_under_load_is_followed_and_nothing_is_lost(cluster: Cluster):
    room = ROOMS[0]
    source = cluster.owner_of(room)
    target = next(each for each in cluster.nodes if each is not source)
    async with node(cluster.url) as here, node(cluster.url) as there:
        for each in (here, there):
            await each.bus.subscribe(room)
        ending = asyncio.Event()
        sent = 0

        async def publish() -> None:
            nonlocal sent
            while not ending.is_set():
                await send_at_last(here.bus, [numbered(sent, room, key=str(sent))])
                sent += 1
                await asyncio.sleep(0.005)

        task = asyncio.create_task(publish())
        await until(lambda: sent > 50)
        await cluster.move(key_slot(channel_of(room).encode()), source, target)
        before = sent
        await until(lambda: sent > before + 50, within_s=5)
        ending.set()
        await task
        for each in (here, there):
            await each.heard(sent, room)
            each.assert_nothing_unnoticed(room)
            assert sorted(set(each.numbers(room))) == list(range(sent))
        assert await target.ask("EXISTS", *keys_of(room)) == 2


async def test_a_killed_primary_is_replaced_and_the_others_rooms_go_on_meanwhile():
    async with running_cluster(replicas=1) as cluster, node(cluster.url) as here, node(cluster.url) as there:
        await asyncio.gather(*(each.bus.subscribe(room) for each in (here, there) for room in ROOMS))
        await here.bus.send([numbered(1, room, key="1") for room in ROOMS])
        await all_heard([here, there], 1)
        dead = cluster.nodes[0]
        dead.kill()
        alive = [room for room in ROOMS if cluster.owner_of(room) is not dead]
        async with asyncio.timeout(5):
            await send_at_last(here.bus, [numbered(2, room, key="2") for room in alive])
            await asyncio.gather(*(there.heard(2, room) for room in alive))
        lost = [room for room in ROOMS if room not in alive]
        await send_at_last(here.bus, [numbered(2, room, key="2") for room in lost], within_s=20)
        await all_heard([here, there], 2, within_s=10)
        await send_at_last(there.bus, [numbered(3, room, key="3") for room in ROOMS])
        await all_heard([here, there], 3)
        for each in (here, there):
            for room in ROOMS:
                assert each.numbers(room) == [1, 2, 3]
                each.assert_nothing_unnoticed(room)
        assert all(there.declared(room) for room in lost), "what a replica counts is another life"
        assert not any(there.declared(room) for room in alive)


async def test_a_primary_that_hands_over_is_left_for_its_successor():
    async with running_cluster(replicas=1) as cluster, node(cluster.url) as here, node(cluster.url) as there:
        await asyncio.gather(*(each.bus.subscribe(room) for each in (here, there) for room in ROOMS))
        await here.bus.send([numbered(1, room, key="1") for room in ROOMS])
        await all_heard([here, there], 1)
        successor = cluster.nodes[3]
        await successor.ask("CLUSTER FAILOVER")

        async def follows(each: Node) -> bool:
            await each.bus.place("a room of nobody's")
            return any(link.connection.port == successor.port for link in each.bus.listening.links.values())

        for each in (here, there):  # also who publishes nothing
            await until(lambda each=each: follows(each), within_s=8)
        await send_at_last(here.bus, [numbered(2, room, key="2") for room in ROOMS])
        await all_heard([here, there], 2)
        for each in (here, there):
            for room in ROOMS:
                assert each.numbers(room) == [1, 2]
                each.assert_nothing_unnoticed(room)
