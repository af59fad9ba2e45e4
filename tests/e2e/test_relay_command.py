"""`waypost relay` and `waypost-worker`, as somebody types them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.e2e.commands import clean_environment, running, waypost
from tests.e2e.workers import PATHS
from tests.notices import World, telling
from tests.servers import Servers
from tests.waiting import until


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


async def run_worker(*arguments: str, env: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waypost_workers.main", *arguments, env=clean_environment(env) | {"PYTHONPATH": PATHS},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, said.decode()


async def test_waypost_relay_is_the_workers_relay_and_ends_when_asked(world: World, environment: dict[str, str]):
    env = clean_environment({**environment, **world.mail.environment})
    async with running("relay", env=env) as relay:
        rows = await until(lambda: world.query("SELECT pid FROM heartbeats WHERE kind = 'relay'"), 30)
        assert [row["pid"] for row in rows] == [relay.pid]  # it became the worker's program: no process between
        await world.trip(await world.customer())
        await until(world.rows, 30)
        relay.send(signal.SIGTERM)
        assert await relay.ended() == 0
    assert await world.query("SELECT FROM heartbeats") == []


async def test_bad_settings_are_told_with_status_2_before_anything_starts():
    said = await waypost("relay", env=clean_environment({"WAYPOST_RELAY_POLL_S": "7"}))
    assert said.status == 2
    assert "WAYPOST_RELAY_POLL_S" in said.complaint


async def test_bad_settings_are_told_by_the_worker_with_status_2_too():
    status, said = await run_worker(env={"WAYPOST_RELAY_POLL_S": "7"})
    assert (status, "WAYPOST_RELAY_POLL_S" in said, "Traceback" in said) == (2, True, False)


@pytest.fixture
async def not_migrated(servers: Servers, environment: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    """Settings with a database that nobody has migrated."""
    name = f"empty_{uuid4().hex[:12]}"
    conn = await servers.stack.postgres.connect("postgres")
    await conn.execute(f'CREATE DATABASE "{name}"')
    try:
        yield environment | {"WAYPOST_DATABASE_URL": servers.stack.database_dsn(database=name)}
    finally:
        await conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await conn.close()


@pytest.mark.parametrize("arguments", [[], ["relay"]])
async def test_a_database_that_was_not_migrated_is_one_clear_line_of_worker_and_relay(
    not_migrated: dict[str, str], arguments: list[str]
):
    status, said = await run_worker(*arguments, env=not_migrated)
    assert (status, "run `waypost migrate up`" in said, "Traceback" in said) == (1, True, False)


async def test_a_database_that_was_not_migrated_is_one_clear_line_of_the_operators_commands(
    not_migrated: dict[str, str],
):
    for command in (("user", "list"), ("token", "list", "--org", "X"), ("export", "trips", "--org", "X", "--out", "-")):
        said = await waypost(*command, env=clean_environment(not_migrated))
        assert (said.status, len(said.complaint.strip().splitlines())) == (1, 1), said.complaint
        assert "run `waypost migrate up`" in said.complaint


async def test_missing_settings_are_one_line_and_status_1():
    status, said = await run_worker("relay", env={})
    assert status == 1
    assert "WAYPOST_DATABASE_URL is not set" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["relay", "--help"], 0), (["dance"], 2), (["--queue", "x"], 2)]
)
async def test_the_workers_command_explains_itself(arguments: list[str], status: int):
    ended, said = await run_worker(*arguments, env={})
    assert ended == status
    assert "usage: waypost-worker" in said


async def test_a_worker_of_one_queue_serves_that_one_alone(world: World, environment: dict[str, str]):
    env = {**environment, **world.mail.environment, "PYTHONPATH": PATHS}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waypost_workers.main", "--queue", "bulk", env=clean_environment(env),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    (row,) = await until(lambda: world.query("SELECT detail FROM heartbeats WHERE kind = 'worker'"), 30)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert '"bulk"' in row["detail"]
    assert '"urgent"' not in row["detail"]
