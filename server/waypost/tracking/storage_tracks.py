"""SQL of a trip's track: its fixes in the order of their own time, page by page. In the sender's scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from waypost.platform.database import Connection

# A receiver does not learn how full the sender's phone is. Bounds instead of "IS NULL OR": those would read a deep page
# from the track's beginning. raw_at only keeps the weeks away that the trip has nothing in. "< 1" is "= 0", of which
# the planner would think that hardly any fix has it, and would read and sort them all for one page.
_TRACK = """
SELECT recorded_at, received_at, receipt, latitude_e7, longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m,
       CASE WHEN $6 THEN battery_pct END AS battery_pct, flags, late
  FROM fixes
 WHERE org_id = $1 AND trip_id = $2 AND raw_at >= $3 AND raw_at < $4 AND flags & $5 < 1
"""
TRACK_FORWARDS = f"""
{_TRACK} AND (recorded_at, receipt) > ($7, $8) AND recorded_at < $9
 ORDER BY recorded_at, receipt LIMIT $10
"""
TRACK_BACKWARDS = f"""
{_TRACK} AND (recorded_at, receipt) < ($7, $8) AND recorded_at >= $9
 ORDER BY recorded_at DESC, receipt DESC LIMIT $10
"""
IMPORTED_SPAN = "SELECT from_at, until_at FROM imported_spans WHERE org_id = $1 AND trip_id = $2"
WIDEN_SPAN = """
INSERT INTO imported_spans AS s (org_id, trip_id, from_at, until_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id, trip_id) DO UPDATE
   SET from_at = least(s.from_at, excluded.from_at), until_at = greatest(s.until_at, excluded.until_at)
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which of a trip's fixes are read, and from where on.

    ``raw_from``, ``raw_until``: no fix of the trip lies beyond; ``after``: where the last page ended, in the direction
    of reading; ``end``: where the reading ends; ``without``: flags that a fix must not have.
    """

    org_id: UUID
    trip_id: UUID
    raw_from: datetime
    raw_until: datetime
    after: tuple[datetime, int]
    end: datetime
    without: int
    backwards: bool
    own: bool


async def read(conn: Connection, reach: Reach, limit: int) -> list[Record]:
    """At most ``limit`` fixes, each with the columns of ``TrackFix`` in its order."""
    at, receipt = reach.after
    rows: list[Record] = await conn.fetch(
        TRACK_BACKWARDS if reach.backwards else TRACK_FORWARDS,
        reach.org_id, reach.trip_id, reach.raw_from, reach.raw_until, reach.without, reach.own, at, receipt, reach.end,
        limit,
    )  # fmt: skip
    return rows


async def imported_span(conn: Connection, org_id: UUID, trip_id: UUID) -> tuple[datetime, datetime] | None:
    """Between which times lie the fixes that came from files; None: none did."""
    row = await conn.fetchrow(IMPORTED_SPAN, org_id, trip_id)
    return (row["from_at"], row["until_at"]) if row else None


async def widen_span(conn: Connection, org_id: UUID, trip_id: UUID, from_at: datetime, until_at: datetime) -> None:
    """Note that fixes of these times come from a file. Needs the system scope."""
    await conn.execute(WIDEN_SPAN, org_id, trip_id, from_at, until_at)
