"""Who comes back: exactly what was missed, or a snapshot and the word that it is one (P6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_http_tracking import location, ping
from tests.integration.test_sockets import far, other, trip_id
from tests.waiting import Listener, listening, until
from waypost.realtime.service import trip_room
from waypost.settings import Settings
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services

__all__ = ["far", "other"]  # the fixtures


def place(said: dict[str, Any]) -> dict[str, Any]:
    return {"epoch": said["epoch"], "seq": said["seq"]}


async def join(socket: Listener, trip: str, since: object = None) -> Any:
    ack = await socket.call("trip:join", {"tripId": trip, "since": since})
    assert ack["ok"], ack
    return ack


@pytest.mark.parametrize("codec", ["default", "msgpack"])
async def test_who_comes_back_to_another_node_gets_exactly_what_it_missed(api: Api, far: Api, org: Org, codec: str):
    phone, token = await org.phone(), await org.token()
    path = "socket.io" if codec == "default" else "socket.io/msgpack"
    options: dict[str, Any] = {"socketio_path": path, "serializer": codec}
    async with listening(api.url, token, **options) as socket:
        await join(socket, trip_id(phone))
        await ping(api, phone, location(60))
        heard = await socket.next("trip:location")
    for age_s in (50, 40, 30):
        await ping(far, phone, location(age_s))
    await org.services.trips.change(org.owner, phone.trip.id, {"destination": "Harare"})  # type: ignore[union-attr]
    async with listening(far.url, token, **options) as socket:
        await until(lambda: arrived(socket, trip_id(phone), heard["seq"] + 4))
        again = await join(socket, trip_id(phone), place(heard))
        assert (again["recovered"], again["epoch"], again["seq"]) == (True, heard["epoch"], heard["seq"] + 4)
        assert "position" not in again
        assert [one["event"] for one in again["missed"]] == ["trip:location"] * 3 + ["trip:event"]
        assert [one["data"]["seq"] for one in again["missed"]] == list(range(heard["seq"] + 1, heard["seq"] + 5))
        await ping(api, phone, location(20))
        assert (await socket.next("trip:location"))["seq"] == again["seq"] + 1


async def arrived(socket: Listener, trip: str, seq: int) -> bool:
    return bool((await join(socket, trip))["seq"] >= seq)


async def test_who_missed_nothing_is_told_so_also_before_anything_happened(api: Api, org: Org):
    phone = await org.phone(running=False)
    trip = await org.services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))
    async with listening(api.url, await org.token()) as socket:
        first = await join(socket, str(trip.id))
        again = await join(socket, str(trip.id), place(first))
        assert (again["recovered"], again["missed"], place(again)) == (True, [], place(first))


@pytest.mark.parametrize("since", [{"epoch": "f" * 16, "seq": 1}, {"seq": 10**6}, {"epoch": None, "seq": 0}])
async def test_of_another_life_or_the_future_nothing_is_recovered(api: Api, org: Org, since: dict[str, Any]):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        first = await join(socket, trip_id(phone))
        again = await join(socket, trip_id(phone), place(first) | since)
        assert (again["recovered"], again["missed"]) == (False, [])
        assert "position" in again


async def test_of_a_history_that_was_trimmed_never_a_part_is_told(api: Api, org: Org, services: Services):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        first = await join(socket, trip_id(phone))
        for age_s in (50, 40, 30):
            await ping(api, phone, location(age_s))
        await until(lambda: len(socket.all("trip:location")) == 3)
        names = [name async for name in services.redis.scan_iter("waypost:*:l:*:trip:*")]
        assert names
        for name in names:
            await services.redis.xtrim(name, maxlen=2, approximate=False)
        whole = await join(socket, trip_id(phone), place(first))
        assert (whole["recovered"], whole["missed"]) == (False, [])
        rest = await join(socket, trip_id(phone), place(socket.all("trip:location")[0]))
        assert (rest["recovered"], len(rest["missed"])) == (True, 2)


async def test_a_fleet_recovers_too(api: Api, far: Api, org: Org):
    phone, token = await org.phone(), await org.token()
    async with listening(api.url, token) as socket:
        first = await socket.join_fleet()
    await ping(api, phone, location(10))
    async with listening(far.url, token) as socket:
        await until(lambda: fleet_at(socket, first["seq"] + 1))
        again = await socket.call("fleet:join", {"since": place(first)})
        assert again["recovered"] is True
        assert again.keys().isdisjoint({"trips", "positions"})
        assert [p["deviceId"] for one in again["missed"] for p in one["data"]["positions"]] == [str(phone.device_id)]


async def fleet_at(socket: Listener, seq: int) -> bool:
    return bool((await socket.join_fleet())["seq"] >= seq)


async def test_the_rooms_that_nobody_asks_for_say_what_was_missed(api: Api, far: Api, org: Org):
    token = await org.token()
    async with listening(api.url, token) as socket:
        rooms = (await socket.call("own:join", {}))["rooms"]
        assert {kind: (room["recovered"], room["missed"]) for kind, room in rooms.items()} == {
            "person": (False, []),
            "staff": (False, []),
        }
    await api.as_(token)("POST", "/api/v1/exports", {"kind": "trips"})
    async with listening(far.url, token) as socket:
        since = {kind: place(room) for kind, room in rooms.items()}
        again = (await socket.call("own:join", {"since": since}))["rooms"]
        assert (again["staff"]["recovered"], again["staff"]["missed"]) == (True, [])
        assert again["person"]["recovered"] is True


async def test_a_device_has_no_rooms_of_its_own(api: Api, org: Org):
    phone = await org.phone()
    async with listening(api.url, phone.token) as socket:
        assert (await socket.call("own:join", {"since": 7}))["rooms"] == {}


async def test_a_trip_that_is_given_to_another_driver_is_gone_for_the_first_ones_phone(
    api: Api, far: Api, org: Org, services: Services
):
    first, second = await org.phone(running=False), await org.phone(running=False)
    trip = await org.services.trips.create(org.owner, NewTrip(driver_id=first.driver_id))
    async with listening(far.url, first.token) as phone, listening(far.url, await org.token()) as staff:
        for socket in (phone, staff):
            await join(socket, str(trip.id))
        await services.trips.change(org.owner, trip.id, {"driver_id": second.driver_id})
        assert await phone.next("trip:gone") == {"tripId": str(trip.id)}
        await services.trips.move(org.owner, trip.id, Move.START)
        await staff.next("trip:event", lambda e: e["kind"] == "started")
        assert "started" not in [event["kind"] for event in phone.all("trip:event")]
        assert staff.all("trip:gone") == []


async def test_a_receiver_that_was_changed_hears_no_more(api: Api, org: Org, other: Org, services: Services):
    trip = await services.trips.create(org.owner, NewTrip(destination_org_id=other.org_id))
    async with listening(api.url, await other.token()) as socket:
        await join(socket, str(trip.id))
        await services.trips.change(org.owner, trip.id, {"destination_org_id": None})
        await socket.next("trip:gone")
        assert not services.hub.index.is_live(trip_room(other.org_id, trip.id))


def test_the_settings_of_the_history_reach_the_bus(services: Services, environment: dict[str, str]):
    settings = Settings.from_env(environment)
    bus = services.hub.bus
    assert (bus.history_events, bus.history_bytes, bus.history_s) == (
        settings.history_events,
        settings.history_bytes,
        settings.history_s,
    )


async def test_the_rooms_of_ones_own_say_that_their_counter_began_anew(api: Api, org: Org, services: Services):
    async with listening(api.url, await org.token()) as socket:
        before = (await socket.call("own:join", {}))["rooms"]
        await services.redis.flushall()
        await org.services.trips.create(org.owner, NewTrip())  # whatever: the node looks at its rooms by itself
        for kind in ("staff", "person"):
            gap = await socket.next("own:gap", lambda said, kind=kind: said["room"] == kind, within_s=40)
            assert gap["epoch"] != before[kind]["epoch"]
            assert gap["from"] == gap["seq"] + 1
