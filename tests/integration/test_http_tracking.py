"""A phone reports over HTTP, a dispatcher reads."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone


def location(seconds_ago: float = 0, **fields: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return {"latitude": -17.8252, "longitude": 31.0335, "timestamp": at.isoformat(), **fields}


async def ping(api: Api, phone: Phone, *locations: object, **fields: object) -> Any:
    """Report as ``phone`` for its trip; the answer's body."""
    trip = {"tripId": str(phone.trip.id)} if phone.trip else {}
    body = {**trip, **fields, "locations": list(locations)}
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", body)
    assert answer.status == 200
    return answer.json


async def test_a_batch_is_answered_with_one_outcome_a_location(api: Api, org: Org):
    phone = await org.phone()
    sent = [
        location(3, speed=13.4, heading=271, accuracy=6.5, battery=76),
        location(2, latitude=0, longitude=0),
        location(1, longitude=1555),
        location(timestamp="yesterday"),
        location(-3600),
        location(86400 * 400),
        "nothing",
        location(1, accuracy=5000),
    ]
    body = await ping(api, phone, *sent)
    assert body["accepted"] == 2
    assert body["duplicates"] == 0
    assert {(r["index"], r["reason"]) for r in body["rejected"]} == {
        (1, "zero_island"), (2, "bad_coordinates"), (3, "bad_time"), (4, "future"), (5, "too_old"), (6, "malformed"),
    }  # fmt: skip
    assert body["flagged"] == [{"index": 7, "flags": ["poor_accuracy"]}]
    assert body["accepted"] + body["duplicates"] + len(body["rejected"]) == len(sent)
    assert body["nextMs"] > 0


async def test_a_resent_batch_adds_nothing(api: Api, org: Org):
    phone = await org.phone()
    stream, sent = str(uuid4()), [location(n, n=n) for n in range(20)]
    first, again = await ping(api, phone, *sent, stream=stream), await ping(api, phone, *sent, stream=stream)
    assert (first["accepted"], first["duplicates"]) == (20, 0)
    assert (again["accepted"], again["duplicates"]) == (0, 20)
    assert phone.trip is not None
    track = await api.as_(await org.token())("GET", f"/api/v1/trips/{phone.trip.id}/locations?limit=200")
    assert len(track.json["data"]) == 20


async def test_of_one_number_the_first_stays_whatever_the_second_says(api: Api, org: Org):
    phone = await org.phone()
    stream = str(uuid4())
    await ping(api, phone, location(5, n=7), stream=stream)
    assert (await ping(api, phone, location(4, n=7, latitude=-18), stream=stream))["duplicates"] == 1
    named = await ping(api, phone, location(3, id="a"), location(2, id="a"))
    assert (named["accepted"], named["duplicates"]) == (1, 1)


async def test_the_position_is_the_newest_whatever_order_fixes_come_in(api: Api, org: Org):
    phone = await org.phone()
    await ping(api, phone, location(10, latitude=-17.10))
    assert (await ping(api, phone, location(100, latitude=-17.20)))["late"] == 1
    assert phone.trip is not None
    staff = api.as_(await org.token())
    newest = await staff("GET", f"/api/v1/tracking/trips/{phone.trip.id}/latest")
    assert newest.json["latitude"] == -17.10
    assert newest.headers["Cache-Control"] == "no-store"
    everyone = await staff("GET", "/api/v1/tracking/latest")
    assert [(p["latitude"], p["tripId"]) for p in everyone.json["data"]] == [(-17.10, str(phone.trip.id))]
    assert (everyone.json["hasMore"], everyone.json["nextCursor"]) == (False, None)


async def test_a_doubtful_fix_is_stored_but_moves_nothing(api: Api, org: Org):
    phone = await org.phone()
    await ping(api, phone, location(10))
    mocked = await ping(api, phone, location(1, latitude=-19, mock=True))
    assert mocked["flagged"] == [{"index": 0, "flags": ["mock"]}]
    assert phone.trip is not None
    staff = api.as_(await org.token())
    assert (await staff("GET", f"/api/v1/tracking/trips/{phone.trip.id}/latest")).json["latitude"] == -17.8252
    good = await staff("GET", f"/api/v1/trips/{phone.trip.id}/locations")
    everything = await staff("GET", f"/api/v1/trips/{phone.trip.id}/locations?flagged=true")
    assert (len(good.json["data"]), len(everything.json["data"])) == (1, 2)


async def test_a_fix_outside_any_trip_still_moves_the_vehicle(api: Api, org: Org):
    phone = await org.phone(running=False, in_truck=True)
    await ping(api, phone, location(1))
    (position,) = (await api.as_(await org.token())("GET", "/api/v1/tracking/latest")).json["data"]
    assert "tripId" not in position
    assert position["vehicleName"].startswith("Truck")


async def test_a_backlog_of_weeks_without_a_partition_is_stored(api: Api, org: Org):
    phone = await org.phone(running=False)
    weeks = [location(86400 * 7 * week) for week in range(1, 30)]
    assert (await ping(api, phone, *weeks))["accepted"] == 29


async def test_unknown_values_stay_unknown(api: Api, org: Org):
    phone = await org.phone()
    sent = location(1, speed=-1, heading=-1, accuracy=0, battery=None, altitude="high")
    await ping(api, phone, sent)
    (position,) = (await api.as_(await org.token())("GET", "/api/v1/tracking/latest")).json["data"]
    assert not {"speed", "heading", "accuracy", "battery", "altitude"} & position.keys()


async def test_another_drivers_trip_does_not_exist(api: Api, org: Org):
    mine, theirs = await org.phone(), await org.phone()
    assert theirs.trip is not None
    body = {"tripId": str(theirs.trip.id), "driverId": str(theirs.driver_id), "locations": [location()]}
    answer = await api.as_(mine.token)("POST", "/api/v1/tracking/ping", body)
    assert (answer.status, answer.json["code"]) == (404, "trip-not-found")


async def test_people_do_not_report(api: Api, org: Org):
    answer = await api.as_(await org.token())("POST", "/api/v1/tracking/ping", {"locations": [location()]})
    assert (answer.status, answer.json["code"]) == (403, "denied")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 400, "not-json", None),
        (b"\xff\xfe", 400, "not-json", None),
        (b'{"locations":' + b"[" * 200_000, 400, "not-json", None),
        (b"[]", 422, "invalid", "body"),
        (b"{}", 422, "invalid", "locations"),
        (b'{"locations": []}', 422, "invalid", "locations"),
        (b'{"locations": 3}', 422, "invalid", "locations"),
        (b'{"locations": [{}], "tripId": "x"}', 422, "invalid", "tripId"),
        (json.dumps({"locations": [{}] * 1001}).encode(), 413, "too-many-locations", None),
        (b'{"locations": ["' + b"x" * 1024 * 1024 + b'"]}', 413, "body-too-large", None),
    ],
)
async def test_a_malformed_batch_gets_a_problem_that_names_the_field(
    api: Api, org: Org, body: bytes, status: int, code: str, field: str | None
):
    phone = await org.phone(running=False)
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", data=io.BytesIO(body))
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json["requestId"] == answer.headers["X-Request-Id"]
    if field is not None:
        assert [e["field"] for e in answer.json["errors"]] == [field]


async def test_a_number_out_of_range_is_that_locations_own_fault(api: Api, org: Org):
    phone = await org.phone()
    good = json.dumps(location(1))
    body = f'{{"locations": [{{"latitude": 1e999}}, {good}]}}'.encode()
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", data=body)
    assert answer.json["accepted"] == 1
    assert [(r["index"], r["reason"]) for r in answer.json["rejected"]] == [(0, "malformed")]


async def test_a_compressed_batch_is_read_and_a_bomb_is_cut_off(api: Api, org: Org):
    phone = await org.phone()
    packed = gzip.compress(json.dumps({"locations": [location(1)]}).encode())
    call, gz = api.as_(phone.token), {"Content-Encoding": "gzip"}
    assert (await call("POST", "/api/v1/tracking/ping", data=packed, headers=gz)).json["accepted"] == 1
    bomb = gzip.compress(b" " * 200 * 1024 * 1024)
    assert (await call("POST", "/api/v1/tracking/ping", data=bomb, headers=gz)).status == 413
    broken = await call("POST", "/api/v1/tracking/ping", data=b"not gzip at all", headers=gz)
    assert (broken.status, broken.json["code"]) == (400, "bad-encoding")


async def test_the_track_pages_forwards_and_backwards_without_gaps(api: Api, org: Org):
    phone = await org.phone()
    await ping(api, phone, *(location(n, latitude=-17 - n / 10_000) for n in range(25)))
    assert phone.trip is not None
    staff = api.as_(await org.token())
    for order in ("asc", "desc"):
        seen: list[str] = []
        cursor = ""
        while True:
            path = f"/api/v1/trips/{phone.trip.id}/locations?limit=10&order={order}{cursor}"
            page = (await staff("GET", path)).json
            seen += [fix["recordedAt"] for fix in page["data"]]
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == sorted(seen, reverse=order == "desc")
        assert len(set(seen)) == 25


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=zzz", "order=up", "flagged=maybe", "format=kml", "limti=3"]
)
async def test_a_bad_query_is_a_400(api: Api, org: Org, query: str):
    phone = await org.phone()
    assert phone.trip is not None
    answer = await api.as_(await org.token())("GET", f"/api/v1/trips/{phone.trip.id}/locations?{query}")
    assert answer.status == 400
