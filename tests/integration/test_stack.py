"""The socket stack: who gets what, and in which order. No database, no Redis."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgpack
import pytest

from tests.stacks import Poller, Wire, event, numbers, polling, raw, send_connect, served, wired
from tests.waiting import until
from waypost.realtime.fanout import Options


async def test_everybody_in_a_room_gets_the_same_in_the_same_order_whatever_codec_and_transport():
    """JSON, msgpack, WebSocket, polling and an upgrade in the middle of it; some of the events hold bytes."""
    async with served() as there, wired(there) as text, wired(there, packed=True) as binary:
        polls, packed_polls, upgrading = await polling(there), await polling(there, packed=True), await polling(there)
        sids = {text.sid, binary.sid, polls.sid, packed_polls.sid, upgrading.sid}

        async def publish() -> None:
            for seq in range(1, 201):
                attachment = {"photo": b"\x00\x01" * seq} if seq % 7 == 0 else {}
                there.stack.broadcast(sids, [event(seq, **attachment)], hold=seq % 3 == 0)
                await asyncio.sleep(0.002)

        async def upgrade(poller: Poller) -> list[Any]:
            found: list[Any] = await poller.events(20)
            async with there.session.ws_connect(there.url("websocket", sid=poller.session_id)) as ws:
                await ws.send_str("2probe")
                assert await ws.receive_str() == "3probe"
                await ws.send_str("5")
                return found + await Wire(ws).events(200 - len(found))

        members = [text.events(200), binary.events(200), polls.events(200), packed_polls.events(200)]
        *heard, _ = await asyncio.gather(*members, upgrade(upgrading), publish())

        assert numbers(heard[0]) == list(range(1, 201))
        assert heard[0][6][1]["photo"] == b"\x00\x01" * 7
        for other in heard[1:]:
            assert other == heard[0]


async def test_what_is_sent_while_a_member_is_let_in_follows_the_answer():
    async with served() as there:

        async def greet(sid: str) -> None:
            there.stack.tell(sid, "hello", {"n": 1})
            there.stack.broadcast([sid], [event(1)])
            await asyncio.sleep(0.01)

        there.desk.at_connect = greet
        async with wired(there) as member, wired(there, packed=True) as packed:
            for wire in (member, packed):  # wired() has read the answer: it came first
                assert await wire.events(2) == [["hello", {"n": 1}], ["trip:event", event(1).body]]


async def test_a_refusal_says_why_and_the_connection_that_stays_is_closed_in_time():
    async with served(Options(connect_timeout_s=0.2)) as there, wired(there, join=False) as member:
        await send_connect(member, {"token": "bad"})
        said = json.loads((await member.next())[2:])
        assert said == {"message": "token-invalid", "data": {"code": "token-invalid", "detail": "No.", "retry": False}}
        assert await member.closed() in {1008, 1006}
        await until(lambda: there.desk.left)


async def test_who_never_joins_is_closed():
    async with served(Options(connect_timeout_s=0.1)) as there, wired(there, join=False) as member:
        began = time.monotonic()
        assert await member.closed() in {1008, 1006}
        assert time.monotonic() - began < 2


async def test_events_of_a_connection_are_handled_one_at_a_time_and_in_order():
    running, order = 0, []

    async def slow(_sid: str, arguments: list[object]) -> object:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.005)
        running -= 1
        order.append(arguments[0])
        return {"ok": True}

    async with served() as there, wired(there) as member:
        there.desk.on["slow"] = slow
        for n in range(12):
            await member.emit("slow", n, ack=n)
        acks = [await member.next() for _ in range(12)]
        assert order == list(range(12))
        assert acks == [f'43{n}[{{"ok":true}}]' for n in range(12)]


@pytest.mark.parametrize("packed", [False, True])
async def test_more_than_sixteen_waiting_events_are_refused_and_nobody_else_waits(packed: bool):
    gate = asyncio.Event()

    async def wait(_sid: str, _arguments: list[object]) -> object:
        await gate.wait()
        return {"ok": True}

    async with served() as there, wired(there, packed=packed) as flood, wired(there) as other:
        there.desk.on["wait"] = wait
        for n in range(40):
            await flood.emit("wait", ack=n)
        refused = [await flood.next() for _ in range(40 - 17)]
        for answer in refused:
            text = json.dumps(answer) if packed else answer
            assert "too-many" in text
            assert '"retry":true' in text.replace(": ", ":")
        await other.emit("quick", ack=1)
        assert (await other.next()).startswith("431[")
        gate.set()
        done = [await flood.next() for _ in range(17)]
        assert all("too-many" not in str(answer) for answer in done)


async def test_no_connection_has_a_task_of_its_own():
    async with served() as there:
        before = len(asyncio.all_tasks())
        async with raw(there), raw(there), raw(there), raw(there) as last:
            last.send('421["x",1]')
            await last.read(b"431[")
            assert len(asyncio.all_tasks()) <= before + 1  # the handlers' one, kept for the next event


@pytest.mark.parametrize("name", ["connect", "disconnect", "*", "connect_error", "", "日本"])
async def test_an_event_may_have_any_name(name: str):
    async with served() as there, wired(there) as member:
        await member.emit(name, 1, ack=1)
        assert json.loads((await member.next())[3:]) == [{"ok": True, "name": name, "got": [1]}]
        assert there.desk.here == [member.sid]


async def test_a_handler_that_fails_ends_no_connection(caplog: pytest.LogCaptureFixture):
    async def fail(_sid: str, _arguments: list[object]) -> object:
        raise RuntimeError("a handler's own fault")

    async with served() as there, wired(there) as member:
        there.desk.on["fail"] = fail
        await member.emit("fail", ack=1)
        await member.emit("x", ack=2)
        assert (await member.next()).startswith("432[")


async def test_within_a_tick_the_first_event_leaves_at_once_and_the_others_together():
    async with served(Options(tick_s=0.15, abort_after_s=0.3)) as there, raw(there) as member:
        (sid,) = there.desk.here
        began = time.monotonic()
        for seq in range(1, 11):
            there.stack.broadcast([sid], [event(seq)], hold=True)
        await member.read(b'"seq":1}]')
        assert time.monotonic() - began < 0.1
        chunk = await asyncio.get_running_loop().sock_recv(member.sock, 65536)
        assert time.monotonic() - began >= 0.14
        assert [f'"seq":{seq}}}]'.encode() in chunk for seq in range(2, 11)] == [True] * 9
        await until(lambda: there.stack.members.main[sid].held is None)
        there.stack.broadcast([sid], [event(11)], hold=True)
        began = time.monotonic()
        await member.read(b'"seq":11}]')
        assert time.monotonic() - began < 0.1


async def test_what_is_not_held_does_not_overtake_what_is():
    async with served(Options(tick_s=5.0, abort_after_s=0.3)) as there, wired(there) as member:
        for seq in (1, 2, 3):
            there.stack.broadcast([member.sid], [event(seq)], hold=True)
        there.stack.broadcast([member.sid], [event(4)])
        there.stack.broadcast([member.sid], [event(5)], hold=True)
        there.stack.tell(member.sid, "last", {"seq": 6})
        assert numbers(await member.events(6)) == [1, 2, 3, 4, 5, 6]


async def test_events_of_one_call_leave_in_one_write():
    async with served() as there, raw(there) as member:
        there.stack.broadcast(there.desk.here, [event(1), event(2), event(3)])
        chunk = await asyncio.get_running_loop().sock_recv(member.sock, 65536)
        assert chunk == event(1).frame + event(2).frame + event(3).frame


@pytest.mark.parametrize("argument", [msgpack.ExtType(0, b"\0"), {"a": [msgpack.ExtType(7, b"xyz")]}])
async def test_a_msgpack_extension_is_refused_by_name_and_the_connection_stays(argument: object):
    async with served() as there, wired(there, packed=True) as member:
        await member.emit("x", argument, ack=5)
        answer = await member.next()
        assert (answer["type"], answer["id"]) == (3, 5)
        assert answer["data"][0]["ok"] is False
        assert answer["data"][0]["error"]["code"] == "unsupported-type"
        await member.emit("x", 1, ack=6)
        assert (await member.next())["data"][0]["ok"] is True
        assert [name for name, _ in there.desk.heard] == ["x"]


async def test_no_auth_is_an_extension_to_the_official_parser_and_lets_in():
    async with served() as there, wired(there, packed=True, join=False) as member:
        await member.ws.send_bytes(msgpack.packb({"type": 0, "data": msgpack.ExtType(0, b"\0"), "nsp": "/"}))
        assert (await member.next())["type"] == 0


async def test_bytes_travel_both_ways_in_both_codecs():
    async with served() as there, wired(there, packed=True) as packed, wired(there) as text:
        await packed.emit("x", b"\0\1", ack=1)
        assert (await packed.next())["data"][0]["got"] == [b"\0\1"]
        await text.ws.send_str('452-7["x",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]')
        await text.ws.send_bytes(b"a")
        await text.ws.send_bytes(b"b")
        assert (await text.ws.receive_str()).startswith("462-7[")
        assert [await text.ws.receive_bytes(), await text.ws.receive_bytes()] == [b"b", b"a"]
