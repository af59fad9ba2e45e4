"""What a caller hears when the database ends its work under it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.servers import Servers
from tests.waiting import until
from waypost.platform.database import SYSTEM, DatabaseAway
from waypost.wiring import Services

SLEEP = "SELECT pg_sleep(60)"


async def end_while_it_sleeps(services: Services, operator: asyncpg.Connection, how: str) -> None:
    async def asleep() -> bool:
        found = await operator.fetchval("SELECT query FROM pg_stat_activity WHERE pid = $1 AND state = 'active'", pid)
        return bool(found == SLEEP)

    async with services.database.transaction(SYSTEM) as conn:
        pid = await conn.fetchval("SELECT pg_backend_pid()")
        sleeping = asyncio.create_task(conn.execute(SLEEP))
        await until(asleep)
        await operator.execute(f"SELECT {how}($1)", pid)
        await sleeping


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_statement_that_an_operator_ends_may_be_repeated(services: Services, servers: Servers, how: str):
    operator = await servers.stack.postgres.connect("postgres")
    try:
        with pytest.raises(DatabaseAway):
            await end_while_it_sleeps(services, operator, how)
    finally:
        await operator.close()
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT 1") == 1
