"""SQL of learned streets. Learning needs the system scope, a tile the organisation's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from waypost.platform.database import Connection
from waypost.tracking.domain import DOUBTFUL
from waypost.tracking.streets import SURE_M, Cell, Driven, Passes

HOUSE = UUID(int=0)

LAST_RECEIPT = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fix_receipts"
# Transactions that began before are over once the oldest that runs is not older than the newest was then.
NEWEST_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
OLDEST_TRANSACTION = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"

SUM_UP = "SELECT waypost_sum_up_receipts()"

BEGIN_PROGRESS = "INSERT INTO street_progress (org_id, receipt) VALUES ($1, 0) ON CONFLICT DO NOTHING"
TAKE_PROGRESS = "SELECT receipt FROM street_progress WHERE org_id = $1 FOR UPDATE SKIP LOCKED"
PROGRESS = "SELECT coalesce((SELECT receipt FROM street_progress WHERE org_id = $1), 0)"
NOTE_PROGRESS = "UPDATE street_progress SET receipt = $2 WHERE org_id = $1"
NEW_FIXES = """
SELECT receipt, org_id, device_id, vehicle_id, trip_id, recorded_at, latitude_e7, longitude_e7, speed_mps
  FROM fixes
 WHERE receipt > $1 AND receipt <= $2 AND flags & $3 = 0 AND (accuracy_m IS NULL OR accuracy_m < $4)
 ORDER BY receipt LIMIT $5
"""
# excluded: what a step has seen, its newest passes and how many there were. A pass among the two that are known counts
# no more.
ADD_PASSES = """
INSERT INTO street_cells AS c
       (org_id, level, block_row, block_column, cell, passes, last_on, newest_pass, other_pass)
SELECT $1, * FROM unnest($2::smallint[], $3::smallint[], $4::smallint[], $5::smallint[], $6::smallint[], $7::date[],
                         $8::bigint[], $9::bigint[])
ON CONFLICT (org_id, level, block_row, block_column, cell) DO UPDATE
   SET passes = least(32767, c.passes::int + excluded.passes
           - coalesce(excluded.newest_pass = c.newest_pass OR excluded.newest_pass = c.other_pass, false)::int
           - coalesce(excluded.other_pass = c.newest_pass OR excluded.other_pass = c.other_pass, false)::int),
       last_on = greatest(c.last_on, excluded.last_on),
       newest_pass = excluded.newest_pass,
       other_pass = coalesce(excluded.other_pass, CASE WHEN excluded.newest_pass = c.newest_pass THEN c.other_pass
                                                       ELSE c.newest_pass END)
 WHERE excluded.other_pass IS NOT NULL OR excluded.newest_pass <> c.newest_pass OR excluded.last_on > c.last_on
"""
# Block row by block row, so that only those blocks are read that the tile has.
CELLS_OF_TILE = """
SELECT c.block_row, c.block_column, c.cell, c.passes
  FROM generate_series($3::int, $4::int) AS r (block_row)
  JOIN street_cells c ON c.org_id = $1 AND c.level = $2 AND c.block_row = r.block_row
                     AND c.block_column BETWEEN $5 AND $6
 WHERE c.passes >= $7
 ORDER BY c.passes DESC, c.block_row, c.block_column, c.cell LIMIT $8
"""
FORGET_CELLS = """
DELETE FROM street_cells WHERE (org_id, level, block_row, block_column, cell) IN (
    SELECT org_id, level, block_row, block_column, cell FROM street_cells WHERE org_id = $1 AND last_on < $2 LIMIT $3)
"""


async def last_receipt(conn: Connection) -> int:
    """The last receipt number that was given out; what has it may not be committed yet."""
    number: int = await conn.fetchval(LAST_RECEIPT)
    return number


async def newest_transaction(conn: Connection) -> int:
    return int(await conn.fetchval(NEWEST_TRANSACTION))


async def oldest_transaction(conn: Connection) -> int:
    """Of those that run; all before it are over."""
    return int(await conn.fetchval(OLDEST_TRANSACTION))


async def sum_up(conn: Connection) -> None:
    """Bring the index by which new fixes are found up to date."""
    await conn.execute(SUM_UP)


async def progress(conn: Connection) -> int:
    """Up to which receipt fixes are counted."""
    receipt: int = await conn.fetchval(PROGRESS, HOUSE)
    return receipt


async def take_progress(conn: Connection) -> int | None:
    """Up to which receipt fixes are counted, held until the transaction ends; None: somebody else is at it."""
    await conn.execute(BEGIN_PROGRESS, HOUSE)
    receipt: int | None = await conn.fetchval(TAKE_PROGRESS, HOUSE)
    return receipt


async def note_progress(conn: Connection, receipt: int) -> None:
    await conn.execute(NOTE_PROGRESS, HOUSE, receipt)


async def new_fixes(conn: Connection, after: int, up_to: int, limit: int) -> list[Driven]:
    """Good and sure fixes with these receipts, of every organisation, the first ``limit``."""
    return [Driven(*row) for row in await conn.fetch(NEW_FIXES, after, up_to, int(DOUBTFUL), SURE_M, limit)]


async def add_passes(conn: Connection, org_id: UUID, found: Mapping[Cell, Passes]) -> None:
    """Count them. One at a time: whoever holds the progress."""
    columns: list[list[object]] = [[] for _ in range(8)]
    for cell, passes in sorted(found.items()):
        numbers = list(passes.passes)
        other = numbers[-2] if len(numbers) > 1 else None
        for column, value in zip(columns, (*cell, len(numbers), passes.last_on, numbers[-1], other), strict=True):
            column.append(value)
    await conn.execute(ADD_PASSES, org_id, *columns)


async def cells_of_tile(
    conn: Connection, org_id: UUID, south_west: Cell, north_east: Cell, passes: int, limit: int
) -> list[tuple[Cell, int]]:
    """The cells of the blocks from one corner to the other with their passes, those that are driven most."""
    rows = await conn.fetch(
        CELLS_OF_TILE, org_id, south_west.level, south_west.block_row, north_east.block_row, south_west.block_column,
        north_east.block_column, passes, limit,
    )  # fmt: skip
    return [(Cell(south_west.level, row[0], row[1], row[2]), row[3]) for row in rows]


async def forget_cells(conn: Connection, org_id: UUID, before: date, limit: int) -> int:
    """Delete cells that nobody has driven through since, ``limit`` at most; how many they were."""
    return int((await conn.execute(FORGET_CELLS, org_id, before, limit)).split()[-1])
