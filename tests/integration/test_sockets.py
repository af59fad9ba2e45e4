"""Dispatchers and phones over Socket.IO, on one node and on two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.described import Described
from tests.factories import Org, Phone, organisation
from tests.integration.test_http_tracking import location, ping
from tests.waiting import UNHURRIED_S, Refused, listening, until
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.identity.domain import Claims
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services


@asynccontextmanager
async def node(environment: dict[str, str]) -> AsyncIterator[Api]:
    """One more server process's worth over the same PostgreSQL and Valkey."""
    async with open_services(Settings.from_env(environment)) as services:
        services.limiter.answer_s = UNHURRIED_S
        server = TestServer(build_app(services))
        await server.start_server()
        try:
            yield Api(server, Described.of(DESCRIPTION.document(route_table(services))))
        finally:
            await server.close()


@pytest.fixture
async def far(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A second node."""
    async with node(environment) as second:
        yield second


@pytest.fixture
async def other(services: Services) -> Org:
    return await organisation(services, "Bulawayo Bakers")


def trip_id(phone: Phone) -> str:
    assert phone.trip is not None
    return str(phone.trip.id)


# Connecting


async def test_a_person_and_a_device_connect_with_their_tokens(api: Api, org: Org):
    phone = await org.phone()
    for token in (await org.token(), phone.token):
        async with listening(api.url, token) as socket:
            assert (await socket.join(trip_id(phone)))["trip"]["id"] == trip_id(phone)


async def test_the_upgrade_from_polling_to_websocket_works_as_well(api: Api, org: Org):
    phone, token = await org.phone(), await org.token()
    async with listening(api.url, token, transports=["polling", "websocket"]) as socket:
        assert socket.sio.transport() == "websocket"
        await socket.join(trip_id(phone))
        await ping(api, phone, location(0))
        await socket.next("trip:location")


REFUSED = [
    (None, "token-missing"),
    ({}, "token-missing"),
    ({"token": ""}, "token-missing"),
    ({"token": None}, "token-missing"),
    ({"token": 7}, "token-missing"),
    ({"token": {"$ne": ""}}, "token-missing"),
    ({"token": "wrong"}, "token-invalid"),
    ({"token": "wpd_wrong"}, "token-invalid"),
    ({"token": "a.b.c"}, "token-invalid"),
    ({"token": "x\0y"}, "token-invalid"),
]


async def refusal_of(url: str, auth: object) -> Any:
    """What a refused connect is told."""
    with pytest.raises(Refused) as refused:
        async with listening(url, auth=auth):
            pass
    return refused.value.said


async def test_a_refused_connect_says_why(api: Api):
    for auth, code in REFUSED:
        said = await refusal_of(api.url, auth)
        assert (auth, said["message"], said["data"]["code"]) == (auth, code, code)
        assert said["data"]["detail"]


@pytest.mark.parametrize("auth", ["token", [1]])
async def test_an_auth_that_is_no_object_is_no_packet(api: Api, auth: object):
    assert await refusal_of(api.url, auth) is None, "the connection ends"


@pytest.mark.parametrize("token", ["\ud800", "wpd_\ud800"])
async def test_a_token_that_is_no_unicode_is_an_invalid_one_over_both_roads(api: Api, token: str):
    said = await refusal_of(api.url, {"token": token})
    assert said["data"]["code"] == "token-invalid"
    request = b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer wpd_\xff\xfe\r\n\r\n"
    reader, writer = await asyncio.open_connection(api.server.host, api.server.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_an_expired_token_is_refused_as_expired_over_both_roads(api: Api, org: Org, services: Services):
    now, user_id = services.clock.now(), org.owner.user_id
    assert user_id is not None
    claims = Claims(user_id, org.org_id, uuid4(), now - timedelta(seconds=1))
    token = services.identity.tokens.issue(claims, now - timedelta(minutes=15))
    assert (await refusal_of(api.url, {"token": token}))["data"]["code"] == "token-expired"
    answer = await api.as_(token)("GET", "/api/v1/me")
    assert (answer.status, answer.json["code"]) == (401, "token-expired")


# A trip's room


async def test_a_join_gives_the_trip_its_position_and_where_the_room_stands(api: Api, org: Org):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        before = await socket.join(trip_id(phone))
        assert before["position"] is None
        await ping(api, phone, location(1, latitude=-17.5))
        await socket.next("trip:location")
        joined = await socket.join(trip_id(phone))
    assert joined.keys() == {"ok", "trip", "position", "epoch", "seq", "recovered", "missed"}
    assert (joined["trip"]["id"], joined["trip"]["status"]) == (trip_id(phone), "started")
    assert (joined["position"]["latitude"], joined["position"]["tripId"]) == (-17.5, trip_id(phone))
    assert (joined["epoch"], joined["seq"]) == (before["epoch"], before["seq"] + 1)
    assert (joined["recovered"], joined["missed"]) == (False, [])


async def test_a_fix_posted_to_one_node_reaches_a_socket_joined_at_the_other(api: Api, far: Api, org: Org):
    phone = await org.phone()
    async with listening(far.url, await org.token()) as socket:
        joined = await socket.join(trip_id(phone))
        await ping(api, phone, location(2, latitude=-17.1), location(1, latitude=-17.10002, speed=3.5))
        event = await socket.next("trip:location")
        assert (event["tripId"], event["epoch"]) == (trip_id(phone), joined["epoch"])
        assert event["seq"] == joined["seq"] + 1
        assert [fix["latitude"] for fix in event["locations"]] == [-17.1, -17.10002]
        assert event["locations"][1]["speed"] == 3.5
        await ping(far, phone, location(0, latitude=-17.3))
        second = await socket.next("trip:location", lambda e: e["seq"] == joined["seq"] + 2)
        assert second["locations"][0]["latitude"] == -17.3


async def test_who_has_left_a_room_hears_nothing_of_it(api: Api, far: Api, org: Org):
    left, fence = await org.phone(), await org.phone()
    async with listening(far.url, await org.token()) as socket:
        await socket.join(trip_id(left))
        await socket.join(trip_id(fence))
        assert await socket.call("trip:leave", {"tripId": trip_id(left)}) == {"ok": True}
        await ping(api, left, location(1))
        await ping(api, fence, location(0))
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(fence))
        assert [e["tripId"] for e in socket.all("trip:location")] == [trip_id(fence)]
        again = await socket.join(trip_id(left))
        await ping(api, left, location(0))
        event = await socket.next("trip:location", lambda e: e["tripId"] == trip_id(left))
        assert event["seq"] == again["seq"] + 1


async def test_a_leave_of_one_socket_is_none_of_anothers(api: Api, org: Org):
    phone, token = await org.phone(), await org.token()
    async with listening(api.url, token) as stays, listening(api.url, token) as leaves:
        await stays.join(trip_id(phone))
        await leaves.join(trip_id(phone))
        await leaves.call("trip:leave", {"tripId": trip_id(phone)})
        await ping(api, phone, location(0))
        await stays.next("trip:location")


async def test_late_and_doubtful_fixes_are_not_broadcast(api: Api, org: Org):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        joined = await socket.join(trip_id(phone))
        await socket.join_fleet()
        first = location(60, latitude=-17.1)
        await ping(api, phone, first)
        assert (await ping(api, phone, location(120, latitude=-17.2)))["late"] == 1
        await ping(api, phone, location(30, latitude=-17.3, mock=True))
        assert (await ping(api, phone, first))["duplicates"] == 1
        await ping(api, phone, location(0, latitude=-17.4))
        await socket.next("trip:location", lambda e: e["locations"][0]["latitude"] == -17.4)
        heard = [(e["seq"], [fix["latitude"] for fix in e["locations"]]) for e in socket.all("trip:location")]
        assert heard == [(joined["seq"] + 1, [-17.1]), (joined["seq"] + 2, [-17.4])]
        await socket.next("fleet:positions", lambda e: e["positions"][0]["latitude"] == -17.4)
        shown = {p["latitude"] for e in socket.all("fleet:positions") for p in e["positions"]}
        assert shown <= {-17.1, -17.4}


async def test_a_refused_batch_is_not_broadcast(api: Api, org: Org):
    mine, theirs = await org.phone(), await org.phone()
    async with listening(api.url, await org.token()) as socket:
        await socket.join(trip_id(mine))
        await socket.join(trip_id(theirs))
        body = {"tripId": trip_id(theirs), "locations": [location(1)]}
        assert (await api.as_(mine.token)("POST", "/api/v1/tracking/ping", body)).status == 404
        too_many = {"tripId": trip_id(mine), "locations": [location(1)] * 1001}
        assert (await api.as_(mine.token)("POST", "/api/v1/tracking/ping", too_many)).status == 413
        assert (await ping(api, mine, location(1, latitude=0, longitude=0)))["accepted"] == 0
        await ping(api, theirs, location(0))
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(theirs))
        assert len(socket.all("trip:location")) == 1


WAITING = "SELECT pid FROM pg_locks WHERE NOT granted"


@pytest.mark.parametrize("table", ["positions", "trip_positions"])
async def test_nothing_is_broadcast_before_the_commit(api: Api, org: Org, services: Services, table: str):
    held, fence = await org.phone(), await org.phone()
    await ping(api, held, location(60))
    async with listening(api.url, await org.token()) as socket:
        await socket.join(trip_id(held))
        await socket.join(trip_id(fence))
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute(f"SELECT FROM {table} WHERE device_id = $1 FOR UPDATE", held.device_id)
            posting = asyncio.create_task(ping(api, held, location(1)))
            await until(lambda: conn.fetchval(WAITING))
            await ping(api, fence, location(0))
            await socket.next("trip:location", lambda e: e["tripId"] == trip_id(fence))
            assert [e["tripId"] for e in socket.all("trip:location")] == [trip_id(fence)]
            assert not posting.done()
        assert (await posting)["accepted"] == 1
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(held))


async def test_a_batch_that_was_rolled_back_is_broadcast_only_when_its_repetition_commits(
    api: Api, org: Org, services: Services
):
    phone, fence = await org.phone(), await org.phone()
    await ping(api, phone, location(60))
    body = {"tripId": trip_id(phone), "stream": str(uuid4()), "locations": [location(1, n=1, latitude=-17.7)]}
    post = api.as_(phone.token)
    async with listening(api.url, await org.token()) as socket:
        await socket.join(trip_id(phone))
        await socket.join(trip_id(fence))
        async with services.database.transaction(SYSTEM) as conn, services.database.pool.acquire() as killer:
            await conn.execute("SELECT FROM trip_positions WHERE device_id = $1 FOR UPDATE", phone.device_id)
            posting = asyncio.create_task(post("POST", "/api/v1/tracking/ping", body))
            pid = await until(lambda: conn.fetchval(WAITING))
            await killer.execute("SELECT pg_terminate_backend($1)", pid)
            answer = await posting
        assert (answer.status, answer.json["code"]) == (503, "database-away")
        assert answer.headers["Retry-After"]
        await ping(api, fence, location(0))
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(fence))
        assert [e["tripId"] for e in socket.all("trip:location")] == [trip_id(fence)]
        again = await post("POST", "/api/v1/tracking/ping", body)
        assert (again.json["accepted"], again.json["duplicates"]) == (1, 0)
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(phone))


# The fleet's room


async def test_a_fleet_join_gives_the_running_trips_and_the_positions(api: Api, org: Org):
    running, planned = await org.phone(in_truck=True), await org.phone(running=False)
    await ping(api, running, location(1, latitude=-17.5))
    await ping(api, planned, location(1, latitude=-17.6))
    async with listening(api.url, await org.token()) as socket:
        joined = await socket.join_fleet()
    assert joined.keys() == {"ok", "trips", "positions", "epoch", "seq", "recovered", "missed"}
    assert [trip["id"] for trip in joined["trips"]] == [trip_id(running)]
    shown = {(p["latitude"], p.get("tripId")) for p in joined["positions"]}
    assert shown == {(-17.5, trip_id(running)), (-17.6, None)}
    assert (joined["recovered"], joined["missed"]) == (False, [])


def shown(events: list[Any]) -> dict[str, float]:
    """What a client that applies events in their order shows at last: a latitude for each device."""
    return {p["deviceId"]: p["latitude"] for event in events for p in event["positions"]}


async def test_fleet_positions_come_without_holes_and_newest_last(api: Api, far: Api, org: Org):
    phones = [await org.phone() for _ in range(3)]
    async with listening(far.url, await org.token()) as socket:
        joined = await socket.join_fleet()
        for turn in range(10):
            for number, phone in enumerate(phones):
                await ping((api, far)[number % 2], phone, location(10 - turn, latitude=-17 - turn / 100))
        await until(lambda: set(shown(socket.all("fleet:positions")).values()) == {-17.09})
        events = socket.all("fleet:positions")
        ends = [joined["seq"], *(e["seq"] for e in events)]
        assert [e.get("from", e["seq"]) for e in events] == [seq + 1 for seq in ends[:-1]]
        assert {e["epoch"] for e in events} == {joined["epoch"]}
        for event in events:
            vehicles = [p["vehicleId"] for p in event["positions"]]
            assert len(vehicles) == len(set(vehicles))
        final = (await socket.join_fleet())["positions"]
    assert {p["deviceId"]: p["latitude"] for p in final} == shown(events)


async def test_a_vehicle_that_changes_nodes_never_goes_back_in_the_fleets_room(
    api: Api, org: Org, environment: dict[str, str]
):
    """P4: what still waits for a node's tick is older than what the other node has told by then."""
    phone = await org.phone()
    async with (
        node(environment | {"WAYPOST_FLEET_TICK_MS": "500"}) as slow,
        listening(api.url, await org.token()) as socket,
    ):
        await socket.join_fleet()
        for seconds, where in ((9, slow), (8, slow), (7, api)):
            await ping(where, phone, location(seconds, latitude=-17 - seconds / 10))
        await until(lambda: set(shown(socket.all("fleet:positions")).values()) == {-17.7})
        fence = await org.phone()
        await ping(slow, fence, location(1))  # leaves the slow node with or after what waits there
        await socket.next("fleet:positions", lambda e: str(fence.device_id) in {p["deviceId"] for p in e["positions"]})
        assert shown(socket.all("fleet:positions"))[str(phone.device_id)] == -17.7


async def test_a_trips_moves_reach_its_room_and_both_organisations_fleets_and_nobody_else(
    api: Api, far: Api, org: Org, other: Org, services: Services
):
    third = await organisation(services, "Mutare Movers")
    own, staff = await third.phone(), api.as_(await org.token())
    driver = (await org.phone(running=False)).driver_id
    body = {"driverId": str(driver), "destinationOrgId": str(other.org_id)}
    planned = [(await staff("POST", "/api/v1/trips", body)).json["id"] for _ in range(2)]
    async with (
        listening(far.url, await org.token()) as trip,
        listening(far.url, await org.token()) as sender,
        listening(far.url, await other.token()) as receiver,
        listening(far.url, await third.token()) as stranger,
    ):
        for socket in (sender, receiver, stranger):
            await socket.join_fleet()
        for each in planned:
            await trip.join(each)
        moves = [(planned[0], "start"), (planned[0], "complete"), (planned[1], "cancel")]
        for each, move in moves:
            assert (await staff("POST", f"/api/v1/trips/{each}/{move}")).status == 200
        expected = [
            (planned[0], "started", "started"),
            (planned[0], "completed", "completed"),
            (planned[1], "cancelled", "cancelled"),
        ]
        for socket, room in ((trip, "trip"), (sender, "fleet"), (receiver, "fleet")):
            await until(lambda socket=socket: len(socket.all("trip:event")) >= 3)
            events = socket.all("trip:event")
            assert [(e["tripId"], e["kind"], e["trip"]["status"]) for e in events] == expected
            assert {e["room"] for e in events} == {room}
            assert len({e["eventId"] for e in events}) == 3
        seqs = [e["seq"] for e in sender.all("trip:event")]
        assert seqs == list(range(seqs[0], seqs[0] + 3))
        await ping(api, own, location(0))  # the fence: of the third organisation's own
        await stranger.next("fleet:positions")
        assert stranger.all("trip:event") == []


async def test_the_receiving_organisation_sees_the_vehicle_while_it_comes_and_a_third_sees_nothing(
    api: Api, far: Api, org: Org, other: Org, services: Services
):
    third = await organisation(services, "Mutare Movers")
    own, coming, internal = await third.phone(), await org.phone(to=other.org_id), await org.phone()
    await ping(api, coming, location(9, latitude=-17.2))
    async with (
        listening(far.url, await other.token()) as receiver,
        listening(far.url, await third.token()) as stranger,
    ):
        joined, nothing = await receiver.join_fleet(), await stranger.join_fleet()
        assert [trip["id"] for trip in joined["trips"]] == [trip_id(coming)]
        assert [p["latitude"] for p in joined["positions"]] == [-17.2]
        assert [trip["id"] for trip in nothing["trips"]] == [trip_id(own)]
        assert nothing["positions"] == []
        await receiver.join(trip_id(coming))
        await ping(api, internal, location(5, latitude=-17.4))
        await ping(api, coming, location(4, latitude=-17.3))
        await ping(api, own, location(0, latitude=-17.5))
        await receiver.next("trip:location")
        await receiver.next("fleet:positions")
        await stranger.next("fleet:positions")
        for socket, latitude in ((receiver, -17.3), (stranger, -17.5)):
            seen = {p["latitude"] for e in socket.all("fleet:positions") for p in e["positions"]}
            assert seen == {latitude}
        assert {trip_id(coming)} == {p["tripId"] for e in receiver.all("fleet:positions") for p in e["positions"]}


# Reporting over the socket


def without_clock(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ok"}


async def test_a_batch_over_the_socket_gets_the_very_answer_of_the_http_route(api: Api, org: Org):
    by_http, by_socket = await org.phone(), await org.phone()
    sent = [
        location(9, n=1),
        location(3, n=2, speed=13.4, accuracy=6.5),
        location(12, n=3),
        location(2, n=4, latitude=0, longitude=0),
        location(1, n=5, longitude=1555),
        location(n=6, timestamp="yesterday"),
        "nothing",
        location(1, n=7, accuracy=5000),
        location(3, n=2),
    ]
    stream = str(uuid4())
    batch = {"stream": stream, "sentAt": 1, "driverId": None, "locations": sent}
    http = await ping(api, by_http, *sent, stream=stream)
    async with listening(api.url, by_socket.token) as socket:
        ack = await socket.call("tracking:ping", {**batch, "tripId": trip_id(by_socket)})
        assert ack.pop("ok") is True
        assert ack == http
        assert ack["accepted"] + ack["duplicates"] + len(ack["rejected"]) == len(sent)
        again = await ping(api, by_socket, *sent, stream=stream)
    async with listening(api.url, by_http.token) as socket:
        ack = await socket.call("tracking:ping", {**batch, "tripId": trip_id(by_http)})
    assert ack.pop("ok") is True
    assert ack == again
    assert (ack["accepted"], ack["duplicates"], ack["late"]) == (0, 5, 0)
    assert ack["latest"] == http["latest"]


async def test_a_batch_over_the_socket_is_told_to_who_watches(api: Api, far: Api, org: Org):
    phone = await org.phone()
    async with listening(far.url, await org.token()) as watcher, listening(api.url, phone.token) as driver:
        joined = await watcher.join(trip_id(phone))
        await driver.call("tracking:ping", {"locations": [location(0)]})
        assert (await watcher.next("trip:location"))["seq"] == joined["seq"] + 1


async def test_people_do_not_report_over_the_socket_either(api: Api, org: Org):
    async with listening(api.url, await org.token()) as socket:
        ack = await socket.call("tracking:ping", {"locations": [location()]})
    assert (ack["ok"], ack["error"]["code"], ack["error"]["retry"]) == (False, "device-token-needed", False)


# Whose is what


TRIP_ROUTES = [
    ("GET", "/api/v1/trips/{}"),
    ("PATCH", "/api/v1/trips/{}"),
    ("POST", "/api/v1/trips/{}/start"),
    ("POST", "/api/v1/trips/{}/complete"),
    ("POST", "/api/v1/trips/{}/cancel"),
    ("GET", "/api/v1/trips/{}/events"),
    ("GET", "/api/v1/trips/{}/locations"),
    ("GET", "/api/v1/tracking/trips/{}/latest"),
]


async def test_anothers_trip_is_a_404_like_any_unknown_one(api: Api, org: Org, other: Org):
    phone = await org.phone()
    assert phone.trip is not None
    await ping(api, phone, location(0))
    stranger = api.as_(await other.token())
    for method, path in TRIP_ROUTES:
        body = {"reference": "mine"} if method == "PATCH" else None
        theirs = await stranger(method, path.format(trip_id(phone)), body)
        unknown = await stranger(method, path.format(uuid4()), body)
        assert (method, path, theirs.status, unknown.status) == (method, path, 404, 404)
        assert theirs.json.pop("requestId") != unknown.json.pop("requestId")
        assert theirs.json == unknown.json
        assert theirs.json["code"] == "trip-not-found"
    seen = await api.as_(await org.token())("GET", f"/api/v1/trips/{trip_id(phone)}")
    assert (seen.json["status"], seen.json["version"]) == ("started", phone.trip.version)


async def test_anothers_trip_is_in_no_list(api: Api, org: Org, other: Org):
    phone = await org.phone()
    await ping(api, phone, location(0))
    stranger = api.as_(await other.token())
    for path in ("/api/v1/trips", "/api/v1/tracking/latest", "/api/v1/devices", "/api/v1/drivers"):
        answer = await stranger("GET", path)
        assert (answer.status, answer.json["data"]) == (200, []), path


async def test_a_join_of_anothers_trip_is_refused_like_one_of_an_unknown_trip(api: Api, org: Org, other: Org):
    phone, fence = await org.phone(), await other.phone()
    async with listening(api.url, await other.token()) as socket:
        theirs = await socket.call("trip:join", {"tripId": trip_id(phone)})
        unknown = await socket.call("trip:join", {"tripId": str(uuid4())})
        assert theirs == unknown
        assert (theirs["ok"], theirs["error"]["code"], theirs["error"]["retry"]) == (False, "trip-not-found", False)
        await socket.join_fleet()
        await ping(api, phone, location(1))
        await ping(api, fence, location(0))
        await socket.next("fleet:positions")
        assert [name for name, _ in socket.heard] == ["fleet:positions"]


async def test_a_device_joins_its_own_trip_and_nothing_else(api: Api, org: Org, other: Org):
    phone, colleague, elsewhere = await org.phone(), await org.phone(), await other.phone()
    async with listening(api.url, phone.token) as socket:
        assert (await socket.call("fleet:join", {}))["error"]["code"] == "denied"
        for foreign in (colleague, elsewhere):
            ack = await socket.call("trip:join", {"tripId": trip_id(foreign)})
            assert ack["error"]["code"] == "trip-not-found"
        await socket.join(trip_id(phone))
        await ping(api, colleague, location(1))
        await ping(api, phone, location(0))
        await socket.next("trip:location")
        assert [e["tripId"] for e in socket.all("trip:location")] == [trip_id(phone)]


# A withdrawn token


async def test_a_withdrawn_device_token_stops_working_on_every_node_within_five_seconds(api: Api, far: Api, org: Org):
    phone, stays = await org.phone(), await org.phone()
    nodes = (api, far)
    for node in nodes:
        await ping(node, phone, location(1))
    async with (
        listening(api.url, phone.token) as near_socket,
        listening(far.url, phone.token) as far_socket,
        listening(far.url, stays.token) as fence,
    ):
        revoked = await api.as_(await org.token())("POST", f"/api/v1/devices/{phone.device_id}/revoke")
        assert revoked.status == 200

        async def refused(node: Api) -> bool:
            answer = await node.as_(phone.token)("GET", "/api/v1/tracking/latest")
            return (answer.status, answer.json.get("code")) == (401, "token-invalid")

        async with asyncio.timeout(5):
            for node in nodes:
                await until(lambda node=node: refused(node), within_s=5)
            for socket in (near_socket, far_socket):
                await until(lambda socket=socket: not socket.sio.connected, within_s=5)
        assert fence.sio.connected
        assert (await fence.call("tracking:ping", {"locations": [location(0)]}))["accepted"] == 1
    for node in nodes:
        assert (await refusal_of(node.url, {"token": phone.token}))["data"]["code"] == "token-invalid"


# Valkey emptied, Valkey's connections cut


async def test_an_emptied_valkey_begins_a_new_epoch_and_the_next_event_arrives(
    api: Api, far: Api, org: Org, services: Services
):
    phone = await org.phone()
    async with listening(far.url, await org.token()) as socket:
        joined = await socket.join(trip_id(phone))
        fleet = await socket.join_fleet()
        await ping(api, phone, location(2))
        await socket.next("trip:location")
        await services.redis.flushall()
        await ping(api, phone, location(1))
        said = await socket.next("trip:location", lambda e: e["epoch"] != joined["epoch"])
        assert (said.get("from", said["seq"]), said["locations"]) == (said["seq"] + 1, []), "it begins a new life"
        event = await socket.next("trip:location", lambda e: e["epoch"] != joined["epoch"] and e["locations"])
        assert event["seq"] == 1
        await socket.next("fleet:positions", lambda e: e["epoch"] != fleet["epoch"])
        again = await socket.join(trip_id(phone))
        assert (again["epoch"], again["seq"]) == (event["epoch"], 1)


@pytest.mark.parametrize("kinds", [["pubsub"], ["normal"], ["normal", "pubsub"]])
async def test_after_valkey_has_cut_every_connection_live_traffic_resumes_by_itself(
    api: Api, far: Api, org: Org, services: Services, kinds: list[str]
):
    phone, other_phone = await org.phone(), await org.phone()
    async with listening(far.url, await org.token()) as socket:
        await socket.join(trip_id(phone))
        await ping(api, phone, location(30))
        await socket.next("trip:location")
        known = len(socket.all("trip:location"))
        for kind in kinds:
            await services.redis.execute_command("CLIENT", "KILL", "TYPE", kind)
        posted = iter(range(1000))

        async def arrives() -> bool:
            await ping(api, phone, location(25 - next(posted) / 50))
            return len(socket.all("trip:location")) > known

        await until(arrives, within_s=10)
        await socket.join(trip_id(other_phone))
        await ping(api, other_phone, location(0))
        await socket.next("trip:location", lambda e: e["tripId"] == trip_id(other_phone))


async def test_a_report_is_answered_while_valkey_is_held_up(api: Api, org: Org, services: Services):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        await socket.join(trip_id(phone))
        await services.redis.execute_command("CLIENT", "PAUSE", "1500", "ALL")
        async with asyncio.timeout(1.4):
            assert (await ping(api, phone, location(1)))["accepted"] == 1
        await socket.next("trip:location", within_s=10)


def test_rooms_are_named_by_organisation_and_trip():
    from waypost.realtime.service import fleet_room, trip_room

    one, two, trip = UUID(int=1), UUID(int=2), UUID(int=3)
    assert len({trip_room(one, trip), trip_room(two, trip), fleet_room(one), fleet_room(two)}) == 4
