"""Fixtures: real servers once a run, a database of its own for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from aiohttp.test_utils import TestServer

from tests.described import Described
from tests.factories import Org, organisation
from tests.servers import Servers, running_servers
from tests.waiting import UNHURRIED_S
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost.wiring import Services, open_services


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    configure_logs("WARNING", "console")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pooler", action="store_true", help="put a PgBouncer in transaction mode before PostgreSQL")
    parser.addoption("--minutes", type=float, help="how long the long storm of notifications lasts [default: 1]")


# A verdict that is the same for the same code; what explores new cases is the long run.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)

ITS_DEADLINE = ["^TimeoutError", "^AssertionError: not within", "^Failed: Timeout"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for processes gets a second try when its deadline passed on a busy machine, and no other test and no
    other failure does; the summary lists each as RERUN.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] != "unit":
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=ITS_DEADLINE))


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    with running_servers(pooled=request.config.getoption("--pooler")) as running:
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
        opened.limiter.answer_s = UNHURRIED_S
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
    described: Described = field(repr=False)
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
            read = await response.json(content_type=None) if is_json else text
            self.described.check(method, response.url.path, response.status, response.content_type, read)
            return Answer(response.status, read, response.headers)

    def as_(self, token: str | None) -> Api:
        return Api(self.server, self.described, token)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/")).rstrip("/")


_DESCRIBED: list[Described] = []


def described(services: Services) -> Described:
    """The API's own description, made once a run: it is the same of every installation."""
    if not _DESCRIBED:
        _DESCRIBED.append(Described.of(DESCRIPTION.document(route_table(services))))
    return _DESCRIBED[0]


@pytest.fixture
async def api(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> Api:
    """A running server over ``services``, nobody signed in."""
    return Api(await aiohttp_server(build_app(services)), described(services))
