"""SQL of jobs and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.jobs.domain import Job, State
from waypost.platform.database import Connection

_COLUMNS = """
       j.org_id, j.id, j.kind, j.state, j.user_id, j.created_at, j.params, j.reason, j.cursor, j.next_chunk,
       j.rows_done, j.rows_total, j.written, j.attempt, j.tries, j.cancel_requested_at, j.file_name, j.file_type,
       j.file_size, j.file_sha256, j.file_gone, j.expires_at, j.error, j.request_id, j.started_at, j.finished_at
"""
TAKE_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('waypost jobs ' || $1::text, 0))"
COUNT_OPEN = "SELECT count(*) FROM jobs WHERE org_id = $1 AND state IN ('queued', 'running')"
ADD = """
INSERT INTO jobs (org_id, id, kind, user_id, reason, params, file_name, file_type, request_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
FIND = f"""
SELECT {_COLUMNS}, u.name AS user_name FROM jobs j LEFT JOIN users u ON u.id = j.user_id
 WHERE j.org_id = $1 AND j.id = $2
"""  # noqa: S608
LIST = f"""
SELECT {_COLUMNS}, u.name AS user_name FROM jobs j LEFT JOIN users u ON u.id = j.user_id
 WHERE j.org_id = $1 AND ($2::uuid IS NULL OR j.user_id = $2) AND ($3::text IS NULL OR j.state = $3)
   AND ($4::uuid IS NULL OR j.id < $4)
 ORDER BY j.id DESC LIMIT $5
"""  # noqa: S608
ASK_TO_CANCEL = """
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, $3)
 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')
RETURNING lease_until IS NULL OR lease_until <= now()
"""

# What the relay tells the queue; a job that was told of is left alone for a while.
DUE = """
WITH due AS (
    SELECT org_id, id FROM jobs
     WHERE state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until <= now())
       AND (poked_at IS NULL OR poked_at <= now() - $1::interval)
     ORDER BY poked_at NULLS FIRST, id LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE jobs j SET poked_at = now() FROM due WHERE j.org_id = due.org_id AND j.id = due.id
RETURNING j.org_id, j.id, j.attempt, j.request_id
"""
UNTOLD = "UPDATE jobs SET poked_at = NULL WHERE org_id = $1 AND id = $2 AND attempt = $3"

# A worker's own statements. Every one but the first is fenced: it does nothing once another has claimed the job.
CLAIM = f"""
UPDATE jobs j
   SET state = 'running', attempt = attempt + 1, tries = tries + 1, lease_until = now() + $3::interval, poked_at = NULL,
       started_at = coalesce(started_at, $4)
 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until <= now())
   AND kind = ANY($5)
RETURNING {_COLUMNS}
"""  # noqa: S608
KEEP_STEP = """
UPDATE jobs
   SET cursor = $4, written = $5, next_chunk = next_chunk + $6, rows_done = rows_done + $7, file_size = file_size + $8,
       rows_total = $9, tries = 0, lease_until = now() + $10::interval
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND cancel_requested_at IS NULL
RETURNING TRUE
"""
ADD_CHUNK = "INSERT INTO job_chunks (org_id, job_id, n, size, bytes) VALUES ($1, $2, $3, $4, $5)"
HOLD = """
UPDATE jobs SET lease_until = now() + $4::interval
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND cancel_requested_at IS NULL
RETURNING TRUE
"""
LET_GO = """
UPDATE jobs
   SET lease_until = CASE WHEN $4::interval IS NULL THEN NULL ELSE now() + $4 END, poked_at = NULL,
       tries = greatest(tries - $5, 0)
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
"""
FINISH = """
UPDATE jobs
   SET state = 'done', file_sha256 = $4, expires_at = $5, finished_at = $6, rows_total = rows_done, lease_until = NULL
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND cancel_requested_at IS NULL
RETURNING TRUE
"""
# ``attempt`` None: by a person, where no worker holds it.
GIVE_UP = """
UPDATE jobs
   SET state = $4, error = $5, finished_at = $6, file_gone = TRUE, lease_until = NULL
 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')
   AND (attempt = $3 OR ($3 IS NULL AND (lease_until IS NULL OR lease_until <= now())))
RETURNING TRUE
"""
DROP_CHUNKS = "DELETE FROM job_chunks WHERE org_id = $1 AND job_id = $2"
CHUNKS = """
SELECT n, size, bytes FROM job_chunks WHERE org_id = $1 AND job_id = $2 AND n >= $3 ORDER BY n LIMIT $4
"""

# Sweeps, over all organisations.
EXPIRED = "SELECT org_id, id FROM jobs WHERE expires_at <= $1 AND NOT file_gone ORDER BY expires_at LIMIT $2"
MARK_GONE = "UPDATE jobs SET file_gone = TRUE WHERE org_id = $1 AND id = $2"
FORGET = """
DELETE FROM jobs WHERE (org_id, id) IN (
    SELECT org_id, id FROM jobs WHERE finished_at < $1 AND file_gone ORDER BY finished_at LIMIT $2)
"""
FAILED_SINCE = "SELECT count(*) FROM jobs WHERE state = 'failed' AND finished_at >= $1"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a job's file; ``size`` before it was compressed."""

    n: int
    size: int
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Wake:
    """A job that is due, for the queue; with ``attempt`` in its id a wake-up that got lost can be given again."""

    org_id: UUID
    job_id: UUID
    attempt: int
    request_id: str | None


async def count_open(conn: Connection, org_id: UUID) -> int:
    """How many jobs are under way; no other of the organisation is added before this transaction ends."""
    await conn.execute(TAKE_TURN, str(org_id))
    return int(await conn.fetchval(COUNT_OPEN, org_id))


async def add(conn: Connection, job: Job) -> None:
    await conn.execute(
        ADD, job.org_id, job.id, job.kind, job.user_id, job.reason, _json(job.params), job.file_name, job.file_type,
        job.request_id, job.created_at,
    )  # fmt: skip


async def find(conn: Connection, org_id: UUID, job_id: UUID) -> Job | None:
    row = await conn.fetchrow(FIND, org_id, job_id)
    return _job(row) if row else None


async def list_jobs(
    conn: Connection, org_id: UUID, user_id: UUID | None, state: State | None, after: UUID | None, limit: int
) -> list[Job]:
    """Newest first, ``limit + 1`` of them; of one person only, if they are named."""
    return [_job(row) for row in await conn.fetch(LIST, org_id, user_id, state, after, limit + 1)]


async def ask_to_cancel(conn: Connection, org_id: UUID, job_id: UUID, now: datetime) -> bool:
    """Ask the worker to stop; True when no worker holds it, so that the caller may end it."""
    return bool(await conn.fetchval(ASK_TO_CANCEL, org_id, job_id, now))


async def due(conn: Connection, again_after: timedelta, limit: int) -> list[Wake]:
    """Jobs that no worker holds, each given out once in ``again_after``. Needs the system scope."""
    rows = await conn.fetch(DUE, again_after, limit)
    return [Wake(row["org_id"], row["id"], row["attempt"], row["request_id"]) for row in rows]


async def untold(conn: Connection, wakes: Sequence[Wake]) -> None:
    """The queue could not be told of these."""
    await conn.executemany(UNTOLD, [(wake.org_id, wake.job_id, wake.attempt) for wake in wakes])


async def claim(
    conn: Connection, org_id: UUID, job_id: UUID, kinds: Sequence[str], lease: timedelta, now: datetime
) -> Job | None:
    """Take the job for a worker that knows these kinds; None when it has ended, is of another or somebody holds it."""
    row = await conn.fetchrow(CLAIM, org_id, job_id, lease, now, kinds)
    return _job(row) if row else None


async def keep_step(conn: Connection, job: Job, chunk: Chunk | None, rows: int, lease: timedelta) -> bool:
    """Keep a chunk and where ``job`` goes on after it; False, and nothing kept, when it is no longer ours.

    ``job``'s cursor, total and ``written`` are the new ones, the rest as it was before.
    """
    ours = await conn.fetchval(
        KEEP_STEP, job.org_id, job.id, job.attempt, _json(job.cursor), job.written, 1 if chunk else 0, rows,
        chunk.size if chunk else 0, job.rows_total, lease,
    )  # fmt: skip
    if ours and chunk:
        await conn.execute(ADD_CHUNK, job.org_id, job.id, chunk.n, chunk.size, chunk.bytes)
    return bool(ours)


async def hold(conn: Connection, job: Job, lease: timedelta) -> bool:
    """Lengthen the lease; False when the job is no longer ours, or is to be cancelled."""
    return bool(await conn.fetchval(HOLD, job.org_id, job.id, job.attempt, lease))


async def let_go(conn: Connection, job: Job, wait: timedelta | None, *, tried: bool = True) -> None:
    """Give the lease back, for anybody to go on, after ``wait`` if there is one. ``tried`` False: it does not count."""
    await conn.execute(LET_GO, job.org_id, job.id, job.attempt, wait, 0 if tried else 1)


async def finish(conn: Connection, job: Job, sha256: bytes, expires_at: datetime, now: datetime) -> bool:
    return bool(await conn.fetchval(FINISH, job.org_id, job.id, job.attempt, sha256, expires_at, now))


async def give_up(
    conn: Connection, job: Job, state: State, now: datetime, *, error: str | None = None, holder: bool = True
) -> bool:
    """End the job without a file: what there was of it is deleted. ``holder`` False: only if no worker holds it."""
    attempt = job.attempt if holder else None
    ended = await conn.fetchval(GIVE_UP, job.org_id, job.id, attempt, state, error, now)
    if ended:
        await conn.execute(DROP_CHUNKS, job.org_id, job.id)
    return bool(ended)


async def chunks(conn: Connection, org_id: UUID, job_id: UUID, first: int, limit: int) -> list[Chunk]:
    """Chunks from number ``first`` on."""
    return [Chunk(**row) for row in await conn.fetch(CHUNKS, org_id, job_id, first, limit)]


async def expired(conn: Connection, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Organisation and id of jobs whose file's days are over. Needs the system scope, as all sweeps."""
    return [(row["org_id"], row["id"]) for row in await conn.fetch(EXPIRED, now, limit)]


async def drop_file(conn: Connection, org_id: UUID, job_id: UUID) -> None:
    await conn.execute(MARK_GONE, org_id, job_id)
    await conn.execute(DROP_CHUNKS, org_id, job_id)


async def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Delete jobs that ended before that and have no file; how many they were."""
    return _count(await conn.execute(FORGET, before, limit))


async def failed_since(conn: Connection, moment: datetime) -> int:
    return int(await conn.fetchval(FAILED_SINCE, moment))


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _count(status: str) -> int:
    return int(status.rsplit(maxsplit=1)[-1])


def _job(row: Record) -> Job:
    values: dict[str, Any] = dict(row)
    for name in ("params", "cursor"):
        values[name] = None if values[name] is None else msgspec.json.decode(values[name])
    return Job(**{**values, "state": State(values["state"])})
