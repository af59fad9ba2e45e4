"""Answers: large ones cut nobody who fetches them, and none that was asked for is lost when a node stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.stacks import Handler, Served, event, few_bytes, polling, raw, send_connect, served, shrink, wired
from tests.waiting import until

LARGE = {"ok": True, "positions": ["x" * 300] * 5000}  # a fleet's snapshot: more than events may have waiting


async def large(_sid: str, _arguments: list[object]) -> object:
    return LARGE


def gated(gate: asyncio.Event) -> Handler:
    """A handler that answers once the gate is open."""

    async def handle(_sid: str, _arguments: list[object]) -> object:
        await gate.wait()
        return {"ok": True, "stored": 1}

    return handle


def acks(packets: list[Any]) -> list[tuple[str, int]]:
    """Number and size of each."""
    return [(packet[:3], len(packet)) for packet in packets if isinstance(packet, str) and packet.startswith("43")]


async def fetched(poller: Any, count: int) -> list[tuple[str, int]]:
    """So many acks, with as many polls as they take."""
    found: list[tuple[str, int]] = []
    while len(found) < count:
        packets = await poller.poll()
        assert not any(isinstance(packet, list) and packet[0] == "error" for packet in packets), packets[:1]
        found += acks(packets)
    return found


@pytest.mark.parametrize("is_waiting", [False, True], ids=["between polls", "during a poll"])
async def test_large_answers_reach_who_polls_with_all_that_comes_behind_them(is_waiting: bool):
    async with served() as there:
        there.desk.on["fleet:join"] = large
        poller = await polling(there)
        fetching = asyncio.create_task(fetched(poller, 3)) if is_waiting else None
        if is_waiting:
            await until(lambda: there.stack.members.main[poller.sid].poll is not None)
        await poller.post('421["fleet:join",{}]')
        await poller.post('422["fleet:join",{}]\x1e423["x",{}]')
        there.stack.broadcast([poller.sid], [event(1)])
        found = await (fetching or fetched(poller, 3))
        assert [number for number, _ in found] == ["431", "432", "433"]
        assert min(size for _, size in found[:2]) > 1_500_000
        assert there.stack.counts.cut == 0


@pytest.mark.parametrize("is_new", [True, False], ids=["right after CONNECT", "later"])
async def test_large_answers_reach_who_reads_with_all_that_comes_behind_them(is_new: bool):
    async with served() as there, wired(there, join=not is_new) as member:
        there.desk.on["fleet:join"] = large
        if is_new:
            await send_connect(member)
        for text in ('421["fleet:join",{}]', '422["fleet:join",{}]', '423["x",{}]'):
            await member.ws.send_str(text)
        await until(lambda: len(there.desk.heard) == 3)
        there.stack.broadcast(list(there.stack.members.main), [event(1)])
        packets: list[Any] = []
        while not isinstance(packets[-1] if packets else None, list):
            packets.append(await member.next())
            assert packets[-1] is not None, "it was cut"
        assert [number for number, _ in acks(packets)] == ["431", "432", "433"]
        assert packets[-1] == ["trip:event", event(1).body]
        assert there.stack.counts.cut == 0


async def test_who_asks_for_more_large_answers_than_it_takes_is_cut():
    async with served(few_bytes(answers_bytes=4_000_000)) as there, raw(there) as member:
        (sid,) = there.desk.here
        shrink(there, sid)
        there.desk.on["fleet:join"] = large
        for number in range(8):
            member.send(f'42{number}["fleet:join",{{}}]')
        await until(lambda: there.stack.counts.cut == 1, within_s=5)
        assert not there.stack.is_open(sid)
        assert there.stack.counts.backlog_bytes == 0


async def test_who_asks_for_more_large_answers_than_it_polls_for_is_cut():
    async with served(few_bytes(answers_bytes=4_000_000)) as there:
        there.desk.on["fleet:join"] = large
        poller = await polling(there)
        for number in range(3):
            await poller.post(f'42{number}["fleet:join",{{}}]')
        await until(lambda: there.stack.counts.cut == 1)
        assert not there.stack.is_open(poller.sid)
        assert (await poller.poll())[0][1]["code"] == "slow-client"


async def test_large_answers_that_wait_allow_no_more_events_to_wait_than_before():
    async with served(few_bytes()) as there:
        there.desk.on["fleet:join"] = large
        poller = await polling(there)
        await poller.post('421["fleet:join",{}]')
        await until(lambda: there.stack.counts.backlog_bytes > 1_500_000)
        for seq in range(1, 400):
            there.stack.broadcast([poller.sid], [event(seq, pad="x" * 1000)])
            if not there.stack.is_open(poller.sid):
                break
        assert 150 < seq < 250, "few_bytes lets 200,000 bytes of events wait"


async def ask_and_end(there: Served, sid: str, gate: asyncio.Event, *, whole_node: bool) -> None:
    """What is under way is answered after the end has begun."""
    await until(lambda: there.desk.heard)
    ending = asyncio.create_task(there.stack.close()) if whole_node else None
    if ending is None:
        there.stack.hang_up(sid)
    await asyncio.sleep(0)
    gate.set()
    if ending is not None:
        await ending


@pytest.mark.parametrize("whole_node", [False, True], ids=["hang up", "close"])
async def test_what_is_under_way_as_a_node_stops_is_answered_over_a_websocket(whole_node: bool):
    gate = asyncio.Event()
    async with served() as there, wired(there) as member:
        there.desk.on["tracking:ping"] = gated(gate)
        await member.emit("tracking:ping", ack=1)
        said = asyncio.create_task(member.next())
        await ask_and_end(there, member.sid, gate, whole_node=whole_node)
        assert await said == '431[{"ok":true,"stored":1}]'
        assert await member.next() is None
        assert member.ws.close_code in {1001, 1006}
        await until(lambda: there.desk.left == [member.sid])


@pytest.mark.parametrize("whole_node", [False, True], ids=["hang up", "close"])
async def test_what_is_under_way_as_a_node_stops_is_answered_to_who_polls(whole_node: bool):
    gate = asyncio.Event()
    async with served() as there:
        there.desk.on["tracking:ping"] = gated(gate)
        poller = await polling(there)
        polled = asyncio.create_task(poller.poll())
        await until(lambda: there.stack.members.main[poller.sid].poll is not None)
        await poller.post('421["tracking:ping",{}]')
        await ask_and_end(there, poller.sid, gate, whole_node=whole_node)
        assert (await polled)[0] == '431[{"ok":true,"stored":1}]'
        await until(lambda: there.desk.left == [poller.sid])
