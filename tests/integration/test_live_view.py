"""The live position never goes back (P4), but for a fix that turns out to be a jump, which is said as such."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.integration.test_http_tracking import location, ping
from tests.integration.test_sockets import far, trip_id
from tests.waiting import Listener, listening
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

__all__ = ["far"]  # the fixture

HOME, ELSEWHERE = -17.8, -18.7
NEAR = -17.801


async def latest(api: Api, phone: Phone) -> dict[str, Any]:
    """The vehicle's position as staff read it."""
    everyone = (await api("GET", "/api/v1/tracking/latest")).json["data"]
    (found,) = [position for position in everyone if position["vehicleId"] == str(phone.principal.vehicle_id)]
    return dict(found)


async def latest_of_trip(api: Api, phone: Phone) -> dict[str, Any]:
    return dict((await api("GET", f"/api/v1/tracking/trips/{trip_id(phone)}/latest")).json)


def told_of(socket: Listener, phone: Phone) -> list[dict[str, Any]]:
    """The positions of the vehicle that a fleet's watcher was told, in order."""
    events = socket.all("fleet:positions")
    return [p for event in events for p in event["positions"] if p["vehicleId"] == str(phone.principal.vehicle_id)]


def never_back(times: Sequence[str]) -> bool:
    return list(times) == sorted(times)


async def fence_off(api: Api, org: Org, *sockets: Listener) -> None:
    """Wait until another vehicle's report has come through to all: what was told before it is there by then."""
    fence = await org.phone()
    for socket in sockets:
        await socket.join(trip_id(fence))
    await ping(api, fence, location(0))
    for socket in sockets:
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(fence))
        await socket.next("fleet:positions", lambda e: str(fence.device_id) in {p["deviceId"] for p in e["positions"]})


def of_trip(socket: Listener, phone: Phone) -> list[dict[str, Any]]:
    return [event for event in socket.all("trip:location") if event["tripId"] == trip_id(phone)]


async def test_old_and_new_over_two_nodes_at_once_never_leave_the_old(api: Api, far: Api, org: Org):
    phone, staff = await org.phone(), (api.as_(await org.token()), far.as_(await org.token()))
    await ping(api, phone, location(300, latitude=HOME))
    async with listening(api.url, await org.token()) as here, listening(far.url, await org.token()) as there:
        for socket in (here, there):
            await socket.join_fleet()
            await socket.join(trip_id(phone))
        done = asyncio.Event()

        async def look(node: Api) -> list[str]:
            seen = []
            while not done.is_set():
                seen += [(await latest(node, phone))["recordedAt"], (await latest_of_trip(node, phone))["recordedAt"]]
            return seen

        looking = [asyncio.create_task(look(node)) for node in staff]
        for turn in range(12):
            new = [location(200 - turn * 10 - n, latitude=HOME + n / 1e5) for n in range(3)]
            old = location(250 + turn, latitude=HOME)
            both = [(api, new[0]), (far, old), (far, new[1]), (api, old), (far, new[2])]
            await asyncio.gather(*(ping(node, phone, each) for node, each in both))
            newest = max(each["timestamp"] for each in new)[:23]
            for node in staff:
                assert (await latest(node, phone))["recordedAt"][:23] == newest
                assert (await latest_of_trip(node, phone))["recordedAt"][:23] == newest
        done.set()
        for seen in await asyncio.gather(*looking):
            assert len(seen) > 2
            assert never_back(seen[::2])
            assert never_back(seen[1::2])
        await fence_off(api, org, here, there)
        for socket in (here, there):
            assert never_back([position["recordedAt"] for position in told_of(socket, phone)])
            assert told_of(socket, phone)[-1]["recordedAt"][:23] == newest
            assert of_trip(socket, phone)[-1]["locations"][-1]["recordedAt"][:23] == newest


async def test_of_a_backlog_sent_newest_first_only_the_newest_is_live(api: Api, far: Api, org: Org):
    phone = await org.phone()
    backlog = [location(seconds, latitude=-17.0 - seconds / 10_000) for seconds in range(1, 61)]
    async with listening(api.url, await org.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        for begin in range(0, 60, 10):
            answer = await ping((api, far)[begin // 10 % 2], phone, *backlog[begin : begin + 10])
            assert (answer["accepted"], answer["late"]) == (10, 0 if begin == 0 else 10)
            assert answer["latest"]["recordedAt"][:23] == backlog[0]["timestamp"][:23]
        await fence_off(far, org, socket)
        assert {position["latitude"] for position in told_of(socket, phone)} == {backlog[0]["latitude"]}
        (event,) = of_trip(socket, phone)
        assert [fix["latitude"] for fix in event["locations"]] == [each["latitude"] for each in backlog[9::-1]]
    staff = api.as_(await org.token())
    assert (await latest(staff, phone))["latitude"] == backlog[0]["latitude"]
    assert (await latest_of_trip(staff, phone))["latitude"] == backlog[0]["latitude"]


async def test_an_emptied_valkey_forgets_no_position_and_lets_no_older_one_pass(
    api: Api, far: Api, org: Org, services: Services
):
    phone, staff = await org.phone(), far.as_(await org.token())
    async with listening(far.url, await org.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        await ping(api, phone, location(60, latitude=HOME))
        await socket.next("fleet:positions")
        await services.redis.flushall()
        assert (await latest(staff, phone))["latitude"] == HOME
        assert (await socket.join_fleet())["positions"][0]["latitude"] == HOME
        assert (await ping(far, phone, location(90, latitude=NEAR)))["late"] == 1
        await ping(api, phone, location(30, latitude=-17.802))
        await fence_off(api, org, socket)
        assert [p["latitude"] for p in told_of(socket, phone)] == [HOME, -17.802]
        told = [e["locations"][0]["latitude"] for e in of_trip(socket, phone) if e["locations"]]
        assert told == [HOME, -17.802]
    assert (await latest(staff, phone))["latitude"] == -17.802


async def test_a_jump_is_withdrawn_as_its_successor_comes(api: Api, far: Api, org: Org):
    phone, staff = await org.phone(), api.as_(await org.token())
    wild = location(20, latitude=ELSEWHERE)
    async with listening(far.url, await org.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        await ping(api, phone, location(30, latitude=HOME))
        assert (await ping(api, phone, wild))["flagged"] == []
        assert (await latest(staff, phone))["latitude"] == ELSEWHERE
        await ping(api, phone, location(10, latitude=NEAR))
        await fence_off(api, org, socket)
        last = of_trip(socket, phone)[-1]
        assert [fix["latitude"] for fix in last["locations"]] == [NEAR]
        assert [at[:23] for at in last["withdrawn"]] == [wild["timestamp"][:23]]
        assert all("withdrawn" not in event for event in of_trip(socket, phone)[:-1])
        assert told_of(socket, phone)[-1]["latitude"] == NEAR
        joined = await socket.join(trip_id(phone))
        assert joined["position"]["latitude"] == NEAR
    assert (await latest(staff, phone))["latitude"] == NEAR
    track = await staff("GET", f"/api/v1/trips/{trip_id(phone)}/locations?flagged=true")
    assert [fix.get("flags", []) for fix in track.json["data"]] == [[], ["speed_jump"], []]


async def test_a_parked_phones_one_wild_fix_is_withdrawn_for_the_place_where_it_stands(api: Api, far: Api, org: Org):
    """The only way back: what came after the jump is drift, so the newest good fix is older than the jump."""
    phone, staff = await org.phone(), api.as_(await org.token())
    start, wild = location(3, latitude=HOME, accuracy=30), location(2, latitude=ELSEWHERE, accuracy=30)
    async with listening(far.url, await org.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        await ping(api, phone, start)
        await socket.next("fleet:positions", lambda e: e["positions"][0]["latitude"] == HOME)
        await ping(api, phone, wild)
        await socket.next("fleet:positions", lambda e: e["positions"][0]["latitude"] == ELSEWHERE)
        answer = await ping(far, phone, location(1, latitude=HOME + 1e-5, accuracy=30, speed=0))
        if answer["flagged"] != [{"index": 0, "flags": ["drift"]}]:
            pytest.skip("the ten minutes changed in between")
        assert answer["latest"]["recordedAt"][:23] == start["timestamp"][:23]
        event = await socket.next("trip:location", lambda e: "withdrawn" in e)
        assert [at[:23] for at in event["withdrawn"]] == [wild["timestamp"][:23]]
        assert [fix["latitude"] for fix in event["locations"]] == [HOME]
        fleet = await socket.next("fleet:positions", lambda e: any("withdrawn" in p for p in e["positions"]))
        (position,) = fleet["positions"]
        assert (position["latitude"], position["withdrawn"][:23]) == (HOME, wild["timestamp"][:23])
        for joined in (await socket.join(trip_id(phone)), {"position": (await socket.join_fleet())["positions"][0]}):
            assert joined["position"]["latitude"] == HOME
            assert "withdrawn" not in joined["position"]
        await ping(api, phone, location(0, latitude=NEAR))
        await fence_off(api, org, socket)
        assert [p["latitude"] for p in told_of(socket, phone)] == [HOME, ELSEWHERE, HOME, NEAR]
    assert (await latest(staff, phone))["latitude"] == NEAR


async def test_a_withdrawal_within_one_tick_leaves_the_place_that_stands(
    api: Api, org: Org, environment: dict[str, str]
):
    """What still waits for the tick is the very position that is withdrawn."""
    from tests.integration.test_sockets import node

    phone = await org.phone()
    sent = [
        location(3, latitude=HOME, accuracy=30),
        location(2, latitude=ELSEWHERE, accuracy=30),
        location(1, latitude=HOME, accuracy=30, speed=0),
    ]
    async with (
        node(environment | {"WAYPOST_FLEET_TICK_MS": "1000"}) as slow,
        listening(api.url, await org.token()) as socket,
    ):
        await socket.join_fleet()
        await ping(slow, await org.phone(), location(0))  # its tick begins
        await socket.next("fleet:positions")
        for each in sent:
            answer = await ping(slow, phone, each)
        if answer["flagged"] != [{"index": 0, "flags": ["drift"]}]:
            pytest.skip("the ten minutes changed in between")
        await socket.next("fleet:positions", lambda e: str(phone.device_id) in {p["deviceId"] for p in e["positions"]})
        assert told_of(socket, phone)[-1]["latitude"] == HOME


async def test_the_receiving_organisation_hears_of_a_withdrawal_too(api: Api, org: Org, services: Services):
    other = await organisation(services, "Bulawayo Bakers")
    phone = await org.phone(to=other.org_id)
    async with listening(api.url, await other.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        for seconds, latitude in ((30, HOME), (20, ELSEWHERE), (10, NEAR)):
            await ping(api, phone, location(seconds, latitude=latitude, battery=40))
            await socket.next("trip:location", lambda e, at=latitude: e["locations"][-1]["latitude"] == at)
            await socket.next("fleet:positions", lambda e, at=latitude: e["positions"][0]["latitude"] == at)
        last = of_trip(socket, phone)[-1]
        assert len(last["withdrawn"]) == 1
        assert not {"battery", "deviceId"} & last["locations"][0].keys()


async def test_a_verdict_that_makes_another_fix_the_newest_is_told_to_the_trips_watchers(api: Api, org: Org):
    """A jump at the end that a late fix explains: it was kept back, now it is where the vehicle is."""
    phone = await org.phone()
    far_off = location(10, latitude=ELSEWHERE, speed=3)
    async with listening(api.url, await org.token()) as socket:
        await socket.join(trip_id(phone))
        await socket.join_fleet()
        await ping(api, phone, location(30, latitude=HOME))
        assert (await ping(api, phone, far_off))["flagged"] == [{"index": 0, "flags": ["speed_jump"]}]
        await ping(api, phone, location(15, latitude=ELSEWHERE + 1e-4))
        joined = await socket.join(trip_id(phone))
        assert joined["position"]["latitude"] == ELSEWHERE
        await fence_off(api, org, socket)
        assert told_of(socket, phone)[-1]["latitude"] == ELSEWHERE
        assert of_trip(socket, phone)[-1]["locations"][-1]["latitude"] == ELSEWHERE


async def test_a_clock_that_was_set_right_takes_no_position_back_as_a_verdict_changes(api: Api, org: Org):
    """The fixes from before are the newest by the phone's own clock; by ours they are not."""
    phone, staff = await org.phone(), api.as_(await org.token())
    ahead = datetime.now(UTC) + timedelta(hours=1)
    wrong = [(ahead - timedelta(seconds=200 - n)).isoformat() for n in range(110)]
    answer = await ping(api, phone, *(location(timestamp=at, latitude=HOME) for at in wrong), sentAt=ahead.isoformat())
    assert len(answer["flagged"]) == 110
    for seconds, latitude in ((60, HOME), (50, ELSEWHERE), (40, NEAR)):
        now = datetime.now(UTC).isoformat()
        answer = await ping(api, phone, location(seconds, latitude=latitude), sentAt=now)
        assert (answer["accepted"], answer["late"]) == (1, 0)
    assert (await latest(staff, phone))["latitude"] == NEAR
    assert (await latest_of_trip(staff, phone))["latitude"] == NEAR


async def test_history_that_staff_bring_becomes_no_position_and_is_told_to_nobody(
    api: Api, org: Org, services: Services
):
    """Not even where it shows a live fix to be a jump, and the newest good one is the imported."""
    phone, staff = await org.phone(), api.as_(await org.token())
    live = [location(60, latitude=HOME), location(40, latitude=ELSEWHERE)]
    async with listening(api.url, await org.token()) as socket:
        await socket.join_fleet()
        await socket.join(trip_id(phone))
        for each in live:
            await ping(api, phone, each)
        at = datetime.now(UTC) - timedelta(seconds=20)
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE trips SET started_at = now() - interval '1 hour'")
        point = {"type": "Point", "coordinates": [31.0335, HOME]}
        track = {"type": "Feature", "geometry": point, "properties": {"time": at.isoformat()}}
        body = {"type": "FeatureCollection", "features": [track]}
        answer = await staff("POST", f"/api/v1/trips/{trip_id(phone)}/import", data=json.dumps(body),
                             headers={"Content-Type": "application/geo+json"})  # fmt: skip
        assert (answer.status, answer.json["accepted"]) == (200, 1)
        await fence_off(api, org, socket)
        shown = {each["timestamp"][:23] for each in live}
        assert (await latest(staff, phone))["recordedAt"][:23] in shown
        assert (await latest_of_trip(staff, phone))["recordedAt"][:23] in shown
        assert {p["recordedAt"][:23] for p in told_of(socket, phone)} <= shown
        assert {fix["recordedAt"][:23] for e in of_trip(socket, phone) for fix in e["locations"]} <= shown
