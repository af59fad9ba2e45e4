"""One transaction around several: all or nothing, a part undone alone, what follows the commit."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.factories import Org
from waypost.kernel.errors import Conflict
from waypost.platform.database import SYSTEM, Database, NotKept, after_commit
from waypost.wiring import Services

ADD = "INSERT INTO trucks (org_id, id, name, created_at) VALUES ($1, $2, 'T', now())"


async def add(database: Database, org_id: UUID, *, fail: bool = False) -> None:
    async with database.transaction(org_id) as conn:
        await conn.execute(ADD, org_id, uuid4())
        if fail:
            raise Conflict


async def trucks(services: Services) -> int:
    async with services.database.transaction(SYSTEM) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM trucks"))


async def test_what_is_opened_below_commits_with_the_whole(services: Services, org: Org):
    async with services.database.unit(org.org_id):
        await add(services.database, org.org_id)
        await add(services.database, org.org_id)
        async with services.database.pool.acquire() as other:
            await other.execute("BEGIN; SET LOCAL ROLE waypost_system")
            assert await other.fetchval("SELECT count(*) FROM trucks") == 0
            await other.execute("ROLLBACK")
    assert await trucks(services) == 2


async def test_a_part_that_fails_is_undone_alone_and_its_callbacks_never_run(services: Services, org: Org):
    said: list[str] = []
    async with services.database.unit(org.org_id):
        await add(services.database, org.org_id)
        after_commit(lambda: said.append("kept"))
        try:
            async with services.database.transaction(org.org_id) as conn:
                await conn.execute(ADD, org.org_id, uuid4())
                after_commit(lambda: said.append("undone"))
                raise Conflict
        except Conflict:
            pass
        assert said == []
    assert (await trucks(services), said) == (1, ["kept"])


async def test_a_whole_that_fails_leaves_nothing_and_says_nothing(services: Services, org: Org):
    said: list[str] = []

    async def whole() -> None:
        async with services.database.unit(org.org_id):
            await add(services.database, org.org_id)
            after_commit(lambda: said.append("never"))
            raise Conflict

    with pytest.raises(Conflict):
        await whole()
    assert (await trucks(services), said) == (0, [])


async def test_the_scope_of_a_part_is_its_own_and_ends_with_it(services: Services, org: Org):
    role = "SELECT current_user"
    async with services.database.unit(org.org_id) as conn:
        async with services.database.transaction(SYSTEM) as part:
            assert await part.fetchval(role) == "waypost_system"
        assert await conn.fetchval(role) == "waypost_app"
        async with services.database.transaction(uuid4()) as part:
            assert await part.fetchval("SELECT count(*) FROM organisations") == 0
        assert await conn.fetchval("SELECT count(*) FROM organisations") == 1


async def test_a_task_that_is_started_inside_has_a_transaction_of_its_own(services: Services, org: Org):
    async with services.database.unit(org.org_id) as conn:
        mine = await conn.fetchval("SELECT pg_current_xact_id()")

        async def elsewhere() -> int:
            async with services.database.transaction(org.org_id) as other:
                return int(await other.fetchval("SELECT pg_current_xact_id()"))

        assert await asyncio.create_task(elsewhere()) != int(mine)


async def test_outside_of_any_a_callback_runs_at_once():
    said: list[str] = []
    after_commit(lambda: said.append("now"))
    assert said == ["now"]


async def test_a_part_inside_a_part_goes_back_to_the_scope_of_the_one_around_it(services: Services, org: Org):
    role = "SELECT current_user"
    async with services.database.unit(org.org_id), services.database.transaction(SYSTEM) as part:
        async with services.database.transaction(org.org_id) as inner:
            assert await inner.fetchval(role) == "waypost_app"
        assert await part.fetchval(role) == "waypost_system"


async def test_an_error_that_somebody_swallowed_is_not_taken_for_a_commit(services: Services, org: Org):
    async def swallow() -> None:
        async with services.database.transaction(org.org_id) as conn:
            await conn.execute(ADD, org.org_id, uuid4())
            with contextlib.suppress(asyncpg.PostgresError):
                await conn.execute("SELECT 1/0")

    with pytest.raises(NotKept):
        await swallow()
    assert await trucks(services) == 0


async def test_a_callback_that_fails_does_not_keep_the_others_from_running(services: Services, org: Org):
    said: list[str] = []
    async with services.database.unit(org.org_id):
        after_commit(lambda: said.append(str(1 / 0)))
        after_commit(lambda: said.append("told"))
    assert said == ["told"]
