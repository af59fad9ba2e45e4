"""What clients should not send over Socket.IO: each gets a word for it, and harms nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Api
from tests.factories import Org, Phone
from tests.integration.test_http_tracking import location, ping
from tests.waiting import Listener, listening, until
from waypost.realtime.attendance import MAX_ROOMS
from waypost.trips.service import NewTrip

EVENTS = ("trip:join", "trip:leave", "fleet:join", "tracking:ping")
UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]


def refused(ack: Any) -> str:
    """The code of an ack that says no in the agreed form."""
    assert isinstance(ack, dict)
    assert ack["ok"] is False
    error = ack["error"]
    assert {"code", "detail", "retry"} <= error.keys()
    assert isinstance(error["detail"], str)
    assert error["detail"]
    assert isinstance(error["retry"], bool)
    return str(error["code"])


@asynccontextmanager
async def as_phone(api: Api, org: Org) -> AsyncIterator[tuple[Listener, Phone]]:
    phone = await org.phone()
    async with listening(api.url, phone.token) as socket:
        yield socket, phone


async def test_an_unknown_event_is_said_to_be_one(api: Api, org: Org):
    async with as_phone(api, org) as (socket, _):
        for event in ("", "nothing", "trip:joined", "message", "*", "x" * 100_000, "\0", "\ud800", "日本"):
            for arguments in ((), ({"tripId": UNKNOWN_ID},), (7,), ([[]],)):
                assert (event, refused(await socket.call(event, *arguments))) == (event, "unknown-event")


async def test_an_argument_that_is_no_object_is_refused(api: Api, org: Org):
    async with as_phone(api, org) as (socket, _):
        for event in EVENTS:
            for argument in (None, 3, "text", [], [1], True, 1.5, float("nan"), b"bytes"):
                ack = await socket.call(event, argument)
                batch = event == "tracking:ping" and isinstance(argument, bytes)
                expected = "invalid" if batch else "not-an-object"
                assert (event, argument, refused(ack)) == (event, argument, expected)


NO_IDS: list[object] = [None, 7, "", "x", [], {}, True, UNKNOWN_ID + "0", b"x", "\0", "x" * 500_000, DEEP]


@pytest.mark.parametrize("event", ["trip:join", "trip:leave"])
async def test_a_join_without_a_trips_id_names_the_field(api: Api, org: Org, event: str):
    async with as_phone(api, org) as (socket, _):
        for argument in ({}, {"trip_id": UNKNOWN_ID}, *({"tripId": value} for value in NO_IDS)):
            ack = await socket.call(event, argument)
            assert (str(argument)[:40], refused(ack)) == (str(argument)[:40], "invalid")
            assert [error["field"] for error in ack["error"]["errors"]] == ["tripId"]


async def test_an_unknown_trip_is_not_found_and_to_leave_it_is_no_fault(api: Api, org: Org):
    async with as_phone(api, org) as (socket, _):
        assert refused(await socket.call("trip:join", {"tripId": str(uuid4())})) == "trip-not-found"
        assert (await socket.call("trip:leave", {"tripId": str(uuid4())}))["ok"] is True


async def test_half_a_surrogate_pair_is_a_malformed_text(api: Api, org: Org):
    async with as_phone(api, org) as (socket, _):
        assert refused(await socket.call("trip:join", {"tripId": "\ud800"})) == "malformed"


async def test_a_since_that_makes_no_sense_is_a_join_from_the_beginning(api: Api, org: Org):
    async with as_phone(api, org) as (socket, phone):
        assert phone.trip is not None
        for since in (None, 0, "x", [], {}, {"epoch": 7, "seq": "x"}, {"seq": -1}, {"seq": 10**30}, DEEP):
            ack = await socket.call("trip:join", {"tripId": str(phone.trip.id), "since": since})
            assert (ack["ok"], ack["recovered"], ack["missed"]) == (True, False, [])


MALFORMED_BATCHES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({}, "invalid", ["locations"]),
    ({"locations": None}, "invalid", ["locations"]),
    ({"locations": []}, "invalid", ["locations"]),
    ({"locations": {"0": {}}}, "invalid", ["locations"]),
    ({"locations": [{}], "tripId": "x"}, "invalid", ["tripId"]),
    ({"locations": [{}], "stream": 5}, "invalid", ["stream"]),
    ({"locations": [{}] * 1001}, "too-many-locations", []),
    ({"locations": [{}], "tripId": UNKNOWN_ID}, "trip-not-found", []),
]


async def test_a_malformed_batch_is_refused_as_over_http(api: Api, org: Org):
    async with as_phone(api, org) as (socket, phone):
        for batch, code, fields in MALFORMED_BATCHES:
            ack = await socket.call("tracking:ping", batch)
            assert (refused(ack), [error["field"] for error in ack["error"].get("errors", [])]) == (code, fields)
            http = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", batch)
            assert (http.json["code"], http.json["detail"]) == (code, ack["error"]["detail"])


ODD = [
    *(
        None,
        True,
        -1,
        10**30,
        1e308,
        float("inf"),
        float("nan"),
        "",
        "x",
        "\0",
        "\ud800",
        "x" * 10_000,
        [],
        {},
        DEEP,
        b"x",
    )
]


async def test_an_odd_value_in_a_location_is_that_locations_own_outcome(api: Api, org: Org):
    """Also what only a socket can carry: bytes, lone surrogates, NaN."""
    names = "latitude longitude timestamp accuracy speed heading altitude battery mock n id"
    async with as_phone(api, org) as (socket, _):
        for turn, field in enumerate(names.split()):
            sent = [{**location(1000 - turn * 20 - n), field: value} for n, value in enumerate(ODD)]
            ack = await socket.call(
                "tracking:ping", {"stream": str(uuid4()), "locations": [*sent, location(turn / 100)]}
            )
            assert (field, ack["ok"]) == (field, True), ack
            assert ack["accepted"] + ack["duplicates"] + len(ack["rejected"]) == len(sent) + 1
            assert len(sent) not in [outcome["index"] for outcome in ack["rejected"]]


async def test_more_rooms_than_allowed_are_refused_until_some_are_left(api: Api, org: Org):
    trips = [(await org.services.trips.create(org.owner, NewTrip())).id for _ in range(MAX_ROOMS + 1)]
    async with listening(api.url, await org.token()) as socket:
        for trip in trips[:-1]:
            await socket.join(trip)
        ack = await socket.call("trip:join", {"tripId": str(trips[-1])})
        assert (refused(ack), ack["error"]["retry"]) == ("too-many-rooms", False)
        assert refused(await socket.call("fleet:join", {})) == "too-many-rooms"
        await socket.join(trips[0])  # one that it is in already
        await socket.call("trip:leave", {"tripId": str(trips[0])})
        await socket.join(trips[-1])


async def test_a_message_beyond_a_mebibyte_ends_that_connection_only(api: Api, org: Org):
    async with as_phone(api, org) as (fence, _), as_phone(api, org) as (socket, _):
        nearly = {"locations": [location(0)], "driverId": "x" * 1_000_000}
        assert (await socket.call("tracking:ping", nearly))["accepted"] == 1
        await socket.sio.emit("tracking:ping", {"locations": ["x" * 1_100_000]})
        await until(lambda: not socket.sio.connected)
        assert (await fence.call("tracking:ping", {"locations": [location(0)]}))["accepted"] == 1


async def test_an_event_with_the_name_of_a_packet_is_an_unknown_event(api: Api, org: Org):
    async with as_phone(api, org) as (socket, phone):
        assert phone.trip is not None
        await socket.join(phone.trip.id)
        for event in ("connect", "disconnect"):
            for argument in ({}, {"token": "x"}, "text", None):
                assert refused(await socket.call(event, argument)) == "unknown-event"
        await ping(api, phone, location(0))
        await socket.next("trip:location")


async def test_who_pretends_to_have_left_is_cut_off_all_the_same(api: Api, org: Org):
    """The library would call our disconnect handler for an event of that name: it must not forget who is there."""
    async with as_phone(api, org) as (socket, phone):
        assert phone.trip is not None
        await socket.join(phone.trip.id)
        await socket.sio.emit("disconnect", "bye")
        await org.services.directory.revoke_device(org.owner, phone.device_id)
        await until(lambda: not socket.sio.connected, within_s=5)


PACKETS = [
    *('2["trip:join"', "2", "2[]", "2{}", "2null", "25", '2"x"', "2[5,{}]", "2[null]", '2[["trip:join"],{}]', "2[{}]"),
    *("20[]", "211[[]]", "299999999999999999999[]", '2/other,["trip:join",{}]', "3[]", "31[]", "399[5]", "3"),
    *('4{"message":"x"}', "7", "9", "x", "\0", "0", '0{"token":"x"}', "0/other,", "1/other,", "2" + "[" * 100_000),
    '2["tracking:ping",{"locations":[' + "9" * 5000 + "]}]",
    '2["tracking:ping",{"locations":[' + "[" * 50_000 + "]" * 50_000 + "]}]",
    *("51-", '51-["trip:join",{"_placeholder":true,"num":0}]', '5999999-["trip:join",{}]', "5x-[]", "61-[]", "5-[]"),
]


async def test_a_packet_that_is_none_ends_at_most_its_own_connection(api: Api, org: Org):
    """Raw Socket.IO packets past any client library; the Engine.IO message's `4` goes before each."""
    async with as_phone(api, org) as (fence, phone), aiohttp.ClientSession() as session:
        for packet in PACKETS:
            await _send_raw(session, api, phone.token, packet)
            ack = await fence.call("tracking:ping", {"locations": [location(0)]})
            assert (packet[:40], ack["ok"]) == (packet[:40], True)
        async with listening(api.url, phone.token) as again:
            assert refused(await again.call("fleet:join", {})) == "denied"


async def _send_raw(session: aiohttp.ClientSession, api: Api, token: str, packet: str) -> None:
    """Until the server has answered what came after the packet, or has closed; what waits for attachments waits."""
    async with session.ws_connect(api.server.make_url("/socket.io/?EIO=4&transport=websocket")) as ws:
        assert (await ws.receive_str()).startswith("0")
        await ws.send_str(f"40{json.dumps({'token': token})}")
        assert (await ws.receive_str()).startswith("40")
        await ws.send_str(f"4{packet}")
        if packet[0] in "56":
            return
        await ws.send_str('429["fleet:join",{}]')
        async with asyncio.timeout(10):
            async for message in ws:
                assert "internal-error" not in str(message.data), packet[:40]
                if str(message.data).startswith(("439", "41", "1")):
                    break


async def test_who_announces_attachments_without_end_is_cut_off(api: Api, org: Org):
    """No event of ours has any; the library would keep every one until the announced number has come."""
    phone = await org.phone()
    url = api.server.make_url("/socket.io/?EIO=4&transport=websocket")
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.receive_str()
        await ws.send_str(f"40{json.dumps({'token': phone.token})}")
        await ws.receive_str()
        await ws.send_str('45999999-["tracking:ping",{}]')

        async with asyncio.timeout(5):  # Engine.IO's CLOSE, or the end of the connection itself
            while not ws.closed and (await ws.receive()).data != "1":
                pass


text = st.text(alphabet=st.characters(codec=None), max_size=20)  # type: ignore[arg-type]  # None: surrogates too
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text | st.uuids().map(str)
NAMES = [
    "tripId",
    "since",
    "epoch",
    "seq",
    "locations",
    "latitude",
    "longitude",
    "timestamp",
    "stream",
    "n",
    "id",
    "mock",
]
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | text, inner, max_size=5),
)
locations = st.fixed_dictionaries(
    {},
    optional={
        "latitude": st.floats(-100, 100) | values,
        "longitude": st.floats(-200, 200) | values,
        "timestamp": st.datetimes().map(str) | st.integers() | values,
        **dict.fromkeys(("accuracy", "speed", "heading", "altitude", "battery", "mock", "n", "id"), values),
    },
)
batches = st.fixed_dictionaries(
    {"locations": st.lists(locations | values, max_size=5)},
    optional={"stream": st.uuids().map(str) | values, "sentAt": values, "driverId": values},
)


async def test_no_argument_whatever_is_an_internal_error_and_the_connection_stays(api: Api, org: Org):
    async with as_phone(api, org) as (socket, phone):
        loop, calls = asyncio.get_running_loop(), 0

        async def send(event: str, argument: object) -> None:
            ack = await socket.call(event, argument)
            assert ack["ok"] is True or refused(ack) != "internal-error", (event, argument)

        @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(EVENTS), values | batches)
        def fuzz(event: str, argument: object) -> None:
            nonlocal calls
            calls += 1
            asyncio.run_coroutine_threadsafe(send(event, argument), loop).result(20)

        await asyncio.to_thread(fuzz)
        assert calls >= 200
        assert socket.sio.connected
        assert (await socket.call("tracking:ping", {"locations": [location(0)]}))["ok"] is True
        assert (await api.as_(phone.token)("GET", "/api/v1/tracking/latest")).status == 200
