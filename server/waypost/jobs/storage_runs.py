"""SQL of timed runs; all of it needs the system scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from waypost.platform.database import Connection

OPEN_RUNS = """
INSERT INTO scheduled_runs (org_id, name, due_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[])
ON CONFLICT DO NOTHING
"""
# Of a run that stands for all before it only the newest is done.
SKIP_OLDER = """
UPDATE scheduled_runs r SET outcome = 'skipped', finished_at = $2, lease_until = NULL
 WHERE r.outcome IS NULL AND r.name = ANY($1) AND r.due_at <= $2 AND (r.lease_until IS NULL OR r.lease_until <= now())
   AND EXISTS (SELECT FROM scheduled_runs n WHERE n.org_id = r.org_id AND n.name = r.name AND n.due_at > r.due_at)
"""
CLAIM_RUN = """
UPDATE scheduled_runs
   SET attempt = attempt + 1, tries = tries + 1, lease_until = now() + $2::interval, started_at = $3
 WHERE (org_id, name, due_at) = (
    SELECT org_id, name, due_at FROM scheduled_runs
     WHERE outcome IS NULL AND name = ANY($1) AND due_at <= $3 AND (lease_until IS NULL OR lease_until <= now())
     ORDER BY due_at, name, org_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING org_id, name, due_at, attempt, tries
"""
HOLD_RUN = """
UPDATE scheduled_runs SET lease_until = now() + $5::interval
 WHERE org_id = $1 AND name = $2 AND due_at = $3 AND attempt = $4 AND outcome IS NULL
RETURNING TRUE
"""
FINISH_RUN = """
UPDATE scheduled_runs SET outcome = $5, detail = $6, finished_at = $7, lease_until = NULL
 WHERE org_id = $1 AND name = $2 AND due_at = $3 AND attempt = $4 AND outcome IS NULL
"""
PUT_OFF_RUN = """
UPDATE scheduled_runs SET lease_until = now() + $5::interval, detail = $6, tries = tries - $7
 WHERE org_id = $1 AND name = $2 AND due_at = $3 AND attempt = $4 AND outcome IS NULL
"""
FORGET_RUNS = """
DELETE FROM scheduled_runs WHERE (org_id, name, due_at) IN (
    SELECT org_id, name, due_at FROM scheduled_runs
     WHERE finished_at < $1 OR (outcome IS NULL AND due_at < $1) LIMIT $2)
"""
FAILED_RUNS_SINCE = "SELECT DISTINCT name FROM scheduled_runs WHERE outcome = 'failed' AND finished_at >= $1"
LAST_RUN = "SELECT max(finished_at) FROM scheduled_runs WHERE outcome = 'done'"
ANALYSE = "SELECT waypost_analyse()"


@dataclass(frozen=True, slots=True)
class Run:
    """A claimed timed run; ``attempt`` is its fence, ``tries`` those claims that count against it."""

    org_id: UUID
    name: str
    due_at: datetime
    attempt: int
    tries: int

    @property
    def key(self) -> tuple[UUID, str, datetime, int]:
        return self.org_id, self.name, self.due_at, self.attempt


async def open_runs(conn: Connection, runs: Sequence[tuple[UUID, str, datetime]]) -> None:
    """Note runs that are due; those that are known stay as they are."""
    await conn.execute(OPEN_RUNS, [r[0] for r in runs], [r[1] for r in runs], [r[2] for r in runs])


async def skip_older(conn: Connection, names: Sequence[str], now: datetime) -> None:
    """End the runs of these names that a newer due one stands for, unless they are at work."""
    await conn.execute(SKIP_OLDER, names, now)


async def claim_run(conn: Connection, names: Sequence[str], lease: timedelta, now: datetime) -> Run | None:
    """Take the oldest run that is due and nobody's; None when there is none."""
    row = await conn.fetchrow(CLAIM_RUN, names, lease, now)
    return Run(**row) if row else None


async def hold_run(conn: Connection, run: Run, lease: timedelta) -> bool:
    """Lengthen the lease; False when another has claimed the run."""
    return bool(await conn.fetchval(HOLD_RUN, *run.key, lease))


async def finish_run(conn: Connection, run: Run, outcome: str, detail: str | None, now: datetime) -> None:
    """``outcome``: "done" or "failed"."""
    await conn.execute(FINISH_RUN, *run.key, outcome, detail, now)


async def put_off_run(conn: Connection, run: Run, wait: timedelta, detail: str, *, tried: bool) -> None:
    """Nobody takes it before ``wait`` is over. ``tried`` False: this claim does not count."""
    await conn.execute(PUT_OFF_RUN, *run.key, wait, detail, 0 if tried else 1)


async def forget_runs(conn: Connection, before: datetime, limit: int) -> int:
    return int((await conn.execute(FORGET_RUNS, before, limit)).split()[-1])


async def failed_runs_since(conn: Connection, moment: datetime) -> list[str]:
    """The names of runs that were given up."""
    return [row["name"] for row in await conn.fetch(FAILED_RUNS_SINCE, moment)]


async def last_run(conn: Connection) -> datetime | None:
    """When a timed run was last done; None: never."""
    found: datetime | None = await conn.fetchval(LAST_RUN)
    return found


async def analyse(conn: Connection, timeout_s: float) -> None:
    """Let PostgreSQL look at the tables whose plans depend on it and that it does not look at by itself."""
    await conn.execute(ANALYSE, timeout=timeout_s)
