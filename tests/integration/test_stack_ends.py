"""Connections that come to an end, and what must be left of them: nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from tests.stacks import (
    Wire,
    asked,
    certified,
    event,
    few_bytes,
    numbers,
    polling,
    raw,
    send_connect,
    served,
    shrink,
    wired,
)
from tests.waiting import until
from waypost.realtime.connection import Connection
from waypost.realtime.fanout import Options, WebSocket
from waypost.realtime.traffic import ENDED_AT_ONCE, Traffic


@pytest.mark.parametrize("packed", [False, True])
async def test_who_is_disconnected_for_a_reason_is_told_it_first(packed: bool):
    async with served() as there, wired(there, packed=packed) as member:
        await there.stack.disconnect(member.sid, code="token-expired", detail="Sign in again.", retry=False)
        assert not there.stack.is_open(member.sid)
        told = await member.next()
        assert told == ["error", {"code": "token-expired", "detail": "Sign in again.", "retry": False}]
        assert await member.next() == ({"type": 1, "nsp": "/"} if packed else "41")
        await member.closed()
        await until(lambda: there.desk.left == [member.sid])


async def test_a_connection_that_ends_is_told_once_and_after_its_last_handler():
    order: list[str] = []

    async with served() as there:
        gate = asyncio.Event()

        async def handle(sid: str, _arguments: list[object]) -> object:
            await gate.wait()
            order.append("handled" if sid not in there.desk.left else "too late")
            return None

        there.desk.on["slow"] = handle
        async with wired(there) as member:
            await member.emit("slow")
            await until(lambda: there.desk.heard)
        await until(lambda: not there.stack.members.main)
        gate.set()
        await until(lambda: there.desk.left)
        assert order == ["handled"]
        assert len(there.desk.left) == 1


async def test_a_thousand_that_leave_together_take_no_walk_over_those_who_stay():
    async with served() as there, wired(there) as stays:
        members = there.stack.members
        connection = members.main[stays.sid]
        for n in range(20_000):
            members.main[f"x{n}"] = connection
        began = time.perf_counter()
        for n in range(20_000):
            members.leave(f"x{n}")
        assert (time.perf_counter() - began) / 20_000 < 20e-6
        assert there.stack.is_open(stays.sid)


async def test_close_ends_everybody_and_may_be_repeated():
    async with served() as there, wired(there) as member, raw(there), wired(there, join=False):
        poller = await polling(there)
        waiting = asyncio.create_task(poller.poll())
        await asyncio.sleep(0.05)
        ended = asyncio.create_task(member.closed())
        await there.stack.close()
        await there.stack.close()
        assert await ended in {1001, 1006}
        assert await waiting == ["1"]
        assert there.stack.counts.connections == 0
        assert len(there.desk.left) == 3
        assert there.desk.here == []


async def test_a_peer_that_vanishes_is_given_up_by_the_kernel():
    async with served() as there, raw(there):
        (sid,) = there.desk.here
        line = there.stack.members.main[sid].line
        assert line is not None
        assert line.transport is not None
        sock = line.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 45_000


async def test_who_answers_no_ping_is_closed_and_who_answers_stays():
    options = Options(ping_interval_s=0.1, ping_timeout_s=0.1, abort_after_s=0.3)
    async with served(options) as there, raw(there) as silent, wired(there) as alive:
        answering = asyncio.create_task(alive.events(1))
        await asyncio.wait_for(silent.rest(), 2)
        await asyncio.sleep(0.4)
        assert there.stack.is_open(alive.sid)
        there.stack.broadcast([alive.sid], [event(1)])
        await answering


async def test_an_upgrade_that_is_begun_and_left_leaves_the_polls_as_they_were():
    async with served(Options(upgrade_timeout_s=0.1, abort_after_s=0.3)) as there:
        poller = await polling(there)
        for ending in ("close", "timeout", "nonsense"):
            ws = await there.session.ws_connect(there.url("websocket", sid=poller.session_id))
            await ws.send_str("2probe")
            assert await ws.receive_str() == "3probe"
            there.stack.broadcast([poller.sid], [event(1)])
            if ending == "nonsense":
                await ws.send_str('42["x"]')
            if ending != "close":
                assert (await ws.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            await ws.close()
            await until(lambda: there.stack.members.main[poller.sid].probing is None)
            assert numbers(await poller.events(1)) == [1]


async def test_the_rest_of_the_application_is_served_as_ever():
    """A WebSocket takes its socket out of the web server's hands; nothing else notices."""
    async with served() as there, wired(there) as member:
        for _ in range(5):
            assert (await asked(there))[0] == 200
        assert len(there.server.handler.connections) <= 3  # the session's own; not the WebSocket
        await member.emit("x", ack=1)
        assert (await member.next()).startswith("431[")


async def test_a_client_that_compresses_is_read_where_that_is_allowed_and_gets_plain_frames():
    for deflate in (False, True):
        async with served(Options(deflate=deflate, abort_after_s=0.3)) as there:
            url = there.url("websocket")
            async with there.session.ws_connect(url, compress=15) as ws:
                assert bool(ws.compress) is deflate
                member = Wire(ws)
                assert (await ws.receive_str()).startswith("0{")
                await send_connect(member)
                assert (await member.next()).startswith("40")
                await member.emit("x", "y" * 5000, ack=1)
                assert json.loads((await member.next())[3:])[0]["got"] == ["y" * 5000]
                there.stack.broadcast(there.desk.here, [event(1)])
                assert await member.events(1) == [["trip:event", event(1).body]]


async def test_over_tls_all_is_as_without(tmp_path: Path):
    server_side, client_side = certified(tmp_path)
    async with served(ssl_context=server_side) as there:
        url = there.url("websocket").replace("http:", "https:")
        async with there.session.ws_connect(url, ssl=client_side) as ws:
            member = Wire(ws)
            assert (await ws.receive_str()).startswith("0{")
            await send_connect(member)
            assert (await member.next()).startswith("40")
            for seq in range(1, 301):
                there.stack.broadcast(there.desk.here, [event(seq, pad="x" * 2000)], hold=seq % 2 == 0)
            assert numbers(await member.events(300)) == list(range(1, 301))
            await ws.send_str("4abc")
            await member.closed()
            await until(lambda: not there.desk.here)


async def test_who_sends_no_more_has_ended_though_much_still_waits_for_it():
    async with served(few_bytes()) as there, raw(there) as half:
        (sid,) = there.desk.here
        shrink(there, sid)
        for seq in range(1, 60):
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
        half.sock.shutdown(socket.SHUT_WR)
        await until(lambda: not there.stack.is_open(sid), within_s=1)
        await until(lambda: not there.stack.traffic.lines, within_s=2)  # flushed to nobody: aborted in time
        assert there.stack.counts.backlog_bytes == 0


async def test_an_odd_end_keeps_no_other_from_ending_then_or_later(monkeypatch: pytest.MonkeyPatch):
    odd: list[Connection] = []
    lost = Connection.lost

    def lost_once_odd(connection: Connection, line: WebSocket) -> None:
        if not odd:
            odd.append(connection)
            raise RuntimeError("odd")
        lost(connection, line)

    monkeypatch.setattr(Connection, "lost", lost_once_odd)
    async with served() as there:
        for come in (3, 2):
            async with AsyncExitStack() as exits:
                for _ in range(come):
                    await exits.enter_async_context(wired(there))
                for line in list(there.stack.traffic.lines):
                    line.abort()
                await until(lambda: there.stack.counts.connections == 1)
        assert list(there.stack.members.main.values()) == odd
        odd[0].shut("odd")
        await until(lambda: len(there.desk.left) == 5)


async def test_nothing_is_written_to_who_has_left_while_its_end_has_its_turn_to_wait_for():
    async with served() as there, raw(there), raw(there):
        left, stays = there.desk.here
        line = there.stack.members.main[left].line
        assert line is not None
        assert line.eof_received(), "its socket is closed by us, later"
        assert list(there.stack.traffic.writers[False]) == [stays]
        there.stack.broadcast([left, stays], [event(1)])
        assert there.stack.counts.written == 1
        await until(lambda: there.desk.left == [left])
        assert there.stack.counts.backlog_bytes == 0


class Ending:
    """A transport and the connection over it; both count how often they are ended."""

    closed = lost_by = 0

    def pause(self) -> None:
        """Nothing is written to it any more."""

    def close(self) -> None:
        Ending.closed += 1

    def lost(self, _line: WebSocket) -> None:
        Ending.lost_by += 1


async def test_sockets_that_end_together_are_closed_for_some_at_a_time():
    """To close one is most of what its end costs: ten thousand in one turn of the loop would hold up everybody."""
    traffic, crowd = Traffic(Options()), 2 * ENDED_AT_ONCE + 50
    Ending.closed = Ending.lost_by = 0
    for _ in range(crowd):
        line = WebSocket(traffic)
        line.transport = line.connection = cast("Any", Ending())
        assert line.eof_received(), "it is not the transport that closes"
    assert (Ending.closed, Ending.lost_by) == (0, 0)
    for done in (ENDED_AT_ONCE, 2 * ENDED_AT_ONCE, crowd, crowd):
        await asyncio.sleep(0)
        assert (Ending.closed, Ending.lost_by) == (done, done)
