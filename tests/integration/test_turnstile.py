"""A crowd at the database: who has given up and gone takes nobody's turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_sockets import trip_id
from tests.waiting import listening, until
from waypost.kernel.principal import Admitted, Principal
from waypost.realtime.door import Door
from waypost.trips.domain import Trip
from waypost.wiring import Services

GONE = 12


@asynccontextmanager
async def shut(door: Door) -> AsyncIterator[None]:
    """Nobody gets a turn."""
    turns = 0
    while not door.turnstile.locked():
        await door.turnstile.acquire()
        turns += 1
    try:
        yield
    finally:
        for _ in range(turns):
            door.turnstile.release()


def count_waiting(door: Door) -> int:
    """How many stand at the turnstile."""
    return sum(not waiting.done() for waiting in door.turnstile._waiters or ())


async def test_those_who_closed_while_they_waited_to_be_let_in_are_not_looked_up(
    api: Api, services: Services, org: Org
):
    hub, token = services.hub, await org.token()
    authenticate, asked = hub.door.authenticate, list[str]()

    async def look_up(token: str) -> Admitted:
        asked.append(token)
        return await authenticate(token)

    hub.door.authenticate = look_up
    async with shut(hub.door):
        async with aiohttp.ClientSession() as session, AsyncExitStack() as exits:
            url = f"{api.url}/socket.io/?EIO=4&transport=websocket"
            for number in range(GONE):
                ws = await exits.enter_async_context(session.ws_connect(url))
                await ws.send_str(f'40{{"token":"gone {number}"}}')
            await until(lambda: count_waiting(hub.door) == GONE)
        await until(lambda: hub.stack.counts.connections == 0)
    async with listening(api.url, token):
        assert asked == [token]
    await until(lambda: not hub.door.counts.held)


@pytest.mark.parametrize("event", ["trip:join", "fleet:join"])
async def test_what_they_wanted_to_join_is_not_looked_up_either(
    api: Api, services: Services, org: Org, monkeypatch: pytest.MonkeyPatch, event: str
):
    hub, phone, token = services.hub, await org.phone(), await org.token()
    asked: list[object] = []

    def counted(look_up: Callable[..., Any]) -> Callable[..., Any]:
        async def look_up_counted(_: object, principal: Principal, *what: UUID) -> Trip:
            asked.append(principal)
            found: Trip = await look_up(principal, *what)
            return found

        return look_up_counted

    monkeypatch.setattr(type(services.trips), "find", counted(services.trips.find))
    monkeypatch.setattr(type(services.tracking), "fleet_snapshot", counted(services.tracking.fleet_snapshot))
    async with AsyncExitStack() as exits:
        sockets = [await exits.enter_async_context(listening(api.url, token)) for _ in range(GONE)]
        async with shut(hub.door):
            for socket in sockets:
                await socket.sio.emit(event, {"tripId": trip_id(phone)})
            await until(lambda: count_waiting(hub.door) == GONE)
            await asyncio.gather(*(socket.sio.disconnect() for socket in sockets))
            await until(lambda: hub.stack.counts.connections == 0)
        await until(lambda: not hub.door.connections)
        assert asked == []
    async with listening(api.url, token) as socket:
        assert (await socket.call(event, {"tripId": trip_id(phone)}))["ok"] is True
    assert len(asked) >= 1
