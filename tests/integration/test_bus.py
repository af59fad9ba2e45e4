"""The bus with a real Valkey: numbers, order, history, and what is heard where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from tests.buses import NAME, ROOM, Node, idle_node, node, numbered
from tests.clusters import Cluster, lasting_cluster
from tests.servers import Servers
from tests.waiting import until
from waypost.platform.embedded.ports import free_port
from waypost.realtime.bus import RedisAway, RedisBus
from waypost.realtime.events import Outgoing, Place, outgoing
from waypost.realtime.scripts import channel_of, keys_of

OTHER_ROOM = "org:0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e:trip:0190f5c2-8f2e-7a5c-9d7e-000000000001"


@dataclass(slots=True)
class Ground:
    """What the bus runs on: one server, or a cluster."""

    url: str
    servers: list[Redis]
    cluster: Cluster | None = None

    def at(self, room: str = ROOM) -> Redis:
        """The server that has the room."""
        return self.servers[self.cluster.nodes.index(self.cluster.owner_of(room)) if self.cluster else 0]

    async def everywhere(self, *command: str) -> list[Any]:
        """The answer of each server."""
        return [await server.execute_command(*command) for server in self.servers]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with lasting_cluster() as running:
        yield running


@pytest.fixture(params=["one server", "cluster"])
async def ground(request: pytest.FixtureRequest, servers: Servers, cluster: Cluster) -> AsyncIterator[Ground]:
    if request.param == "cluster":
        made = Ground(cluster.url, [each.client() for each in cluster.nodes], cluster)
    else:
        made = Ground(servers.stack.redis_url(), [Redis.from_url(servers.stack.redis_url())])
    await made.everywhere("FLUSHALL")
    yield made
    for server in made.servers:
        await server.aclose()


@pytest.fixture
async def url(ground: Ground) -> str:
    return ground.url


@pytest.fixture
async def here(url: str) -> AsyncIterator[Node]:
    async with node(url) as made:
        yield made


@pytest.fixture
async def there(url: str) -> AsyncIterator[Node]:
    async with node(url) as made:
        yield made


async def send(bus: RedisBus, first: int, last: int, room: str = ROOM) -> None:
    """One after the other."""
    for number in range(first, last + 1):
        await bus.send([numbered(number, room)])


async def test_every_node_hears_the_same_events_in_the_same_order_and_each_once(here: Node, there: Node):
    await here.bus.subscribe(ROOM)
    await there.bus.subscribe(ROOM)
    await asyncio.gather(send(here.bus, 1, 100), send(there.bus, 101, 200))
    await asyncio.gather(here.heard(200), there.heard(200))
    assert here.seqs() == there.seqs() == list(range(1, 201))
    assert [event.text for event in here.events()] == [event.text for event in there.events()]
    assert sorted(here.numbers()) == list(range(1, 201))
    assert here.declared() == there.declared() == []


async def test_many_events_of_many_rooms_in_one_send_keep_their_order(here: Node, there: Node):
    rooms = [f"{OTHER_ROOM}{n}" for n in range(20)]
    await asyncio.gather(*(there.bus.subscribe(room) for room in rooms))
    await here.bus.send([numbered(n, room) for n in range(50) for room in rooms])
    for room in rooms:
        assert await there.heard(50, room) == list(range(50))
        assert there.seqs(room) == list(range(1, 51))


async def test_own_events_are_delivered_before_send_returns(here: Node):
    await here.bus.subscribe(ROOM)
    await here.bus.send([numbered(1), numbered(2)])
    assert here.numbers() == [1, 2]
    await here.bus.send([numbered(3)])
    await send(here.bus, 4, 20)
    assert here.seqs() == list(range(1, 21)), "the copies off the bus are dropped"


async def test_an_event_is_heard_with_its_name_text_and_attachments(here: Node, there: Node):
    await there.bus.subscribe(ROOM)
    sent = outgoing(ROOM, "trip:event", {"kind": "Grüße", "raw": b"\x00\xff\x93", "more": [b""]})
    await here.bus.send([sent])
    await there.heard(1)
    event = there.events()[0]
    assert (event.name, event.room, event.attachments) == ("trip:event", ROOM, (b"\x00\xff\x93", b""))
    assert event.body == {
        "kind": "Grüße", "raw": b"\x00\xff\x93", "more": [b""], "epoch": event.epoch, "seq": 1
    }  # fmt: skip


async def test_a_large_event_and_an_empty_one_pass(here: Node, there: Node):
    await there.bus.subscribe(ROOM)
    await here.bus.send([outgoing(ROOM, NAME, {"text": "x" * 1_000_000}), outgoing(ROOM, NAME, {})])
    await there.heard(2)
    assert [len(event.body.get("text", "")) for event in there.events()] == [1_000_000, 0]


async def test_a_room_that_nobody_is_in_reaches_no_node(here: Node, there: Node, ground: Ground):
    await there.bus.subscribe(OTHER_ROOM)
    await send(here.bus, 1, 5)
    assert await _subscribers(ground, ROOM, 0)
    await there.bus.subscribe(ROOM)
    await there.bus.unsubscribe([ROOM])
    await until(lambda: _subscribers(ground, ROOM, 0))
    await send(here.bus, 6, 9)
    await here.bus.send([numbered(1, OTHER_ROOM)])
    await there.heard(1, OTHER_ROOM)
    assert list(there.told) == [OTHER_ROOM]


async def _subscribers(ground: Ground, room: str, count: int) -> bool:
    answer = await ground.at(room).execute_command("PUBSUB", "SHARDNUMSUB", channel_of(room))
    return bool(answer[1] == count)


async def test_who_subscribes_again_at_once_misses_nothing(here: Node, there: Node):
    for turn in range(20):
        await there.bus.subscribe(ROOM)
        await there.bus.unsubscribe([ROOM])
        await there.bus.subscribe(ROOM)
        there.told.clear()
        await here.bus.send([numbered(turn)])
        assert await there.heard(1) == [turn]


async def test_a_room_has_a_place_before_its_first_event_and_it_is_one_for_all(here: Node, there: Node):
    places = await asyncio.gather(here.bus.place(ROOM), there.bus.place(ROOM))
    assert places[0] == places[1]
    assert places[0].seq == 0
    assert len(places[0].epoch) == 16
    await here.bus.subscribe(ROOM)
    assert await here.bus.place(ROOM) == places[0]


async def test_the_place_of_a_room_that_is_heard_here_is_where_delivery_stands(here: Node, there: Node):
    await here.bus.subscribe(ROOM)
    await send(there.bus, 1, 10)
    await here.heard(10)
    epoch = here.events()[0].epoch
    assert await here.bus.place(ROOM) == await there.bus.place(ROOM) == Place(epoch, 10)


async def test_what_was_missed_is_all_there_or_it_is_none(here: Node):
    start = await here.bus.place(ROOM)
    assert await here.bus.missed(ROOM, start) == (start, []), "before any event"
    await send(here.bus, 1, 30)
    now = Place(start.epoch, 30)

    async def numbers(since: Place, limit: int = 500) -> list[int] | None:
        place, events = await here.bus.missed(ROOM, since, limit)
        assert place == now
        return None if events is None else [event.body["n"] for event in events]

    assert await numbers(start) == list(range(1, 31))
    assert await numbers(Place(start.epoch, 29)) == [30]
    assert await numbers(now) == []
    assert await numbers(Place(start.epoch, 20), limit=10) == list(range(21, 31))
    assert await numbers(Place(start.epoch, 19), limit=10) is None, "more than the limit"
    assert await numbers(Place(start.epoch, 31)) is None, "a number that was never given"
    assert await numbers(Place("0123456789abcdef", 20)) is None, "another epoch"


async def test_a_history_that_was_trimmed_or_has_expired_is_not_handed_out_in_part(url: str, ground: Ground):
    async with idle_node(url, history_events=100) as sender:
        start = await sender.bus.place(ROOM)
        await sender.bus.send([numbered(n) for n in range(1, 501)])
        kept = await ground.at().xlen(keys_of(ROOM)[1])
        assert 100 <= kept <= 200
        assert (await sender.bus.missed(ROOM, start))[1] is None
        _, events = await sender.bus.missed(ROOM, Place(start.epoch, 500 - kept))
        assert events is not None
        assert [event.seq for event in events] == list(range(501 - kept, 501))
        await ground.at().delete(keys_of(ROOM)[1])  # as its expiry does
        assert (await sender.bus.missed(ROOM, Place(start.epoch, 499)))[1] is None
        assert (await sender.bus.missed(ROOM, Place(start.epoch, 500)))[1] == []


async def test_a_history_is_bounded_in_bytes_as_well_and_what_is_left_of_it_is_whole(url: str, ground: Ground):
    most = 64 * 1024
    async with idle_node(url, history_bytes=most) as sender:
        start = await sender.bus.place(ROOM)
        for first in range(1, 401, 20):
            await sender.bus.send([filling(n, 2000) for n in range(first, first + 20)])
            assert await held(ground) <= most
        kept = await ground.at().xlen(keys_of(ROOM)[1])
        assert kept * 2000 > most // 4, "half of it at most is let go at a time"
        assert (await sender.bus.missed(ROOM, start))[1] is None
        assert (await sender.bus.missed(ROOM, Place(start.epoch, 399 - kept)))[1] is None
        _, events = await sender.bus.missed(ROOM, Place(start.epoch, 400 - kept))
        assert events is not None
        assert [event.seq for event in events] == list(range(401 - kept, 401))
        await sender.bus.send([filling(401, 2 * most)])
        _, events = await sender.bus.missed(ROOM, Place(start.epoch, 400))
        assert events is not None, "one event that is larger than all may be is kept alone"
        assert [event.seq for event in events] == [401]
        assert await ground.at().xlen(keys_of(ROOM)[1]) == 1


async def test_a_log_of_before_the_bound_in_bytes_is_read_on_and_added_to(here: Node, ground: Ground):
    epoch = (await here.bus.place(ROOM)).epoch
    await send(here.bus, 1, 3)
    meta, history = keys_of(ROOM)
    entries = await ground.at().xrange(history)
    await ground.at().delete(history)
    await ground.at().hdel(meta, "b")
    for seq, (_, fields) in enumerate(entries, 1):
        await ground.at().xadd(history, fields, id=f"{seq}-0")
    await here.bus.send([numbered(4)])
    _, events = await here.bus.missed(ROOM, Place(epoch, 0))
    assert events is not None
    assert [event.seq for event in events] == [1, 2, 3, 4]


def filling(number: int, size: int) -> Outgoing:
    return outgoing(ROOM, NAME, {"n": number, "text": "x" * size})


async def held(ground: Ground) -> int:
    """Bytes of the events in the room's log."""
    return sum(len(fields[b"d"]) for _, fields in await ground.at().xrange(keys_of(ROOM)[1]))


async def test_what_redis_keeps_of_a_room_expires(here: Node, ground: Ground):
    await here.bus.send([numbered(1, key="a key")])
    redis = ground.at()
    lives = {key.decode().split(":")[2]: await redis.ttl(key) for key in await redis.keys("waypost:{*")}
    assert 800 < lives["l"] <= 900
    assert 100 < lives["k"] <= 600
    assert 6 * 86400 < lives["m"] <= 7 * 86400


async def test_a_repeat_under_the_same_key_is_published_once(here: Node, there: Node):
    await there.bus.subscribe(ROOM)
    await here.bus.send([numbered(1, key="one"), numbered(2, key="two"), numbered(3, key="one")])
    await there.bus.send([numbered(4, key="two"), numbered(5), numbered(6, key="three")])
    await there.bus.send([numbered(7, OTHER_ROOM, key="one"), numbered(8)])
    assert await there.heard(5) == [1, 2, 5, 6, 8]
    assert there.seqs() == [1, 2, 3, 4, 5]
    _, others = await here.bus.missed(OTHER_ROOM, Place((await here.bus.place(OTHER_ROOM)).epoch, 0))
    assert others is not None
    assert [event.body["n"] for event in others] == [7], "a key is a room's own"


async def test_a_number_that_was_left_out_is_a_gap_that_no_history_hides(here: Node, there: Node, ground: Ground):
    await there.bus.subscribe(ROOM)
    await send(here.bus, 1, 3)
    epoch = (await here.bus.place(ROOM)).epoch
    await here.bus.send([numbered(4, skip=1), numbered(5)])
    assert await there.heard(5) == [1, 2, 3, 4, 5]
    assert there.seqs() == [1, 2, 3, 5, 6]
    assert there.declared() == [Place(epoch, 4)]
    there.assert_nothing_unnoticed()
    assert (await here.bus.missed(ROOM, Place(epoch, 3)))[1] is None
    assert await ground.at().xlen(keys_of(ROOM)[1]) == 2, "what lies before it is of no more use"
    _, events = await here.bus.missed(ROOM, Place(epoch, 4))
    assert events is not None
    assert [event.seq for event in events] == [5, 6]


async def test_an_emptied_redis_begins_a_new_epoch_and_nobody_takes_it_for_the_old_one(
    here: Node, there: Node, ground: Ground
):
    for each in (here, there):
        await each.bus.subscribe(ROOM)
    await send(here.bus, 1, 5)
    await there.heard(5)
    before = await here.bus.place(ROOM)
    await ground.everywhere("FLUSHALL")
    await here.bus.send([numbered(6)])
    for each in (here, there):
        assert await each.heard(6) == [1, 2, 3, 4, 5, 6]
        assert each.seqs() == [1, 2, 3, 4, 5, 1]
        after = each.events()[-1].epoch
        assert after != before.epoch
        assert each.declared() == [Place(after, 0)]
    assert (await here.bus.missed(ROOM, before))[1] is None


async def test_scripts_that_redis_has_forgotten_are_taught_again_in_order(here: Node, ground: Ground):
    await here.bus.subscribe(ROOM)
    for number in range(5):
        await ground.everywhere("SCRIPT FLUSH")
        await here.bus.send([numbered(10 * number + n) for n in range(10)])
    assert here.seqs() == list(range(1, 51))
    assert here.numbers() == list(range(50))


async def test_what_is_no_event_of_ours_is_passed_over(here: Node, there: Node, ground: Ground):
    await there.bus.subscribe(ROOM)
    for rubbish in (b"", b"\xc1", b"\x93\x01\x02\x03", b"\x93", "text", b"\x93\xa2ab\x01\x92\xa1x\x01"):
        await ground.at().execute_command("SPUBLISH", channel_of(ROOM), rubbish)
    await here.bus.send([numbered(1)])
    assert await there.heard(1) == [1]
    assert there.declared() == []


async def test_rubbish_in_the_history_is_missing_and_not_an_error(here: Node, ground: Ground):
    epoch = (await here.bus.place(ROOM)).epoch
    await here.bus.send([numbered(1)])
    meta, history = keys_of(ROOM)
    await ground.at().xadd(history, {"d": b"\xc1"}, id="2-0")
    await ground.at().hset(meta, "s", 2)
    await here.bus.send([numbered(3)])
    assert (await here.bus.missed(ROOM, Place(epoch, 1)))[1] is None


async def test_an_event_that_was_lost_on_its_way_is_found_though_none_follows_it(url: str, here: Node, ground: Ground):
    async with node(url, audit_every_s=0.2) as watching:
        await watching.bus.subscribe(ROOM)
        await here.bus.send([numbered(1)])
        await watching.heard(1)
        await _keep_without_publishing(ground.at(), 2)
        assert await watching.heard(2) == [1, 1]
        assert watching.seqs() == [1, 2]
        assert watching.declared() == []
        await here.bus.send([numbered(3)])
        assert (await watching.heard(3))[2] == 3


async def _keep_without_publishing(redis: Redis, seq: int) -> None:
    """As if what was published had not arrived."""
    meta, history = keys_of(ROOM)
    [(_, fields)] = await redis.xrange(history)
    kept = msgpack.unpackb(fields[b"d"], raw=True)
    await redis.hincrby(meta, "s", 1)
    await redis.xadd(history, {"d": msgpack.packb([kept[0], seq, kept[2]], use_bin_type=False)}, id=f"{seq}-0")


async def test_who_only_sends_needs_not_run(url: str, there: Node):
    await there.bus.subscribe(ROOM)
    async with idle_node(url) as worker:
        await worker.bus.send([numbered(1), numbered(2)])
        assert await there.heard(2) == [1, 2]


async def test_a_thousand_who_ask_at_once_get_each_what_it_missed_from_few_readings(here: Node, ground: Ground):
    await here.bus.send([numbered(n) for n in range(1, 401)])
    await here.bus.send([numbered(n, OTHER_ROOM) for n in range(1, 4)])
    epochs = {room: (await here.bus.place(room)).epoch for room in (ROOM, OTHER_ROOM)}
    await ground.everywhere("CONFIG RESETSTAT")
    asked = [(room, Place(epochs[room], seq)) for seq in range(401) for room in (ROOM, OTHER_ROOM, ROOM)]
    asked += [(f"room {n}", Place("0123456789abcdef", 1)) for n in range(200)]
    answers = await asyncio.gather(*(here.bus.missed(*each, limit=350) for each in asked))
    for (room, since), (place, events) in zip(asked, answers, strict=True):
        counter = {ROOM: 400, OTHER_ROOM: 3}.get(room, 0)
        assert place.seq == counter
        if since.epoch != epochs.get(room) or not 0 <= counter - since.seq <= 350:
            assert events is None
        else:
            assert events is not None
            assert [event.seq for event in events] == list(range(since.seq + 1, counter + 1))
    stats = [await server.info("commandstats") for server in ground.servers]
    calls = sum(each.get("cmdstat_evalsha", {"calls": 0})["calls"] for each in stats)
    assert calls < len(asked) / 3, "a call for each question"
    assert here.bus.questions.waiting == {}


async def test_who_leaves_while_it_asks_for_all_leaves_the_others_their_answers(here: Node):
    await here.bus.send([numbered(n) for n in range(1, 11)])
    start = Place((await here.bus.place(ROOM)).epoch, 0)
    asking = [asyncio.create_task(here.bus.missed(ROOM, start)) for _ in range(10)]
    await asyncio.sleep(0)
    for each in asking[:5]:
        each.cancel()
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[:5])
    for answer in answers[5:]:
        assert not isinstance(answer, BaseException)
        assert len(answer[1] or ()) == 10
    assert here.bus.questions.waiting == {}


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_where_nobody_answers_nothing_is_taken_for_sent(scheme: str):
    async with idle_node(f"{scheme}://127.0.0.1:{free_port()}") as sender:
        events = [numbered(1), numbered(2, OTHER_ROOM, key="a key")]
        with pytest.raises(RedisAway) as raised:
            await sender.bus.send(events)
        assert sorted(raised.value.unsent) == sorted(events)
        assert list(raised.value.sent) == []
        for ask in (sender.bus.place(ROOM), sender.bus.missed(ROOM, Place("0123456789abcdef", 1))):
            with pytest.raises(RedisAway):
                await ask
