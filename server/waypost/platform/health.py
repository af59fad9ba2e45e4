"""`/livez` and `/readyz`: is the process alive; can it serve, and if not, what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from redis.asyncio import Redis

from waypost.kernel.errors import AppError
from waypost.platform.database import SYSTEM, Database
from waypost.platform.redis import check_redis
from waypost.platform.web import public, reply

TIMEOUT_S = 0.8  # an answer within a second even when both hang


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """For balancers and people; tells no secret."""

    database: Database
    redis: Redis

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/livez", self.live), web.get("/readyz", self.ready)]

    @public
    async def live(self, _request: web.Request) -> web.Response:
        return reply({"status": "alive"})

    @public
    async def ready(self, _request: web.Request) -> web.Response:
        database, redis = await asyncio.gather(_check(self._ask_database), _check(self._ask_redis))
        good = database == redis == "ok"
        body = {"status": "ready" if good else "not ready", "database": database, "redis": redis}
        return reply(body, status=200 if good else 503)

    async def _ask_database(self) -> None:
        async with self.database.transaction(SYSTEM) as conn:
            await conn.fetchval("SELECT 1")

    async def _ask_redis(self) -> None:
        await check_redis(self.redis)


async def _check(ask: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await ask()
    except TimeoutError:
        return "does not answer"
    except AppError as error:
        return error.code
    return "ok"
