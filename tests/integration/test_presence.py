"""Who watches a trip: across nodes, each person once, gone with the node that held them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import msgpack
import msgspec
import pytest
from redis.crc import key_slot

from tests.clusters import running_cluster
from tests.fakes.clock import FakeClock
from tests.servers import Servers
from tests.waiting import until
from waypost.kernel.principal import Principal, Role
from waypost.platform.redis import open_bus_redis
from waypost.realtime.bus import RedisAway
from waypost.realtime.events import Event
from waypost.realtime.presence import Paces, Presence
from waypost.realtime.presence_store import MOST_WATCHERS, WatcherStore
from waypost.realtime.scripts import partition_of, tag
from waypost.realtime.service import fleet_room, staff_room, trip_room, user_room
from waypost.realtime.shards import Shards

ORG, OTHER, TRIP = UUID(int=1), UUID(int=2), UUID(int=3)
ROOM = trip_room(ORG, TRIP)
_sids = count(1)


def person(number: int, role: Role = Role.DISPATCHER, org_id: UUID = ORG) -> Principal:
    return Principal(org_id, role, user_id=UUID(int=number))


RUDO, TENDAI = person(10), person(11, Role.VIEWER)


async def names(_org_id: UUID, users: Collection[UUID]) -> Mapping[UUID, str]:
    """Everybody's name is their number; 99 is nobody's any more."""
    return {user: f"Person {user.int}" for user in users if user.int != 99}


@dataclass(slots=True)
class Node:
    """A process's presence; ``told``: what each connection heard, in order."""

    presence: Presence
    told: dict[str, list[Any]] = field(default_factory=dict)

    def enter(self, who: Principal, room: str = ROOM) -> str:
        sid = f"sid-{next(_sids)}"
        self.presence.entered(room, sid, who)
        return sid

    def write(self, sids: Collection[str], events: Sequence[Event]) -> None:
        for sid in sids:
            self.told.setdefault(sid, []).extend(event.body for event in events)

    async def look(self) -> None:
        await self.presence.look(self.write)

    def shown(self, sid: str) -> list[int]:
        """Whom the connection was told of last."""
        return [UUID(each["userId"]).int for each in self.told[sid][-1]["watchers"]]


@pytest.fixture
async def shards(servers: Servers) -> AsyncIterator[Shards]:
    bus = open_bus_redis(servers.stack.redis_url())
    await bus.seeds[0].flushall()
    yield Shards(bus)
    await bus.aclose()


def node(shards: Shards, **paces: float) -> Node:
    return Node(Presence(WatcherStore(shards), names, FakeClock(), Paces(**paces)))


async def test_watchers_on_two_nodes_hear_of_each_other(shards: Shards):
    one, two = node(shards), node(shards)
    rudo = one.enter(RUDO)
    await one.look()
    assert one.told[rudo] == [{"tripId": str(TRIP), "watchers": [{"userId": str(RUDO.user_id), "name": "Person 10"}]}]
    tendai = two.enter(TENDAI)
    await two.look()
    await one.look()
    assert one.shown(rudo) == two.shown(tendai) == [10, 11]
    two.presence.left(ROOM, tendai)
    await two.look()
    await one.look()
    assert one.shown(rudo) == [10]
    assert len(two.told[tendai]) == 1


async def test_who_is_told_is_not_told_the_same_again(shards: Shards):
    one, two = node(shards), node(shards)
    rudo = one.enter(RUDO)
    two.enter(TENDAI)
    for _ in range(3):
        await two.look()
        await one.look()
    assert len(one.told[rudo]) == 1


async def test_a_person_with_several_tabs_is_one_watcher_until_the_last_is_closed(shards: Shards):
    one, two = node(shards), node(shards)
    tendai = one.enter(TENDAI)
    tabs = [one.enter(RUDO), one.enter(RUDO), two.enter(RUDO)]
    await two.look()
    await one.look()
    assert one.shown(tendai) == [10, 11]
    one.presence.left(ROOM, tabs[0])
    one.presence.left(ROOM, tabs[1])
    await one.look()
    assert await one.presence.watchers(ROOM) == [RUDO.user_id, TENDAI.user_id]
    two.presence.left(ROOM, tabs[2])
    await two.look()
    await one.look()
    assert await one.presence.watchers(ROOM) == [TENDAI.user_id]
    assert one.shown(tendai) == [11]


async def test_a_second_tab_is_told_although_nothing_has_changed_and_the_first_is_not(shards: Shards):
    one = node(shards)
    first = one.enter(RUDO)
    await one.look()
    second = one.enter(RUDO)
    await one.look()
    assert (len(one.told[first]), one.shown(second)) == (1, [10])


async def test_phones_and_drivers_are_no_watchers_and_are_not_told(shards: Shards):
    one = node(shards)
    phone = one.enter(Principal(ORG, Role.DRIVER, device_id=UUID(int=20), driver_id=UUID(int=21)))
    driver = one.enter(person(12, Role.DRIVER))
    rudo = one.enter(RUDO)
    await one.look()
    assert one.shown(rudo) == [10]
    assert not {phone, driver} & one.told.keys()


@pytest.mark.parametrize("room", [fleet_room(ORG), staff_room(ORG), user_room(ORG, UUID(int=10))])
async def test_only_trips_have_watchers(shards: Shards, room: str):
    one = node(shards)
    one.enter(RUDO, room)
    await one.look()
    assert one.told == {}
    assert await shards.bus.seeds[0].keys("*") == []


async def test_either_organisation_of_a_trip_sees_its_own_watchers_only(shards: Shards):
    one = node(shards)
    theirs = trip_room(OTHER, TRIP)
    rudo, other = one.enter(RUDO), one.enter(person(30, org_id=OTHER), theirs)
    await one.look()
    assert (one.shown(rudo), one.shown(other)) == ([10], [30])
    assert await one.presence.watchers(theirs) == [UUID(int=30)]


async def test_who_is_not_of_the_organisation_any_more_is_not_shown(shards: Shards):
    one = node(shards)
    rudo = one.enter(RUDO)
    one.enter(person(99))
    await one.look()
    assert one.shown(rudo) == [10]


async def test_what_a_dead_node_held_runs_out_and_the_others_are_told(shards: Shards):
    dead, alive = node(shards, lease_s=0.4), node(shards, renew_s=1000)
    dead.enter(TENDAI)
    rudo = alive.enter(RUDO)
    await dead.look()
    await alive.look()
    assert alive.shown(rudo) == [10, 11]

    async def is_alone() -> bool:
        await alive.presence.clock.advance(1)  # type: ignore[attr-defined]
        await alive.look()
        return alive.shown(rudo) == [10]

    await until(is_alone)
    assert await alive.presence.watchers(ROOM) == [RUDO.user_id]


async def test_a_node_that_lives_renews_what_it_holds_and_tells_nobody(shards: Shards):
    one, two = node(shards, lease_s=0.6, renew_s=2), node(shards)
    one.enter(TENDAI)
    rudo = two.enter(RUDO)
    await one.look()
    await two.look()
    for _ in range(6):
        await asyncio.sleep(0.2)  # of the lease, by the server's clock
        for each in (one, two):
            await each.presence.clock.advance(2)  # type: ignore[attr-defined]
            await each.look()
    assert await two.presence.watchers(ROOM) == [RUDO.user_id, TENDAI.user_id]
    assert len(two.told[rudo]) == 1


async def test_a_node_that_stops_takes_its_watchers_with_it_at_once(shards: Shards):
    one, two = node(shards, look_s=0.01), node(shards)
    one.enter(RUDO)
    two.enter(TENDAI)
    await two.look()
    running = asyncio.create_task(one.presence.run(one.write))
    await one.presence.clock.advance(0.02)  # type: ignore[attr-defined]

    async def both() -> bool:
        await one.presence.clock.advance(0.02)  # type: ignore[attr-defined]
        return len(await two.presence.watchers(ROOM)) == 2

    await until(both)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await two.presence.watchers(ROOM) == [TENDAI.user_id]


async def test_after_redis_was_emptied_they_are_back_with_the_next_renewal(shards: Shards):
    one = node(shards)
    rudo = one.enter(RUDO)
    await one.look()
    await shards.bus.seeds[0].flushall()
    assert await one.presence.watchers(ROOM) == []
    await one.presence.clock.advance(10)  # type: ignore[attr-defined]
    await one.look()
    assert await one.presence.watchers(ROOM) == [RUDO.user_id]
    assert one.shown(rudo) == [10]


async def test_while_redis_is_away_joins_and_leaves_go_on_and_what_was_known_stays(shards: Shards):
    one = node(shards)
    rudo = one.enter(RUDO)
    await one.look()
    gone = Shards(open_bus_redis("redis://127.0.0.1:1"))
    one.presence.store.shards, there = gone, one.presence.store.shards
    tendai, third = one.enter(TENDAI), one.enter(person(12))
    one.presence.left(ROOM, third)
    await one.look()
    assert (one.shown(rudo), tendai in one.told) == ([10], False)
    with pytest.raises(RedisAway):
        await one.presence.watchers(ROOM)
    one.presence.store.shards = there
    await one.look()
    assert one.shown(rudo) == one.shown(tendai) == [10, 11]
    await gone.bus.aclose()


@pytest.mark.timeout(180)
async def test_on_a_cluster_rooms_of_all_servers_have_watchers_also_after_a_slot_has_moved():
    rooms = [trip_room(ORG, UUID(int=n)) for n in range(40)]
    async with running_cluster() as cluster:
        buses = [open_bus_redis(cluster.url) for _ in range(2)]
        one, two = (node(Shards(bus)) for bus in buses)
        mine = {room: one.enter(RUDO, room) for room in rooms}
        theirs = {room: two.enter(TENDAI, room) for room in rooms}
        for each in (one, two, one):
            await each.look()
        assert {tuple(one.shown(sid)) for sid in mine.values()} == {(10, 11)}
        slot = slot_of(rooms[0])
        source = cluster.nodes[min(2, slot * 3 // 16384)]
        await cluster.move(slot, source, next(each for each in cluster.nodes if each is not source))
        two.presence.left(rooms[0], theirs[rooms[0]])

        async def is_alone() -> bool:
            for each in (two, one):
                await each.look()
            return one.shown(mine[rooms[0]]) == [10]

        await until(is_alone)
        assert await one.presence.watchers(rooms[1]) == [RUDO.user_id, TENDAI.user_id]
        for each, bus in zip((one, two), buses, strict=True):
            await each.presence.store.shards.close()
            await bus.aclose()


@pytest.mark.timeout(180)
async def test_while_a_server_of_a_cluster_is_away_the_rooms_of_the_others_keep_their_watchers():
    rooms = [trip_room(ORG, UUID(int=n)) for n in range(40)]
    async with running_cluster() as cluster:
        bus = open_bus_redis(cluster.url)
        one = node(Shards(bus), lease_s=1.5, renew_s=0)
        for room in rooms:
            one.enter(RUDO, room)
        await one.look()
        first = min(rooms, key=slot_of)
        last = max(rooms, key=slot_of)
        cluster.nodes[0].kill()
        for _ in range(10):
            await asyncio.sleep(0.25)  # longer than the lease in all
            await one.look()
        assert await one.presence.watchers(last) == [RUDO.user_id]
        with pytest.raises(RedisAway):
            await one.presence.watchers(first)
        await one.presence.store.shards.close()
        await bus.aclose()


def slot_of(room: str) -> int:
    return int(key_slot(tag(partition_of(room)).encode()))


async def test_a_room_keeps_so_many_watchers_and_no_more(shards: Shards):
    one = node(shards)
    for number in range(MOST_WATCHERS + 20):
        one.enter(person(1000 + number))
    await one.look()
    await one.presence.clock.advance(10)  # type: ignore[attr-defined]
    await one.look()
    assert len(await one.presence.watchers(ROOM)) == MOST_WATCHERS


async def test_nothing_is_kept_of_rooms_that_all_have_left(shards: Shards):
    one = node(shards)
    sids = {trip_room(ORG, UUID(int=n)): one.enter(RUDO, trip_room(ORG, UUID(int=n))) for n in range(600)}
    await one.look()
    assert len(one.told) == 600
    for room, sid in sids.items():
        one.presence.left(room, sid)
        one.presence.left(room, sid)
    await one.look()
    assert one.presence.rooms == {}
    assert await shards.bus.seeds[0].keys("*:w:*") == []


async def test_the_event_says_nothing_of_seq_in_either_codec(shards: Shards):
    one, heard = node(shards), []
    one.enter(RUDO)
    await one.presence.look(lambda _sids, events: heard.extend(events))
    (event,) = heard
    name, body = msgspec.json.decode(event.text[2:])
    assert (event.text[:2], name) == (b"42", "trip:watchers")
    assert body.keys() == {"tripId", "watchers"}
    assert msgpack.unpackb(event.packed) == {"type": 2, "nsp": "/", "data": [name, body]}
