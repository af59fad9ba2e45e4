"""A process is killed in the middle of a sweep, fsync on: others finish it, and nobody is left out or met twice."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from tests.e2e.mortal_sweeps import POINTS
from tests.e2e.senders import World
from tests.e2e.workers import begin, running
from tests.fakes.clock import FakeClock
from tests.shops import Shop
from tests.waiting import until

SWEEP = "tests.e2e.mortal_sweeps"
DUE = date(2026, 11, 29)
KILLED_AT = 3  # of five chunks
WITHIN_S = 60
# A sweep, the name of its runs, when it goes, of how many laybys, what it promises.
SWEEPS: dict[str, tuple[str, datetime, int, str]] = {
    "remind": ("reminders", datetime.combine(DUE, time(9), UTC), 450, "payment_reminder"),
    "charge_late_fees": ("late-fees", datetime.combine(DUE + timedelta(days=2), time(1), UTC), 110, "late_fee_applied"),
}
RUNS = "SELECT seen, done, finished_at IS NOT NULL AS finished FROM layby_sweeps WHERE name = $1"
OLD = "UPDATE organisations SET created_at = created_at - interval '1 day'"  # so that a run is due
FEES = """
SELECT l.id FROM laybys l JOIN layby_instalments i ON i.layby_id = l.id
 WHERE l.status = 'active' GROUP BY l.id, l.late_fees_minor
HAVING l.late_fees_minor <> 500 OR sum(late_fee_minor) <> 500
"""
BOOKED = """
SELECT sum(p.amount_minor)::bigint AS minor
  FROM postings p JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
 WHERE a.code = 'late-fees-receivable'
"""


async def query(world: World, statement: str, *arguments: object) -> list[Any]:
    conn = await world.servers.stack.postgres.connect(world.database)
    try:
        return list(await conn.fetch(statement, *arguments))
    finally:
        await conn.close()


async def told(world: World, kind: str) -> list[str]:
    """For which laybys it is promised that their customers are told."""
    rows = await query(world, "SELECT split_part(key, ':', 2) AS id FROM outbox WHERE kind = $1", kind)
    return [row["id"] for row in rows]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("sweep", SWEEPS)
async def test_a_sweep_that_is_killed_is_finished_by_others_and_meets_everybody_once(
    world: World, sweep: str, point: str
):
    name, moment, many, kind = SWEEPS[sweep]
    await Shop(world.org.services, FakeClock(moment), world.org).fill(many, DUE)
    await query(world, OLD)
    run = SWEEP, sweep
    dying = await begin(*run, point, str(KILLED_AT), moment.isoformat(), env=world.env)
    assert await asyncio.wait_for(dying.wait(), WITHIN_S) == -signal.SIGKILL
    (half,) = await query(world, RUNS, name)
    kept = KILLED_AT - (point == "sweeping")  # a chunk and what it did are one transaction
    assert (half["seen"], half["finished"]) == (kept * (100 if sweep == "remind" else 25), False)
    assert len(await told(world, kind)) == half["done"] == half["seen"]

    async def finished() -> bool:
        return all(row["finished"] for row in await query(world, RUNS, name))

    others = *run, "never", "0", moment.isoformat()
    async with running(*others, env=world.env), running(*others, env=world.env):
        await until(finished, WITHIN_S)
    done = await told(world, kind)
    assert len(done) == len(set(done)) == many
    assert sum(row["done"] for row in await query(world, RUNS, name)) == many
    if sweep == "charge_late_fees":
        assert await query(world, FEES) == []
        assert [row["minor"] for row in await query(world, BOOKED)] == [many * 500]
