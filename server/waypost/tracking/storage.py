"""SQL of fixes, their keys and the newest positions. Writing needs the system scope, reading the organisation's."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.platform.database import Connection
from waypost.tracking.domain import Position

POSITION = """
SELECT p.device_id, p.vehicle_id, p.trip_id, p.driver_id, p.recorded_at, p.received_at, p.latitude_e7, p.longitude_e7,
       p.accuracy_m, p.speed_mps, p.heading_deg, p.altitude_m, p.battery_pct, coalesce(k.name, v.name) AS vehicle_name
"""
NAMES = """
  LEFT JOIN trucks k ON k.org_id = p.org_id AND k.id = p.vehicle_id
  LEFT JOIN devices v ON v.org_id = p.org_id AND v.id = p.device_id
"""
LATEST = f"""
{POSITION} FROM (
    SELECT DISTINCT ON (vehicle_id) * FROM positions
     WHERE org_id = $1 AND ($2::uuid IS NULL OR vehicle_id > $2) AND ($3::uuid IS NULL OR device_id = $3)
     ORDER BY vehicle_id, recorded_at DESC LIMIT $4) p {NAMES}
 ORDER BY p.vehicle_id
"""  # noqa: S608
LATEST_OF_TRIP = f"{POSITION} FROM trip_positions p {NAMES} WHERE p.org_id = $1 AND p.trip_id = $2"
RECEIVED = f"""
{POSITION} FROM trips t JOIN trip_positions p ON p.org_id = t.org_id AND p.trip_id = t.id {NAMES}
 WHERE t.destination_org_id = $1 AND t.status = 'started' LIMIT $2
"""


async def latest(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, device_id: UUID | None = None
) -> list[Position]:
    """The newest position of each vehicle, by vehicle id; of one device only, if it is named."""
    return [_position(row) for row in await conn.fetch(LATEST, org_id, after, device_id, limit)]


async def latest_of_trip(conn: Connection, org_id: UUID, trip_id: UUID) -> Position | None:
    """A trip's newest good fix; ``org_id`` is the sender's."""
    row = await conn.fetchrow(LATEST_OF_TRIP, org_id, trip_id)
    return _position(row) if row else None


async def received_positions(conn: Connection, org_id: UUID, limit: int) -> list[Position]:
    """Where the trips are that run towards this organisation. Needs the system scope: the rows are the senders'."""
    return [_position(row) for row in await conn.fetch(RECEIVED, org_id, limit)]


def _position(row: Record) -> Position:
    values: dict[str, Any] = dict(row)
    return Position(**values)


# Retention. Fixes of the whole house go by dropping their week, an organisation's own in batches of one device each,
# along the unique index: from the device's oldest up to the moment of its n-th.
DROP_WEEK = "SELECT waypost_drop_fix_partition($1)"
DEVICES = "SELECT id FROM devices WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"
TRIPS_WITH_FILES = """
SELECT trip_id FROM imported_spans WHERE org_id = $1 AND ($2::uuid IS NULL OR trip_id > $2) ORDER BY trip_id LIMIT $3
"""
BATCH_END = """
SELECT raw_at FROM fixes WHERE org_id = $1 AND device_id = $2 AND raw_at < $3 ORDER BY raw_at OFFSET $4 LIMIT 1
"""
FORGET_FIXES = """
DELETE FROM fixes WHERE org_id = $1 AND device_id = $2 AND raw_at < $3 AND ($4::timestamptz IS NULL OR raw_at <= $4)
"""
FORGET_POSITIONS = "DELETE FROM positions WHERE org_id = $1 AND recorded_at < $2"
FORGET_TRIP_POSITIONS = """
DELETE FROM trip_positions WHERE org_id = $1 AND trip_id IN (
    SELECT trip_id FROM trip_positions WHERE org_id = $1 AND recorded_at < $2 LIMIT $3)
"""
FORGET_KEYS = """
DELETE FROM fix_keys WHERE (org_id, device_id, key) IN (
    SELECT org_id, device_id, key FROM fix_keys WHERE received_at < $1 LIMIT $2)
"""


async def drop_week(conn: Connection, before: datetime) -> str | None:
    """Drop the oldest week of fixes that ended before that; its name, None when there is none. One a transaction.

    ``LockNotAvailableError`` (so ``DatabaseAway`` outside) when somebody reads or writes fixes for long just now.
    """
    name: str | None = await conn.fetchval(DROP_WEEK, before)
    return name


async def devices_after(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """Devices of an organisation in the order of their ids, revoked ones too."""
    return [row["id"] for row in await conn.fetch(DEVICES, org_id, after, limit)]


async def trips_with_files_after(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """Trips to which files of points were added, in the order of their ids."""
    return [row["trip_id"] for row in await conn.fetch(TRIPS_WITH_FILES, org_id, after, limit)]


async def forget_fixes(conn: Connection, org_id: UUID, device_id: UUID, before: datetime, limit: int) -> int:
    """Delete about ``limit`` of a device's fixes from before that, the oldest; how many they were."""
    end = await conn.fetchval(BATCH_END, org_id, device_id, before, limit)
    return int((await conn.execute(FORGET_FIXES, org_id, device_id, before, end)).split()[-1])


async def forget_positions(conn: Connection, org_id: UUID, before: datetime, limit: int) -> int:
    """Delete last positions that are older; how many there were of trips."""
    await conn.execute(FORGET_POSITIONS, org_id, before)
    return int((await conn.execute(FORGET_TRIP_POSITIONS, org_id, before, limit)).split()[-1])


async def forget_keys(conn: Connection, before: datetime, limit: int) -> int:
    """Delete clients' own keys that were received before a moment, ``limit`` at most; how many they were."""
    return int((await conn.execute(FORGET_KEYS, before, limit)).split()[-1])
