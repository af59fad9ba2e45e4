"""Track files become a trip's history: once, never live, whatever is in them."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.conftest import Answer, Api
from tests.factories import Org, Phone, organisation
from tests.tracks import now_ms
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.tracking.http_imports import LARGEST_FILE_BYTES
from waypost.tracking.track_files import geojson_pieces, gpx_pieces
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services

GPX, GEOJSON = {"Content-Type": "application/gpx+xml"}, {"Content-Type": "application/geo+json"}


def gpx(times: Sequence[datetime | None], latitude: float = -17.8) -> bytes:
    """A track northwards, a point for each time."""
    points = "".join(
        f'<trkpt lat="{latitude + n / 10_000:.6f}" lon="31.05">{f"<time>{at.isoformat()}</time>" if at else ""}</trkpt>'
        for n, at in enumerate(times)
    )
    head = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">'
    return f"{head}<trk><trkseg>{points}</trkseg></trk></gpx>".encode()


def geojson(times: Sequence[datetime], latitude: float = -17.8) -> bytes:
    """The same."""
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [31.05, round(latitude + n / 10_000, 6)]},
         "properties": {"time": at.isoformat()}}
        for n, at in enumerate(times)
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def every_5_s(count: int, begin: datetime) -> list[datetime]:
    return [begin + timedelta(seconds=5 * n) for n in range(count)]


LONGEST_SHARE = 0.25  # a turn's, of reading the file once; without turns it is all of it
TRIES = 3


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage is looked for meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def add(api: Api, phone: Phone, body: bytes, headers: dict[str, str] = GPX) -> Answer:
    assert phone.trip is not None
    return await api("POST", f"/api/v1/trips/{phone.trip.id}/import", data=io.BytesIO(body), headers=headers)


async def track(api: Api, phone: Phone) -> list[dict[str, Any]]:
    assert phone.trip is not None
    answer = await api("GET", f"/api/v1/trips/{phone.trip.id}/locations?format=geojson&flagged=true")
    return list(answer.json["features"])


async def test_a_file_is_stored_once_however_often_and_in_whatever_form_it_comes(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    times = every_5_s(2500, now_ms() - timedelta(hours=5))
    first = await add(staff, phone, gpx(times))
    assert (first.status, first.json["points"], first.json["accepted"]) == (200, 2500, 2500)
    for again in (await add(staff, phone, gpx(times)), await add(staff, phone, geojson(times), GEOJSON)):
        assert (again.json["accepted"], again.json["duplicates"]) == (0, 2500)
    found = await track(staff, phone)
    assert [datetime.fromisoformat(feature["properties"]["time"]) for feature in found] == times


async def test_every_point_has_one_outcome(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    now = now_ms()
    times = [now, None, now + timedelta(days=1), now - timedelta(days=4000), *every_5_s(3, now - timedelta(hours=1))]
    answer = (await add(staff, phone, gpx(times))).json
    assert (answer["points"], answer["accepted"], answer["withoutTime"]) == (7, 4, 1)
    assert answer["reasons"] == {"future": 1, "too_old": 1}
    assert [(item["index"], item["reason"]) for item in answer["rejected"]] == [(2, "future"), (3, "too_old")]


async def test_of_many_rejected_the_first_hundred_are_named_and_all_counted(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    answer = (await add(staff, phone, gpx(every_5_s(1500, now_ms() + timedelta(days=2))))).json
    assert (len(answer["rejected"]), answer["reasons"], answer["accepted"]) == (100, {"future": 1500}, 0)


async def test_nothing_of_it_becomes_live(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    assert phone.trip is not None
    assert (await add(staff, phone, gpx(every_5_s(10, now_ms() - timedelta(minutes=1))))).json["accepted"] == 10
    assert (await staff("GET", "/api/v1/tracking/latest")).json["data"] == []
    latest = await staff("GET", f"/api/v1/tracking/trips/{phone.trip.id}/latest")
    assert (latest.status, latest.json["code"]) == (404, "no-position-yet")
    here = {"latitude": -17.5, "longitude": 31.0, "timestamp": (now_ms() - timedelta(minutes=30)).isoformat()}
    reported = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": [here]})
    assert (reported.json["accepted"], reported.json["late"]) == (1, 0)
    assert len((await staff("GET", "/api/v1/tracking/latest")).json["data"]) == 1


async def test_the_fixes_are_the_device_s_that_the_driver_had_then_else_the_trip_stands_for_one(
    api: Api, org: Org, services: Services
):
    phone, staff = await org.phone(in_truck=True), api.as_(await org.token())
    assert phone.trip is not None
    async with services.database.transaction(SYSTEM) as conn:
        (known,) = await conn.fetch("SELECT from_at FROM device_assignments WHERE driver_id = $1", phone.driver_id)
    before, since = known["from_at"] - timedelta(days=1), now_ms()
    assert (await add(staff, phone, gpx([before, since]))).json["accepted"] == 2
    async with services.database.transaction(org.org_id) as conn:
        rows = await conn.fetch("SELECT device_id, vehicle_id, driver_id FROM fixes ORDER BY recorded_at")
    assert [row["device_id"] for row in rows] == [phone.trip.id, phone.device_id]
    assert rows[1]["vehicle_id"] == phone.principal.vehicle_id


async def test_what_a_phone_has_reported_is_not_added_once_more(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    times = every_5_s(5, now_ms())
    body = {"locations": [{"latitude": round(-17.8 + n / 10_000, 6), "longitude": 31.05, "timestamp": at.isoformat()}
                          for n, at in enumerate(times[:1])]}  # fmt: skip
    assert (await api.as_(phone.token)("POST", "/api/v1/tracking/ping", body)).json["accepted"] == 1
    assert (await add(staff, phone, gpx(times[:1]))).json["duplicates"] == 1


async def test_a_trip_that_has_never_run_takes_the_track_of_last_year_s_day(api: Api, org: Org, services: Services):
    """Whose weeks the trip's own run does not name: what is read back goes by where files have put fixes."""
    phone, staff = await org.phone(running=False), api.as_(await org.token())
    trip = await services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))
    planned = Phone(phone.token, phone.device_id, phone.driver_id, phone.principal, trip)
    long_ago = now_ms() - timedelta(days=100)
    assert (await add(staff, planned, gpx(every_5_s(20, long_ago)))).json["accepted"] == 20
    assert len(await track(staff, planned)) == 20
    await services.trips.move(org.owner, trip.id, Move.START)
    assert (await add(staff, planned, gpx(every_5_s(3, now_ms() - timedelta(seconds=30))))).json["accepted"] == 3
    assert len(await track(staff, planned)) == 23


@pytest.mark.parametrize("role", [Role.ACCOUNTANT, Role.VIEWER, Role.DRIVER])
async def test_only_who_plans_trips_imports(api: Api, org: Org, role: Role):
    phone = await org.phone()
    _, number = await org.person(role)
    assert (await add(api.as_(await org.token(number)), phone, gpx([now_ms()]))).status == 403


async def test_a_trips_receiver_cannot_add_to_it(api: Api, org: Org, services: Services):
    receiver = await organisation(services, "Bulawayo Bulk")
    phone = await org.phone(to=receiver.org_id)
    answer = await add(api.as_(await receiver.token()), phone, gpx([now_ms()]))
    assert (answer.status, answer.json["code"]) == (404, "trip-not-found")


TOO_LARGE_INSIDE = gzip.compress(b" " * (LARGEST_FILE_BYTES + 1), mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"<gpx/>", {"Content-Type": "text/plain"}, 415, "no-track-file"),
        (b"<gpx/>", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "no-track-file"),
        (b"<gpx/>", GPX, 422, "track-file-unreadable"),
        (b"", GEOJSON, 422, "track-file-unreadable"),
        (b"<!DOCTYPE gpx><gpx/>", {"Content-Type": "text/xml"}, 422, "track-file-unreadable"),
        (b" " * (LARGEST_FILE_BYTES + 1), GPX, 413, "body-too-large"),
        (TOO_LARGE_INSIDE, GPX | {"Content-Encoding": "gzip"}, 413, "body-too-large"),
        (b"no gzip", GPX | {"Content-Encoding": "gzip"}, 400, "bad-encoding"),
    ],
)
async def test_what_is_no_track_file_is_refused(
    api: Api, org: Org, body: bytes, headers: dict[str, str], status: int, code: str
):
    answer = await add(api.as_(await org.token()), await org.phone(), body, headers)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_file_that_turns_out_to_be_none_at_its_end_leaves_nothing(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    body = gpx(every_5_s(3000, now_ms() - timedelta(hours=5))).removesuffix(b"</gpx>")
    assert (await add(staff, phone, body)).json["code"] == "track-file-unreadable"
    assert await track(staff, phone) == []


async def test_a_compressed_file_is_read_and_a_key_gives_the_same_answer(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    body = gzip.compress(gpx(every_5_s(30, now_ms() - timedelta(hours=1))))
    headers = GPX | {"Content-Encoding": "gzip", "Idempotency-Key": "import-1"}
    first, again = await add(staff, phone, body, headers), await add(staff, phone, body, headers)
    assert first.json["accepted"] == 30
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")


async def test_our_own_files_come_back_in(api: Api, org: Org):
    """What one trip gives, another takes: the same places, times, speeds."""
    phone, staff = await org.phone(), api.as_(await org.token())
    assert (await add(staff, phone, gpx(every_5_s(50, now_ms() - timedelta(hours=1))))).json["accepted"] == 50
    assert phone.trip is not None
    for format_, headers in (("gpx", GPX), ("geojson", GEOJSON)):
        answer = await staff("GET", f"/api/v1/trips/{phone.trip.id}/locations?format={format_}")
        body = answer.json if format_ == "gpx" else json.dumps(answer.json).encode()
        other = await org.phone()
        assert (await add(staff, other, body, headers)).json["accepted"] == 50
        copied, own = await track(staff, other), await track(staff, phone)
        assert [f["geometry"] for f in copied] == [f["geometry"] for f in own]
        assert [f["properties"]["time"] for f in copied] == [f["properties"]["time"] for f in own]


async def test_an_import_is_audited(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    await add(staff, phone, gpx([now_ms()]))
    entries = (await staff("GET", "/api/v1/audit?action=trip.track-imported")).json["data"]
    assert [entry["detail"] for entry in entries] == [{"points": 1, "accepted": 1}]


@pytest.mark.parametrize(
    "body",
    [
        b"<gpx>" + b'<trkpt lat="50.123456" lon="8.123456"><ele>1</ele></trkpt>' * 130_000 + b"</gpx>",
        b"<gpx>" + b"<a/>" * 990_000 + b"</gpx>",
        b'{"type":"FeatureCollection","features":[' + b'{"type":"Feature"},' * 150_000 + b"0]}",
    ],
    ids=["no times", "no points", "no geometries"],
)
async def test_no_file_keeps_the_others_waiting(api: Api, org: Org, body: bytes):
    """No turn of the loop takes more than a part of what it takes to read the file, by its thread's CPU, however slow
    the machine. A turn that is too long is so each time; what a machine counts into one turn by chance is not.
    """
    phone, staff = await org.phone(), api.as_(await org.token())
    shares: list[float] = []
    while len(shares) < TRIES and min(shares, default=1) >= LONGEST_SHARE:
        with no_collection():  # of all that other tests have left in this process
            shares.append(await longest_turn(staff, phone, body) / reading(body))
    assert min(shares) < LONGEST_SHARE, shares


async def longest_turn(staff: Api, phone: Phone, body: bytes) -> float:
    """Of the loop while it takes in the file; CPU seconds."""
    turns: list[float] = []

    async def tick() -> None:
        while True:
            turns.append(time.thread_time())
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await add(staff, phone, body, GPX if body.startswith(b"<") else GEOJSON)
    ticking.cancel()
    return max(b - a for a, b in pairwise(turns))


def reading(body: bytes) -> float:
    """CPU seconds of reading all of the file at once."""
    began = time.thread_time()
    deque((gpx_pieces if body.startswith(b"<") else geojson_pieces)(body), maxlen=0)
    return time.thread_time() - began


async def test_a_file_that_is_too_long_is_refused_with_its_own_word(api: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    answer = await add(staff, phone, b"<gpx>" + b"<trkpt/>" * 200_001 + b"</gpx>")
    assert (answer.status, answer.json["code"]) == (413, "track-file-too-long")
    assert await track(staff, phone) == []
