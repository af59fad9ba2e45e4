"""Kills under load, fsync on: phones on every road report at once, so that the group commit joins what they send."""

from __future__ import annotations

import asyncio
from random import SystemRandom

import pytest

from tests.e2e.commands import free_port, is_ready, serving
from tests.e2e.roads import Roads
from tests.e2e.senders import World, check, storming
from tests.waiting import until

CHANCE = SystemRandom()
PHONES = (Roads.json, Roads.msgpack, Roads.columns, Roads.socket, Roads.socket, Roads.frame)
GROUPING = {"WAYPOST_INGEST_WINDOW_MS": "5"}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.long)])
async def test_a_storm_with_kills_of_the_server_loses_and_doubles_nothing(world: World, kills: int):
    port = free_port()
    async with storming(world, f"http://127.0.0.1:{port}", PHONES) as storm:
        for _ in range(kills):
            async with serving(world.env | GROUPING, port) as server:
                await storm.goes_on(batches=CHANCE.randint(1, 8))
                await asyncio.sleep(CHANCE.random() / 20)  # a moment of no meaning, not one to wait for
                await server.kill()
        async with serving(world.env | GROUPING, port) as server:
            await storm.goes_on(batches=1)
            await storm.ends()
            await check(world, server.url, storm.senders)
        assert storm.words == {"0"}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
async def test_kills_of_postgresql_are_503s_and_the_server_recovers_by_itself(world: World, kills: int):
    async with serving(world.env | GROUPING) as server, storming(world, server.url, PHONES) as storm:
        for _ in range(kills):
            await storm.goes_on(batches=CHANCE.randint(2, 6))
            await world.kill_postgresql()
            seen = storm.count("503 database-away")
            await until(lambda seen=seen: storm.count("503 database-away") > seen, within_s=20)
            assert not await is_ready(server.url)
            await world.servers.stack.start()
            await until(lambda: is_ready(server.url), within_s=20)
        await storm.goes_on(batches=2)
        await storm.ends()
        assert server.process.returncode is None
        assert "request_failed" not in server.text
        assert storm.words == {"503 database-away"}
        await check(world, server.url, storm.senders)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.long)])
async def test_phones_of_a_killed_node_go_on_at_another_and_nothing_is_lost_or_doubled(world: World, kills: int):
    """With the same keys, and perhaps while the database is still storing the very same batch of the dead node."""
    port = free_port()
    async with (
        serving(world.env | GROUPING) as stays,
        Roads.to(stays.url) as to_the_other,
        storming(world, f"http://127.0.0.1:{port}", PHONES) as storm,
    ):
        to_the_mortal = storm.senders[0].roads
        for _ in range(kills):
            async with serving(world.env | GROUPING, port) as server:
                storm.moves(to_the_mortal)
                await storm.goes_on(batches=2)
                await server.kill()
                storm.moves(to_the_other)
                await storm.goes_on(batches=2)
        await storm.ends()
        await check(world, stays.url, storm.senders)
        assert storm.words <= {"0"}
