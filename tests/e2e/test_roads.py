"""The phones of the kill tests: one that is switched off ends, at whatever moment, or such a test would never end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.chaos.proxy import Proxy, proxy_to
from tests.e2e.roads import Roads
from tests.waiting import until

LATER = {"ok": False, "error": {"code": "later", "retry": True}}
TURNS = 80  # of the loop; by then it has had several answers
TURNS_OF_AN_END = 40  # until the end of a connection has come through to whoever waits for an answer
ENDS_WITHIN_S = 5


@pytest.fixture
async def away() -> AsyncIterator[Proxy]:
    """A link to a server that puts every batch off, and never answers the one named "silent"."""
    sio = socketio.AsyncServer(async_mode="aiohttp")

    async def put_off(_: str, batch: dict[str, Any]) -> dict[str, Any]:
        if batch["silent"]:
            await asyncio.Event().wait()
        return LATER

    sio.on("tracking:ping", put_off)
    sio.attach(app := web.Application())
    async with TestServer(app) as server, proxy_to(server.port or 0) as proxy:
        yield proxy


async def sends_for_ever(roads: Roads, *, silent: bool) -> None:
    while True:
        await roads.socket("a phone", {"silent": silent})


async def ends(task: asyncio.Task[None]) -> bool:
    task.cancel()
    await asyncio.wait([task], timeout=ENDS_WITHIN_S)
    ended = task.cancelled()
    while not task.done():  # so that what is wrong fails, and does not hang
        task.cancel()
        await asyncio.sleep(0)
    return ended


async def test_a_phone_ends_at_any_turn_of_its_connecting_and_sending(away: Proxy):
    for turns in range(TURNS):
        async with Roads.to(away.url) as roads:
            task = asyncio.create_task(sends_for_ever(roads, silent=False))
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await ends(task), turns


async def test_a_phone_that_waits_for_an_answer_ends_at_any_turn_after_the_server_has_gone(away: Proxy):
    for turns in range(TURNS_OF_AN_END):
        away.heal()
        async with Roads.to(away.url) as roads:
            task = asyncio.create_task(sends_for_ever(roads, silent=True))
            await until(lambda roads=roads: any(socket.waiting for socket in roads.sockets.values()))
            away.refusing = True
            away.cut()
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await ends(task), turns
