"""Fixtures: real servers once a run, a database of its own for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org, organisation
from tests.servers import Servers, running_servers
from waypost.app import build_app
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost.wiring import Services, open_services


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    configure_logs("WARNING", "console")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running_servers() as running:
        yield running


@pytest.fixture
async def environment(servers: Servers) -> AsyncIterator[dict[str, str]]:
    """The settings of a process that uses a database of this test's own and an emptied Valkey."""
    name = await servers.create_database()
    environment = servers.environment(name)
    try:
        yield environment
    finally:
        await servers.drop_database(name)


@pytest.fixture
async def services(environment: dict[str, str]) -> AsyncIterator[Services]:
    async with open_services(Settings.from_env(environment)) as opened:
        await opened.redis.flushall()
        yield opened


@pytest.fixture
async def org(services: Services) -> Org:
    return await organisation(services)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    json: Any
    headers: Any


@dataclass(frozen=True, slots=True)
class Api:
    """A caller of one server, signed in with ``token`` or not."""

    server: TestServer
    token: str | None = None

    async def __call__(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        import aiohttp

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.server.make_url(path), headers=headers, **options) as response,
        ):
            text = await response.read()
            is_json = response.content_type.endswith("json")
            return Answer(
                response.status, await response.json(content_type=None) if is_json else text, response.headers
            )

    def as_(self, token: str | None) -> Api:
        return Api(self.server, token)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/")).rstrip("/")


@pytest.fixture
async def api(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> Api:
    """A running server over ``services``, nobody signed in."""
    return Api(await aiohttp_server(build_app(services)))
