"""The bus while its links and its server break in each manner: nothing lost unnoticed, nothing twice, well again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from tests.buses import ROOM, Node, idle_node, node, numbered, own_valkey, send_at_last
from tests.chaos.proxy import Connection, Proxy, proxy_to
from tests.waiting import until
from waypost.platform.embedded import Valkey
from waypost.realtime.bus import RedisAway
from waypost.realtime.events import Place
from waypost.realtime.scripts import channel_of

BACK_S = 5.0  # within which everything goes on by itself
GRACE_S = 1.5  # of a busy machine
A_SECOND = 500  # events

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    async with own_valkey() as running:
        yield running


@asynccontextmanager
async def link_to(valkey: Valkey) -> AsyncIterator[tuple[Proxy, str]]:
    """A way to the server that can be broken, and the address of its other end."""
    parts = urlsplit(valkey.url())
    assert parts.port is not None
    async with proxy_to(parts.port) as proxy:
        try:
            yield proxy, parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))).geturl()
        finally:
            proxy.heal()
            proxy.cut()


@asynccontextmanager
async def publishing(sender: Node, first: int = 1) -> AsyncIterator[Callable[[], int]]:
    """500 events a second, each once, from ``first`` on; gives the number of the last that was sent."""
    sent = first - 1
    ending = asyncio.Event()

    async def publish() -> None:
        nonlocal sent
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not ending.is_set():
            due = first + int((loop.time() - began) * A_SECOND)
            batch = [numbered(n, key=str(n)) for n in range(sent + 1, min(due, sent + 200) + 1)]
            if batch:
                await send_at_last(sender.bus, batch)
                sent += len(batch)
            await asyncio.sleep(0.002)

    task = asyncio.create_task(publish())
    try:
        yield lambda: sent
    finally:
        ending.set()
        await task


async def subscribers(redis: Redis) -> list[str]:
    """The connections that are subscribed, by their ids."""
    clients = await redis.client_list()
    return [client["id"] for client in clients if int(client.get("ssub", 0)) > 0]


async def test_killed_subscribers_at_500_events_a_second_lose_and_repeat_nothing(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there, Redis.from_url(valkey.url()) as redis:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        async with publishing(here) as sent:
            for kill in range(1, 6):
                await until(lambda kill=kill: sent() >= kill * 300)
                for connection in await subscribers(redis):
                    await redis.execute_command("CLIENT", "KILL", "ID", connection)
        for each in (here, there):
            assert await each.heard(sent(), within_s=BACK_S) == list(range(1, sent() + 1))
            assert each.seqs() == list(range(1, sent() + 1))
            assert each.declared() == []


async def test_two_publishing_nodes_whose_subscribers_are_killed_have_contiguous_numbers_on_both(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there, Redis.from_url(valkey.url()) as redis:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        async with publishing(here) as sent_here, publishing(there, 1_000_000) as sent_there:
            for kill in range(1, 4):
                await until(lambda kill=kill: sent_here() >= kill * 300)
                for connection in await subscribers(redis):
                    await redis.execute_command("CLIENT", "KILL", "ID", connection)
        count = sent_here() + sent_there() - 1_000_000 + 1
        for each in (here, there):
            numbers = await each.heard(count, within_s=BACK_S)
            assert each.seqs() == list(range(1, count + 1))
            assert len(set(numbers)) == count
            assert each.declared() == []
        assert [event.text for event in here.events()] == [event.text for event in there.events()]


async def test_a_killed_subscriber_has_all_its_200_rooms_again(valkey: Valkey):
    rooms = [f"org:{n}:fleet" for n in range(200)]
    async with node(valkey.url()) as here, node(valkey.url()) as there, Redis.from_url(valkey.url()) as redis:
        await asyncio.gather(*(there.bus.subscribe(room) for room in rooms))
        await here.bus.send([numbered(1, room) for room in rooms])
        await asyncio.gather(*(there.heard(1, room) for room in rooms))
        for connection in await subscribers(redis):
            await redis.execute_command("CLIENT", "KILL", "ID", connection)
        await here.bus.send([numbered(2, room) for room in rooms])  # while nobody listens
        await asyncio.gather(*(there.heard(2, room, BACK_S) for room in rooms))
        await here.bus.send([numbered(3, room) for room in rooms])
        for room in rooms:
            assert await there.heard(3, room) == [1, 2, 3]
            assert there.seqs(room) == [1, 2, 3]
            assert there.declared(room) == []


async def test_a_history_that_was_trimmed_meanwhile_is_declared_and_then_it_goes_on(valkey: Valkey):
    async with (
        node(valkey.url()) as here,
        link_to(valkey) as (link, far),
        node(far, history_events=100) as there,
    ):
        here.bus.record.lives = there.bus.record.lives
        await there.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        link.refusing = True
        link.cut()
        await here.bus.send([numbered(n) for n in range(2, 502)])
        link.heal()
        await until(there.declared, within_s=BACK_S + GRACE_S)
        assert there.declared() == [Place(there.events()[0].epoch, 501)]
        await here.bus.send([numbered(502)])
        assert await there.heard(2) == [1, 502]
        there.assert_nothing_unnoticed()


async def test_a_subscriber_that_is_silently_dead_is_found_and_told_what_it_missed(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        await there.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        async with Redis.from_url(valkey.url()) as redis:
            for connection in await _subscribed_over(link, redis):
                connection.dead = True  # open, and nothing comes through it either way
        await here.bus.send([numbered(n) for n in range(2, 100)])
        assert await there.heard(99, within_s=BACK_S + GRACE_S) == list(range(1, 100))
        assert there.declared() == []


async def _subscribed_over(link: Proxy, redis: Redis) -> list[Connection]:
    ports = {
        int(client["addr"].rpartition(":")[2]) for client in await redis.client_list() if int(client.get("ssub", 0)) > 0
    }
    found = [
        connection
        for connection in link.connections
        if connection.server and connection.server.get_extra_info("sockname")[1] in ports
    ]
    assert len(found) == 1
    return found


async def test_a_connection_that_answers_but_hears_nothing_is_found_too(valkey: Valkey):
    """The server has dropped what it was subscribed to, and it took that for its own wish."""
    async with node(valkey.url()) as here, node(valkey.url()) as there:
        await there.bus.subscribe(ROOM)
        await there.bus.subscribe("one that stays")  # without any it would not even answer as subscribers do
        await here.bus.send([numbered(1)])
        await there.heard(1)
        link = there.bus.listening.links[0]
        dropped = [link.probe, channel_of(ROOM)]
        link.leaving.update(channel.encode() for channel in dropped)
        for channel in dropped:
            await link.connection.send_command("SUNSUBSCRIBE", channel)
        await here.bus.send([numbered(n) for n in range(2, 100)])
        assert await there.heard(99, within_s=BACK_S + GRACE_S) == list(range(1, 100))
        assert there.bus.listening.links[0] is not link


async def test_a_subscription_that_the_server_takes_away_is_made_anew_at_once(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there:
        await there.bus.subscribe(ROOM)
        await there.bus.listening.links[0].connection.send_command("SUNSUBSCRIBE", channel_of(ROOM))
        await here.bus.send([numbered(1)])
        assert await there.heard(1, within_s=2) == [1]


async def test_over_a_half_open_link_nothing_hangs_and_all_of_it_comes_once_it_is_whole(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await there.heard(1)
        link.half_open()
        for ask in (there.bus.send([numbered(-1)]), there.bus.place("another"), there.bus.subscribe("another")):
            async with asyncio.timeout(2 + GRACE_S):
                with pytest.raises(RedisAway):
                    await ask
        await here.bus.send([numbered(n) for n in range(2, 300)])
        await asyncio.sleep(3)  # long enough that every connection has been given up once
        link.heal()
        assert await there.heard(299, within_s=BACK_S + GRACE_S) == list(range(1, 300))
        assert there.declared() == []
        await send_at_last(there.bus, [numbered(300)])
        assert (await here.heard(300))[-1] == 300
        await there.bus.subscribe("another")


async def test_a_frozen_link_is_caught_up_with(valkey: Valkey):
    async with node(valkey.url()) as here, link_to(valkey) as (link, far), node(far) as there:
        await there.bus.subscribe(ROOM)
        async with publishing(here) as sent:
            for _ in range(2):
                before = sent()
                await until(lambda before=before: sent() > before + 200)
                link.freeze()
                await asyncio.sleep(1.5)
                link.heal()
        assert await there.heard(sent(), within_s=2 * BACK_S) == list(range(1, sent() + 1))
        there.assert_nothing_unnoticed()


async def test_a_redis_emptied_under_load_leaves_no_gap_that_is_not_declared(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there, Redis.from_url(valkey.url()) as redis:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        async with publishing(here) as sent, publishing(there, 1_000_000) as sent_there:
            for _ in range(3):
                before = sent()
                await until(lambda before=before: sent() > before + 200)
                await redis.flushall()
        last = {sent(), sent_there()}
        for each in (here, there):
            await until(lambda each=each: last <= set(each.numbers()), within_s=BACK_S)
            each.assert_nothing_unnoticed()
            assert len(set(each.numbers())) == len(each.numbers())
            assert len({event.epoch for event in each.events()}) >= 3


@pytest.mark.parametrize("durable", [False, True], ids=["forgets all", "keeps its data"])
async def test_a_restarted_redis_is_a_new_epoch_for_everybody_and_served_by_itself(durable: bool):
    async with own_valkey(durable=durable) as valkey, AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(node(valkey.url())) for _ in range(2)]
        async with idle_node(valkey.url()) as worker:
            for each in (here, there):
                await each.bus.subscribe(ROOM)
            await worker.bus.send([numbered(1)])
            await asyncio.gather(here.heard(1), there.heard(1))
            before = await here.bus.place(ROOM)
            await valkey.stop()
            with pytest.raises(RedisAway):
                await worker.bus.send([numbered(-1)])
            await valkey.start()
            async with asyncio.timeout(BACK_S + GRACE_S):
                await send_at_last(worker.bus, [numbered(2)])
                await asyncio.gather(here.heard(2), there.heard(2))
            await here.bus.send([numbered(3)])
            await worker.bus.send([numbered(4)])
            for each in (here, there):
                assert await each.heard(4) == [1, 2, 3, 4]
                assert each.seqs() == [1, 1, 2, 3], "one new epoch, not one for each who asks"
                assert each.events()[-1].epoch != before.epoch
                each.assert_nothing_unnoticed()
            assert (await there.bus.missed(ROOM, before))[1] is None


async def test_a_server_that_is_killed_and_back_under_load_leaves_nothing_unnoticed(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there:
        for each in (here, there):
            await each.bus.subscribe(ROOM)
        async with publishing(here) as sent:
            await until(lambda: sent() > 200)
            await valkey.stop()
            await asyncio.sleep(0.5)
            await valkey.start()
            before = sent()
            await until(lambda: sent() > before + 300, within_s=BACK_S + GRACE_S)
        for each in (here, there):
            await until(lambda each=each: sent() in each.numbers(), within_s=BACK_S)
            each.assert_nothing_unnoticed()


async def test_rooms_asked_for_while_redis_is_away_are_heard_once_it_is_back(valkey: Valkey):
    async with node(valkey.url()) as here, node(valkey.url()) as there:
        await valkey.stop()
        with pytest.raises(RedisAway):
            await there.bus.subscribe(ROOM)
        await valkey.start()
        async with asyncio.timeout(BACK_S + GRACE_S):
            await there.bus.subscribe(ROOM)
        await send_at_last(here.bus, [numbered(1)])
        assert await there.heard(1) == [1]


async def test_a_crowd_that_asks_while_the_server_is_silent_is_refused_in_time(valkey: Valkey):
    async with link_to(valkey) as (link, far), idle_node(far) as asked:
        start = await asked.bus.place(ROOM)
        link.half_open()
        async with asyncio.timeout(4 + GRACE_S):
            answers = await asyncio.gather(
                *(asked.bus.missed(f"room {n}", start) for n in range(1000)), return_exceptions=True
            )
        assert {type(answer) for answer in answers} == {RedisAway}
        link.heal()
        link.cut()
        assert await asked.bus.missed(ROOM, start) == (start, [])
