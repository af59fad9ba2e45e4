"""Batches that a critical reader thought of: crowds, fast clocks, two phones in a truck, bytes that are no text."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_http_tracking import location, ping
from tests.waiting import listening


async def test_a_crowd_of_first_batches_of_one_phone_is_stored_once_without_a_deadlock(api: Api, org: Org):
    for _ in range(5):
        phone = await org.phone()
        sent = [location(n / 10, latitude=-17 - n / 1000) for n in range(300)]
        answers = await asyncio.gather(*(ping(api, phone, *sent[:: 1 if n % 2 else -1]) for n in range(4)))
        assert sum(answer["accepted"] for answer in answers) == 300
        assert all(answer["accepted"] + answer["duplicates"] == 300 for answer in answers)


async def test_a_clock_ahead_of_ours_keeps_its_own_order(api: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    async with listening(api.url, await org.token()) as socket:
        await socket.join_fleet()
        ahead = [location(-60 - n, latitude=-17 - n / 10) for n in range(5)]
        assert (await ping(api, phone, *ahead))["accepted"] == 5
        event = await socket.next("fleet:positions")
    newest = await api.as_(await org.token())("GET", f"/api/v1/tracking/trips/{phone.trip.id}/latest")
    assert (newest.json["latitude"], event["positions"][0]["latitude"]) == (-17.4, -17.4)


async def test_of_two_phones_in_one_truck_the_newer_fix_is_the_trucks_position(api: Api, org: Org):
    first = await org.phone(in_truck=True)
    truck = first.principal.vehicle_id
    directory = org.services.directory
    _, token = await directory.add_device(org.owner, name="Second", driver_id=first.driver_id, truck_id=truck)
    async with listening(api.url, await org.token()) as socket:
        await socket.join_fleet()
        await ping(api, first, location(5, latitude=-17.1))
        await socket.next("fleet:positions")
        older = {"locations": [location(50, latitude=-17.2)]}
        assert (await api.as_(token)("POST", "/api/v1/tracking/ping", older)).json["accepted"] == 1
        fence = await org.phone()
        await ping(api, fence, location(0))
        await socket.next("fleet:positions", lambda e: str(fence.device_id) in {p["vehicleId"] for p in e["positions"]})
        shown = [p["latitude"] for e in socket.all("fleet:positions") for p in e["positions"]]
    assert -17.2 not in shown
    everyone = (await api.as_(await org.token())("GET", "/api/v1/tracking/latest")).json["data"]
    assert [p["latitude"] for p in everyone if p["vehicleId"] == str(truck)] == [-17.1]


async def test_what_one_location_holds_is_that_locations_own_fault(api: Api, org: Org):
    phone = await org.phone()
    good = json.dumps(location(1)).encode()
    bodies = [
        b'{"locations": [{"latitude": "\xff"}, ' + good + b"]}",
        b'{"stream": "%s", "locations": [{"n": %s}, %s]}' % (str(uuid4()).encode(), b"9" * 4000, good),
    ]
    for body in bodies:
        answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", data=body)
        assert answer.status == 200
        assert len(answer.json["rejected"]) == 1


async def test_a_number_of_thousands_of_digits_is_no_key(api: Api, org: Org):
    phone = await org.phone()
    fix = json.dumps(location(1))[:-1] + ', "n": ' + "9" * 4000 + "}"
    body = f'{{"stream": "{uuid4()}", "locations": [{fix}]}}'.encode()
    assert (await api.as_(phone.token)("POST", "/api/v1/tracking/ping", data=body)).json["accepted"] == 1


@pytest.mark.parametrize("limit", ["000000100999", "9" * 30, "0000000001"])
async def test_a_limit_written_long_is_no_way_round_its_bound(api: Api, org: Org, limit: str):
    answer = await api.as_(await org.token())("GET", f"/api/v1/trips?limit={limit}")
    assert (answer.status, answer.json["code"]) == (400, "bad-query")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z"])
async def test_a_moment_beyond_all_plans_names_its_field(api: Api, org: Org, at: str):
    answer = await api.as_(await org.token())("POST", "/api/v1/trips", {"plannedStartAt": at})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "plannedStartAt")


@pytest.mark.parametrize(("path", "field"), [("trips", "reference"), ("drivers", "name")])
async def test_a_blank_name_is_none(api: Api, org: Org, path: str, field: str):
    answer = await api.as_(await org.token())("POST", f"/api/v1/{path}", {field: " \t "})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_a_fix_of_the_last_trip_is_not_booked_to_the_one_that_was_named(api: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    staff = api.as_(await org.token())
    during_the_first = datetime.now(UTC)
    await staff("POST", f"/api/v1/trips/{phone.trip.id}/complete")
    second = (await staff("POST", "/api/v1/trips", {"driverId": str(phone.driver_id)})).json["id"]
    await staff("POST", f"/api/v1/trips/{second}/start")
    late = {"tripId": second, "locations": [location() | {"timestamp": during_the_first.isoformat()}]}
    await api.as_(phone.token)("POST", "/api/v1/tracking/ping", late)
    assert during_the_first > phone.trip.created_at - timedelta(seconds=1)
    tracks = [(await staff("GET", f"/api/v1/trips/{trip}/locations")).json["data"] for trip in (phone.trip.id, second)]
    assert [len(track) for track in tracks] == [1, 0]
