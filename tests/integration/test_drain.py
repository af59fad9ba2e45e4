"""A planned stop, limits of connections, tokens that run out: what a connection is told before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.factories import PASSWORD, Org
from tests.integration.test_http_tracking import location
from tests.integration.test_sockets import other
from tests.waiting import Refused, listening, until
from waypost.app import build_app
from waypost.kernel.principal import Admitted, Principal
from waypost.settings import Settings
from waypost.wiring import Services, open_services

__all__ = ["other"]  # the fixture


@asynccontextmanager
async def a_node(environment: dict[str, str], api: Api, **settings: object) -> AsyncIterator[tuple[Api, Services]]:
    """Another node, with settings of its own."""
    own = {f"WAYPOST_{name.upper()}": str(value) for name, value in settings.items()}
    async with (
        open_services(Settings.from_env(environment | own)) as services,
        TestServer(build_app(services)) as server,
    ):
        yield Api(server, api.described), services


async def handshake(url: str, **headers: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/socket.io/?EIO=4&transport=polling", headers=headers) as response,
    ):
        return response.status


async def test_a_planned_stop_sends_everybody_away_one_after_another(api: Api, org: Org, environment: dict[str, str]):
    token = await org.token()
    async with a_node(environment, api, drain_sockets_s=1) as (node, services), AsyncExitStack() as exits:
        sockets = [await exits.enter_async_context(listening(node.url, token)) for _ in range(20)]
        services.drain.notice_s = 0.3
        stopping = asyncio.create_task(services.drain.run())
        await until(lambda: is_stopping(node))
        assert await handshake(node.url) == 200, "who has not noticed is still served"
        hints = [(await socket.next("server:drain"))["reconnectInMs"] for socket in sockets]
        assert await handshake(node.url) == 503
        assert len(set(hints)) > 10
        assert max(hints) <= 1000
        await stopping
        await until(lambda: not any(socket.sio.connected for socket in sockets))
        assert not services.hub.door.connections


async def is_stopping(node: Api) -> bool:
    answer = await node("GET", "/readyz")
    return answer.status == 503 and answer.json["parts"]["server"]["state"] == "stopping"


async def test_a_stop_without_sockets_takes_no_time(services: Services):
    async with asyncio.timeout(1):
        await services.drain.run()


async def test_a_batch_that_is_under_way_is_answered_before_the_end(api: Api, org: Org, environment: dict[str, str]):
    phone = await org.phone()
    async with a_node(environment, api) as (node, services), listening(node.url, phone.token) as socket:
        answer = asyncio.create_task(socket.call("tracking:ping", {"locations": [location(1)]}))
        await asyncio.sleep(0)
        await services.drain.run()
        assert (await answer)["accepted"] == 1


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_what_takes_as_long_as_it_takes_is_answered_too_before_a_node_stops(
    api: Api, org: Org, environment: dict[str, str], transport: str
):
    phone, committed = await org.phone(), asyncio.Event()
    async with (
        a_node(environment, api, drain_sockets_s=0.1) as (node, services),
        listening(node.url, phone.token, transports=[transport]) as socket,
    ):
        handlers = services.hub.commands.handlers
        ping = handlers["tracking:ping"]

        async def slowly(principal: Principal, sid: str, argument: object) -> Any:
            stored = await ping.call(principal, sid, argument)
            await committed.wait()
            return stored

        handlers["tracking:ping"] = replace(ping, call=slowly)
        (connection,) = services.hub.stack.members.main.values()
        lane = connection.listener_state.lane
        answer = asyncio.create_task(socket.call("tracking:ping", {"locations": [location(1)]}))
        await until(lambda: lane.is_running)
        stopping = asyncio.create_task(services.drain.run())
        await until(lambda: len(lane))  # its end waits behind the batch
        committed.set()
        assert (await answer)["accepted"] == 1
        await stopping
        assert not services.hub.door.connections


async def test_who_is_being_let_in_as_a_stop_begins_is_sent_away_with_the_others(
    api: Api, org: Org, environment: dict[str, str]
):
    token, asked, known = await org.token(), asyncio.Event(), asyncio.Event()
    async with a_node(environment, api, drain_sockets_s=0.1) as (node, services), AsyncExitStack() as exits:
        await exits.enter_async_context(listening(node.url, token))
        door = services.hub.door
        authenticate = door.authenticate

        async def slowly(token: str) -> Admitted:
            asked.set()
            await known.wait()
            return await authenticate(token)

        door.authenticate = slowly
        late = asyncio.create_task(exits.enter_async_context(listening(node.url, token)))
        await asked.wait()
        stopping = asyncio.create_task(services.drain.run())
        await until(lambda: services.hub.stack.clients.is_draining)
        known.set()
        await asyncio.gather(late, return_exceptions=True)
        await stopping
        assert not door.connections
        await until(lambda: services.hub.stack.counts.connections == 0)


async def test_a_token_that_runs_out_is_renewed_in_place_or_ends_the_connection(
    api: Api, org: Org, environment: dict[str, str]
):
    async with a_node(environment, api, access_token_s=10) as (node, services):
        token = (await services.identity.sign_in(phone=org.owner_phone, email=None, password=PASSWORD)).access_token
        async with listening(node.url, token) as renews, listening(node.url, token) as stays:
            assert 0 < (await renews.next("auth:expiring", within_s=15))["inMs"] <= 4000
            renewed = await renews.call("auth:refresh", {"token": await org.token()})
            assert renewed["ok"] is True
            assert renewed["expiresInMs"] > 60_000
            assert (await stays.next("error", within_s=15))["code"] == "token-expired"
            await until(lambda: not stays.sio.connected)
            assert (await renews.call("fleet:join", {}))["ok"] is True


async def test_another_persons_token_renews_nothing(api: Api, org: Org, other: Org):
    phone = await org.phone()
    async with listening(api.url, await org.token()) as socket:
        for token in (phone.token, await other.token()):
            ack = await socket.call("auth:refresh", {"token": token})
            assert (ack["ok"], ack["error"]["code"]) == (False, "another-principal")
        assert (await socket.call("auth:refresh", {"token": "wrong"}))["error"]["code"] == "token-invalid"
        assert (await socket.call("auth:refresh", {}))["error"]["code"] == "invalid"


@pytest.mark.parametrize("kind", ["person", "organisation", "address"])
async def test_connections_are_limited(api: Api, org: Org, environment: dict[str, str], kind: str):
    async with a_node(environment, api, **{f"sockets_per_{kind}": 2}) as (node, services):
        token = await org.token()
        async with listening(node.url, token), listening(node.url, token) as second:
            assert await refusal(node.url, token) == "too-many-connections"
            await second.sio.disconnect()
            await until(lambda: len(services.hub.door.connections) == 1)
            async with listening(node.url, token) as third:
                assert (await third.call("fleet:join", {}))["ok"] is True
        await until(lambda: not services.hub.door.counts.held)


async def refusal(url: str, token: str) -> Any:
    with pytest.raises(Refused) as refused:
        async with listening(url, token):
            pass
    return refused.value.said["data"]["code"]


async def test_pages_of_other_origins_open_no_socket(api: Api, environment: dict[str, str]):
    assert await handshake(api.url, Origin=api.url) == 200
    assert await handshake(api.url, Origin="https://evil.example") == 403
    async with a_node(environment, api, socket_origins="https://shop.example") as (node, _):
        assert await handshake(node.url, Origin="https://shop.example") == 200
        assert await handshake(node.url, Origin=node.url) == 200, "its own pages always may"
        assert await handshake(node.url, Origin="https://evil.example") == 403
        assert await handshake(node.url) == 200, "what is no page sends none"


async def test_who_never_signs_in_is_shown_out(api: Api, environment: dict[str, str]):
    async with a_node(environment, api, socket_join_s=0.3) as (node, services), aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{node.url}/socket.io/?EIO=4&transport=websocket") as ws:
            assert (await ws.receive()).data.startswith("0{")
            assert (await ws.receive(timeout=5)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        await until(lambda: services.hub.stack.counts.connections == 0)
