"""The socket stack: who gets what, in which order, and what clients may not do to it. No database, no Redis."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import weakref
from contextlib import suppress
from typing import Any

import aiohttp
import msgpack
import pytest

from tests.stacks import Poller, Served, Wire, event, polling, raw, send_connect, served, wired
from tests.waiting import until
from waypost.realtime.fanout import Options


def numbers(events: list[Any]) -> list[int]:
    return [body["seq"] for _name, body in events]


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
        assert await member.closed() == 1008
        await until(lambda: there.desk.left)


async def test_who_never_joins_is_closed():
    async with served(Options(connect_timeout_s=0.1)) as there, wired(there, join=False) as member:
        began = time.monotonic()
        assert await member.closed() == 1008
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


# Slow members.


def few_bytes(**more: Any) -> Options:
    """Small bounds, so that a test reaches them; the kernel's own buffers are beyond them."""
    return Options(**{"high_water_bytes": 8192, "backlog_bytes": 200_000, "abort_after_s": 0.3} | more)


def shrink(there: Served, sid: str) -> None:
    """Give the server's side of the socket as little of the kernel's memory as it takes."""
    line = there.stack.members.main[sid].line
    assert line is not None
    assert line.transport is not None
    line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


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
        assert 150_000 < most <= 200_000
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


# The tick.


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


# msgpack.


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


# What is no packet.

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
    assert code == 1002, wrong
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
            assert await member.closed() == 1009
        else:
            await until(lambda: there.desk.heard)


async def test_a_post_beyond_the_limit_or_that_is_no_text_ends_the_connection():
    async with served(Options(max_payload_bytes=1000, abort_after_s=0.3)) as there:
        for body in (b"4" * 1001, b"4\xff\xfe", b"b***", b"", b"4" + b"\x1e3" * 400 + b"\x1ex"):
            poller = await polling(there)
            async with there.session.post(there.url("polling", sid=poller.session_id), data=body) as response:
                assert response.status == 400, body[:10]
            assert not there.stack.is_open(poller.sid)


# Who may come in.


async def _asked(there: Served, **headers: str) -> tuple[int, Any, Any]:
    async with there.session.get(there.url("polling"), headers=headers) as response:
        return response.status, await response.text(), response.headers


async def test_a_page_of_another_origin_is_refused_by_name():
    async with served() as there:
        host = f"127.0.0.1:{there.port}"
        assert (await _asked(there))[0] == 200
        assert (await _asked(there, Origin=f"http://{host}"))[0] == 200
        for origin in ("http://elsewhere.example", "null", f"http://{host}.evil.example", "http://localhost", ""):
            status, text, headers = await _asked(there, Origin=origin)
            assert (origin, status, json.loads(text)["code"]) == (origin, 403, "origin-refused")
            assert "Access-Control-Allow-Origin" not in headers
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await there.session.ws_connect(there.url("websocket"), headers={"Origin": "http://elsewhere.example"})
        assert refused.value.status == 403


async def test_an_origin_that_is_named_is_served_and_its_pages_may_read_the_answers():
    async with served(Options(origins=["https://app.example"])) as there:
        status, _, headers = await _asked(there, Origin="https://app.example")
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
        assert (await _asked(there, Origin=f"http://127.0.0.1:{there.port}"))[0] == 200  # its own host always
        assert (await _asked(there, Origin="https://app.example.evil.example"))[0] == 403
        async with there.session.options(there.url("polling"), headers={"Origin": "https://app.example"}) as asked:
            assert asked.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"


async def test_while_draining_new_connections_are_sent_elsewhere_and_the_others_go_on():
    async with served() as there, wired(there) as member:
        there.stack.refuse_new()
        status, text, headers = await _asked(there)
        assert (status, json.loads(text)["code"]) == (503, "draining")
        assert int(headers["Retry-After"]) > 0
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await there.session.ws_connect(there.url("websocket"))
        await member.emit("x", ack=1)
        assert (await member.next()).startswith("431[")


# Coming to an end.


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
        assert await ended == 1001
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
            assert (await _asked(there))[0] == 200
        assert len(there.server.handler.connections) <= 3  # the session's own; not the WebSocket
        await member.emit("x", ack=1)
        assert (await member.next()).startswith("431[")
