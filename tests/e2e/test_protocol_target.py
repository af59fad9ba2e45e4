"""The rules of the protocol authors' own suites, kept by a process that mounts our socket classes.

Each rule fails, in one of its forms at least, with the classes of python-socketio and python-engineio as they
are (30 of the tests do; the rule about requests that race with an upgrade fails by chance
only). The pings are of 300 ms and 200 ms, as the suites expect.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.e2e.commands import clean_environment, free_port

ENDED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)


@dataclass(frozen=True, slots=True)
class Target:
    session: aiohttp.ClientSession
    base: str

    def url(self, query: str, path: str = "/engine.io/") -> str:
        return f"{self.base}{path}?{query}"

    async def ask(self, method: str, query: str, body: str | None = None, path: str = "/engine.io/") -> tuple[int, str]:
        async with self.session.request(method, self.url(query, path), data=body) as answer:
            return answer.status, await answer.text()

    async def open(self, path: str = "/engine.io/") -> str:
        """A polling session."""
        _, text = await self.ask("GET", POLLING, path=path)
        return POLLING + "&sid=" + str(json.loads(text[1:])["sid"])

    def socket(self, query: str = "EIO=4&transport=websocket", path: str = "/socket.io/") -> Any:
        return self.session.ws_connect(self.url(query, path))


POLLING = "EIO=4&transport=polling"


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """One process for all of them; what it has said at the end holds no traceback."""
    port = free_port()
    command = (sys.executable, "-m", "tests.e2e.protocol_target", "--port", str(port))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    try:
        assert process.stdout is not None
        assert b"listening" in process.stdout.readline()
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert b"Traceback" not in said, said.decode()
    assert process.returncode == 0


@pytest.fixture
async def target(base: str) -> AsyncIterator[Target]:
    async with aiohttp.ClientSession() as session:
        yield Target(session, base)


async def _joined(ws: aiohttp.ClientWebSocketResponse, auth: str = "", namespace: str = "") -> None:
    assert (await ws.receive_str()).startswith("0")
    await ws.send_str(f"40{namespace}{auth}")
    assert (await ws.receive_str()).startswith(f"40{namespace}")
    assert await ws.receive_str() == f'42{namespace}["auth",{auth or "{}"}]'


async def _closes(ws: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(5):
        while (await ws.receive()).type not in ENDED:
            pass


async def test_the_handshake_names_the_times_in_milliseconds_and_nothing_else(target: Target):
    for path in ("/engine.io/", "/socket.io/"):
        status, text = await target.ask("GET", POLLING, path=path)
        told = json.loads(text[1:])
        assert status == 200
        assert told.pop("sid")
        assert told == {"upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}
    async with target.socket() as ws:
        assert json.loads((await ws.receive_str())[1:])["upgrades"] == []


@pytest.mark.parametrize(
    ("method", "query"),
    [
        *(("GET", query) for query in ("EIO=4", "EIO=4&transport=abc", "transport=polling", "EIO=3&transport=polling")),
        *((method, POLLING) for method in ("POST", "PUT", "DELETE", "PATCH")),
        ("GET", POLLING + "&sid=nobody"),
    ],
)
async def test_a_request_that_opens_nothing_is_a_bad_one(target: Target, method: str, query: str):
    assert (await target.ask(method, query))[0] == 400


@pytest.mark.parametrize("body", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="])
async def test_a_post_is_answered_ok_in_small_letters_and_comes_back(target: Target, body: str):
    session = await target.open()
    assert await target.ask("POST", session, body) == (200, "ok")
    assert await target.ask("GET", session) == (200, body)


async def test_a_malformed_packet_in_a_post_ends_the_session(target: Target):
    for body in ("abc", "4x\x1eabc", "b?"):
        session = await target.open()
        assert (await target.ask("POST", session, body))[0] == 400
        assert (await target.ask("GET", session))[0] == 400


async def test_a_second_poll_is_refused_and_ends_the_session(target: Target):
    session = await target.open()
    first = asyncio.create_task(target.ask("GET", session))
    await asyncio.sleep(0.02)
    assert (await target.ask("GET", session))[0] == 400
    assert await first == (200, "1")
    assert (await target.ask("GET", session))[0] == 400


async def test_a_poll_that_waits_while_the_client_closes_ends_with_a_noop(target: Target):
    for post_first in (False, True):
        session = await target.open()
        requests = [target.ask("GET", session), target.ask("POST", session, "1")]
        answers = await asyncio.gather(*(reversed(requests) if post_first else requests))
        assert answers[1 if post_first else 0] == (200, "6")
        assert (await target.ask("GET", session))[0] == 400


async def test_each_ping_over_polling_has_a_time_of_its_own(target: Target):
    session = await target.open()
    for _ in range(3):
        assert await target.ask("GET", session) == (200, "2")
        assert await target.ask("POST", session, "3") == (200, "ok")
    session = await target.open()
    await asyncio.sleep(0.52)
    assert (await target.ask("GET", session))[0] == 400


async def test_who_answers_no_ping_is_closed_in_time(target: Target):
    async with target.socket(path="/engine.io/") as ws:
        began = time.monotonic()
        await _closes(ws)
        assert 0.4 < time.monotonic() - began < 1.5


async def _upgrading(target: Target, ws: aiohttp.ClientWebSocketResponse) -> None:
    await ws.send_str("2probe")
    assert await ws.receive_str() == "3probe"


async def test_a_poll_during_an_upgrade_ends_with_a_noop_that_never_shows_on_the_websocket(target: Target):
    session = await target.open()
    waiting = asyncio.create_task(target.ask("GET", session))
    async with target.socket(session.replace("polling", "websocket"), "/engine.io/") as ws:
        await _upgrading(target, ws)
        assert await waiting == (200, "6")
        assert await target.ask("GET", session) == (200, "6")
        await ws.send_str("5")
        await ws.send_str("4hello")
        assert await ws.receive_str() == "4hello"


@pytest.mark.parametrize("patient", [True, False])
async def test_requests_that_race_with_an_upgrade_are_refused_once_it_is_done(target: Target, patient: bool):
    session = await target.open()
    async with target.socket(session.replace("polling", "websocket"), "/engine.io/") as ws:
        await ws.send_str("2probe")
        if patient:
            await ws.receive_str()
        await ws.send_str("5")
        assert (await target.ask("GET", session))[0] == 400
        assert (await target.ask("POST", session, "4x"))[0] == 400


async def test_a_second_websocket_on_an_upgraded_session_is_accepted_and_closed(target: Target):
    session = (await target.open()).replace("polling", "websocket")
    async with target.socket(session, "/engine.io/") as ws:
        await _upgrading(target, ws)
        await ws.send_str("5")
        async with target.socket(session, "/engine.io/") as second:
            await _closes(second)
        await ws.send_str("4hello")
        assert await ws.receive_str() == "4hello"


@pytest.mark.parametrize("text", ["abc", "1", "9", ""])
async def test_a_malformed_packet_or_a_close_ends_a_websocket_at_once(target: Target, text: str):
    async with target.socket(path="/engine.io/") as ws:
        await ws.receive_str()
        began = time.monotonic()
        await ws.send_str(text)
        await _closes(ws)
        assert time.monotonic() - began < 0.2  # not by a ping that nobody answered


@pytest.mark.parametrize("namespace", ["", "/custom,"])
@pytest.mark.parametrize("auth", ["", '{"token":"123"}'])
async def test_what_is_sent_at_connect_follows_the_answer(target: Target, namespace: str, auth: str):
    async with target.socket() as ws:
        await _joined(ws, auth, namespace)


async def test_an_unknown_namespace_is_called_invalid(target: Target):
    async with target.socket() as ws:
        await ws.receive_str()
        await ws.send_str("40/random")
        assert await ws.receive_str() == '44/random,{"message":"Invalid namespace"}'


async def test_who_joins_nothing_is_dropped_after_a_second(target: Target):
    async with target.socket() as ws:
        began = time.monotonic()
        async for message in ws:
            if message.data == "2":
                await ws.send_str("3")
        assert 0.8 < time.monotonic() - began < 3


@pytest.mark.parametrize("text", ["4abc", "42{}", '42abc["message-with-ack",1]', "4", '42["x"', '451-["x"]'])
async def test_a_malformed_socket_io_packet_drops_the_connection_at_once(target: Target, text: str):
    async with target.socket() as ws:
        await _joined(ws)
        began = time.monotonic()
        await ws.send_str(text)
        if text.startswith("45"):
            await ws.send_str('42["not an attachment"]')
        await _closes(ws)
        assert time.monotonic() - began < 0.2


async def test_messages_and_acks_come_back_with_their_bytes(target: Target):
    async with target.socket() as ws:
        await _joined(ws)
        await ws.send_str('42["message",1,"2",{"3":[true]}]')
        assert await ws.receive_str() == '42["message-back",1,"2",{"3":[true]}]'
        await ws.send_str('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        await ws.send_bytes(b"\1\2\3")
        await ws.send_bytes(b"\4\5\6")
        assert await ws.receive_str() == '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        assert [await ws.receive_bytes(), await ws.receive_bytes()] == [b"\1\2\3", b"\4\5\6"]


async def test_a_namespace_is_left_and_the_other_goes_on(target: Target):
    async with target.socket() as ws:
        await _joined(ws)
        await ws.send_str("40/custom")
        assert (await ws.receive_str()).startswith("40/custom,")
        assert await ws.receive_str() == '42/custom,["auth",{}]'
        await ws.send_str("41/custom")
        await ws.send_str('42["message","to the main namespace"]')
        assert await ws.receive_str() == '42["message-back","to the main namespace"]'
