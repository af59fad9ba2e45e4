"""A phone that is given to another driver, or put into another truck: what was before stays as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone
from tests.integration.test_http_tracking import location
from tests.integration.test_sessions import cut
from tests.integration.test_sockets import node
from tests.waiting import listening, until
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move, Trip
from waypost.trips.service import NewTrip
from waypost.wiring import Services

FOLLOWED_WITHIN_S = 5


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


@pytest.fixture
async def far(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A second node."""
    async with node(environment) as second:
        yield second


async def begun_an_hour_ago(services: Services, phone: Phone) -> None:
    """The phone's trip has run for an hour, and the phone was its driver's for two."""
    assert phone.trip is not None
    hours = "UPDATE trips SET started_at = now() - interval '1 hour' WHERE id = $1"
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(hours, phone.trip.id)
        await conn.execute(
            "UPDATE device_assignments SET from_at = now() - interval '2 hours' WHERE device_id = $1", phone.device_id
        )


async def other_driver(org: Org, services: Services, *, running: bool = True) -> tuple[UUID, Trip]:
    driver = await services.directory.add_driver(org.owner, name="The other")
    trip = await services.trips.create(org.owner, NewTrip(driver_id=driver.id))
    if running:
        trip = await services.trips.move(org.owner, trip.id, Move.START)
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE trips SET started_at = now() - interval '1 hour' WHERE id = $1", trip.id)
    return driver.id, trip


async def give(owner: Api, phone: Phone, **to: object) -> None:
    body = {name: None if value is None else str(value) for name, value in to.items()}
    assert (await owner("PATCH", f"/api/v1/devices/{phone.device_id}", body)).status == 200


async def report(api: Api, phone: Phone, *locations: Any, **batch: object) -> Any:
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": list(locations), **batch})
    assert answer.status == 200, answer.json
    return answer.json


async def track(owner: Api, trip: Trip | None) -> list[float]:
    assert trip is not None
    answer = await owner("GET", f"/api/v1/trips/{trip.id}/locations")
    return [fix["latitude"] for fix in answer.json["data"]]


async def moved_at(services: Services, phone: Phone) -> datetime:
    async with services.database.transaction(SYSTEM) as conn:
        moment = await conn.fetchval(
            "SELECT from_at FROM device_assignments WHERE device_id = $1 AND until_at IS NULL", phone.device_id
        )
    assert isinstance(moment, datetime)
    return moment


async def test_a_phone_given_to_another_driver_leaves_its_old_track_with_the_old_one(
    api: Api, owner: Api, org: Org, services: Services
):
    phone = await org.phone()
    await begun_an_hour_ago(services, phone)
    theirs, their_trip = await other_driver(org, services)
    await report(api, phone, location(20, latitude=-17.1))
    await give(owner, phone, driverId=theirs)
    await report(api, phone, location(0, latitude=-17.2))
    assert await track(owner, phone.trip) == [-17.1]
    assert await track(owner, their_trip) == [-17.2]
    latest = (await owner("GET", f"/api/v1/tracking/trips/{their_trip.id}/latest")).json
    assert latest["driverId"] == str(theirs)
    before = (await owner("GET", f"/api/v1/tracking/trips/{phone.trip.id if phone.trip else ''}/latest")).json
    assert before["driverId"] == str(phone.driver_id)


async def test_a_backlog_that_comes_after_the_change_is_the_old_drivers(
    api: Api, owner: Api, org: Org, services: Services
):
    """One batch across the change is divided by the fixes' own times."""
    phone = await org.phone()
    await begun_an_hour_ago(services, phone)
    theirs, their_trip = await other_driver(org, services)
    await give(owner, phone, driverId=theirs)
    batch = [location(900, latitude=-17.1), location(600, latitude=-17.2), location(0, latitude=-17.3)]
    assert (await report(api, phone, *batch))["accepted"] == 3
    assert (await track(owner, phone.trip), await track(owner, their_trip)) == ([-17.1, -17.2], [-17.3])
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch("SELECT driver_id FROM fixes ORDER BY recorded_at")
    assert [row["driver_id"] for row in rows] == [phone.driver_id, phone.driver_id, theirs]


async def test_a_backlog_may_name_the_old_drivers_trip_and_nobody_elses(
    api: Api, owner: Api, org: Org, services: Services
):
    phone, stranger = await org.phone(), await org.phone()
    assert phone.trip is not None
    assert stranger.trip is not None
    await begun_an_hour_ago(services, phone)
    theirs, their_trip = await other_driver(org, services)
    await give(owner, phone, driverId=theirs)
    old = location(600, latitude=-17.1)
    await report(api, phone, old, tripId=str(phone.trip.id))
    await report(api, phone, location(500, latitude=-17.2), tripId=str(their_trip.id))  # an app that names the newest
    assert await track(owner, phone.trip) == [-17.1, -17.2]
    assert await track(owner, their_trip) == []
    post = api.as_(phone.token)
    for trip_id, locations in ((stranger.trip.id, [old]), (phone.trip.id, [location(0)])):
        answer = await post("POST", "/api/v1/tracking/ping", {"tripId": str(trip_id), "locations": locations})
        assert (answer.status, answer.json["code"]) == (404, "trip-not-found")


async def test_a_batch_under_way_with_a_token_remembered_from_before_the_change_is_divided_as_well(
    api: Api, owner: Api, org: Org, services: Services
):
    """The token's memory is two seconds old, the assignments are read in the storing transaction."""
    phone = await org.phone()
    await begun_an_hour_ago(services, phone)
    theirs, their_trip = await other_driver(org, services)
    remembered = await services.devices.authenticate(phone.token)
    await give(owner, phone, driverId=theirs)
    assert remembered.driver_id == phone.driver_id
    moment = (await moved_at(services, phone)).astimezone(UTC)
    later = {"latitude": -17.2, "longitude": 31, "timestamp": (moment + timedelta(milliseconds=5)).isoformat()}
    await until(lambda: services.clock.now() > moment + timedelta(milliseconds=10))
    await report(api, phone, later)
    assert await track(owner, their_trip) == [-17.2]


async def test_before_its_first_assignment_a_phone_was_its_first_drivers(
    api: Api, owner: Api, org: Org, services: Services
):
    """An app may hold fixes from before the office made the device."""
    phone = await org.phone()
    assert phone.trip is not None
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE trips SET started_at = now() - interval '1 hour' WHERE id = $1", phone.trip.id)
    theirs, _ = await other_driver(org, services)
    await give(owner, phone, driverId=theirs)
    await report(api, phone, location(1800, latitude=-17.1))
    assert await track(owner, phone.trip) == [-17.1]


async def test_a_phone_that_changes_trucks_moves_the_right_vehicle(api: Api, owner: Api, org: Org, services: Services):
    phone = await org.phone(in_truck=True)
    await begun_an_hour_ago(services, phone)
    old_truck = phone.principal.vehicle_id
    new_truck = await services.directory.add_truck(org.owner, name="Truck B")
    await report(api, phone, location(30, latitude=-17.1))
    await give(owner, phone, truckId=new_truck)
    await report(api, phone, location(20, latitude=-17.2))  # recorded while it was in the old one
    (position,) = (await owner("GET", "/api/v1/tracking/latest")).json["data"]
    assert (position["vehicleId"], position["latitude"]) == (str(old_truck), -17.2)
    async with listening(api.url, owner.token) as watcher:
        await watcher.join_fleet()
        await report(api, phone, location(0, latitude=-17.3))
        event = await watcher.next("fleet:positions", lambda e: -17.3 in [p["latitude"] for p in e["positions"]])
        (told,) = [position for position in event["positions"] if position["latitude"] == -17.3]
    assert (told["vehicleId"], told["vehicleName"], told["latitude"]) == (str(new_truck), "Truck B", -17.3)
    await give(owner, phone, truckId=None)
    await report(api, phone, location(0, latitude=-17.4))
    (alone,) = (await owner("GET", "/api/v1/tracking/latest")).json["data"]
    assert (alone["vehicleId"], alone["vehicleName"]) == (str(phone.device_id), (await device(owner, phone))["name"])


async def device(owner: Api, phone: Phone) -> Any:
    return (await owner("GET", f"/api/v1/devices/{phone.device_id}")).json


@pytest.mark.parametrize("what", ["driver", "truck", "token"])
async def test_a_phone_that_is_another_now_is_cut_on_every_node_and_connects_as_what_it_is(
    api: Api, far: Api, owner: Api, org: Org, services: Services, what: str
):
    phone, stays = await org.phone(), await org.phone()
    theirs, their_trip = await other_driver(org, services)
    async with (
        listening(api.url, phone.token) as near_socket,
        listening(far.url, phone.token) as far_socket,
        listening(far.url, stays.token) as fence,
    ):
        if what == "driver":
            await give(owner, phone, driverId=theirs)
        elif what == "truck":
            await give(owner, phone, truckId=await services.directory.add_truck(org.owner, name="Truck B"))
        else:  # a second replacement ends the token that these came with
            for _ in range(2):
                await owner("POST", f"/api/v1/devices/{phone.device_id}/token")
        await cut(near_socket, far_socket)
        assert fence.sio.connected
    if what == "driver":
        async with listening(far.url, phone.token) as again:
            await again.join(their_trip.id)

        async def follows() -> bool:
            listed = (await api.as_(phone.token)("GET", "/api/v1/trips")).json["data"]
            return [trip["id"] for trip in listed] == [str(their_trip.id)]

        await until(follows, within_s=FOLLOWED_WITHIN_S)


async def test_changes_at_once_leave_one_unbroken_history(owner: Api, org: Org, services: Services):
    phone = await org.phone(running=False)
    drivers = [(await services.directory.add_driver(org.owner, name=f"D{n}")).id for n in range(6)]
    await asyncio.gather(*(give(owner, phone, driverId=driver) for driver in drivers))
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch(
            "SELECT * FROM device_assignments WHERE device_id = $1 ORDER BY from_at", phone.device_id
        )
    assert {row["driver_id"] for row in rows} == {phone.driver_id, *drivers}
    assert [row["until_at"] for row in rows] == [*(row["from_at"] for row in rows[1:]), None]
    assert str(rows[-1]["driver_id"]) == (await device(owner, phone))["driverId"]


async def test_a_device_without_a_history_gets_one_with_its_first_change(
    api: Api, owner: Api, org: Org, services: Services
):
    """A node of the version before may have made it after the migration."""
    phone = await org.phone()
    await begun_an_hour_ago(services, phone)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("DELETE FROM device_assignments")
        await conn.execute("UPDATE devices SET created_at = now() - interval '2 hours'")
    await report(api, phone, location(60, latitude=-17.1))
    theirs, _ = await other_driver(org, services)
    await give(owner, phone, driverId=theirs)
    await report(api, phone, location(30, latitude=-17.2))
    assert await track(owner, phone.trip) == [-17.1, -17.2]


async def test_when_a_phone_was_last_seen_is_kept(owner: Api, org: Org, services: Services):
    phone = await org.phone()
    assert "lastSeenAt" not in await device(owner, phone)
    await services.watch.note_seen(set())
    seen = await device(owner, phone)
    assert datetime.fromisoformat(seen["lastSeenAt"]) > services.clock.now() - timedelta(minutes=1)
    assert seen["version"] == 1
