"""What clients should not send, and who may not come in."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import aiohttp
import msgpack
import pytest

from tests.stacks import (
    Served,
    Wire,
    asked,
    few_bytes,
    polling,
    raw,
    served,
    shrink,
    wired,
)
from tests.waiting import until
from waypost.realtime.fanout import Options

TEXTS = [
    *("4", "4abc", "42", "42{}", "42[]", "42null", '42"x"', "42[1]", "42[null]", "42abc[]", '42["x"', "43{}", "47"),
    *('44{"message":"x"}', "40[]", '40"x"', "40", "41[]", "9", "x", "", "2", "2probe", "5", "0", "bAAAA", "4²"),
    *('4599-["x"]', '451-["x",{"_placeholder":true,"num":5}]', '42/other,["x"]', "43", "45-[]", "40/" + "x" * 300),
    "42[" + "[" * 50_000,
]  # fmt: skip
BINARIES = [
    *(b"", b"\xc1", b"\x93\x01", b"\x80", msgpack.packb([2, ["x"]])),
    msgpack.packb({"type": 9, "nsp": "/", "data": []}),
    *(msgpack.packb({"type": 2, "nsp": 5, "data": ["x"]}), msgpack.packb({"type": True, "nsp": "/", "data": ["x"]})),
    *(msgpack.packb({"type": 2, "nsp": "/", "data": ["x"], "id": -1}), msgpack.packb({"type": 2, "nsp": "/"})),
    *(msgpack.packb({"type": 0, "nsp": "/", "data": []}), msgpack.packb({"type": 5, "nsp": "/", "data": ["x"]})),
    *(b"\x91" * 2000, msgpack.packb({1: {2: 3}}), msgpack.packb({"type": 2, "nsp": "/x", "data": ["x"]})),
]  # fmt: skip


async def _closes_promptly(there: Served, member: Wire, send: Any, wrong: object) -> float:
    began = time.perf_counter()
    await send(wrong)
    if isinstance(wrong, str) and wrong.startswith("451-"):
        await member.ws.send_bytes(b"x")
    code = await member.closed()
    took_s = time.perf_counter() - began
    assert code in {1002, 1006}, wrong  # 1006: the socket closed before the client had answered the Close
    assert there.stack.counts.connections == 0
    return took_s


@pytest.mark.parametrize("wrong", TEXTS)
async def test_a_text_that_is_no_packet_ends_the_connection_within_a_tenth_of_a_second(wrong: str):
    """With a ping only every 25 s: nobody can have waited for one."""
    took_s = []
    async with served() as there:
        for _ in range(3):
            async with wired(there) as member:
                took_s.append(await _closes_promptly(there, member, member.ws.send_str, wrong))
    assert min(took_s) < 0.1


@pytest.mark.parametrize("wrong", BINARIES)
async def test_bytes_that_are_no_packet_end_the_connection_too(wrong: bytes):
    took_s = []
    async with served() as there:
        for packed in (True, True, False):
            async with wired(there, packed=packed) as member:
                took_s.append(await _closes_promptly(there, member, member.ws.send_bytes, wrong))
    assert min(took_s) < 0.1


async def test_a_frame_that_is_none_ends_the_connection():
    async with served() as there:
        for frame in (b"\xff\xff\xff\xff", b"\x81\x05hello", b"\x8f\x80\0\0\0\0", b"\x81\xfe\xff\xff"):
            async with raw(there) as member:
                member.sock.sendall(frame + b"\0" * 70_000 if frame.startswith(b"\x81\xfe") else frame)
                await asyncio.wait_for(member.rest(), 2)


async def test_a_flood_of_tiny_packets_in_one_read_ends_the_connection():
    async with served() as there, raw(there) as member, wired(there) as other:
        with_mask = b"\x81\x81\0\0\0\0" + b"3"
        member.sock.setblocking(True)
        with suppress(OSError):
            for _ in range(50):
                await asyncio.to_thread(member.sock.sendall, with_mask * 20_000)
        await until(lambda: len(there.desk.here) == 1)
        await other.emit("x", ack=1)
        assert (await other.next()).startswith("431[")


async def test_pings_of_who_reads_no_pong_fill_no_memory():
    async with served(few_bytes()) as there, raw(there) as member:
        (sid,) = there.desk.here
        line = there.stack.members.main[sid].line
        assert line is not None
        shrink(there, sid)
        ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
        for _ in range(300):
            with suppress(BlockingIOError):
                member.sock.sendall(ping * 10)
            await asyncio.sleep(0)
            if line.transport is not None:
                assert line.transport.get_write_buffer_size() < 8192 * 2


@pytest.mark.parametrize("size", [1000, 1001])
async def test_a_message_beyond_the_limit_ends_the_connection(size: int):
    async with served(Options(max_payload_bytes=1000, abort_after_s=0.3)) as there, wired(there) as member:
        text = '42["x","' + "x" * (size - 10) + '"]'
        assert len(text) == size
        await member.ws.send_str(text)
        if size > 1000:
            assert await member.closed() in {1009, 1006}
        else:
            await until(lambda: there.desk.heard)


async def test_attachments_that_are_together_beyond_the_limit_end_the_connection():
    async with served(Options(max_payload_bytes=1000, abort_after_s=0.3)) as there, wired(there) as member:
        await member.ws.send_str('453-["x",{"_placeholder":true,"num":0}]')
        await member.ws.send_bytes(b"x" * 600)
        await member.ws.send_bytes(b"x" * 600)
        assert await member.closed() in {1002, 1006}


async def test_few_but_large_waiting_events_are_too_many_as_well():
    gate, begun = asyncio.Event(), asyncio.Event()

    async def wait(_sid: str, _arguments: list[object]) -> object:
        begun.set()
        await gate.wait()
        return {"ok": True}

    async with served(Options(max_payload_bytes=1000, abort_after_s=0.3)) as there, wired(there) as member:
        there.desk.on["wait"] = wait
        await member.emit("wait", "x" * 500, ack=0)
        await begun.wait()
        for n in range(1, 5):
            await member.emit("wait", "x" * 500, ack=n)
        refused = [await member.next() for _ in range(2)]
        assert ["too-many" in answer for answer in refused] == [True, True]
        gate.set()
        assert [await member.next() for _ in range(3)] == [f'43{n}[{{"ok":true}}]' for n in range(3)]


async def test_a_post_beyond_the_limit_or_that_is_no_text_ends_the_connection():
    async with served(Options(max_payload_bytes=1000, abort_after_s=0.3)) as there:
        for body in (b"4" * 1001, b"4\xff\xfe", b"b***", b"", b"4" + b"\x1e3" * 400 + b"\x1ex"):
            poller = await polling(there)
            async with there.session.post(there.url("polling", sid=poller.session_id), data=body) as response:
                assert response.status == 400, body[:10]
            assert not there.stack.is_open(poller.sid)


async def test_a_page_of_another_origin_is_refused_by_name():
    async with served() as there:
        host = f"127.0.0.1:{there.port}"
        assert (await asked(there))[0] == 200
        assert (await asked(there, Origin=f"http://{host}"))[0] == 200
        for origin in ("http://elsewhere.example", "null", f"http://{host}.evil.example", "http://localhost", ""):
            status, text, headers = await asked(there, Origin=origin)
            assert (origin, status, json.loads(text)["code"]) == (origin, 403, "origin-refused")
            assert "Access-Control-Allow-Origin" not in headers
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await there.session.ws_connect(there.url("websocket"), headers={"Origin": "http://elsewhere.example"})
        assert refused.value.status == 403


async def test_an_origin_that_is_named_is_served_and_its_pages_may_read_the_answers():
    async with served(Options(origins=["https://app.example"])) as there:
        status, _, headers = await asked(there, Origin="https://app.example")
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
        assert (await asked(there, Origin=f"http://127.0.0.1:{there.port}"))[0] == 200  # its own host always
        assert (await asked(there, Origin="https://app.example.evil.example"))[0] == 403
        async with there.session.options(there.url("polling"), headers={"Origin": "https://app.example"}) as answer:
            assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"


async def test_while_draining_new_connections_are_sent_elsewhere_and_the_others_go_on():
    async with served() as there, wired(there) as member:
        there.stack.refuse_new()
        status, text, headers = await asked(there)
        assert (status, json.loads(text)["code"]) == (503, "draining")
        assert int(headers["Retry-After"]) > 0
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await there.session.ws_connect(there.url("websocket"))
        await member.emit("x", ack=1)
        assert (await member.next()).startswith("431[")
