"""Who comes, leaves and comes again while it is still being let in; and who is never let in, or too late."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.stacks import Served, Wire, event, send_connect, served, wired
from tests.waiting import until
from waypost.realtime.fanout import Options, Refused

FAILED, GOING_AWAY = (1002, 1006), (1001, 1006)  # close codes; 1006 to who was still sending as it came


@dataclass(slots=True)
class Slow:
    """Lets in whoever is still here once the gate is open; ``begun``: whose admission has begun."""

    there: Served
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)

    async def __call__(self, sid: str) -> None:
        self.begun.append(sid)
        await self.gate.wait()
        if not self.there.stack.is_open(sid):
            raise Refused("closed", {"code": "closed", "detail": "It has closed.", "retry": True})


async def begin(there: Served, member: Wire) -> Slow:
    """The member has asked to be let in, and somebody is at it."""
    slow = there.desk.at_connect = Slow(there)
    await member.ws.send_str("40")
    await until(lambda: slow.begun)
    return slow


async def assert_served(there: Served, member: Wire, sid: str) -> None:
    """What it asks is answered, and what its room is told reaches it."""
    await member.emit("x", ack=1)
    assert str(await asyncio.wait_for(member.next(), 2)).startswith("431[")
    there.stack.broadcast([sid], [event(1)])
    assert await asyncio.wait_for(member.events(1), 2) == [["trip:event", event(1).body]]


async def test_who_leaves_and_comes_again_while_it_is_let_in_is_answered_and_leaves_nothing_behind():
    async with served() as there:
        async with wired(there, join=False) as member:
            slow = await begin(there, member)
            (first,) = slow.begun
            await member.ws.send_str("41")
            await member.ws.send_str("40")
            await until(lambda: there.stack.members.main and first not in there.stack.members.main)
            (second,) = there.stack.members.main
            slow.gate.set()
            assert await asyncio.wait_for(member.next(), 2) == f'40{{"sid":"{second}"}}'
            assert there.desk.left == [first]
            await assert_served(there, member, second)
        await until(lambda: there.desk.left == [first, second])
        assert not there.stack.members.main
        assert there.stack.counts.connections == 0


async def test_who_left_while_it_was_let_in_and_comes_later_is_told_everything():
    async with served() as there, wired(there, join=False) as member:
        slow = await begin(there, member)
        await member.ws.send_str("41")
        await until(lambda: not there.stack.members.main)
        slow.gate.set()
        await until(lambda: there.desk.left == slow.begun)
        await member.ws.send_str("40")
        assert str(await member.next()).startswith('40{"sid":')
        await assert_served(there, member, slow.begun[1])


async def test_what_a_connection_may_have_waiting_to_be_let_in_is_bounded():
    async with served() as there, wired(there, join=False) as member:
        slow = await begin(there, member)
        lane = there.stack.members.main[slow.begun[0]].listener_state.lane
        with suppress(aiohttp.ClientError, ConnectionError):
            for _ in range(200):
                await member.ws.send_str("41")
                await member.ws.send_str("40" + '{"token":"' + "x" * 50_000 + '"}')
        assert await member.closed() in FAILED
        await until(lambda: there.stack.counts.connections == 0)
        assert len(lane) <= Options().waiting_events + 2
        slow.gate.set()
        await until(lambda: not there.stack.members.main)


async def test_a_token_larger_than_any_lets_nobody_ask():
    async with served() as there, wired(there, join=False) as member:
        there.desk.at_connect = slow = Slow(there)
        await send_connect(member, {"token": "x" * 70_000})
        assert await member.closed() in FAILED
        await until(lambda: there.stack.counts.connections == 0)
        assert slow.begun == []


async def test_refusals_do_not_lengthen_the_time_to_sign_in():
    async with served(Options(connect_timeout_s=0.3, abort_after_s=0.3)) as there, wired(there, join=False) as member:
        answers: list[Any] = []
        with suppress(aiohttp.ClientError, ConnectionError):
            async with asyncio.timeout(5):
                while None not in answers:
                    await send_connect(member, {"token": "bad"})
                    answers.append(await member.next())
                    await asyncio.sleep(0.05)  # more often than its time runs out
        assert len(answers) > 1
        assert {str(answer)[:2] for answer in answers if answer is not None} == {"44"}
        await until(lambda: there.stack.counts.connections == 0)


@pytest.mark.parametrize("packed", [False, True])
async def test_who_asks_to_be_let_in_during_a_planned_stop_is_hung_up_on_and_not_refused(packed: bool):
    """Whom a CONNECT_ERROR refuses does not come back by itself."""
    async with served() as there, wired(there, packed=packed, join=False) as member:
        there.stack.refuse_new()
        await send_connect(member)
        assert await member.next() is None
        assert member.ws.close_code in GOING_AWAY
        assert there.desk.here == there.desk.left == []
