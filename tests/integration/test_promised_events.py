"""Between the commit and the room nothing is lost: a promised event goes out once, whoever dies, waits or is full."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from tests.factories import Org
from tests.servers import Servers, database_away
from tests.waiting import until
from waypost.jobs.domain import Asked
from waypost.kernel.errors import Conflict, Unavailable
from waypost.kernel.ids import new_id
from waypost.platform.database import SYSTEM, Connection
from waypost.realtime import leftovers as leftovers_of
from waypost.realtime import outbox
from waypost.realtime.bus import RedisBus
from waypost.realtime.events import Outgoing, Place
from waypost.realtime.leftovers import BATCH, Leftovers
from waypost.realtime.service import Queued, Realtime, fleet_room, staff_room, trip_room, user_room
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services
from waypost.wiring_work import relay_over

AT_ONCE = timedelta(0)


class Said(msgspec.Struct, rename="camel"):
    """Any event."""

    event_id: UUID
    n: int


@dataclass(slots=True)
class Bus:
    """Takes what it gets, or is away."""

    sent: list[Outgoing] = field(default_factory=list)
    away: bool = False

    async def send(self, events: Sequence[Outgoing]) -> None:
        if self.away:
            raise Unavailable
        self.sent += events

    def numbers(self, room: str = "room") -> list[int]:
        """What one room was told."""
        return [body(event)["n"] for event in self.sent if event.room == room]


def body(event: Outgoing) -> Any:
    """What stands in an event's packet."""
    return json.loads(event.head.removeprefix(b"42").rstrip(b",") + b"}]")[1]


@dataclass(slots=True)
class World:
    """An organisation, a bus, who publishes and who looks for what was left."""

    services: Services
    org_id: UUID
    bus: Bus
    leftovers: Leftovers
    realtime: Realtime

    async def say(self, conn: Connection, n: int, room: str = "room") -> UUID:
        event_id = new_id(self.services.clock)
        await self.realtime.promise(conn, self.org_id, room, "said", Said(event_id, n), event_id)
        return event_id

    async def commit(self, *numbers: int, room: str = "room") -> None:
        """Promise each in a transaction of its own."""
        for n in numbers:
            async with self.services.database.transaction(self.org_id) as conn:
                await self.say(conn, n, room)

    async def fail(self, n: int) -> None:
        """Promise it in a transaction that is undone."""
        async with self.services.database.transaction(self.org_id) as conn:
            await self.say(conn, n)
            raise Conflict

    async def rows(self) -> int:
        async with self.services.database.transaction(SYSTEM) as conn:
            return int(await conn.fetchval("SELECT count(*) FROM room_events"))

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.realtime.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def none_left(self) -> None:
        async def is_empty() -> bool:
            return await self.rows() == 0

        await until(is_empty)


@pytest.fixture
def world(services: Services, org: Org) -> World:
    return over(services, org, Bus())


def over(services: Services, org: Org, bus: Any) -> World:
    leftovers = Leftovers(services.database, bus, services.clock, AT_ONCE)
    return World(services, org.org_id, bus, leftovers, Realtime(bus, services.clock, 0.05, leftovers.forget))


async def test_it_goes_out_right_after_the_commit_under_its_id_and_its_row_is_deleted(world: World):
    async with world.publishing():
        async with world.services.database.transaction(world.org_id) as conn:
            event_id = await world.say(conn, 1)
            await asyncio.sleep(0.05)
            assert world.bus.sent == []
        await until(lambda: world.bus.sent)
        await world.none_left()
    (event,) = world.bus.sent
    assert (event.key, body(event)) == (str(event_id), {"eventId": str(event_id), "n": 1})


async def test_at_the_end_of_a_process_what_waits_is_sent_and_its_rows_are_deleted_without_a_pause(world: World):
    async with world.publishing():
        for turn in range(3):
            await world.commit(turn)
            await world.realtime.finish(30)
            assert (world.bus.numbers(), await world.rows()) == (list(range(turn + 1)), 0)


async def test_what_is_rolled_back_is_told_nobody(world: World):
    async with world.publishing():
        with pytest.raises(Conflict):
            await world.fail(1)
        await world.commit(2)
        await until(lambda: world.bus.sent)
        await world.none_left()
    assert world.bus.numbers() == [2]
    assert (await world.leftovers.publish(), await world.rows()) == (0, 0)


async def test_of_a_unit_the_part_that_was_undone_is_told_nobody_and_the_rest_at_its_end(world: World):
    async with world.services.database.unit(world.org_id):
        await world.commit(1)
        with pytest.raises(Conflict):
            await world.fail(2)
        assert world.realtime.queue.empty()
    assert [body(event)["n"] for event, _ in taken(world.realtime)] == [1]
    assert await world.rows() == 1


async def test_in_another_task_than_the_transactions_own_it_waits_for_the_commit_too(world: World):
    async with world.services.database.transaction(world.org_id) as conn:
        await asyncio.create_task(world.say(conn, 1))
        assert world.realtime.queue.empty()
    assert world.realtime.queue.qsize() == 1


async def test_what_a_dead_process_left_is_published_once_however_many_look_for_it(world: World):
    for room in ("a", "b", "c"):
        await world.commit(*range(30), room=room)
    relays = [replace(world.leftovers) for _ in range(10)]
    while await world.rows():
        await asyncio.gather(*(relay.publish() for relay in relays))
    assert [world.bus.numbers(room) for room in ("a", "b", "c")] == [list(range(30))] * 3


async def test_a_room_waits_for_its_older_events_and_no_other_room_does(world: World):
    await world.commit(1, 2, room="a")
    await world.commit(3, room="b")
    async with world.services.database.transaction(SYSTEM) as conn:
        ((row, _),) = await outbox.claim(conn, AT_ONCE, 1, timedelta(minutes=1))  # its claimer is slow, or dead
    assert await world.leftovers.publish() == 1
    assert (world.bus.numbers("a"), world.bus.numbers("b")) == ([], [3])
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE room_events SET claimed_until = now() WHERE id = $1", row.id)
    assert await world.leftovers.publish() == 2
    assert world.bus.numbers("a") == [1, 2]


async def test_who_committed_it_has_some_seconds_before_it_counts_as_left(world: World):
    await world.commit(1)
    relay = replace(world.leftovers, grace=leftovers_of.GRACE)
    assert (await relay.publish(), (await relay.look()).events) == (0, 0)
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE room_events SET created_at = now() - interval '6 seconds'")
    assert (await relay.look()).events == 1
    assert await relay.publish() == 1
    assert (await relay.look()).events == 0


async def test_more_than_fits_one_look_goes_out_in_several_and_in_order(world: World):
    async with world.services.database.transaction(world.org_id) as conn:
        for n in range(BATCH + 7):
            await world.say(conn, n)
    running = asyncio.create_task(world.leftovers.run(2))
    await world.none_left()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert world.bus.numbers() == list(range(BATCH + 7))


async def test_what_does_not_fit_the_queue_is_not_lost(world: World):
    world.realtime.queue = asyncio.Queue(2)
    await world.commit(*range(5))
    assert (world.realtime.queue.qsize(), world.realtime.dropped, world.realtime.gaps) == (2, 0, set())
    async with world.publishing():
        await until(lambda: len(world.bus.sent) == 2)

        async def three() -> bool:
            return await world.rows() == 3

        await until(three)
    assert await world.leftovers.publish() == 3
    assert world.bus.numbers() == list(range(5))


async def test_while_redis_is_away_events_wait_here_and_at_the_relay_and_come_in_order_once_it_is_back(world: World):
    world.bus.away = True
    async with world.publishing():
        await world.commit(1, 2, 3)
        with pytest.raises(Unavailable):
            await world.leftovers.publish()
        world.bus.away = False
        await until(lambda: world.bus.sent)
        await world.none_left()
    assert world.bus.numbers() == [1, 2, 3]


async def test_a_deletion_that_fails_is_the_relays_and_the_bus_drops_the_repeat(
    services: Services, org: Org, servers: Servers
):
    """With the real bus: its log of the room has each event once."""
    bus = services.hub.bus
    world = over(services, org, bus)
    room = f"room {uuid4()}"
    async with services.database.transaction(world.org_id) as conn:
        await world.say(conn, 1, room)
        await world.say(conn, 2, room)
    async with database_away(servers), world.publishing(), asyncio.timeout(30):
        await world.realtime.queue.join()  # told
        await world.realtime.kept.join()  # and the deletion tried

    async def both_are_left() -> bool:
        try:
            return await world.rows() == 2
        except Unavailable:  # it comes back behind a pooler only when that tries again
            return False

    await until(both_are_left, within_s=30)
    assert await told(bus, room) == [1, 2]
    assert await world.leftovers.publish() == 2
    assert await world.rows() == 0
    assert await told(bus, room) == [1, 2]


async def test_one_event_for_two_rooms_reaches_both(services: Services, org: Org):
    bus = services.hub.bus
    world = over(services, org, bus)
    rooms = [f"room {uuid4()} {n}" for n in range(300)]  # more than there are partitions of the bus
    event_id = new_id(services.clock)
    async with services.database.transaction(world.org_id) as conn:
        for room in rooms:
            await world.realtime.promise(conn, world.org_id, room, "said", Said(event_id, 1), event_id)
    while await world.leftovers.publish():
        pass
    assert [await told(bus, room) for room in rooms] == [[1]] * 300


async def told(bus: RedisBus, room: str) -> list[int]:
    """What Redis has kept of a room, from the beginning."""
    place = await bus.place(room)
    _, events = await bus.missed(room, Place(place.epoch, 0))
    assert events is not None
    return [event.body["n"] for event in events]


async def test_an_organisation_writes_no_other_ones_events_and_reads_none(world: World, org: Org):
    add = "INSERT INTO room_events (org_id, room, id, name, head) VALUES ($1, 'r', $2, 'n', 'h')"
    for statement, *arguments in ((add, uuid4(), uuid4()), ("SELECT head FROM room_events",)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.services.database.transaction(world.org_id) as conn:
                await conn.execute(statement, *arguments)


async def test_what_nobody_could_publish_for_a_day_is_dropped(world: World):
    await world.commit(1, 2)
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "UPDATE room_events SET created_at = now() - interval '25 hours'"
            " WHERE id = (SELECT id FROM room_events ORDER BY id LIMIT 1)"
        )
    assert await world.leftovers.drop_old() == 1
    assert await world.leftovers.publish() == 1
    assert world.bus.numbers() == [2]


def taken(realtime: Realtime) -> list[Queued]:
    """What waits to be published, taken out."""
    return [realtime.queue.get_nowait() for _ in range(realtime.queue.qsize())]


def promised(services: Services, name: str) -> dict[str, list[Any]]:
    """Of the events of that name that wait, the bodies of each room. Each must have been promised, under its id."""
    found: dict[str, list[Any]] = {}
    for event, row in taken(services.realtime):
        if event.name == name:
            told = body(event)
            assert row is not None
            assert told["eventId"] == str(row.id) == event.key
            found.setdefault(event.room, []).append(told)
    return found


async def test_a_trips_events_are_promised_to_either_organisations_rooms(services: Services, org: Org):
    receiver = await services.identity.add_organisation("Receiver")
    phone = await org.phone(to=receiver)
    assert phone.trip is not None
    await services.trips.move(org.owner, phone.trip.id, Move.COMPLETE)
    rooms = promised(services, "trip:event")
    names = {room(owner, *of) for owner in (org.org_id, receiver) for room, of in (
        (trip_room, [phone.trip.id]), (fleet_room, []))}  # fmt: skip
    assert set(rooms) == names
    for told in rooms.values():
        assert [one["kind"] for one in told] == ["created", "started", "completed"]
    ids = [[one["eventId"] for one in told] for told in rooms.values()]
    assert [key for key, _ in groupby(ids)] == [ids[0]]
    assert "driverName" not in rooms[trip_room(receiver, phone.trip.id)][0]["trip"]


async def test_a_move_that_is_refused_is_told_nobody(services: Services, org: Org):
    trip = await services.trips.create(org.owner, NewTrip())
    taken(services.realtime)
    with pytest.raises(Conflict):
        await services.trips.move(org.owner, trip.id, Move.COMPLETE)
    assert taken(services.realtime) == []


async def test_how_a_job_ended_is_promised(services: Services, org: Org):
    job = await services.jobs.export(org.owner, Asked("trips"))
    await services.jobs.cancel(org.owner, job.id)
    assert org.owner.user_id is not None
    rooms = promised(services, "job:progress")
    assert [one["state"] for one in rooms[user_room(org.org_id, org.owner.user_id)]] == ["cancelled"]


async def test_a_deliverys_moves_are_promised_to_the_staff(services: Services, org: Org):
    customer = await services.directory.add_customer(org.owner, name="Chipo", email="chipo@example.com")
    driver = await services.directory.add_driver(org.owner, name="D")
    trip = await services.trips.create(org.owner, NewTrip(driver_id=driver.id, customer_id=customer))
    await services.trips.move(org.owner, trip.id, Move.START)
    taken(services.realtime)
    await relay_over(services).expand()
    told = promised(services, "notification:changed")[staff_room(org.org_id)]
    assert {one["kind"] for one in told} == {"trip_started"}


PLAN = """
INSERT INTO room_events SELECT $1, 'room' || (i % 500), uuidv7(), 'n', 'h', now() - interval '1 minute'
  FROM generate_series(1, 20000) i
"""


async def test_a_claim_reads_about_what_it_claims_however_much_waits(world: World, servers: Servers):
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute(PLAN, world.org_id)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE room_events")
    finally:
        await owner.close()
    looks = outbox.CLAIM[outbox.CLAIM.index("(\n") + 1 : outbox.CLAIM.index(")\nUPDATE")]
    async with world.services.database.transaction(SYSTEM) as conn:
        text = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {looks}", AT_ONCE, BATCH)
    for node in nodes(json.loads(text)[0]["Plan"]):
        assert node["Node Type"] != "Seq Scan"
        assert node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) <= 2 * BATCH


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", []) for node in nodes(below))]
