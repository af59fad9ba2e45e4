"""What healing asks of a Redis that goes and comes: an answer or that it is away, and whatever else fails is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import pytest

from tests.buses import ROOM, Node, node, numbered, own_valkey, send_at_last
from tests.chaos.test_bus_link import link_to
from tests.fakes.clock import FakeClock
from tests.waiting import until
from waypost.realtime.bus import RedisAway
from waypost.realtime.service import LiveRoom
from waypost.tracking.healing import EVERY_S, Healing

pytestmark = pytest.mark.timeout(120)


async def test_a_redis_that_goes_and_comes_is_away_and_nothing_else():
    async with own_valkey() as valkey, link_to(valkey) as (proxy, url), node(url) as here:
        await here.bus.subscribe(ROOM)
        asked = asyncio.create_task(_asks(here))
        for turn in range(3):
            await send_at_last(here.bus, [numbered(turn, key=f"{turn}")])
            proxy.cut()
            await send_at_last(here.bus, [numbered(turn, key=f"cut {turn}")])
            await valkey.stop()
            proxy.cut()
            with pytest.raises(RedisAway):
                await here.bus.send([numbered(-1, key=f"away {turn}")])
            await valkey.start()
        await send_at_last(here.bus, [numbered(9, key="back")])
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert (await here.bus.lately(ROOM, 50))[-1].body["n"] == 9


async def _asks(each: Node) -> None:
    while True:
        with suppress(RedisAway):
            await each.bus.lately(ROOM, 50)
        await asyncio.sleep(0.001)


async def test_a_look_that_fails_is_logged_with_its_cause_and_the_next_is_made(capsys: pytest.CaptureFixture[str]):
    looks = 0

    async def live() -> Sequence[LiveRoom]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ZeroDivisionError("an odd answer")
        return ()

    clock = FakeClock()
    unused = cast("Any", None)  # while nobody watches nothing else is asked
    running = asyncio.create_task(Healing(unused, clock, unused, live, unused).run())
    for turn in (1, 2):
        await until(lambda: clock.sleepers > 0)
        await clock.advance(2 * EVERY_S)
        await until(lambda turn=turn: looks >= turn)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    told = "".join(capsys.readouterr())
    assert "healing_failed" in told
    assert "ZeroDivisionError: an odd answer" in told
