"""The replay against a small server that keeps to the ingest contract and misbehaves on request."""

# ruff: noqa: S311 - movement and jitter, no secrets

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import count
from pathlib import Path
from random import Random

import aiohttp
import pytest
import socketio
import typer
from aiohttp import web
from rich.console import Console
from typer.testing import CliRunner

from waypost.replay.client import Device
from waypost.replay.command import register
from waypost.replay.devices import ReplayError
from waypost.replay.dispatcher import Login
from waypost.replay.lines import Program
from waypost.replay.rows import Row
from waypost.replay.session import Replay, Target
from waypost.replay.stats import Stats
from waypost.replay.transports import HttpTransport, SocketTransport, http_session

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACE = "vehicle_id,recorded_at,latitude,longitude\n" + "".join(
    f"{vehicle},2020-01-01T00:00:{second:02}Z,-17.8,31.0{second:02}\n" for second in range(12) for vehicle in "ab"
)
Fault = Callable[[web.Request], web.Response | None]  # None: the connection is dropped after the batch was stored


class Clock:
    """Moves when it sleeps, but no faster than the server answers what is under way."""

    def __init__(self, busy: Callable[[], bool] = lambda: False) -> None:
        self.at_s = 0.0
        self.busy = busy

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        async with asyncio.timeout(10):
            for turn in count():
                await asyncio.sleep(0)
                if turn > 20 and not self.busy():
                    return


@dataclass
class Server:
    """Stores fixes by (token, stream, n), once each; the faults come first, one a request."""

    faults: list[Fault] = field(default_factory=list)
    batches: list[dict] = field(default_factory=list)
    stored: dict[tuple[str, str, int], dict] = field(default_factory=dict)
    made: list[tuple[str, dict]] = field(default_factory=list)
    logins: int = 0
    tokens_live: int = 1_000  # requests until the access token has run out
    url: str = ""
    first: asyncio.Event = field(default_factory=asyncio.Event)  # something was stored

    def store(self, token: str, batch: dict) -> dict:
        self.batches.append(batch)
        self.first.set()
        keys = [(token, batch["stream"], one["n"]) for one in batch["locations"]]
        new = [key for key in keys if key not in self.stored]
        self.stored.update(zip(keys, batch["locations"], strict=True))
        return {"accepted": len(new), "duplicates": len(keys) - len(new), "rejected": [], "late": 0, "flagged": [],
                "latest": {"recordedAt": batch["locations"][-1]["timestamp"]}, "nextMs": 1000}  # fmt: skip

    async def ping(self, request: web.Request) -> web.Response:
        token, batch = request.headers["Authorization"].removeprefix("Bearer "), await request.json()
        if not self.faults:
            return web.json_response(self.store(token, batch))
        response = self.faults.pop(0)(request)
        if response is None:
            self.store(token, batch)
            request.transport.abort()
            return web.Response()
        self.batches.append(batch)
        return response

    async def login(self, request: web.Request) -> web.Response:
        self.logins += 1
        if (await request.json())["password"] != "right":
            return problem(401, "unauthenticated", "Wrong phone or password.")
        return web.json_response({"accessToken": f"access-{self.logins}", "refreshToken": "r", "expiresIn": 900})

    async def make(self, request: web.Request) -> web.Response:
        self.tokens_live -= 1
        if self.tokens_live < 0 and request.headers["Authorization"] == "Bearer access-1":
            return problem(401, "token-expired", "The token has run out.")
        kind, body = request.match_info["kind"], await request.json()
        if body.get("name") == "taken":
            return problem(409, "conflict", "A driver of this name exists.")
        self.made.append((kind, body))
        return web.json_response({"id": f"{kind}-{len(self.made)}", "token": f"token-{body.get('name')}"}, status=201)

    def numbers(self) -> list[list[int]]:
        return [[one["n"] for one in batch["locations"]] for batch in self.batches]


def problem(status: int, code: str, detail: str = "", **headers: str) -> web.Response:
    body = {"type": f"/problems/{code}", "status": status, "code": code, "detail": detail}
    return web.json_response(body, status=status, headers=headers)


def answering(status: int, code: str, **headers: str) -> Fault:
    return lambda request: problem(status, code, **headers)


def dropping(request: web.Request) -> None:
    """The batch is stored, the answer never comes."""


@pytest.fixture
async def server(aiohttp_server) -> Server:
    server = Server()
    app = web.Application(client_max_size=2**21)
    app.router.add_post("/api/v1/tracking/ping", server.ping)
    app.router.add_post("/api/v1/auth/login", server.login)
    app.router.add_post("/api/v1/{kind:drivers|devices|trips}", server.make)
    app.router.add_post("/api/v1/{kind:trips}/{id}/start", server.make)
    server.url = str((await aiohttp_server(app)).make_url(""))
    return server


@pytest.fixture
async def http() -> Iterator[aiohttp.ClientSession]:
    async with http_session(8) as session:
        yield session


def phone(transport: object, clock: Clock) -> Device:
    return Device("v", "stream-1", transport, clock, Stats(), Random(1), trip_id="trip-1")


def give(device: Device, fixes: int) -> None:
    for at in range(fixes):
        device.take(Row("v", 0, -17.8, 31.0 + at / 10_000, 3.5), 1_795_348_800_000 + at)


async def drain(device: Device, clock: Clock) -> list[float]:
    """Turns until nothing is left; how long the device waited before each further one, in seconds."""
    waits = []
    while await device.turn():
        waits.append(device.next_turn_s() - clock.at_s)
        clock.at_s = device.next_turn_s()
    return waits


async def test_a_batch_goes_over_the_wire_as_the_contract_says(server, http):
    device = phone(HttpTransport(http, server.url, "token", Clock()), Clock())
    give(device, 1)
    await device.turn()
    assert server.batches == [
        {"sentAt": 1_795_348_800_000, "stream": "stream-1", "tripId": "trip-1",
         "locations": [{"latitude": -17.8, "longitude": 31.0, "timestamp": "2026-11-22T12:00:00.000Z", "n": 1,
                        "speed": 3.5}]}
    ]  # fmt: skip
    assert (device.stats.accepted, len(device.outbox)) == (1, 0)


async def test_after_503_it_waits_as_told_and_sends_the_same_numbers(server, http):
    clock = Clock()
    server.faults = [answering(503, "unavailable", **{"Retry-After": "17"})]
    device = phone(HttpTransport(http, server.url, "token", clock), clock)
    give(device, 3)
    waits = await drain(device, clock)
    assert server.numbers() == [[1, 2, 3], [1, 2, 3]]
    assert 17 <= waits[0] < 17 + 1.7 + 3.6
    assert (device.stats.accepted, device.stats.duplicates, device.stats.resent) == (3, 0, 3)


async def test_a_connection_dropped_after_the_commit_makes_duplicates_and_no_loss(server, http):
    clock = Clock()
    server.faults = [dropping, dropping]
    device = phone(HttpTransport(http, server.url, "token", clock), clock)
    give(device, 5)
    await drain(device, clock)
    assert server.numbers() == [[1, 2, 3, 4, 5]] * 3
    assert len(server.stored) == 5
    assert (device.stats.accepted, device.stats.duplicates) == (0, 5)
    assert device.stats.errors == {"no connection": 2}


async def test_fixes_that_come_meanwhile_never_change_a_batch_that_was_sent(server, http):
    clock = Clock()
    server.faults = [dropping]
    device = phone(HttpTransport(http, server.url, "token", clock), clock)
    give(device, 2)
    await device.turn()
    give(device, 2)
    await drain(device, clock)
    assert server.numbers() == [[1, 2], [1, 2], [3, 4]]


async def test_413_splits_the_batch_until_it_fits(server, http):
    def at_most_two(request: web.Request) -> web.Response:
        return problem(413, "too-large")

    clock = Clock()
    server.faults = [at_most_two, at_most_two]
    device = phone(HttpTransport(http, server.url, "token", clock), clock)
    give(device, 8)
    await drain(device, clock)
    assert server.numbers() == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2], [3, 4], [5, 6, 7, 8]]
    assert device.stats.accepted == 8


@pytest.mark.parametrize(("status", "code"), [(401, "token-revoked"), (404, "device-not-found")])
async def test_a_device_that_is_not_known_stops_and_says_why(server, http, status, code):
    server.faults = [answering(status, code)]
    device = phone(HttpTransport(http, server.url, "token", Clock()), Clock())
    give(device, 2)
    assert await device.turn() is False
    give(device, 2)
    assert await device.turn() is False
    assert len(server.batches) == 1
    assert device.stats.stopped == {"v": f"{status} {code}"}


async def test_a_redirect_is_not_followed(server, http):
    server.faults = [lambda request: web.Response(status=301, headers={"Location": "/login"})]
    device = phone(HttpTransport(http, server.url, "token", Clock()), Clock())
    give(device, 1)
    await device.turn()
    assert device.stats.stopped == {"v": "301"}


async def test_nobody_listening_is_a_reason_to_wait_longer_each_time(http):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    clock = Clock()
    device = phone(HttpTransport(http, f"http://127.0.0.1:{port}", "token", clock), clock)
    give(device, 1)
    for attempt in range(5):
        await device.turn()
        assert 2**attempt <= device.not_before_s - clock.at_s <= 2**attempt * 1.5
        clock.at_s = device.next_turn_s()
    assert len(device.outbox) == 1


@dataclass
class Sockets:
    """A Socket.IO server for ``tracking:ping``."""

    store: Server = field(default_factory=Server)
    refusal: str | None = None
    acks: list[dict] = field(default_factory=list)
    doubt_next: bool = False
    sids: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        sio = socketio.AsyncServer(async_mode="aiohttp")
        app = web.Application()
        sio.attach(app)

        async def connect(sid: str, environ: dict, auth: dict) -> None:
            self.sids.append(sid)
            if self.refusal:
                raise socketio.exceptions.ConnectionRefusedError("refused", {"code": self.refusal})

        async def ping(sid: str, batch: dict) -> dict:
            if self.acks:
                return self.acks.pop(0)
            answer = self.store.store("token", batch)
            if self.doubt_next:
                self.doubt_next = False
                return {"ok": False, "error": {"code": "unavailable", "detail": "", "retry": True}}
            return {"ok": True, **answer}

        sio.on("connect", connect)
        sio.on("tracking:ping", ping)
        self.sio = sio
        return app


async def test_over_socket_io_the_same_rules_hold(aiohttp_server, http):
    sockets, clock = Sockets(doubt_next=True), Clock()
    url = str((await aiohttp_server(sockets.app())).make_url(""))
    device = phone(SocketTransport(http, url, "token"), clock)
    give(device, 3)
    await device.turn()  # stored, but answered "unavailable"
    await sockets.sio.disconnect(sockets.sids[0])
    await drain(device, clock)
    await device.transport.close()
    assert sockets.store.numbers()[:2] == [[1, 2, 3]] * 2
    assert len(sockets.store.stored) == 3
    assert device.stats.duplicates == 3
    assert len(sockets.sids) == 2


async def test_a_refused_socket_stops_the_device_and_says_why(aiohttp_server, http):
    sockets = Sockets(refusal="token-revoked")
    url = str((await aiohttp_server(sockets.app())).make_url(""))
    device = phone(SocketTransport(http, url, "token"), Clock())
    give(device, 1)
    await device.turn()
    assert device.stats.stopped == {"v": "401 token-revoked"}


def replaying(server: Server, tmp_path: Path, **target: object) -> Replay:
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE)
    clock = Clock()
    made = Replay(Program((trace,)), Target(server.url, **target), clock=clock, random=Random(1),
                  console=Console(file=StringIO()))  # fmt: skip

    def busy() -> bool:  # a request that the server has not answered yet
        return made.stats.requests > len(made.stats.latencies_s) + sum(made.stats.errors.values())

    clock.busy = busy
    return made


async def test_a_replay_with_a_devices_file_delivers_every_fix_once_despite_faults(server, tmp_path):
    devices = tmp_path / "devices.jsonl"
    devices.write_text('{"vehicle": "b", "token": "of-b", "tripId": "trip-b"}\n{"vehicle": "x", "token": "of-x"}\n')
    server.faults = [dropping, answering(503, "unavailable", **{"Retry-After": "2"}), dropping]
    replay = replaying(server, tmp_path, devices=devices)
    assert await replay.run(asyncio.Event()) == 0
    assert sorted((token, n) for token, _, n in server.stored) == [
        (t, n) for t in ("of-b", "of-x") for n in range(1, 13)
    ]
    assert {batch.get("tripId") for batch in server.batches} == {"trip-b", None}
    assert replay.stats.accepted + replay.stats.duplicates == replay.stats.played == 24


async def test_a_dispatcher_makes_drivers_devices_and_running_trips(server, tmp_path):
    replay = replaying(server, tmp_path, login=Login("right", phone="+263771234567"))
    assert await replay.run(asyncio.Event()) == 0
    kinds = [kind for kind, _ in server.made]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"drivers": 2, "devices": 2, "trips": 4}
    assert {token for token, _, _ in server.stored} == {"token-a", "token-b"}


async def test_a_dispatcher_signs_in_again_when_the_access_token_has_run_out(server, tmp_path):
    server.tokens_live = 3
    replay = replaying(server, tmp_path, login=Login("right", email="d@example.org"))
    assert await replay.run(asyncio.Event()) == 0
    assert server.logins >= 2
    assert len(server.stored) == 24


async def test_a_refused_sign_in_is_one_line(server, tmp_path):
    with pytest.raises(ReplayError, match=r"signing in at .* failed: 401, Wrong phone or password"):
        await replaying(server, tmp_path, login=Login("wrong", phone="+263")).run(asyncio.Event())


async def test_a_conflict_is_explained(server, tmp_path):
    replay = replaying(server, tmp_path, login=Login("right", phone="+263"))
    replay.program.files[0].write_text(TRACE.replace("a,", "taken,"))
    with pytest.raises(ReplayError, match=r"409, A driver of this name exists\.; it exists already or is in use"):
        await replay.run(asyncio.Event())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_command_with_the_summary_and_status_0(server, tmp_path, number):
    devices = tmp_path / "devices.jsonl"
    devices.write_text('{"vehicle": "a", "token": "t"}\n{"vehicle": "b", "token": "u"}\n')
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE)
    script = "import typer; from waypost.replay.command import app_command; typer.run(app_command)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(trace), "--devices", str(devices), "--url", server.url, "--batch", "0.1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    async with asyncio.timeout(30):
        await server.first.wait()
        process.send_signal(number)
        out, error = await process.communicate()
    assert (process.returncode, error) == (0, b"")
    assert b"accepted" in out


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.csv", "--devices", "d.jsonl"], "cannot be read: No such file"),
        ([], "nothing to play"),
        (["--simulate", "2"], "no devices: give --devices FILE"),
        (["--simulate", "2", "--devices", "none.jsonl"], "none.jsonl: cannot be read"),
        (["--simulate", "2", "--phone", "+263"], "set WAYPOST_REPLAY_PASSWORD"),
        (["--simulate", "2", "--speed", "fast"], "--speed fast: expected 'auto'"),
        (["--simulate", "2", "--around", "here"], "--around here: expected LATITUDE,LONGITUDE"),
        (["--simulate", "2", "--transport", "pigeon"], "expected http or socket"),
        (["--simulate", "2", "--form", "xml"], "expected json, msgpack or columns"),
        (["--simulate", "2", "--devices", "d.jsonl", "--url", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_bad_use_is_one_line_and_exit_status_2(command, arguments, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAYPOST_REPLAY_PASSWORD", raising=False)
    (tmp_path / "d.jsonl").write_text(json.dumps({"vehicle": "v", "token": "t"}))
    result = CliRunner().invoke(command, ["replay", *arguments])
    assert result.exit_code == 2
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_names_every_choice(command):
    result = CliRunner().invoke(command, ["replay", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for option in (
        "--speed",
        "--vehicles",
        "--loop",
        "--align",
        "--transport",
        "--form",
        "--devices",
        "--simulate",
        "--duration",
    ):
        assert option in result.stdout
