"""Subscribers with real kills: a worker that dies at any point of a try loses no event; a repeat has the same id.

The processes are the real ones; the receiver's log of what it took, noted before each answer, is the proof.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.e2e.workers import MORTAL, RELAY, WORKER, begin, finish, running
from tests.hooks import NETWORKS, HookWorld, hook_world
from tests.waiting import until
from waypost.laybys.stock import StockEvent
from waypost.notifications import outbox

QUICK = {
    "WAYPOST_DELIVERY_SEND_TIMEOUT_S": "1",
    "WAYPOST_DELIVERY_LEASE_S": "2",
    "WAYPOST_RELAY_POLL_S": "0.1",
    "WAYPOST_RELAY_REPOKE_S": "0.5",
    "WAYPOST_HEARTBEAT_S": "0.2",
    "WAYPOST_WEBHOOK_ALLOWED_NETWORKS": NETWORKS,
}
WITHIN_S = 90
SOON = "UPDATE webhook_deliveries SET due_at = now() WHERE state = 'pending' AND due_at > now()"


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[HookWorld]:
    async with hook_world(
        environment, **{name: value for name, value in QUICK.items() if "NETWORKS" not in name}
    ) as it:
        yield it


async def promise(world: HookWorld, number: int) -> None:
    """So many events in the outbox, committed."""
    org_id, clock = world.org.org_id, world.services.clock
    for n in range(number):
        body = StockEvent(org_id, org_id, f"LB-{n}", 1, "SOFA", 1, "sold", 1, clock.now().isoformat())
        async with world.services.database.transaction(org_id) as conn:
            key = f"stock:{n}:{clock.monotonic()}"
            await outbox.add(conn, org_id, kind="stock_sold", key=key, payload=body, clock=clock)


async def all_sent(world: HookWorld, number: int) -> list[Any] | None:
    """The deliveries, once they are all sent; waits that a death has made are cut short."""
    await world.execute(SOON)
    rows = await world.rows()
    return rows if len(rows) == number and {row["state"] for row in rows} == {"sent"} else None


@pytest.mark.parametrize("point", ["before_claim", "after_claim", "after_post", "after_finish"])
async def test_killed_at_a_point_of_a_try_the_event_still_arrives_under_its_one_id(
    world: HookWorld, environment: dict[str, str], point: str
):
    env = {**environment, **QUICK}
    await world.subscribe()
    await promise(world, 1)
    async with running(*RELAY, env=env):
        mortal = await begin(*MORTAL, point, env=env)
        assert await asyncio.wait_for(mortal.wait(), WITHIN_S) == -signal.SIGKILL
        async with running(*WORKER, env=env):
            (row,) = await until(lambda: all_sent(world, 1), WITHIN_S)
    taken = [each.reference for each in world.accepted]
    assert set(taken) == {str(row["event_id"])}
    assert len(taken) == (2 if point == "after_post" else 1)
    assert world.face.bad_signatures == 0


async def test_workers_and_the_relay_killed_and_redis_emptied_all_events_arrive(
    world: HookWorld, environment: dict[str, str]
):
    env, number = {**environment, **QUICK}, 60
    await world.subscribe()
    relay, worker = await begin(*RELAY, env=env), await begin(*WORKER, "--queue", "webhooks", env=env)
    try:
        for _ in range(3):
            await promise(world, number // 3)
            await until(lambda: len(world.accepted) > 0, WITHIN_S)
            await finish(worker, signal.SIGKILL)
            await world.services.redis.flushall()
            await finish(relay, signal.SIGKILL)
            relay, worker = await begin(*RELAY, env=env), await begin(*WORKER, "--queue", "webhooks", env=env)
        rows = await until(lambda: all_sent(world, number), WITHIN_S)
    finally:
        await finish(worker)
        await finish(relay)
    assert {each.reference for each in world.accepted} == {str(row["event_id"]) for row in rows}
    sequences = {msgspec.json.decode(each.text)["sequence"] for each in world.accepted}
    assert len(sequences) == number
