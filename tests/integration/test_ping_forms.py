"""One batch, three roads and every form: same rows, same answer field for field."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import uuid4

import msgpack
import pytest

from tests.conftest import Answer, Api
from tests.factories import Org, Phone
from tests.forms import Steps, as_columns, as_objects
from tests.waiting import listening
from waypost.kernel.clock import SystemClock
from waypost.platform.bodies import MAX_BODY_BYTES
from waypost.platform.database import SYSTEM
from waypost.replay import wire
from waypost.replay.forms import FORMS
from waypost.replay.rows import Row
from waypost.replay.transports import HttpTransport, SocketTransport, http_session

MANY = 1000
PING = "/api/v1/tracking/ping"
MSGPACK = {"Content-Type": "application/msgpack"}
JSON = {"Content-Type": "application/json"}
ROWS = """
SELECT raw_at, recorded_at, latitude_e7, longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct,
       flags, late, trip_id IS NULL AS outside
  FROM fixes WHERE org_id = $1 AND device_id = $2 ORDER BY raw_at, latitude_e7, longitude_e7
"""


class Drive:
    """Locations with everything in them that has an outcome of its own."""

    def __init__(self, many: int, seed: int = 0) -> None:
        random = Random(seed)  # noqa: S311 - test data
        start = int(datetime.now(UTC).timestamp() * 1000) - many * 1000 - 60_000
        self.stream, self.first, self.mocked = uuid4(), random.randrange(10**9), {5} & set(range(many))
        self.rows: list[Steps] = [
            {
                "timestamp": start + 1000 * i, "latitude": -17_825_200 + 90 * i, "longitude": 31_033_500 + 50 * i,
                "accuracy": random.choice((None, 4, 5, 12)), "speed": random.choice((None, 118, 121)),
                "heading": random.randrange(360), "altitude": 1490 + i % 7, "battery": random.choice((76, None)),
            }
            for i in range(many)
        ]  # fmt: skip
        odd: list[Steps] = [
            {"latitude": 0, "longitude": 0}, {"longitude": 1_555_000_000}, {"timestamp": None}, {"latitude": None},
            {"timestamp": start + 86_400_000}, {"timestamp": 1}, {"accuracy": 5000}, {"speed": -10, "heading": -1},
        ]  # fmt: skip
        for place, change in zip(range(10, many, 3), odd, strict=False):
            self.rows[place] = self.rows[place] | change
        if many > 1:
            self.rows[-1] = dict(self.rows[-2])  # one place, one time: a duplicate

    @property
    def body(self) -> dict[str, Any]:
        return {"stream": str(self.stream), "locations": as_objects(self.rows, self.first, mocked=self.mocked)}

    @property
    def packed(self) -> bytes:
        return msgpack.packb(self.body)  # type: ignore[no-any-return]

    @property
    def columns(self) -> bytes:
        return as_columns(self.rows, self.stream, self.first, mocked=self.mocked)


async def post(api: Api, phone: Phone, data: bytes, headers: dict[str, str]) -> Any:
    return (await api.as_(phone.token)("POST", PING, data=io.BytesIO(data), headers=headers)).json


async def emit(api: Api, phone: Phone, argument: object) -> Any:
    async with listening(api.url, phone.token) as socket:
        ack = await socket.call("tracking:ping", argument)
    return {name: value for name, value in ack.items() if name != "ok"} if ack["ok"] else ack["error"]


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()


def text(drive: Drive) -> bytes:
    return json.dumps(drive.body).encode()


async def answered_in_msgpack(api: Api, phone: Phone, drive: Drive) -> Any:
    wanted = MSGPACK | {"Accept": "application/msgpack"}
    answer = await api.as_(phone.token)("POST", PING, data=drive.columns, headers=wanted)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/msgpack", "no-store")
    return msgpack.unpackb(answer.json)


ROADS: dict[str, Callable[[Api, Phone, Drive], Awaitable[Any]]] = {
    "JSON": lambda api, phone, drive: post(api, phone, text(drive), JSON),
    "JSON, gzip": lambda api, phone, drive: post(
        api, phone, gzip.compress(text(drive)), JSON | {"Content-Encoding": "gzip"}
    ),
    "JSON, deflate": lambda api, phone, drive: post(
        api, phone, zlib.compress(text(drive)), JSON | {"Content-Encoding": "deflate"}
    ),
    "msgpack": lambda api, phone, drive: post(api, phone, drive.packed, MSGPACK),
    "columns": lambda api, phone, drive: post(api, phone, drive.columns, MSGPACK),
    "columns, raw deflate": lambda api, phone, drive: post(
        api, phone, raw_deflate(drive.columns), MSGPACK | {"Content-Encoding": "deflate"}
    ),
    "columns, answered in msgpack": answered_in_msgpack,
    "socket": lambda api, phone, drive: emit(api, phone, drive.body),
    "socket, msgpack": lambda api, phone, drive: emit(api, phone, drive.packed),
    "socket, columns": lambda api, phone, drive: emit(api, phone, drive.columns),
}


async def stored(org: Org, phone: Phone) -> list[dict[str, Any]]:
    async with org.services.database.transaction(SYSTEM) as conn:
        return [dict(row) for row in await conn.fetch(ROWS, org.org_id, phone.device_id)]


async def test_every_road_and_form_gives_the_same_rows_and_the_same_answer(api: Api, org: Org):
    drive = Drive(40)
    answers, rows = {}, {}
    for name, send in ROADS.items():
        phone = await org.phone()
        answers[name], rows[name] = await send(api, phone, drive), await stored(org, phone)
    one = answers["JSON"]
    assert one["accepted"] + one["duplicates"] + len(one["rejected"]) == 40
    assert {outcome["reason"] for outcome in one["rejected"]} >= {
        "zero_island",
        "bad_coordinates",
        "bad_time",
        "future",
    }
    assert one["duplicates"] == 1
    assert one["flagged"]
    assert len(rows["JSON"]) == one["accepted"]
    for name in ROADS:
        assert (name, answers[name]) == (name, one)
        assert (name, rows[name]) == (name, rows["JSON"])


async def test_a_batch_may_be_sent_again_by_another_road_in_another_form(api: Api, org: Org):
    drive, phone = Drive(40), await org.phone()
    first = await ROADS["JSON"](api, phone, drive)
    for send in ROADS.values():
        again = await send(api, phone, drive)
        assert (again["accepted"], again["duplicates"]) == (0, first["accepted"] + first["duplicates"])


async def test_the_phones_of_the_replay_speak_every_form_on_both_roads(api: Api, org: Org):
    start = int(datetime.now(UTC).timestamp() * 1000) - 60_000
    drive = [Row("van", start + 1000 * i, -17.8252 + i / 1e4, 31.0335, 12.5, 271, 4, 80) for i in range(30)]
    locations = tuple(wire.location(row, row.recorded_ms, 1 + i) for i, row in enumerate(drive))
    rows = []
    async with http_session(4) as session:
        for form in FORMS.values():
            for over in ("http", "socket"):
                phone = await org.phone()
                transport = (
                    HttpTransport(session, api.url, phone.token, SystemClock(), form)
                    if over == "http"
                    else SocketTransport(session, api.url, phone.token, form)
                )
                envelope = wire.Envelope(int(datetime.now(UTC).timestamp() * 1000), str(uuid4()), locations)
                answer = await transport.send(envelope)
                await transport.close()
                assert (form, over, answer.outcome and answer.outcome.accepted) == (form, over, 30)
                rows.append(await stored(org, phone))
    assert all(each == rows[0] for each in rows)


@pytest.mark.parametrize("road", ["JSON", "msgpack", "columns", "socket", "socket, msgpack", "socket, columns"])
async def test_a_thousand_locations_get_a_thousand_outcomes_and_one_more_is_refused(api: Api, org: Org, road: str):
    phone = await org.phone()
    answer = await ROADS[road](api, phone, Drive(1000))
    assert answer["accepted"] + answer["duplicates"] + len(answer["rejected"]) == 1000
    refused = await ROADS[road](api, phone, Drive(1001))
    assert (refused["code"], refused["limit"]) == ("too-many-locations", 1000)


@pytest.mark.parametrize("headers", [JSON, MSGPACK])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
async def test_a_mebibyte_is_read_and_one_byte_more_is_refused(
    api: Api, org: Org, headers: dict[str, str], encoding: str | None
):
    phone = await org.phone()
    write = msgpack.packb if headers is MSGPACK else lambda body: json.dumps(body).encode()
    pack = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    headers = headers | ({"Content-Encoding": encoding} if encoding else {})
    body = Drive(3).body
    room = MAX_BODY_BYTES - len(write(body | {"driverId": "x" * 70_000})) + 70_000
    fits, exceeds = (write(body | {"driverId": "x" * length}) for length in (room, room + 1))
    assert (len(fits), len(exceeds)) == (MAX_BODY_BYTES, MAX_BODY_BYTES + 1)
    assert (await post(api, phone, pack(fits), headers))["accepted"] == 2
    refused = await post(api, phone, pack(exceeds), headers)
    assert (refused["status"], refused["code"], refused["limitBytes"]) == (413, "body-too-large", MAX_BODY_BYTES)


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
        (b"{}", JSON | {"Content-Encoding": "br"}, 415, "unsupported-encoding"),
        (b"\xc1", MSGPACK, 400, "not-msgpack"),
        (b"{}", MSGPACK, 422, "invalid"),
        (b"\x80", JSON, 400, "not-json"),
        (gzip.compress(b'{"locations": [{}]}', mtime=0)[:-1], JSON | {"Content-Encoding": "gzip"}, 400, "bad-encoding"),
        (msgpack.packb({"v": 1, "t": [1, 2], "la": [1]}), MSGPACK, 422, "invalid"),
        (msgpack.packb({"v": 9, "t": [1]}), MSGPACK | {"Accept": "application/msgpack"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_json(
    api: Api, org: Org, data: bytes, headers: dict[str, str], status: int, code: str
):
    phone = await org.phone(running=False)
    answer = await api.as_(phone.token)("POST", PING, data=data, headers=headers)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_only_who_accepts_msgpack_by_name_is_answered_in_it(api: Api, org: Org):
    phone, drive = await org.phone(), Drive(3)
    for accept, kind in {
        "*/*": "application/json",
        "application/json": "application/json",
        "application/msgpack;q=0, */*": "application/json",
        "application/msgpack; q=0.5, application/json; q=0.1": "application/msgpack",
    }.items():
        answer = await api.as_(phone.token)("POST", PING, data=drive.columns, headers=MSGPACK | {"Accept": accept})
        assert (accept, answer.headers["Content-Type"].partition(";")[0]) == (accept, kind)


async def until_refused(api: Api, phone: Phone, body: bytes, usual: int = 200) -> Answer:
    """Send without a pause until the answer is another than the usual."""
    for _ in range(MANY):
        answer = await api.as_(phone.token)("POST", PING, data=body, headers=JSON)
        if answer.status != usual:
            return answer
    raise AssertionError("it was never refused")


async def test_a_phone_that_asks_too_often_is_told_when_to_go_on_and_nobody_else_is(api: Api, org: Org):
    mad, calm, drive = await org.phone(), await org.phone(), Drive(1)
    answer = await until_refused(api, mad, text(drive))
    assert (answer.status, answer.json["code"], answer.json["limit"]) == (429, "device-too-fast", "device-requests")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("100", "0")
    async with listening(api.url, mad.token) as socket:
        acks = [await socket.call("tracking:ping", drive.body)]
        while acks[-1]["ok"] and len(acks) < MANY:
            acks.append(await socket.call("tracking:ping", drive.body))
    error = acks[-1]["error"]
    assert (error["code"], error["retry"], error["retryAfter"]) == ("device-too-fast", True, 1)
    assert (await ROADS["JSON"](api, calm, drive))["accepted"] == 1


async def test_what_cannot_be_read_counts_as_well(api: Api, org: Org):
    assert (await until_refused(api, await org.phone(), b"nothing", 400)).json["code"] == "device-too-fast"


async def test_the_organisation_lifts_the_limits_of_its_devices(api: Api, org: Org):
    phone, owner = await org.phone(), api.as_(await org.token())
    shown = (await owner("GET", "/api/v1/org")).json["tracking"]
    assert (shown["requestsPerS"], shown["fixesPerS"]) == (10, 100)
    drive = Drive(1000)
    limited = [(await ROADS["columns"](api, phone, drive)).get("limit") for _ in range(10)]
    assert limited[:6] == [None] * 6
    assert "device-fixes" in limited[6:]
    changed = await owner("PATCH", "/api/v1/org", {"tracking": {"fixesPerS": 0, "requestsPerS": 0}})
    assert (changed.json["tracking"]["requestsPerS"], changed.json["tracking"]["fixesPerS"]) == (0, 0)
    assert {(await ROADS["columns"](api, phone, drive)).get("limit") for _ in range(10)} == {None}
