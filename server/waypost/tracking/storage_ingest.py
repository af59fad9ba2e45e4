"""SQL of the group commit: many devices' fixes, keys and positions in few statements. Needs the system scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.platform.database import Connection
from waypost.tracking import rows
from waypost.tracking.domain import NEVER_LIVE, UNFIT, Fix, Order, moment, ms_of
from waypost.tracking.judgement import CONTEXT, NEIGHBOUR_MS, SLOT_MS
from waypost.tracking.trail import Stored, Trail
from waypost.tracking.values import tidy

Device: TypeAlias = tuple[UUID, UUID]  # organisation, device
Kept: TypeAlias = tuple[Device, int | None, Trail]  # with its newest own time
Move: TypeAlias = tuple[Device, Fix, datetime]  # with its time of receipt
Flagged: TypeAlias = tuple[Device, Stored, int]  # a stored fix of a device, and its flags from now on

# A device whose turn somebody else has is skipped, so that no transaction waits for another with locks held.
ADD_TRACKS = """
INSERT INTO device_tracks (org_id, device_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, device_id) ORDER BY device_id, org_id ON CONFLICT DO NOTHING
"""
LOCK_TRACKS = """
SELECT t.org_id, t.device_id, t.newest_raw_ms, t.state
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, device_id) JOIN device_tracks t USING (org_id, device_id)
 ORDER BY t.device_id, t.org_id FOR UPDATE OF t SKIP LOCKED
"""
HAVE_TRACKS = """
SELECT t.org_id, t.device_id
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, device_id) JOIN device_tracks t USING (org_id, device_id)
"""
ADD_KEYS = """
INSERT INTO fix_keys (org_id, device_id, key, received_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
ON CONFLICT DO NOTHING RETURNING org_id, device_id, key
"""
MAKE_PARTITION = "SELECT waypost_make_fix_partition($1)"

# The neighbours of late fixes: how far to read so that every verdict that may change has its own neighbours too.
NEIGHBOURS = 2 * CONTEXT
BEFORE = """
SELECT raw_at FROM fixes WHERE org_id = $1 AND device_id = $2 AND raw_at < $3 AND raw_at >= $4 AND flags & $5 = 0
 ORDER BY raw_at DESC LIMIT $6
"""
AFTER = """
SELECT raw_at FROM fixes WHERE org_id = $1 AND device_id = $2 AND raw_at > $3 AND raw_at <= $4 AND flags & $5 = 0
 ORDER BY raw_at LIMIT $6
"""
BETWEEN = """
SELECT raw_at, latitude_e7, longitude_e7, accuracy_m, speed_mps, flags FROM fixes
 WHERE org_id = $1 AND device_id = $2 AND raw_at >= $3 AND raw_at <= $4 ORDER BY raw_at, latitude_e7, longitude_e7
"""
STORED_OF = """
SELECT (SELECT max(raw_at) FROM fixes WHERE org_id = $1 AND device_id = $2) AS newest,
       p.recorded_at, coalesce(p.raw_at, p.recorded_at) AS raw_at, p.latitude_e7, p.longitude_e7
  FROM (SELECT) AS one LEFT JOIN positions p ON p.org_id = $1 AND p.device_id = $2
"""
SET_FLAGS = """
UPDATE fixes f SET flags = i.flags
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[], $5::int[], $6::int[])
    AS i (org_id, device_id, raw_at, latitude_e7, longitude_e7, flags)
 WHERE f.org_id = i.org_id AND f.device_id = i.device_id AND f.raw_at = i.raw_at
   AND f.latitude_e7 = i.latitude_e7 AND f.longitude_e7 = i.longitude_e7
RETURNING f.org_id, f.device_id, f.trip_id, f.recorded_at, f.flags,
          (SELECT destination_org_id FROM trips t WHERE t.org_id = f.org_id AND t.id = f.trip_id) AS destination_org_id
"""

LOCK_TRIP_POSITIONS = """
SELECT true FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, trip_id) JOIN trip_positions p USING (org_id, trip_id)
 ORDER BY p.trip_id FOR UPDATE OF p
"""
_VALUES = """
       recorded_at, received_at, raw_at, latitude_e7, longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m,
       battery_pct
"""
_COLUMNS = f"org_id, device_id, vehicle_id, trip_id, driver_id, {_VALUES}"
_TYPES = ("uuid",) * 5 + ("timestamptz",) * 3 + ("int",) * 2 + ("real",) * 5


def _input(first: int) -> str:
    """The columns as arrays, from the ``first`` argument on."""
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(_TYPES))
    return f"FROM unnest({arrays}) AS i ({_COLUMNS})"


_TAKEN = """
    SET vehicle_id = excluded.vehicle_id, trip_id = excluded.trip_id, driver_id = excluded.driver_id,
        device_id = excluded.device_id, recorded_at = excluded.recorded_at, received_at = excluded.received_at,
        raw_at = excluded.raw_at, latitude_e7 = excluded.latitude_e7, longitude_e7 = excluded.longitude_e7,
        accuracy_m = excluded.accuracy_m, speed_mps = excluded.speed_mps, heading_deg = excluded.heading_deg,
        altitude_m = excluded.altitude_m, battery_pct = excluded.battery_pct
"""
# The guard of P4: the newest by its own time wins, whoever comes last; of two with one time the place decides.
_IF_NEWER = """
  WHERE (excluded.recorded_at, excluded.raw_at, excluded.latitude_e7, excluded.longitude_e7)
      > (p.recorded_at, coalesce(p.raw_at, p.recorded_at), p.latitude_e7, p.longitude_e7)
"""
# All that a transaction leaves behind beside the fixes, in one round trip: what each device's next batch is judged by,
# where devices and trips are by now. Answers which trips moved, and of each vehicle its name and when another device
# in it was last known to be somewhere.
SETTLE = f"""
WITH kept AS (
    UPDATE device_tracks t SET newest_raw_ms = i.newest_raw_ms, state = i.state
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[]) AS i (org_id, device_id, newest_raw_ms, state)
     WHERE t.org_id = i.org_id AND t.device_id = i.device_id
), moved AS (
    INSERT INTO positions AS p ({_COLUMNS}) SELECT * {_input(5)}
    ON CONFLICT (org_id, device_id) DO UPDATE {_TAKEN} {_IF_NEWER}
), trips AS (
    INSERT INTO trip_positions AS p ({_COLUMNS}) SELECT * {_input(20)} ORDER BY trip_id
    ON CONFLICT (org_id, trip_id) DO UPDATE {_TAKEN} {_IF_NEWER}
    RETURNING trip_id
)
SELECT trip_id, NULL AS vehicle_id, NULL AS name, NULL AS other_at FROM trips
UNION ALL
SELECT NULL, i.vehicle_id, coalesce(k.name, v.name),
       (SELECT max(p.recorded_at) FROM positions p
         WHERE p.org_id = i.org_id AND p.vehicle_id = i.vehicle_id AND p.device_id <> i.device_id)
  FROM unnest($5::uuid[], $6::uuid[], $7::uuid[]) AS i (org_id, device_id, vehicle_id)
  LEFT JOIN trucks k ON k.org_id = i.org_id AND k.id = i.vehicle_id
  LEFT JOIN devices v ON v.org_id = i.org_id AND v.id = i.device_id
"""  # noqa: S608
# After a verdict has changed: the newest of those that are good by now, be it older than the one before. The present
# one is asked apart: after a clock that was ahead has been set right, it is not among the last by the device's time.
_GOOD = f"SELECT org_id, device_id, vehicle_id, trip_id, driver_id, {_VALUES} FROM fixes"  # noqa: S608
_NEWEST_FIRST = "ORDER BY recorded_at DESC, raw_at DESC, latitude_e7 DESC, longitude_e7 DESC LIMIT 1"
RESET_POSITION = f"""
WITH lately AS (
    {_GOOD} WHERE org_id = $1 AND device_id = $2 AND flags & $3 = 0 ORDER BY raw_at DESC LIMIT 100
), present AS (
    {_GOOD} WHERE org_id = $1 AND device_id = $2 AND flags & $3 = 0 AND (raw_at, latitude_e7, longitude_e7)
         = (SELECT raw_at, latitude_e7, longitude_e7 FROM positions WHERE org_id = $1 AND device_id = $2)
), best AS (
    SELECT * FROM (SELECT * FROM lately UNION ALL SELECT * FROM present) AS both_of_them {_NEWEST_FIRST}
), gone AS (
    DELETE FROM positions WHERE org_id = $1 AND device_id = $2 AND NOT EXISTS (SELECT FROM best)
)
INSERT INTO positions AS p ({_COLUMNS}) SELECT * FROM best
ON CONFLICT (org_id, device_id) DO UPDATE {_TAKEN}
RETURNING {_COLUMNS}, (SELECT destination_org_id FROM trips t WHERE t.org_id = p.org_id AND t.id = p.trip_id)
"""  # noqa: S608
RESET_TRIP_POSITION = f"""
WITH best AS ({_GOOD} WHERE org_id = $1 AND trip_id = $2 AND flags & $3 = 0 {_NEWEST_FIRST}), gone AS (
    DELETE FROM trip_positions WHERE org_id = $1 AND trip_id = $2 AND NOT EXISTS (SELECT FROM best)
)
INSERT INTO trip_positions AS p ({_COLUMNS}) SELECT * FROM best
ON CONFLICT (org_id, trip_id) DO UPDATE {_TAKEN}
RETURNING {_COLUMNS}, (SELECT destination_org_id FROM trips t WHERE t.org_id = p.org_id AND t.id = p.trip_id)
"""  # noqa: S608
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Trail).decode


async def lock_tracks(conn: Connection, devices: Sequence[Device]) -> dict[Device, tuple[int | None, Trail | None]]:
    """The turns, until the commit, of those devices that nobody else has the turn of; each with its newest own time and
    its trail, None where it is not known.
    """
    found = await conn.fetch(LOCK_TRACKS, *_apart(devices))
    if len(found) < len(devices):
        missing = set(devices).difference((row[0], row[1]) for row in found)
        there = {(row[0], row[1]) for row in await conn.fetch(HAVE_TRACKS, *_apart(missing))}
        if new := missing - there:
            await conn.execute(ADD_TRACKS, *_apart(new))
            found += await conn.fetch(LOCK_TRACKS, *_apart(new))
    return {(row[0], row[1]): (row[2], _decode(row[3]) if row[3] is not None else None) for row in found}


def _apart(devices: Iterable[Device]) -> tuple[list[UUID], list[UUID]]:
    in_order = list(devices)
    return [org for org, _ in in_order], [device for _, device in in_order]


async def add_keys(conn: Connection, keys: Sequence[tuple[UUID, UUID, str, datetime]]) -> set[tuple[UUID, UUID, str]]:
    """Take the clients' own keys; those that were free until now."""
    fresh = await conn.fetch(ADD_KEYS, *zip(*keys, strict=True))
    return {(row[0], row[1], row[2]) for row in fresh}


async def add_fixes(conn: Connection, encoded: Iterable[bytes]) -> None:
    """Store rows made by ``rows.encode``, none of which is stored already.

    ``CheckViolationError`` when a fix's week has no partition yet: ``make_partitions``, then all again.
    ``UniqueViolationError`` when somebody stored one of them without the device's turn.
    """
    await conn.copy_to_table("fixes", source=_at_once(encoded), columns=rows.COLUMNS, format="binary")


async def _at_once(encoded: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A file would be read by a thread."""
    yield b"".join((rows.HEADER, *encoded, rows.TRAILER))


async def make_partitions(conn: Connection, moments: Iterable[datetime]) -> None:
    """Make the partitions of the weeks of these moments, where they are missing. Safe to repeat, and at once."""
    one_a_week = {moment.isocalendar()[:2]: moment for moment in moments}
    for at in sorted(one_a_week.values()):
        await conn.execute(MAKE_PARTITION, at)


async def stored_of(conn: Connection, device: Device) -> tuple[int | None, Order | None]:
    """A device's newest fix by its own time, of all that are stored, and where it is known to be."""
    row = await conn.fetchrow(STORED_OF, *device)
    if row is None:
        return None, None
    position = (ms_of(row[1]), ms_of(row[2]), row[3], row[4]) if row[1] else None
    return ms_of(row[0]) if row[0] else None, position


async def window(conn: Connection, device: Device, first_ms: int, last_ms: int) -> tuple[int, int, bool, bool]:
    """How far around a span to read: (from, to, nothing fit is before that, nothing after)."""
    reach = timedelta(milliseconds=NEIGHBOUR_MS) * (NEIGHBOURS + 1)
    first, last = moment(first_ms), moment(last_ms)
    before = await conn.fetch(BEFORE, *device, first, first - reach, UNFIT, NEIGHBOURS)
    after = await conn.fetch(AFTER, *device, last, last + reach, UNFIT, NEIGHBOURS)
    from_ms = ms_of(before[-1][0]) if before else first_ms
    to_ms = ms_of(after[-1][0]) if after else last_ms
    return (
        from_ms // SLOT_MS * SLOT_MS,
        (to_ms // SLOT_MS + 1) * SLOT_MS - 1,
        len(before) < NEIGHBOURS,
        len(after) < NEIGHBOURS,
    )


async def stored_between(conn: Connection, device: Device, from_ms: int, to_ms: int) -> list[Stored]:
    """A device's fixes of a span, in order."""
    found = await conn.fetch(BETWEEN, *device, moment(from_ms), moment(to_ms))
    return [
        Stored(ms_of(at), latitude_e7, longitude_e7, tidy(accuracy), tidy(speed), flags)
        for at, latitude_e7, longitude_e7, accuracy, speed, flags in found
    ]


async def set_flags(conn: Connection, changes: Sequence[Flagged]) -> list[Record]:
    """Change the verdicts on stored fixes; each with its device, trip, time and flags."""
    columns = zip(
        *(
            (org, device, moment(fix.raw_ms), fix.latitude_e7, fix.longitude_e7, flags)
            for (org, device), fix, flags in changes
        ),
        strict=True,
    )
    return list(await conn.fetch(SET_FLAGS, *columns))


async def lock_trip_positions(conn: Connection, trips: Iterable[tuple[UUID, UUID]]) -> None:
    """Nobody moves these trips, each named with its organisation, until the commit."""
    in_order = sorted(trips, key=lambda trip: trip[1])
    await conn.fetch(LOCK_TRIP_POSITIONS, [org for org, _ in in_order], [trip for _, trip in in_order])


async def settle(
    conn: Connection, kept: Sequence[Kept], moves: Sequence[Move], trip_moves: Sequence[Move]
) -> tuple[set[UUID], dict[UUID, tuple[str | None, datetime | None]]]:
    """Keep what the next batches are judged by, and make each fix the position of its device, of its trip, unless a
    newer one is known. The trips that moved; of each moved vehicle its name, and when another device in it was last
    known to be somewhere.
    """
    if not (kept or moves or trip_moves):
        return set(), {}
    tracks = zip(*((org, device, newest, _encode(trail)) for (org, device), newest, trail in kept), strict=True)
    rows = await conn.fetch(SETTLE, *(tuple(tracks) or ([],) * 4), *_columns(moves), *_columns(trip_moves))
    moved = {row[0] for row in rows if row[0] is not None}
    return moved, {row[1]: (row[2], row[3]) for row in rows if row[0] is None}


async def reset_position(conn: Connection, device: Device) -> Fix | None:
    """Make the newest good one of a device's last fixes its position, whatever it was; None: there is none."""
    row = await conn.fetchrow(RESET_POSITION, *device, NEVER_LIVE)
    return _fix(row) if row else None


async def reset_trip_position(conn: Connection, org_id: UUID, trip_id: UUID) -> Fix | None:
    """The same for a trip."""
    row = await conn.fetchrow(RESET_TRIP_POSITION, org_id, trip_id, NEVER_LIVE)
    return _fix(row) if row else None


def _columns(moves: Sequence[Move]) -> Sequence[Sequence[Any]]:
    if not moves:
        return ([],) * len(_TYPES)
    return tuple(
        zip(
            *(
                (
                    org, device, fix.vehicle_id, fix.trip_id, fix.driver_id, moment(fix.recorded_ms), received_at,
                    moment(fix.raw_ms), fix.latitude_e7, fix.longitude_e7, fix.accuracy_m, fix.speed_mps,
                    fix.heading_deg, fix.altitude_m, fix.battery_pct,
                )
                for (org, device), fix, received_at in moves
            ),
            strict=True,
        )
    )  # fmt: skip


def _fix(row: Record) -> Fix:
    return Fix(
        index=0,
        raw_ms=ms_of(row["raw_at"]),
        latitude_e7=row["latitude_e7"],
        longitude_e7=row["longitude_e7"],
        accuracy_m=row["accuracy_m"],
        speed_mps=row["speed_mps"],
        heading_deg=row["heading_deg"],
        altitude_m=row["altitude_m"],
        battery_pct=row["battery_pct"],
        flags=0,
        key=None,
        recorded_ms=ms_of(row["recorded_at"]),
        trip_id=row["trip_id"],
        destination_org_id=row["destination_org_id"],
        driver_id=row["driver_id"],
        vehicle_id=row["vehicle_id"],
    )
