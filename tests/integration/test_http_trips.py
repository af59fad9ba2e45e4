"""Trips: their life, who sees them, two organisations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from waypost.wiring import Services

MOVES = ("start", "complete", "cancel")
AFTER = {
    ("planned", "start"): "started",
    ("planned", "cancel"): "cancelled",
    ("started", "complete"): "completed",
    ("started", "cancel"): "cancelled",
}
WAY_TO = {"planned": (), "started": ("start",), "completed": ("start", "complete"), "cancelled": ("cancel",)}


@pytest.mark.parametrize("status", WAY_TO)
@pytest.mark.parametrize("move", MOVES)
async def test_each_move_is_allowed_or_is_a_409_that_names_the_status(api: Api, org: Org, status: str, move: str):
    call = api.as_(await org.token())
    driver = (await call("POST", "/api/v1/drivers", {"name": "Rudo"})).json["id"]
    trip = (await call("POST", "/api/v1/trips", {"driverId": driver})).json["id"]
    for step in WAY_TO[status]:
        assert (await call("POST", f"/api/v1/trips/{trip}/{step}")).status == 200
    answer = await call("POST", f"/api/v1/trips/{trip}/{move}")
    if (status, move) in AFTER:
        assert (answer.status, answer.json["status"]) == (200, AFTER[status, move])
    else:
        assert (answer.status, answer.json["code"]) == (409, "trip-status")
        assert status in answer.json["detail"]
        assert (await call("GET", f"/api/v1/trips/{trip}")).json["status"] == status


async def test_a_trip_is_planned_changed_and_told_in_its_events(api: Api, org: Org):
    call = api.as_(await org.token())
    driver = (await call("POST", "/api/v1/drivers", {"name": "Rudo"})).json["id"]
    made = await call("POST", "/api/v1/trips", {"origin": "Depot", "plannedStartAt": "2026-11-23T08:00:00+02:00"})
    assert (made.status, made.json["status"], made.json["version"]) == (201, "planned", 1)
    assert made.json["plannedStartAt"] == "2026-11-23T06:00:00.000Z"
    trip = made.json["id"]
    without = await call("POST", f"/api/v1/trips/{trip}/start")
    assert (without.status, without.json["code"]) == (409, "trip-without-driver")
    changed = await call("PATCH", f"/api/v1/trips/{trip}", {"driverId": driver, "origin": None})
    assert (changed.json["driverName"], changed.json["version"]) == ("Rudo", 2)
    assert "origin" not in changed.json
    await call("POST", f"/api/v1/trips/{trip}/start", {"reason": "loaded"})
    fixed = await call("PATCH", f"/api/v1/trips/{trip}", {"driverId": None})
    assert (fixed.status, fixed.json["code"]) == (409, "trip-status")
    events = (await call("GET", f"/api/v1/trips/{trip}/events")).json["data"]
    assert [(e["kind"], e["actorName"]) for e in events] == [
        ("started", "Owner"),
        ("changed", "Owner"),
        ("created", "Owner"),
    ]
    assert events[0]["data"] == {"reason": "loaded"}


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ({"driverId": "01980000-0000-7000-8000-000000000000"}, 404, "driver-not-found"),
        ({"truckId": "01980000-0000-7000-8000-000000000000"}, 404, "truck-not-found"),
        ({"customerId": "01980000-0000-7000-8000-000000000000"}, 404, "customer-not-found"),
        ({"destinationOrgId": "01980000-0000-7000-8000-000000000000"}, 404, "organisation-not-found"),
        ({"driverId": "x"}, 422, "driverId"),
        ({"reference": ""}, 422, "reference"),
        ({"reference": "x" * 101}, 422, "reference"),
        ({"plannedStartAt": "tomorrow"}, 422, "plannedStartAt"),
        ({"plannedStartAt": "2026-11-23T08:00:00"}, 422, "plannedStartAt"),
        ({"status": "started"}, 422, "status"),
        ({"origin": "a\x00b"}, 422, "origin"),
    ],
)
async def test_a_bad_trip_is_not_made(api: Api, org: Org, body: object, status: int, what: str):
    answer = await api.as_(await org.token())("POST", "/api/v1/trips", body)
    assert answer.status == status
    assert what in (answer.json["code"], *(e["field"] for e in answer.json.get("errors", ())))


async def test_of_two_starts_at_once_one_wins(api: Api, org: Org):
    call = api.as_(await org.token())
    driver = (await call("POST", "/api/v1/drivers", {"name": "Rudo"})).json["id"]
    for _ in range(10):
        trips = [(await call("POST", "/api/v1/trips", {"driverId": driver})).json["id"] for _ in range(2)]
        answers = await asyncio.gather(*(call("POST", f"/api/v1/trips/{trip}/start") for trip in trips))
        assert sorted(a.status for a in answers) == [200, 409]
        (lost,) = [a for a in answers if a.status == 409]
        assert lost.json["code"] == "driver-busy"
        (won,) = [a for a in answers if a.status == 200]
        await call("POST", f"/api/v1/trips/{won.json['id']}/complete")


async def test_the_list_filters_and_pages_without_gaps_or_repeats(api: Api, org: Org):
    call = api.as_(await org.token())
    for _ in range(7):
        await call("POST", "/api/v1/trips", {})
    running = await org.phone()
    assert running.trip is not None
    started = (await call("GET", "/api/v1/trips?status=started")).json["data"]
    assert [t["id"] for t in started] == [str(running.trip.id)]
    by_driver = (await call("GET", f"/api/v1/trips?driverId={running.driver_id}")).json["data"]
    assert [t["id"] for t in by_driver] == [str(running.trip.id)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await call("GET", f"/api/v1/trips?limit=3{cursor}")).json
        seen += [t["id"] for t in page["data"]]
        if not page["hasMore"]:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 8
    assert seen == sorted(seen, reverse=True)
    assert (await call("GET", "/api/v1/trips?status=flying")).json["code"] == "bad-query"


async def test_a_driver_and_a_phone_see_their_own_trips_only(api: Api, org: Org):
    mine, theirs = await org.phone(), await org.phone()
    assert mine.trip is not None
    assert theirs.trip is not None
    call = api.as_(mine.token)
    assert [t["id"] for t in (await call("GET", "/api/v1/trips")).json["data"]] == [str(mine.trip.id)]
    assert (await call("GET", f"/api/v1/trips/{theirs.trip.id}")).status == 404
    assert (await call("POST", f"/api/v1/trips/{theirs.trip.id}/complete")).status == 404
    assert (await call("POST", f"/api/v1/trips/{mine.trip.id}/cancel")).status == 403
    assert (await call("POST", f"/api/v1/trips/{mine.trip.id}/complete")).json["status"] == "completed"
    assert (await call("GET", "/api/v1/drivers")).status == 403


async def test_sender_and_receiver_both_see_a_trip_and_nothing_else_of_each_other(
    api: Api, org: Org, services: Services
):
    receiver, stranger = await organisation(services, "Receiver"), await organisation(services, "Stranger")
    sent, kept = await org.phone(to=receiver.org_id), await org.phone()
    assert sent.trip is not None
    assert kept.trip is not None
    theirs = api.as_(await receiver.token())
    assert [t["id"] for t in (await theirs("GET", "/api/v1/trips")).json["data"]] == [str(sent.trip.id)]
    seen = (await theirs("GET", f"/api/v1/trips/{sent.trip.id}")).json
    assert seen["destinationOrgId"] == str(receiver.org_id)
    assert not {"driverId", "driverName", "truckId", "truckName", "customerId", "customerName"} & seen.keys()
    (event, *_) = (await theirs("GET", f"/api/v1/trips/{sent.trip.id}/events")).json["data"]
    assert "actorName" not in event
    at = {"latitude": -17.8, "longitude": 31.0, "timestamp": datetime.now(UTC).isoformat()}
    body = {"tripId": str(sent.trip.id), "locations": [at]}
    assert (await api.as_(sent.token)("POST", "/api/v1/tracking/ping", body)).json["accepted"] == 1
    position = (await theirs("GET", f"/api/v1/tracking/trips/{sent.trip.id}/latest")).json
    assert position["latitude"] == -17.8
    assert not {"deviceId", "driverId", "vehicleName"} & position.keys()
    assert (await theirs("GET", f"/api/v1/trips/{sent.trip.id}/locations")).status == 200
    assert (await theirs("GET", f"/api/v1/trips/{kept.trip.id}")).status == 404
    assert (await theirs("POST", f"/api/v1/trips/{sent.trip.id}/complete")).status == 403
    assert (await theirs("GET", "/api/v1/drivers")).json["data"] == []
    nobody = api.as_(await stranger.token())
    unknown = await nobody("GET", f"/api/v1/trips/{UUID(int=7)}")
    for path in ("", "/events", "/locations"):
        answer = await nobody("GET", f"/api/v1/trips/{sent.trip.id}{path}")
        assert answer.json | {"requestId": ""} == unknown.json | {"requestId": ""}


async def test_an_id_that_is_none_and_a_method_that_is_none_are_problems(api: Api, org: Org):
    call = api.as_(await org.token())
    assert (await call("GET", "/api/v1/trips/not-an-id")).json["code"] == "trip-not-found"
    wrong = await call("DELETE", "/api/v1/trips")
    assert (wrong.status, wrong.json["code"]) == (405, "method-not-allowed")
    assert "POST" in wrong.headers["Allow"]
    assert (await call("GET", "/api/v1/nothing")).json["code"] == "not-found"
