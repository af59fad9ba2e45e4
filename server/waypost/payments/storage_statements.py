"""SQL of providers' statements and their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.payments.statement_lines import Columns
from waypost.platform.database import Connection

_COLUMNS = """org_id, id, provider_id, name, mapping, state, lines, next_line, counts, error, attempt, tries, first_at,
       last_at, created_by, created_at, finished_at"""
ADD = """
INSERT INTO payment_statements (org_id, id, provider_id, name, mapping, body, sha256, lines, created_by, created_at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10)
ON CONFLICT (org_id, provider_id, sha256) DO NOTHING RETURNING id
"""
# One that had failed goes on where it stopped; what it said may have been forgotten.
AGAIN = """
UPDATE payment_statements SET state = 'queued', tries = 0, error = NULL, finished_at = NULL, poked_at = NULL, body = $4
 WHERE org_id = $1 AND provider_id = $2 AND sha256 = $3 AND state = 'failed'
"""
FIND_SAME = f"SELECT {_COLUMNS} FROM payment_statements WHERE org_id = $1 AND provider_id = $2 AND sha256 = $3"  # noqa: S608
FIND = f"SELECT {_COLUMNS} FROM payment_statements WHERE org_id = $1 AND id = $2"  # noqa: S608
LIST = f"""
SELECT {_COLUMNS} FROM payment_statements
 WHERE org_id = $1 AND ($2::uuid IS NULL OR provider_id = $2) AND ($3::uuid IS NULL OR id < $3)
 ORDER BY id DESC LIMIT $4
"""  # noqa: S608
LINES = """
SELECT n, outcome, receipt, amount_minor, paid_at, payment_id, detail FROM statement_lines
 WHERE org_id = $1 AND statement_id = $2 AND n > $3 AND ($4::text IS NULL OR outcome = $4)
 ORDER BY n LIMIT $5
"""
BODY = "SELECT body FROM payment_statements WHERE org_id = $1 AND id = $2"
DUE = """
WITH due AS (
    SELECT org_id, id FROM payment_statements
     WHERE state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until <= now())
       AND (poked_at IS NULL OR poked_at <= now() - $1::interval)
     ORDER BY poked_at NULLS FIRST, id LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE payment_statements s SET poked_at = now() FROM due WHERE s.org_id = due.org_id AND s.id = due.id
RETURNING s.org_id, s.id, s.attempt
"""
UNTOLD = "UPDATE payment_statements SET poked_at = NULL WHERE org_id = $1 AND id = $2 AND attempt = $3"

# A worker's own. Every one but the first is fenced: it does nothing once another has claimed the statement.
CLAIM = f"""
UPDATE payment_statements
   SET state = 'running', attempt = attempt + 1, tries = tries + 1, lease_until = now() + $3::interval, poked_at = NULL
 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until <= now())
RETURNING {_COLUMNS}
"""  # noqa: S608
KEEP = """
UPDATE payment_statements
   SET next_line = $4, counts = $5::jsonb, first_at = $6, last_at = $7, tries = 0, lease_until = now() + $8::interval
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
RETURNING TRUE
"""
LET_GO = """
UPDATE payment_statements
   SET lease_until = CASE WHEN $4::interval IS NULL THEN NULL ELSE now() + $4 END, poked_at = NULL
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
"""
FINISH = """
UPDATE payment_statements SET state = $4, error = $5, finished_at = $6, lease_until = NULL
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
"""
ADD_LINES = """
INSERT INTO statement_lines (org_id, statement_id, n, outcome, receipt, amount_minor, paid_at, payment_id, detail)
SELECT $1, $2, * FROM unnest($3::int[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::uuid[], $9::text[])
"""
# What is known here of receipts: the row, and all that its receipt moved (a reversal may have several rows).
KNOWN = """
SELECT p.id, p.receipt, p.kind, p.currency,
       p.amount_minor + coalesce((
           SELECT sum(o.amount_minor) FROM payments o
            WHERE p.kind = 'reversal' AND o.org_id = p.org_id AND o.root_id = p.root_id AND o.kind = 'reversal'
              AND o.provider = p.provider AND starts_with(o.receipt, p.receipt || ':')), 0)::bigint AS amount_minor
  FROM payments p WHERE p.org_id = $1 AND p.provider = $2 AND p.receipt = ANY($3::text[])
"""


class State(StrEnum):
    """Where a statement stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Outcome(StrEnum):
    """What became of a line. MATCHED: it was known here; BOOKED: now it is; UNMATCHED: now it is, without a place."""

    MATCHED = "matched"
    BOOKED = "booked"
    UNMATCHED = "unmatched"
    REVIEW = "review"
    REVERSED = "reversed"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Statement:
    """A file, and how far it has been read. ``next_line`` counts to twice the lines; ``first_at``, ``last_at``: the
    span of the times in it.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    name: str
    mapping: Columns
    state: State
    lines: int
    next_line: int
    counts: Mapping[str, int]
    error: str | None
    attempt: int
    tries: int
    first_at: datetime | None
    last_at: datetime | None
    created_by: UUID | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line, from 1 on. ``amount_minor``: below zero where money went out."""

    n: int
    outcome: Outcome
    receipt: str | None = None
    amount_minor: int | None = None
    paid_at: datetime | None = None
    payment_id: UUID | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class StatementPoke:
    """A statement that is due, for the queue."""

    org_id: UUID
    id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a receipt moved here; ``amount_minor`` of a reversal is below zero."""

    id: UUID
    kind: str
    currency: str
    amount_minor: int


async def add(conn: Connection, statement: Statement, body: bytes, sha256: bytes) -> Statement:
    """Keep a file; the one that is there where it came before."""
    s = statement
    mapping = msgspec.json.encode(s.mapping).decode()
    added = await conn.fetchval(
        ADD, s.org_id, s.id, s.provider_id, s.name, mapping, body, sha256, s.lines, s.created_by, s.created_at
    )
    if added is None:
        await conn.execute(AGAIN, s.org_id, s.provider_id, sha256, body)
    return _statement(await conn.fetchrow(FIND_SAME, s.org_id, s.provider_id, sha256))


async def find(conn: Connection, org_id: UUID, statement_id: UUID) -> Statement | None:
    row = await conn.fetchrow(FIND, org_id, statement_id)
    return _statement(row) if row else None


async def list_statements(
    conn: Connection, org_id: UUID, provider_id: UUID | None, after: UUID | None, limit: int
) -> list[Statement]:
    """Newest first, ``limit + 1`` of them."""
    return [_statement(row) for row in await conn.fetch(LIST, org_id, provider_id, after, limit + 1)]


async def list_lines(
    conn: Connection, org_id: UUID, statement_id: UUID, outcome: Outcome | None, after: int, limit: int
) -> list[StatementLine]:
    """In order, ``limit + 1`` of them."""
    rows = await conn.fetch(LINES, org_id, statement_id, after, outcome, limit + 1)
    return [StatementLine(**{**dict(row), "outcome": Outcome(row["outcome"])}) for row in rows]


async def body_of(conn: Connection, org_id: UUID, statement_id: UUID) -> bytes:
    body: bytes = await conn.fetchval(BODY, org_id, statement_id)
    return body


async def due(conn: Connection, again_after: timedelta, limit: int) -> list[StatementPoke]:
    """Statements that no worker holds, each given out once in ``again_after``. Needs the system scope."""
    return [
        StatementPoke(row["org_id"], row["id"], row["attempt"]) for row in await conn.fetch(DUE, again_after, limit)
    ]


async def untold(conn: Connection, pokes: Sequence[StatementPoke]) -> None:
    """The queue could not be told of these."""
    await conn.executemany(UNTOLD, [(poke.org_id, poke.id, poke.attempt) for poke in pokes])


async def claim(conn: Connection, org_id: UUID, statement_id: UUID, lease: timedelta) -> Statement | None:
    """Take it for a worker; None when it has ended or somebody holds it."""
    row = await conn.fetchrow(CLAIM, org_id, statement_id, lease)
    return _statement(row) if row else None


async def keep(conn: Connection, statement: Statement, lines: Sequence[StatementLine], lease: timedelta) -> bool:
    """Keep what became of lines, and how far ``statement`` is after them; False when it is no longer ours: then the
    transaction must not commit.
    """
    s = statement
    counts = msgspec.json.encode(s.counts).decode()
    ours = await conn.fetchval(KEEP, s.org_id, s.id, s.attempt, s.next_line, counts, s.first_at, s.last_at, lease)
    if ours and lines:
        names = ("n", "outcome", "receipt", "amount_minor", "paid_at", "payment_id", "detail")
        await conn.execute(ADD_LINES, s.org_id, s.id, *([getattr(line, name) for line in lines] for name in names))
    return bool(ours)


async def let_go(conn: Connection, statement: Statement, wait: timedelta | None) -> None:
    """Give the lease back, for anybody to go on, after ``wait`` if there is one."""
    await conn.execute(LET_GO, statement.org_id, statement.id, statement.attempt, wait)


async def finish(conn: Connection, statement: Statement, state: State, error: str | None, now: datetime) -> None:
    await conn.execute(FINISH, statement.org_id, statement.id, statement.attempt, state, error, now)


async def known(conn: Connection, org_id: UUID, provider: str, receipts: Sequence[str]) -> dict[str, Known]:
    """What is here of these receipts. ``provider``: the account's key."""
    rows = await conn.fetch(KNOWN, org_id, provider, receipts)
    return {row["receipt"]: Known(row["id"], row["kind"], row["currency"], row["amount_minor"]) for row in rows}


def _statement(row: Record | None) -> Statement:
    values: dict[str, Any] = dict(row or {})
    return Statement(
        **{
            **values,
            "state": State(values["state"]),
            "mapping": msgspec.json.decode(values["mapping"], type=Columns),
            "counts": msgspec.json.decode(values["counts"]),
        }
    )
