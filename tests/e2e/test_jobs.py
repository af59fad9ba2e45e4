"""Jobs and timed runs in processes of their own that are killed in the middle: nothing twice, nothing missing."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import tracemalloc
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.commands import serving
from tests.e2e.workers import RELAY, WORKER, running
from tests.factories import Org, organisation
from tests.integration.test_jobs import seed
from tests.servers import Servers
from tests.waiting import listening, until
from waypost.jobs.domain import Asked, Job, State
from waypost.platform.database import SYSTEM
from waypost.trips.export import ROWS_A_STEP
from waypost.wiring import Services
from waypost.wiring_work import job_runner_over

QUICK = {"WAYPOST_JOB_LEASE_S": "1", "WAYPOST_RELAY_POLL_S": "0.1"}
MORTAL = "tests.e2e.mortal_jobs"
SCHEDULE = "tests.e2e.mortal_schedule"


async def text_of(services: Services, org: Org, job: Job) -> str:
    _, parts = await services.jobs.file(org.owner, job.id)
    return b"".join([part async for part in parts]).decode()


def references(text: str) -> list[str]:
    return [row["reference"] for row in csv.DictReader(io.StringIO(text, newline=""))]


@pytest.mark.parametrize("point", ["step", "kept", "sealed"])
async def test_a_worker_killed_in_a_job_is_followed_by_another_and_no_row_comes_twice_or_is_missing(
    services: Services, org: Org, environment: dict[str, str], point: str
):
    other = await organisation(services, "Mutare Movers")
    count = 6 * ROWS_A_STEP
    await seed(services, org.org_id, other.org_id, count)
    job = await services.jobs.export(org.owner, Asked("trips"))

    async def state() -> State:
        return (await services.jobs.find(org.owner, job.id)).state

    env = environment | QUICK
    async with running(*RELAY, env=env):
        async with running(MORTAL, point, "0.5", env=env) as dying:
            assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
        half = await services.jobs.find(org.owner, job.id)
        assert (half.state, half.attempt) == (State.RUNNING, 1)
        assert count / 2 <= half.rows_done <= count
        async with running(*WORKER, env=env), running(*WORKER, env=env):
            await until(lambda: state_is(state, State.DONE), 30)
    done = await services.jobs.find(org.owner, job.id)
    assert (done.rows_done, done.attempt) == (count, 2)
    assert references(await text_of(services, org, job)) == [f"T-{n}" for n in range(1, count + 1)]


async def state_is(state: Any, wanted: State) -> bool:
    return bool(await state() is wanted)


async def test_over_http_a_job_is_asked_for_watched_live_and_its_file_taken(
    services: Services, org: Org, environment: dict[str, str]
):
    import aiohttp

    await org.phone()
    token = await org.token()
    env = environment | QUICK
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(env))
        await stack.enter_async_context(running(*RELAY, env=env))
        await stack.enter_async_context(running(*WORKER, env=env))
        listener = await stack.enter_async_context(listening(server.url, token))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {token}"})
        )
        async with http.post("/api/v1/exports", json={"kind": "trips"}) as answer:
            job = await answer.json()
            assert (answer.status, job["state"]) == (202, "queued")
        last = await listener.next("job:progress", lambda body: body["state"] == "done", 30)
        assert (last["jobId"], last["done"], last["total"]) == (job["id"], 1, 1)
        async with http.get(f"/api/v1/jobs/{job['id']}/file") as answer:
            assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="trips-')
            text = (await answer.read()).decode()
            assert len(text.splitlines()) == 2


# Timed runs

TABLES = """
CREATE TABLE run_began (due_at timestamptz, pid int, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE run_effects (due_at timestamptz);
GRANT SELECT, INSERT ON run_began, run_effects TO waypost_system;
"""


async def database_name(services: Services) -> str:
    async with services.database.transaction(SYSTEM) as conn:
        return str(await conn.fetchval("SELECT current_database()"))


@pytest.mark.parametrize("death", ["before", "after"])
async def test_two_schedulers_and_one_that_is_killed_do_each_run_once(
    services: Services, servers: Servers, environment: dict[str, str], death: str
):
    superuser = await servers.stack.postgres.connect(await database_name(services))
    try:
        await superuser.execute(TABLES)
        immortal = (SCHEDULE, "never", "0", "0.4")  # so that the one that dies gets to its second run
        async with running(*immortal, env=environment), running(*immortal, env=environment):
            async with running(SCHEDULE, death, "2", "0.05", env=environment) as dying:
                assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
            rows = await superuser.fetch("SELECT due_at FROM run_began WHERE pid = $1", dying.pid)
            began = {row["due_at"] for row in rows}
            killed_at = max(began)

            async def went_on() -> bool:
                query = "SELECT count(*) FROM scheduled_runs WHERE outcome = 'done' AND due_at > $1"
                open_before = "SELECT count(*) FROM scheduled_runs WHERE outcome IS NULL AND due_at <= $1"
                return await superuser.fetchval(query, killed_at) >= 3 and not await superuser.fetchval(
                    open_before, killed_at
                )

            await until(went_on, 30)
        begins = await superuser.fetch("SELECT due_at, count(*) AS times FROM run_began GROUP BY 1")
        effects = await superuser.fetch("SELECT due_at, count(*) AS times FROM run_effects GROUP BY 1 ORDER BY 1")
        assert {row["times"] for row in effects} == {1}
        moments = [row["due_at"] for row in effects if row["due_at"] <= killed_at]
        assert moments == [moments[0] + timedelta(seconds=n) for n in range(len(moments))]  # none is missing
        again = {row["due_at"] for row in begins if row["times"] > 1 and row["due_at"] <= killed_at}
        assert again  # begun a second time by another
        assert again <= began  # and no other, though three were looking
    finally:
        await superuser.close()


async def test_two_workers_of_the_product_do_each_of_its_timed_runs_once(
    services: Services, environment: dict[str, str]
):
    async def open_runs() -> list[Any]:
        async with services.database.transaction(SYSTEM) as conn:
            return list(await conn.fetch("SELECT name, attempt, outcome FROM scheduled_runs"))

    async def all_done() -> bool:
        rows = await open_runs()
        return len(rows) >= 10 and all(row["outcome"] == "done" for row in rows)

    env = environment | {"WAYPOST_SCHEDULE_POLL_S": "0.1"}
    async with running(*WORKER, env=env), running(*WORKER, env=env):
        await until(all_done, 30)
        assert {row["attempt"] for row in await open_runs()} == {1}


# Size


async def exported_in(services: Services, org: Org) -> tuple[Job, int]:
    """A job, run and read in this process, and the most memory that it took, in bytes."""
    job = await services.jobs.export(org.owner, Asked("trips"))
    tracemalloc.start()
    try:
        while (await services.jobs.find(org.owner, job.id)).state is not State.DONE:
            await job_runner_over(services).run(job.org_id, job.id)
        job, parts = await services.jobs.file(org.owner, job.id)
        size, lines = 0, 0
        async for part in parts:
            size, lines = size + len(part), lines + part.count(b"\r\n")
        assert (size, lines) == (job.file_size, job.rows_done + 1)
        return job, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [10_000, pytest.param(200_000, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
async def test_an_export_takes_the_same_memory_whatever_its_size(services: Services, org: Org, count: int):
    small = await organisation(services, "Small")
    await seed(services, small.org_id, UUID(int=0), 0)
    other = await organisation(services, "Mutare Movers")
    await seed(services, org.org_id, other.org_id, count)
    job, most = await exported_in(services, org)
    assert job.rows_done == count
    assert most < 16 * 2**20
