"""SQL of the sweeps: laybys by what comes near, chunk after chunk; what was said; how far a sweep is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from waypost.laybys.domain import Instalment, Layby
from waypost.laybys.storage import COLUMNS, layby_of
from waypost.platform.database import Connection

_OF = "FROM laybys l JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id"
# Each by its own index, with the day by which a row comes; $2 and $3: after which row, $4: until which day.
BY_DUE = f"""
SELECT {COLUMNS}, l.next_due_date AS day {_OF}
 WHERE l.org_id = $1 AND l.status = 'active' AND (l.next_due_date, l.id) > ($2, $3) AND l.next_due_date <= $4
 ORDER BY l.next_due_date, l.id LIMIT $5
"""
BY_FINAL = f"""
SELECT {COLUMNS}, l.final_date AS day {_OF}
 WHERE l.org_id = $1 AND l.status = 'active' AND (l.final_date, l.id) > ($2, $3) AND l.final_date <= $4
 ORDER BY l.final_date, l.id LIMIT $5
"""
BY_COLLECTION = f"""
SELECT {COLUMNS}, l.collect_by AS day {_OF}
 WHERE l.org_id = $1 AND l.status = 'completed' AND l.released_at IS NULL
   AND (l.collect_by, l.id) > ($2, $3) AND l.collect_by <= $4
 ORDER BY l.collect_by, l.id LIMIT $5
"""
INSTALMENTS_OF = """
SELECT layby_id, n, agreed_date, due_date, amount_minor, late_fee_minor, late_fee_at FROM layby_instalments
 WHERE org_id = $1 AND layby_id = ANY ($2) ORDER BY layby_id, n
"""
ORDERS_OF = "SELECT layby_id, number FROM layby_orders WHERE org_id = $1 AND layby_id = ANY ($2) AND voided_at IS NULL"
# In the order of the key: two sweeps at once wait for each other, and neither for ever.
NOTE = """
INSERT INTO layby_notices (org_id, layby_id, n, step, due_date, at)
SELECT $1, s.layby_id, s.n, s.step, s.due_date, $6
  FROM unnest($2::uuid[], $3::smallint[], $4::text[], $5::date[]) AS s (layby_id, n, step, due_date)
 ORDER BY s.layby_id, s.n, s.step, s.due_date
ON CONFLICT DO NOTHING RETURNING layby_id, n, step, due_date
"""

OPEN = """
INSERT INTO layby_sweeps (org_id, name, due_at, started_at, updated_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT DO NOTHING
"""
HOLD = """
SELECT after_date, after_id FROM layby_sweeps
 WHERE org_id = $1 AND name = $2 AND due_at = $3 AND finished_at IS NULL FOR UPDATE
"""
MARK = """
UPDATE layby_sweeps SET after_date = $4, after_id = $5, seen = seen + $6, done = done + $7,
       updated_at = $8::timestamptz, finished_at = CASE WHEN $9 THEN $8::timestamptz END
 WHERE org_id = $1 AND name = $2 AND due_at = $3
"""
LIST = """
SELECT name, due_at, seen, done, started_at, updated_at, finished_at FROM layby_sweeps
 WHERE org_id = $1 AND ($2::text IS NULL OR name = $2)
   AND ($3::timestamptz IS NULL OR (due_at, name) < ($3, $4::text))
 ORDER BY due_at DESC, name DESC LIMIT $5
"""
FORGET = "DELETE FROM layby_sweeps WHERE due_at < $1"


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be said of a layby, once: ``n`` 0: of the whole of it."""

    layby_id: UUID
    n: int
    step: str
    due_date: date


@dataclass(frozen=True, slots=True)
class SweepRun:
    """A run of a sweep: how many laybys it looked at, and of how many (or how often) it did something."""

    name: str
    due_at: datetime
    seen: int
    done: int
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


Place = tuple[date, UUID]  # after which row a chunk begins
START: Place = (date.min, UUID(int=0))


async def chunk(
    conn: Connection, statement: str, org_id: UUID, after: Place, until: date, size: int
) -> tuple[list[Layby], Place]:
    """The next laybys by one of the statements above, with their instalments; and the last row's place."""
    rows = await conn.fetch(statement, org_id, *after, until, size)
    parts: dict[UUID, list[Instalment]] = {row["id"]: [] for row in rows}
    for part in await conn.fetch(INSTALMENTS_OF, org_id, list(parts)):
        values = dict(part)
        parts[values.pop("layby_id")].append(Instalment(**values))
    end = (rows[-1]["day"], rows[-1]["id"]) if rows else after
    return [layby_of(row, parts[row["id"]]) for row in rows], end


async def order_numbers(conn: Connection, org_id: UUID, layby_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """The numbers of completed laybys' orders."""
    rows = await conn.fetch(ORDERS_OF, org_id, layby_ids)
    return {row["layby_id"]: row["number"] for row in rows}


async def note(conn: Connection, org_id: UUID, said: Sequence[Said], now: datetime) -> set[Said]:
    """Keep that it is said; those of which that was not so before."""
    if not said:
        return set()
    columns = zip(*((one.layby_id, one.n, one.step, one.due_date) for one in said), strict=True)
    rows = await conn.fetch(NOTE, org_id, *map(list, columns), now)
    return {Said(**row) for row in rows}


async def open_run(conn: Connection, org_id: UUID, name: str, due_at: datetime, now: datetime) -> None:
    """Make the run's row, unless it is there."""
    await conn.execute(OPEN, org_id, name, due_at, now)


async def hold_run(conn: Connection, org_id: UUID, name: str, due_at: datetime) -> Place | None:
    """Where the run is, held until the transaction's end, so that two at once share the work; None: it is finished."""
    row = await conn.fetchrow(HOLD, org_id, name, due_at)
    if row is None:
        return None
    return (row["after_date"], row["after_id"]) if row["after_date"] is not None else START


async def mark(
    conn: Connection,
    org_id: UUID,
    name: str,
    due_at: datetime,
    place: Place,
    *,
    seen: int,
    done: int,
    now: datetime,
    finished: bool,
) -> None:
    """How far the run is by now."""
    await conn.execute(MARK, org_id, name, due_at, *place, seen, done, now, finished)


async def list_runs(
    conn: Connection, org_id: UUID, name: str | None, after: tuple[datetime, str] | None, limit: int
) -> list[SweepRun]:
    """Runs, the newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST, org_id, name, *(after or (None, None)), limit + 1)
    return [SweepRun(**row) for row in rows]


async def forget_runs(conn: Connection, before: datetime) -> int:
    """Delete the rows of old runs, every organisation's; how many. Needs the system scope."""
    return int((await conn.execute(FORGET, before)).split()[-1])
