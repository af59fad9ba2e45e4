"""A position whose publish was lost is told again by the node of its watchers, once, and only what is news to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.fakes.clock import FakeClock
from tests.integration.test_http_tracking import location, ping
from tests.integration.test_plans import nodes
from tests.servers import Servers
from tests.waiting import listening, until
from waypost.platform.codec import instant, plain
from waypost.platform.database import SYSTEM, Connection
from waypost.realtime.events import outgoing
from waypost.realtime.service import LiveRoom, fleet_room, trip_room
from waypost.tracking import storage_live
from waypost.tracking.domain import Report
from waypost.tracking.healing import EVERY_S, Healing
from waypost.trips.domain import Move
from waypost.wiring import Services

RUNNING = 40
RECEIVED = """
WITH made AS (
    INSERT INTO trips (org_id, id, destination_org_id, reference, status, completed_at, created_at, updated_at)
    SELECT $1, uuidv7(), $2, 'T', 'completed', now(), now(), now() FROM generate_series(1, 5000) RETURNING id)
INSERT INTO trip_positions (org_id, trip_id, device_id, vehicle_id, recorded_at, received_at, receipt, latitude_e7,
                            longitude_e7)
SELECT $1, id, uuidv7(), uuidv7(), now(), now() - interval '5 seconds', 1, 1, 1 FROM made
"""


@dataclass(slots=True)
class Told:
    """A publisher that keeps what it is to tell: (room, body)."""

    all: list[tuple[str, Any]] = field(default_factory=list)

    def publish(self, room: str, name: str, body: msgspec.Struct) -> None:
        assert name == "trip:location"
        self.all.append((room, plain(body)))

    def publish_position(
        self,
        room: str,
        vehicle_id: UUID,
        recorded_at: datetime,
        body: msgspec.Struct,
        *,
        withdrawn_at: datetime | None = None,
    ) -> None:
        found = plain(body)
        assert (found["vehicleId"], found["recordedAt"], withdrawn_at) == (str(vehicle_id), instant(recorded_at), None)
        self.all.append((room, found))

    async def promise(
        self, conn: Connection, org_id: UUID, room: str, name: str, body: msgspec.Struct, event_id: UUID
    ) -> None:
        raise AssertionError("a position is never promised")


@dataclass(slots=True)
class World:
    """A node whose publisher never gets anything out, and the healing of another."""

    services: Services
    org: Org
    told: Told
    clock: FakeClock
    healing: Healing
    rooms: list[LiveRoom] = field(default_factory=list)

    async def report(self, phone: Phone) -> str:
        """A fix that is stored and told nobody; its time as events say it."""
        at = datetime.now(UTC)
        await self.services.tracking.report(phone.principal, [Report(0, -17.8, 31.05, at.timestamp() * 1000)])
        return instant(at)

    def watch(self, org_id: UUID, newest: Mapping[str, str] | str | None = None, trip_id: UUID | None = None) -> None:
        """Somebody is in the room of the fleet, or of the trip, and was told so much."""
        room = fleet_room(org_id) if trip_id is None else trip_room(org_id, trip_id)
        newest = {} if newest is None and trip_id is None else newest
        self.rooms[:] = [*(one for one in self.rooms if one.room != room), LiveRoom(room, org_id, trip_id, newest)]

    async def looks(self, seconds: float = EVERY_S) -> list[tuple[str, str]]:
        """What is told so much later: (room, time)."""
        await self.clock.advance(seconds)
        before = len(self.told.all)
        count = await self.healing.look()
        found = [(room, body["locations"][0] if "locations" in body else body) for room, body in self.told.all[before:]]
        assert len(found) == count
        return [(room, one["recordedAt"]) for room, one in found]


@pytest.fixture
def world(services: Services, org: Org) -> World:
    told, clock, rooms = Told(), FakeClock(datetime.now(UTC)), list[LiveRoom]()

    async def live() -> list[LiveRoom]:
        return rooms

    return World(services, org, told, clock, Healing(services.database, clock, told, live, services.hub.logged), rooms)


async def test_what_was_never_told_is_told_once_to_the_trip_and_to_the_fleet(world: World):
    phone = await world.org.phone(in_truck=True)
    assert phone.trip is not None
    world.watch(world.org.org_id)
    world.watch(world.org.org_id, trip_id=phone.trip.id)
    at = await world.report(phone)
    rooms = [fleet_room(world.org.org_id), trip_room(world.org.org_id, phone.trip.id)]
    assert await world.looks() == [(room, at) for room in rooms]
    (_, of_fleet), (_, of_trip) = world.told.all
    assert of_fleet["vehicleName"].startswith("Truck")
    assert of_trip["tripId"] == str(phone.trip.id)
    assert "deviceId" not in of_trip["locations"][0]
    assert await world.looks() == []


async def test_a_newer_one_is_told_again_and_one_that_the_room_has_heard_is_not(world: World):
    phone = await world.org.phone()
    vehicle = str(phone.principal.vehicle_id)
    first = await world.report(phone)
    world.watch(world.org.org_id, {vehicle: first})
    assert await world.looks() == []
    await asyncio.sleep(0.002)  # the next millisecond
    second = await world.report(phone)
    assert await world.looks() == [(fleet_room(world.org.org_id), second)]
    world.watch(world.org.org_id, {vehicle: second})
    assert await world.looks() == []


async def test_what_is_on_its_way_is_left_alone(world: World):
    phone = await world.org.phone()
    world.watch(world.org.org_id)
    at = await world.report(phone)
    assert await world.looks(1) == []
    assert await world.looks(1.5) == [(fleet_room(world.org.org_id), at)]


async def test_what_who_joined_has_read_in_the_snapshot_is_not_told_again(world: World):
    phone = await world.org.phone()
    assert phone.trip is not None
    await world.report(phone)
    await world.clock.advance(10)
    world.watch(world.org.org_id)
    world.watch(world.org.org_id, trip_id=phone.trip.id)
    assert await world.looks() == []


async def test_what_is_older_than_a_minute_waits_for_the_vehicles_next_fix(world: World):
    phone = await world.org.phone()
    world.watch(world.org.org_id, {str(phone.principal.vehicle_id): "2020-01-01T00:00:00.000Z"})
    await world.report(phone)
    assert await world.looks(61) == []


async def test_of_two_devices_in_a_vehicle_the_newest_is_told(world: World):
    one = await world.org.phone(in_truck=True)
    devices, truck = world.services.directory, one.principal.vehicle_id
    device, token = await devices.add_device(world.org.owner, name="Second", driver_id=one.driver_id, truck_id=truck)
    other = Phone(token, device.id, one.driver_id, await world.services.devices.authenticate(token), None)
    assert other.principal.vehicle_id == truck
    world.watch(world.org.org_id)
    await world.report(one)
    await asyncio.sleep(0.002)
    newest = await world.report(other)
    assert await world.looks() == [(fleet_room(world.org.org_id), newest)]


async def test_the_receiver_hears_of_what_runs_towards_it_and_not_whose_phone_it_is(world: World):
    receiver = await organisation(world.services, "Receiver")
    phone, own = await world.org.phone(to=receiver.org_id), await world.org.phone()
    assert phone.trip is not None
    world.watch(receiver.org_id)
    world.watch(receiver.org_id, trip_id=phone.trip.id)
    at = await world.report(phone)
    await world.report(own)  # the sender's own business
    rooms = [fleet_room(receiver.org_id), trip_room(receiver.org_id, phone.trip.id)]
    assert await world.looks() == [(room, at) for room in rooms]
    assert {"deviceId", "driverId", "vehicleName", "battery"}.isdisjoint(world.told.all[0][1])
    await world.services.trips.move(world.org.owner, phone.trip.id, Move.COMPLETE)
    world.healing.retold.clear()
    assert await world.looks() == [(rooms[1], at)]  # a trip that is over is in no fleet


async def test_an_organisation_hears_of_no_other_ones_vehicles_and_trips(world: World):
    stranger = await organisation(world.services, "Stranger")
    phone = await world.org.phone()
    assert phone.trip is not None
    await world.report(phone)
    world.watch(stranger.org_id)
    world.watch(stranger.org_id, trip_id=phone.trip.id)
    assert await world.looks() == []


async def test_what_runs_towards_an_organisation_is_found_however_much_it_has_received(world: World, servers: Servers):
    receiver = await organisation(world.services, "Receiver")
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute(RECEIVED, world.org.org_id, receiver.org_id)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE trips, trip_positions")
    finally:
        await owner.close()
    span = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC)
    async with world.services.database.transaction(SYSTEM) as conn:
        text = await conn.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {storage_live.FLEETS}", [receiver.org_id], *span, 99
        )
    for node in nodes(json.loads(text)[0]["Plan"]):
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert read <= RUNNING, node


async def test_while_nobody_watches_the_database_is_not_asked(world: World):
    await world.services.database.close()
    assert await world.looks() == []


async def test_a_watchers_node_tells_what_another_node_committed_and_could_not_publish(
    api: Api, org: Org, services: Services
):
    """Over a real socket: the row is there, the event never was."""
    phone = await org.phone()
    assert phone.trip is not None
    token = await org.token()
    async with listening(api.url, token) as socket:
        await socket.join(phone.trip.id)
        await socket.join_fleet()
        await ping(api, phone, location(30))
        first = await socket.next("trip:location")
        async with services.database.transaction(SYSTEM) as conn:
            for table in ("positions", "trip_positions"):
                await conn.execute(
                    f"UPDATE {table} SET recorded_at = recorded_at + interval '20 seconds', received_at = now()"
                    " - interval '1 second'"
                )
        assert await until(lambda: len(socket.all("trip:location")) == 2)
        again = socket.all("trip:location")[1]
        assert again["locations"][0]["recordedAt"] > first["locations"][0]["recordedAt"]
        assert again["seq"] == first["seq"] + 1
        healed = await socket.next(
            "fleet:positions",
            lambda e: any(p["recordedAt"] == again["locations"][0]["recordedAt"] for p in e["positions"]),
        )
        assert healed["positions"][0]["vehicleId"] == str(phone.principal.vehicle_id)
        await asyncio.sleep(1.5 * EVERY_S)
        assert len(socket.all("trip:location")) == 2


async def test_what_another_node_told_before_somebody_came_here_is_not_told_again(world: World):
    phone = await world.org.phone()
    assert phone.trip is not None
    at = await world.report(phone)
    for room, name, body in (
        (fleet_room(world.org.org_id), "fleet:positions",
         {"positions": [{"vehicleId": str(phone.principal.vehicle_id), "recordedAt": at}]}),
        (trip_room(world.org.org_id, phone.trip.id), "trip:location", {"locations": [{"recordedAt": at}]}),
    ):  # fmt: skip
        await world.services.hub.bus.send([outgoing(room, name, body)])
    world.watch(world.org.org_id)
    world.watch(world.org.org_id, trip_id=phone.trip.id)
    assert await world.looks() == []
