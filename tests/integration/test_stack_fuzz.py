"""Frames that nobody should send, over both codecs and both transports: no traceback, no leak, nobody else notices."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from typing import Any

import msgpack
import pytest
from structlog.testing import capture_logs

from tests.stacks import UPGRADE, Served, polling, served, wired
from tests.waiting import until
from waypost.realtime.fanout import Options

TEXTS = [
    *("2", "3", "6", "5", "0", "1", "40", "41", '40{"token":"x"}', "40/custom,", "43[]", "431[]", "2probe", "44{}"),
    *('420["x","y"]', '451-["x",{"_placeholder":true,"num":0}]', '452-7["x",{"_placeholder":true,"num":1}]', "", "4"),
    *('42/custom,["x"]', '4212345678901234567890["x"]', '42["connect"]', '42["disconnect",{}]', "b" + "QUJD" * 9),
    '42["x",{"a":[1,2.5,null]}]',
]  # fmt: skip
PACKED: list[Any] = [
    *({"type": kind, "nsp": "/", "data": ["x", 1, {"y": b"z"}], "id": 3} for kind in range(8)),
    *({"type": 0, "nsp": "/"}, {"type": 1, "nsp": "/"}, {"type": 2}, [1, 2], "text", None),
    {"type": 2, "nsp": "/", "data": ["x", msgpack.ExtType(0, b"\0")]},
    *({"type": 2, "nsp": "/", "data": [["x"]]}, {"type": -1, "nsp": "/", "data": []}),
]  # fmt: skip
CHARACTERS = '0123456789[]{}",:-/?\\ \0\x1e\x7f²é日\u2028truefalsnNaInity'


def mutated(rng: random.Random, whole: bytes) -> bytes:
    """A few bytes changed, cut, doubled or put in."""
    data = bytearray(whole)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        change = rng.randrange(5)
        if change == 0:
            data[at:at] = rng.choice(CHARACTERS).encode()
        elif change == 1:
            del data[at : at + rng.randrange(1, 4)]
        elif change == 2:
            data[at : at + 1] = rng.randbytes(1)
        elif change == 3:
            data[at:at] = data[: rng.randrange(8)]
        else:
            data[at:at] = rng.choice((b"[" * 40, b"9" * 25, b"\x1e", b'"', b"\xc1", b"\xd4\x00\x00"))
    return bytes(data)


def message(rng: random.Random, *, packed: bool) -> bytes:
    """Half of them are as they should be, so that a connection lives to see some more."""
    if packed:
        good: bytes = msgpack.packb(
            {"type": rng.choice((2, 2, 2, 3)), "nsp": "/", "data": ["x", rng.random()], "id": 1}
        )
        odd = msgpack.packb(rng.choice(PACKED)) if rng.random() < 0.8 else rng.choice(TEXTS).encode()
    else:
        good = rng.choice((f'42["x",{{"y":{rng.random()}}}]', '421["\u65e5",[null]]', "3", "6", "431[]")).encode()
        odd = rng.choice(TEXTS).encode()
    chance = rng.random()
    return good if chance < 0.5 else mutated(rng, good if chance < 0.75 else odd)


def frame(rng: random.Random, payload: bytes, *, packed: bool) -> bytes:
    """A client's frame; now and then one that breaks RFC 6455, is a part of one, or is a control frame."""
    opcode = rng.choice((0x82 if packed else 0x81,) * 12 + (0x81, 0x82, 0x01, 0x02, 0x80, 0x88, 0x89, 0x8A, 0x83, 0xC1))
    mask = rng.choice((b"\0\0\0\0",) * 9 + (rng.randbytes(4),))
    size = len(payload)
    head = bytes((opcode, 0x80 | size)) if size < 126 else bytes((opcode, 0xFE)) + size.to_bytes(2, "big")
    whole = head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return mutated(rng, whole) if rng.random() < 0.03 else whole


async def over_websocket(there: Served, rng: random.Random, *, packed: bool) -> int:
    """One connection's frames until it is ended; how many."""
    reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
    request = "\r\n".join(UPGRADE).replace("/socket.io/", "/socket.io/msgpack/" if packed else "/socket.io/")
    writer.write(request.encode())
    connect = msgpack.packb({"type": 0, "nsp": "/"}) if packed else b"40"
    plain = bytes((0x82 if packed else 0x81, 0x80 | len(connect))) + b"\0\0\0\0" + connect
    writer.write(plain)
    sent = 0
    try:
        while sent < 40 and not reader.at_eof() and not writer.transport.is_closing():
            writer.write(frame(rng, message(rng, packed=packed), packed=packed))
            sent += 1
            await _a_moment(reader)
        if not writer.transport.is_closing():
            writer.write(b"\x88\x80\0\0\0\0")
        while await asyncio.wait_for(reader.read(65536), 1):
            pass
    except (ConnectionError, TimeoutError):
        pass  # half a frame swallowed the Close: the server waits for its rest, as it should
    writer.transport.abort()
    return sent


async def _a_moment(reader: asyncio.StreamReader) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    if reader._buffer:  # type: ignore[attr-defined]  # what was answered is of no interest
        await reader.read(65536)


async def over_polling(there: Served, rng: random.Random, *, packed: bool) -> int:
    poller = await polling(there, packed=packed)
    posts = rng.randrange(1, 6)
    for _ in range(posts):
        parts = [message(rng, packed=packed) for _ in range(rng.randrange(1, 4))]
        coded = [b"b" + base64.b64encode(part) if packed and rng.random() < 0.7 else part for part in parts]
        began = time.monotonic()
        async with there.session.post(poller._url(), data=b"\x1e".join(coded)) as answer:
            assert answer.status in {200, 400}
        assert time.monotonic() - began < 2
    async with there.session.post(poller._url(), data="1") as answer:
        assert answer.status in {200, 400}
    return posts


async def storm(frames: int, seed: int) -> None:
    rng, faults = random.Random(seed), []  # noqa: S311 - guards nothing
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    options = Options(connect_timeout_s=2, ping_interval_s=300, abort_after_s=0.3)
    with capture_logs() as logs:
        async with served(options) as there, wired(there) as guard, wired(there, packed=True) as packed_guard:
            tasks, sent = len(asyncio.all_tasks()), 0
            while sent < frames:
                ways = [over_websocket] * 15 + [over_polling]
                storms = [rng.choice(ways)(there, rng, packed=rng.random() < 0.5) for _ in range(8)]
                sent += sum(await asyncio.gather(*storms))
                await guard.emit("still", ack=1)
                assert (await guard.next()).startswith("431[")
            await packed_guard.emit("still", ack=1)
            assert (await packed_guard.next())["id"] == 1
            await until(lambda: there.stack.counts.connections == 2)
            await until(lambda: len(there.stack.traffic.lines) == 2)
            await until(lambda: len(there.desk.here) == 2)
            assert len(there.stack.members.main) == 2
            assert there.stack.counts.backlog_bytes == 0
            assert there.stack.counts.refused > sent // 100
            assert len(there.desk.heard) > sent // 100
            await until(lambda: len(asyncio.all_tasks()) <= tasks + 40)  # the kept workers and the session's own
    assert faults == []
    assert [line for line in logs if line["log_level"] in {"warning", "error", "critical"} or "exc_info" in line] == []


async def test_ten_thousand_odd_frames_leave_no_trace():
    await storm(10_000, seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [2, 3])
async def test_a_hundred_thousand_odd_frames_leave_no_trace(seed: int):
    await storm(50_000, seed)
