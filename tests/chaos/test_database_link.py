"""The way to the database breaks in each manner that a network has: a 503 in time, no hang, well again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.chaos.proxy import Proxy, proxy_to
from tests.factories import Org, Phone, organisation
from tests.servers import Servers
from tests.waiting import until
from waypost.app import build_app
from waypost.settings import Settings
from waypost.tracking.commit import COMMIT_TIMEOUT_S
from waypost.wiring import Services, open_services

IN_TIME_S = COMMIT_TIMEOUT_S + 2  # of grace for a busy machine
AT_ONCE = 30
CONNECTIONS = 8
BATCH = 5
STREAM = "0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e"

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    body: Any
    retry_after: str | None


@dataclass(slots=True)
class World:
    """A server whose way to the database is the link."""

    link: Proxy
    services: Services
    org: Org
    url: str
    servers: Servers
    database: str
    sent: int = 0

    def batch(self) -> dict[str, Any]:
        """A batch of new fixes, each with its number."""
        numbers = range(self.sent, self.sent + BATCH)
        self.sent += BATCH
        start = int(datetime.now(UTC).timestamp() * 1000) - 3_600_000
        return {
            "stream": STREAM,
            "locations": [
                {"latitude": -17.8 - n / 1e5, "longitude": 31.05, "timestamp": start + 1000 * n, "n": n}
                for n in numbers
            ],
        }

    async def post(self, phone: Phone, body: object, within_s: float = IN_TIME_S) -> Said:
        """TimeoutError when it hangs."""
        headers = {"Authorization": f"Bearer {phone.token}"}
        async with (
            asyncio.timeout(within_s),
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v1/tracking/ping", json=body, headers=headers) as response,
        ):
            return Said(response.status, await response.json(), response.headers.get("Retry-After"))

    async def sent_until_stored(self, phone: Phone, body: object) -> Said:
        """The first 200, tried again and again."""

        async def stored() -> Said | None:
            said = await self.post(phone, body, 2 * IN_TIME_S)
            assert said.status in (200, 503), said
            return said if said.status == 200 else None

        found = await until(stored, within_s=6 * IN_TIME_S)
        assert found is not None
        return found

    async def rows(self, phone: Phone) -> int:
        """What is stored, asked past the link."""
        conn = await self.servers.stack.postgres.connect(self.database)
        try:
            count: int = await conn.fetchval("SELECT count(*) FROM fixes WHERE device_id = $1", phone.device_id)
            return count
        finally:
            await conn.close()


def socket_of(dsn: str) -> Path:
    """The Unix socket behind an address of the embedded PostgreSQL."""
    query = parse_qs(urlsplit(dsn).query)
    return Path(query["host"][0], f".s.PGSQL.{query['port'][0]}")


@pytest.fixture
async def world(servers: Servers, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> AsyncIterator[World]:
    name = await servers.create_database()
    env = servers.environment(name) | {"WAYPOST_POOL_MAX": str(CONNECTIONS), "WAYPOST_INGEST_WINDOW_MS": "5"}
    async with proxy_to(socket_of(servers.stack.database_dsn())) as link:
        env["WAYPOST_DATABASE_URL"] = f"postgres://waypost@127.0.0.1:{link.port}/{name}?sslmode=disable"
        env["WAYPOST_DATABASE_POOLER"] = "false"
        async with open_services(Settings.from_env(env)) as services:
            await services.redis.flushall()
            await use_all_connections(services)
            org = await organisation(services)
            server = await aiohttp_server(build_app(services))
            try:
                yield World(link, services, org, str(server.make_url("")).rstrip("/"), servers, name)
            finally:
                link.heal()
                link.cut()  # what is dead would be waited for otherwise
    await servers.drop_database(name)


async def use_all_connections(services: Services) -> None:
    """As on a busy server: each that is open when the link breaks is one more that is not known to be dead."""
    pool = services.database.pool
    await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.1)") for _ in range(CONNECTIONS)))
    assert pool.get_size() == CONNECTIONS


def assert_refused(said: Said) -> None:
    assert said.status == 503, said
    assert said.body["code"] in ("database-away", "database-busy"), said
    assert int(said.retry_after or 0) >= 1


async def test_a_half_open_link_costs_a_503_in_time_and_service_resumes_by_itself(world: World):
    phone = await world.org.phone()
    assert (await world.post(phone, world.batch())).status == 200
    body = world.batch()
    world.link.half_open()
    assert_refused(await world.post(phone, body))
    world.link.heal()
    assert (await world.sent_until_stored(phone, body)).body["accepted"] == BATCH
    assert await world.rows(phone) == 2 * BATCH


async def test_batches_that_wait_in_the_group_commit_are_all_refused_in_time_and_lose_and_double_nothing(world: World):
    phones = [await world.org.phone() for _ in range(AT_ONCE)]
    for phone in phones:
        assert (await world.post(phone, world.batch())).status == 200
    bodies = [world.batch() for _ in phones]
    world.link.half_open()
    for _ in range(2):  # who comes while the first are given up is not kept waiting behind them
        for said in await asyncio.gather(*(world.post(*sent) for sent in zip(phones, bodies, strict=True))):
            assert_refused(said)
    world.link.heal()
    again = await asyncio.gather(*(world.sent_until_stored(*sent) for sent in zip(phones, bodies, strict=True)))
    assert [said.body["accepted"] + said.body["duplicates"] for said in again] == [BATCH] * AT_ONCE
    assert [await world.rows(phone) for phone in phones] == [2 * BATCH] * AT_ONCE


async def test_who_comes_while_the_link_is_half_open_is_refused_in_time_whenever_that_is(world: World):
    """Known phones and new ones, whose tokens have to be looked up."""
    phones = [await world.org.phone() for _ in range(12)]
    for phone in phones[:6]:
        assert (await world.post(phone, world.batch())).status == 200
    world.link.half_open()

    async def comes(after_s: float, phone: Phone) -> Said:
        await asyncio.sleep(after_s)
        return await world.post(phone, world.batch())

    for said in await asyncio.gather(*(comes(n, phone) for n, phone in enumerate(phones))):
        assert_refused(said)
    world.link.heal()
    for phone in phones:
        assert (await world.sent_until_stored(phone, world.batch())).body["accepted"] == BATCH


async def test_a_commit_whose_answer_is_lost_is_a_503_and_the_resend_adds_nothing(world: World):
    phone = await world.org.phone()
    assert (await world.post(phone, world.batch())).status == 200
    body = world.batch()
    posting = asyncio.ensure_future(world.post(phone, body))
    world.link.to_client.latency_s = 0.5  # a round trip long enough to lose its answer
    await until(lambda: _stored_more(world, phone, BATCH))
    world.link.to_client.lost = True
    assert_refused(await posting)
    world.link.heal()
    again = await world.sent_until_stored(phone, body)
    assert (again.body["accepted"], again.body["duplicates"]) == (0, BATCH)
    assert await world.rows(phone) == 2 * BATCH


async def _stored_more(world: World, phone: Phone, than: int) -> bool:
    return await world.rows(phone) > than


async def test_a_frozen_moment_is_waited_out(world: World):
    phone = await world.org.phone()
    assert (await world.post(phone, world.batch())).status == 200
    world.link.freeze()
    posting = asyncio.ensure_future(world.post(phone, world.batch()))
    await asyncio.sleep(1)  # a moment that is shorter than any patience of ours
    assert not posting.done()
    world.link.heal()
    assert (await posting).body["accepted"] == BATCH


async def test_cut_connections_are_replaced_at_once(world: World):
    phones = [await world.org.phone() for _ in range(5)]
    for phone in phones:
        assert (await world.post(phone, world.batch())).status == 200
    for _ in range(3):
        world.link.cut()
        for phone in phones:
            assert (await world.sent_until_stored(phone, world.batch())).body["accepted"] == BATCH


async def test_a_database_that_refuses_everybody_is_a_503_at_once_and_well_again_when_it_is_back(world: World):
    phone = await world.org.phone()
    assert (await world.post(phone, world.batch())).status == 200
    world.link.refusing = True
    world.link.cut()
    body = world.batch()
    assert_refused(await world.post(phone, body))
    world.link.heal()
    assert (await world.sent_until_stored(phone, body)).body["accepted"] == BATCH


async def test_reading_over_a_half_open_link_is_a_503_too(world: World):
    phone = await world.org.phone()
    token = await world.org.token()
    world.link.half_open()
    async with (
        asyncio.timeout(IN_TIME_S + 20),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
    ):
        async with session.get(f"{world.url}/readyz") as response:
            assert response.status == 503
        assert phone.trip is not None
        async with session.get(f"{world.url}/api/v1/trips/{phone.trip.id}/locations") as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
    world.link.heal()
    await until(lambda: _is_ready(world), within_s=30)


async def _is_ready(world: World) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{world.url}/readyz") as response:
        return response.status == 200


async def test_a_slow_link_is_only_slow(world: World):
    phones = [await world.org.phone() for _ in range(5)]
    world.link.slow(latency_s=0.02)
    said = await asyncio.gather(*(world.post(phone, world.batch()) for phone in phones))
    assert [each.body["accepted"] for each in said] == [BATCH] * 5
