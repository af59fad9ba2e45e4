"""Members that do not read as fast as they are told: bounded, joined, cut, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import sys
import weakref
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.stacks import (
    Served,
    event,
    few_bytes,
    numbers,
    polling,
    raw,
    served,
    shrink,
    wired,
)
from tests.waiting import until

SIOCOUTQNSD = 0x894B


async def test_a_reader_that_stalls_is_cut_with_a_word_and_leaves_nothing_behind():
    async with served(few_bytes()) as there, raw(there) as stalled, wired(there) as other:
        sid = next(sid for sid in there.desk.here if sid != other.sid)
        connection = there.stack.members.main[sid]
        shrink(there, sid)
        reading = asyncio.create_task(other.events(1000))
        seq, most = 0, 0
        while seq < 1000:
            seq += 1
            there.stack.broadcast([sid, other.sid], [event(seq, pad="x" * 1000)])
            most = max(most, connection.queue.size)
            await asyncio.sleep(0.001)
        assert not there.stack.is_open(sid)
        assert 150_000 < most <= 202_000, "the bound, and what came last"
        assert len(connection.queue) == 0
        assert there.stack.counts.backlog_bytes == 0
        assert there.stack.counts.cut == 1
        assert numbers(await reading) == list(range(1, 1001))
        await until(lambda: there.desk.left == [sid])
        await until(lambda: len(there.stack.traffic.lines) == 1, within_s=2)  # aborted, though it never read
        assert stalled.sock.fileno() > 0
        gone = weakref.ref(connection)
        del connection
        assert gone() is None  # freed at once, without a garbage collection


async def test_a_slow_reader_that_reads_on_learns_why_it_was_cut():
    async with served(few_bytes(abort_after_s=5.0)) as there, raw(there) as slow:
        (sid,) = there.desk.here
        shrink(there, sid)
        seq = 0
        while there.stack.is_open(sid):
            seq += 1
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
            await asyncio.sleep(0)
        heard = await asyncio.wait_for(slow.read((4008).to_bytes(2, "big") + b"slow-client"), 10)
        assert b'42["error",{"code":"slow-client","detail":"Too much was waiting for you.","retry":true}]' in heard
        assert heard.index(b'"error"') < heard.index(b"\x02" + b"41") < heard.rindex((4008).to_bytes(2, "big"))


async def test_a_reader_without_progress_is_cut_long_before_its_backlog_is_full():
    async with served(few_bytes(stalled_s=0.5, backlog_bytes=10_000_000)) as there, raw(there):
        (sid,) = there.desk.here
        shrink(there, sid)
        for seq in range(1, 200):
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
        assert there.stack.counts.busy_members == 1
        await until(lambda: there.stack.counts.cut == 1, within_s=5)


async def test_a_reader_that_is_slow_but_reads_is_not_taken_for_one_that_stalls():
    async with served(few_bytes(stalled_s=0.3, backlog_bytes=10_000_000)) as there, raw(there) as slow:
        (sid,) = there.desk.here
        shrink(there, sid)
        for seq in range(1, 150):
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
        for _ in range(40):
            await asyncio.get_running_loop().sock_recv(slow.sock, 2000)
            there.stack.traffic.sweep()
            await asyncio.sleep(0.02)
        assert there.stack.counts.busy_members == 1
        assert there.stack.is_open(sid)


async def test_the_write_buffer_stays_bounded_while_it_is_neither_full_nor_empty():
    async with served(few_bytes()) as there, raw(there) as slow:
        (sid,) = there.desk.here
        shrink(there, sid)
        line = there.stack.members.main[sid].line
        assert line is not None
        assert line.transport is not None
        seq = 0
        while line.transport.get_write_buffer_size() <= 8192:
            seq += 1
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
        while not 2048 < line.transport.get_write_buffer_size() < 7000:  # above the mark where it goes on by itself
            await asyncio.get_running_loop().sock_recv(slow.sock, 500)
            await asyncio.sleep(0.001)
        for _ in range(100):
            seq += 1
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
            assert line.transport.get_write_buffer_size() < 3 * 8192
        assert f'"seq":{seq}}}]'.encode() in await slow.read(f'"seq":{seq}}}]'.encode())


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system cannot bound it")
async def test_the_kernel_keeps_no_more_for_who_does_not_read_than_it_is_allowed():
    options = few_bytes(kernel_unsent_bytes=64 * 1024, backlog_bytes=8 * 2**20, backlog_events=10_000)
    async with served(options) as there, raw(there):
        (sid,) = there.desk.here
        connection = there.stack.members.main[sid]
        assert connection.line is not None
        assert connection.line.transport is not None
        sock = connection.line.transport.get_extra_info("socket")
        most = 0
        for seq in range(1, 4000):
            there.stack.broadcast([sid], [event(seq, pad="x" * 1000)])
            if seq % 50 == 0:
                await asyncio.sleep(0)
                most = max(most, unsent(sock.fileno()))
        assert connection.queue.size > 2**20, "what the kernel does not take waits with us"
        assert 0 < most < 64 * 1024 + 32 * 1024, "the bound, and what was begun below it"


def unsent(fd: int) -> int:
    """Bytes that the kernel has and did not send yet (Linux, tcp(7))."""
    return int.from_bytes(fcntl.ioctl(fd, SIOCOUTQNSD, bytes(4)), sys.byteorder)


async def test_a_member_that_was_busy_gets_everything_in_order_and_positions_joined():
    def moved(seq: int) -> dict[str, object]:
        place = {"vehicleId": "v", "recordedAt": f"2026-11-22T10:{seq // 60:02}:{seq % 60:02}.000Z", "pad": "x" * 200}
        return {"positions": [place]}

    async with served(few_bytes()) as there, raw(there) as slow:
        (sid,) = there.desk.here
        shrink(there, sid)
        for seq in range(1, 601):
            one = event(seq, name="trip:event") if seq % 100 == 0 else event(seq, "fleet:positions", **moved(seq))
            there.stack.broadcast([sid], [one])
        assert there.stack.is_open(sid)
        assert there.stack.counts.backlog_bytes < 100_000
        heard = (await slow.read(b'"seq":600}]')).decode("latin-1")
        expected = 1
        for part in heard.split("42[")[1:]:
            name, body = json.JSONDecoder().raw_decode("[" + part)[0]
            assert body.get("from", body["seq"]) == expected
            assert name == ("trip:event" if body["seq"] % 100 == 0 else "fleet:positions")
            assert name == "fleet:positions" or "from" not in body
            expected = body["seq"] + 1
        assert expected == 601
        assert there.stack.counts.conflated > 100
        await until(lambda: there.stack.counts.busy_members == 0)


async def test_who_stops_polling_is_cut_and_learns_it_with_the_next_poll():
    async with served(few_bytes()) as there:
        poller = await polling(there)
        for seq in range(1, 500):
            there.stack.broadcast([poller.sid], [event(seq, pad="x" * 1000)])
        assert not there.stack.is_open(poller.sid)
        assert there.stack.counts.backlog_bytes < 1000
        error, *rest = await poller.poll()
        assert error[1]["code"] == "slow-client"
        assert rest == ["41", "1"]
        async with there.session.get(there.url("polling", sid=poller.session_id)) as response:
            assert response.status == 400


async def test_more_events_than_allowed_are_too_many_however_small():
    async with served(few_bytes(backlog_events=50)) as there:
        poller = await polling(there)
        for seq in range(1, 52):
            assert there.stack.is_open(poller.sid)
            there.stack.broadcast([poller.sid], [event(seq)])
        assert not there.stack.is_open(poller.sid)


async def _wave(there: Served, stalled: int) -> None:
    """So many that never read, until each of them is cut."""
    async with AsyncExitStack() as open_ones:
        for _ in range(stalled):
            await open_ones.enter_async_context(raw(there))
        sids = list(there.desk.here)
        for sid in sids:
            shrink(there, sid)
        seq = 0
        while there.stack.members.main:
            seq += 1
            there.stack.broadcast(sids, [event(seq, pad="x" * 1000)])
            await asyncio.sleep(0)
        await until(lambda: not there.stack.traffic.lines)


def _resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


async def test_those_that_stall_leave_no_memory_taken():
    """What the first ones needed is enough for all who come after them."""
    taken_kib = []
    async with served(few_bytes(abort_after_s=0.1)) as there:
        for _ in range(6):
            await _wave(there, stalled=30)
            taken_kib.append(_resident_kib())
    assert taken_kib[-1] - taken_kib[1] < 2048, taken_kib
