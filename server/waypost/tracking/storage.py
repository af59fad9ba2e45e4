"""SQL of fixes, their keys and the newest positions. Writing needs the system scope, reading the organisation's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.directory.domain import Assignment
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection
from waypost.tracking.domain import DOUBTFUL, Fix, Flag, Position, TrackFix

# A device without a position has no row to lock, so its batches take turns by a lock on its id.
TAKE_TURN = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))"
KNOWN = """
SELECT NULL::uuid AS vehicle_id, recorded_at FROM positions WHERE org_id = $1 AND device_id = $2
UNION ALL
SELECT vehicle_id, max(recorded_at) FROM positions WHERE org_id = $1 AND vehicle_id = ANY($3) GROUP BY vehicle_id
"""
KNOWN_OF_TRIPS = "SELECT trip_id, recorded_at FROM trip_positions WHERE org_id = $1 AND trip_id = ANY($2)"

# Keys first, then the fixes whose key was fresh: of a key that is known the first fix stays, whatever this one says.
ADD_FIXES = """
WITH input AS (
    SELECT * FROM unnest($4::timestamptz[], $5::timestamptz[], $6::int[], $7::int[], $8::real[], $9::real[],
                         $10::real[], $11::real[], $12::real[], $13::uuid[], $14::uuid[], $15::uuid[], $16::text[],
                         $17::int[])
        AS i (raw_at, recorded_at, latitude_e7, longitude_e7, accuracy_m, speed_mps,
              heading_deg, altitude_m, battery_pct, driver_id, vehicle_id, trip_id, key, flags)
), fresh AS (
    INSERT INTO fix_keys (org_id, device_id, key, received_at)
    SELECT $1, $2, key, $3 FROM input WHERE key IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING key
)
INSERT INTO fixes (org_id, device_id, driver_id, vehicle_id, received_at, raw_at, recorded_at, latitude_e7,
                   longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct, flags, trip_id, late)
SELECT $1, $2, driver_id, vehicle_id, $3, raw_at, recorded_at, latitude_e7, longitude_e7, accuracy_m, speed_mps,
       heading_deg, altitude_m, battery_pct, flags, trip_id, coalesce(recorded_at <= $18, false)
  FROM input WHERE key IS NULL OR key IN (SELECT key FROM fresh)
ON CONFLICT DO NOTHING
RETURNING raw_at, latitude_e7, longitude_e7, receipt
"""

_NEWER = """
    SET vehicle_id = excluded.vehicle_id, trip_id = excluded.trip_id, driver_id = excluded.driver_id,
        device_id = excluded.device_id, recorded_at = excluded.recorded_at, received_at = excluded.received_at,
        receipt = excluded.receipt, latitude_e7 = excluded.latitude_e7, longitude_e7 = excluded.longitude_e7,
        accuracy_m = excluded.accuracy_m, speed_mps = excluded.speed_mps, heading_deg = excluded.heading_deg,
        altitude_m = excluded.altitude_m, battery_pct = excluded.battery_pct
"""
_COLUMNS = """(org_id, device_id, vehicle_id, trip_id, driver_id, recorded_at, received_at, receipt, latitude_e7,
               longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"""
# The guard of P4: the newest by its own time wins, whoever comes last; of two with one time the first received.
MOVE_POSITION = f"""
INSERT INTO positions AS p {_COLUMNS}
ON CONFLICT (org_id, device_id) DO UPDATE {_NEWER} WHERE excluded.recorded_at > p.recorded_at
"""
MOVE_TRIP_POSITION = f"""
INSERT INTO trip_positions AS p {_COLUMNS}
ON CONFLICT (org_id, trip_id) DO UPDATE {_NEWER} WHERE excluded.recorded_at > p.recorded_at
"""
MAKE_PARTITION = "SELECT waypost_make_fix_partition($1)"

POSITION = """
SELECT p.device_id, p.vehicle_id, p.trip_id, p.driver_id, p.recorded_at, p.received_at, p.latitude_e7, p.longitude_e7,
       p.accuracy_m, p.speed_mps, p.heading_deg, p.altitude_m, p.battery_pct, coalesce(k.name, v.name) AS vehicle_name
"""
_NAMES = """
  LEFT JOIN trucks k ON k.org_id = p.org_id AND k.id = p.vehicle_id
  LEFT JOIN devices v ON v.org_id = p.org_id AND v.id = p.device_id
"""
LATEST = f"""
{POSITION} FROM (
    SELECT DISTINCT ON (vehicle_id) * FROM positions
     WHERE org_id = $1 AND ($2::uuid IS NULL OR vehicle_id > $2) AND ($3::uuid IS NULL OR device_id = $3)
     ORDER BY vehicle_id, recorded_at DESC LIMIT $4) p {_NAMES}
 ORDER BY p.vehicle_id
"""  # noqa: S608
LATEST_OF_TRIP = f"{POSITION} FROM trip_positions p {_NAMES} WHERE p.org_id = $1 AND p.trip_id = $2"
RECEIVED = f"""
{POSITION} FROM trips t JOIN trip_positions p ON p.org_id = t.org_id AND p.trip_id = t.id {_NAMES}
 WHERE t.destination_org_id = $1 AND t.status = 'started' LIMIT $2
"""
VEHICLE_NAME = """
SELECT coalesce((SELECT name FROM trucks WHERE org_id = $1 AND id = $3),
                (SELECT name FROM devices WHERE org_id = $1 AND id = $2))
"""

_TRACK = """
SELECT recorded_at, received_at, receipt, latitude_e7, longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m,
       battery_pct, flags, late
  FROM fixes WHERE org_id = $1 AND trip_id = $2 AND ($3 OR flags & $4 = 0)
"""
TRACK_FORWARDS = f"""
{_TRACK} AND ($5::timestamptz IS NULL OR (recorded_at, receipt) > ($5, $6::bigint))
 ORDER BY recorded_at, receipt LIMIT $7
"""
TRACK_BACKWARDS = f"""
{_TRACK} AND ($5::timestamptz IS NULL OR (recorded_at, receipt) < ($5, $6::bigint))
 ORDER BY recorded_at DESC, receipt DESC LIMIT $7
"""


@dataclass(frozen=True, slots=True)
class Reporter:
    """The device that reports, and whose it is, as its token says."""

    org_id: UUID
    device_id: UUID
    driver_id: UUID
    vehicle_id: UUID

    @classmethod
    def of(cls, principal: Principal) -> Reporter | None:
        """None when the principal is no device."""
        if principal.device_id is None or principal.driver_id is None or principal.vehicle_id is None:
            return None
        return cls(principal.org_id, principal.device_id, principal.driver_id, principal.vehicle_id)

    def principal(self, driver_id: UUID | None) -> Principal:
        """The device as it speaks, or spoke, for that driver."""
        return Principal(self.org_id, Role.DRIVER, device_id=self.device_id, driver_id=driver_id)

    def assignment(self, since: datetime) -> Assignment:
        """What its token says, for a device whose history nobody has begun."""
        truck_id = None if self.vehicle_id == self.device_id else self.vehicle_id
        return Assignment(self.driver_id, truck_id, since, None)


@dataclass(frozen=True, slots=True)
class Known:
    """When a device, and the vehicles it was in, were last known to be somewhere; None, or absent: never."""

    device_at: datetime | None = None
    vehicles_at: Mapping[UUID, datetime] = field(default_factory=dict)


async def take_turn(conn: Connection, reporter: Reporter) -> None:
    """Batches of one device take turns from here to their commit."""
    await conn.execute(TAKE_TURN, str(reporter.device_id))


async def known(conn: Connection, reporter: Reporter, vehicles: Iterable[UUID]) -> Known:
    """Where the device, and these vehicles, were last known to be."""
    rows = await conn.fetch(KNOWN, reporter.org_id, reporter.device_id, list(vehicles))
    times = {row["vehicle_id"]: row["recorded_at"] for row in rows}
    return Known(times.pop(None, None), times)


async def known_of_trips(conn: Connection, org_id: UUID, trips: Iterable[UUID]) -> dict[UUID, datetime]:
    """The times of these trips' newest good fixes, where they have any."""
    rows = await conn.fetch(KNOWN_OF_TRIPS, org_id, list(trips))
    return {row["trip_id"]: row["recorded_at"] for row in rows}


async def add_fixes(
    conn: Connection, reporter: Reporter, fixes: Sequence[Fix], received_at: datetime, position_at: datetime | None
) -> list[tuple[Fix, int]]:
    """Store what is not known yet; the stored fixes in their order, each with its receipt number.

    ``CheckViolationError`` when a fix's week has no partition yet: ``make_partitions``, then again.
    """
    columns = [
        [getattr(fix, name) for fix in fixes]
        for name in (
            "raw_at", "recorded_at", "latitude_e7", "longitude_e7", "accuracy_m", "speed_mps", "heading_deg",
            "altitude_m", "battery_pct", "driver_id", "vehicle_id", "trip_id", "key",
        )
    ]  # fmt: skip
    rows = await conn.fetch(
        ADD_FIXES, reporter.org_id, reporter.device_id, received_at, *columns,
        [int(fix.flags) for fix in fixes],  # an IntFlag has a length: asyncpg would take it for an inner array
        position_at,
    )  # fmt: skip
    receipts = {(row["raw_at"], row["latitude_e7"], row["longitude_e7"]): row["receipt"] for row in rows}
    return [(fix, receipts[fix.place_key]) for fix in fixes if fix.place_key in receipts]


async def make_partitions(conn: Connection, moments: Iterable[datetime]) -> None:
    """Make the partitions of the weeks of these moments, where they are missing. Safe to repeat, and at once."""
    one_a_week = {moment.isocalendar()[:2]: moment for moment in moments}
    for moment in sorted(one_a_week.values()):
        await conn.execute(MAKE_PARTITION, moment)


async def move_position(conn: Connection, reporter: Reporter, fix: Fix, receipt: int, received_at: datetime) -> None:
    """Make ``fix`` the device's position unless a newer one is known."""
    await conn.execute(MOVE_POSITION, *_position_row(reporter, fix, receipt, received_at))


async def move_trip_position(
    conn: Connection, reporter: Reporter, fix: Fix, receipt: int, received_at: datetime
) -> None:
    """The same for the trip that the fix belongs to."""
    await conn.execute(MOVE_TRIP_POSITION, *_position_row(reporter, fix, receipt, received_at))


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


async def vehicle_name(conn: Connection, reporter: Reporter, vehicle_id: UUID | None) -> str | None:
    """The truck's; else it is the device itself."""
    found: str | None = await conn.fetchval(VEHICLE_NAME, reporter.org_id, reporter.device_id, vehicle_id)
    return found


async def track(
    conn: Connection,
    org_id: UUID,
    trip_id: UUID,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    doubtful: bool,
    backwards: bool,
) -> list[TrackFix]:
    """A trip's fixes in the order of their own time, ``limit + 1`` of them; doubtful ones only on request."""
    statement = TRACK_BACKWARDS if backwards else TRACK_FORWARDS
    at, receipt = after or (None, None)
    rows = await conn.fetch(statement, org_id, trip_id, doubtful, int(DOUBTFUL), at, receipt, limit + 1)
    return [TrackFix(**{**dict(row), "flags": Flag(row["flags"])}) for row in rows]


def _position_row(reporter: Reporter, fix: Fix, receipt: int, received_at: datetime) -> tuple[object, ...]:
    return (
        reporter.org_id, reporter.device_id, fix.vehicle_id, fix.trip_id, fix.driver_id, fix.recorded_at,
        received_at, receipt, fix.latitude_e7, fix.longitude_e7, fix.accuracy_m, fix.speed_mps, fix.heading_deg,
        fix.altitude_m, fix.battery_pct,
    )  # fmt: skip


def _position(row: Record) -> Position:
    values: dict[str, Any] = dict(row)
    return Position(**values)


# Retention. Fixes of the whole house go by dropping their week, an organisation's own in batches of one device each,
# along the unique index: from the device's oldest up to the moment of its n-th.
DROP_WEEK = "SELECT waypost_drop_fix_partition($1)"
DEVICES = "SELECT id FROM devices WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"
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
