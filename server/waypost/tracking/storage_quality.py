"""SQL of data quality. Writing needs the system scope, reading the organisation's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta
from uuid import UUID

from asyncpg import Record

from waypost.platform.database import Connection
from waypost.tracking.seen import DayQuality, Seen
from waypost.tracking.silence import Heard
from waypost.tracking.tallies import Device, Tally

FIRST_ID = UUID(int=0)

# Rows are written in the order of their keys, so that two nodes with the same devices wait for each other and nobody
# else. The newer word wins, part by part. every_s is a running mean of the pauses; a long pause is no rhythm.
NOTE_FACTS = """
INSERT INTO device_quality AS q (
    org_id, device_id, source, heard_at, heard, stored_at, doubts, fix_at, delay_s, accuracy_m, battery_pct, battery_at,
    clock_offset_ms, reason, rejected_at, ahead_s, signal, signal_at)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::int[],
    $8::timestamptz[], $9::float8[], $10::float8[], $11::float8[], $12::timestamptz[], $13::bigint[], $14::text[],
    $15::timestamptz[], $16::float8[], $17::text[], $18::timestamptz[]) AS i (org_id, device_id)
 ORDER BY i.org_id, i.device_id
ON CONFLICT (org_id, device_id) DO UPDATE SET
    source = CASE WHEN excluded.heard_at >= q.heard_at THEN excluded.source ELSE q.source END,
    heard_at = greatest(q.heard_at, excluded.heard_at),
    heard = q.heard + excluded.heard,
    every_s = CASE WHEN excluded.heard_at <= q.heard_at
                     OR excluded.heard_at - q.heard_at > excluded.heard * interval '15 minutes' THEN q.every_s
                   ELSE 0.3 * extract(epoch FROM excluded.heard_at - q.heard_at) / excluded.heard
                      + 0.7 * coalesce(q.every_s, extract(epoch FROM excluded.heard_at - q.heard_at) / excluded.heard)
              END,
    doubts = CASE WHEN excluded.fix_at >= coalesce(q.fix_at, '-infinity') THEN excluded.doubts ELSE q.doubts END,
    stored_at = greatest(q.stored_at, excluded.stored_at),
    delay_s = CASE WHEN excluded.fix_at >= coalesce(q.fix_at, '-infinity') THEN excluded.delay_s ELSE q.delay_s END,
    accuracy_m = CASE WHEN excluded.fix_at >= coalesce(q.fix_at, '-infinity')
                      THEN coalesce(excluded.accuracy_m, q.accuracy_m)
                      ELSE coalesce(q.accuracy_m, excluded.accuracy_m) END,
    fix_at = greatest(q.fix_at, excluded.fix_at),
    battery_pct = CASE WHEN excluded.battery_at >= coalesce(q.battery_at, '-infinity') THEN excluded.battery_pct
                       ELSE q.battery_pct END,
    battery_at = greatest(q.battery_at, excluded.battery_at),
    clock_offset_ms = coalesce(excluded.clock_offset_ms, q.clock_offset_ms),
    reason = CASE WHEN excluded.rejected_at >= coalesce(q.rejected_at, '-infinity') THEN excluded.reason
                  ELSE q.reason END,
    ahead_s = CASE WHEN excluded.rejected_at >= coalesce(q.rejected_at, '-infinity') THEN excluded.ahead_s
                   ELSE q.ahead_s END,
    rejected_at = greatest(q.rejected_at, excluded.rejected_at),
    signal = CASE WHEN excluded.signal_at >= coalesce(q.signal_at, '-infinity') THEN excluded.signal ELSE q.signal END,
    signal_at = greatest(q.signal_at, excluded.signal_at)
"""
NOTE_DAYS = """
INSERT INTO device_quality_days AS q (
    org_id, device_id, day, batches, accepted, duplicates, late, flagged, rejected, accuracy_sum_m, accuracy_n,
    delay_sum_s, delay_max_s, battery_min_pct, battery_pct, clock_offset_ms)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::float8[], $11::bigint[], $12::float8[], $13::float8[], $14::float8[], $15::float8[],
    $16::bigint[]) AS i (org_id, device_id, day)
 ORDER BY i.org_id, i.device_id, i.day
ON CONFLICT (org_id, device_id, day) DO UPDATE SET
    batches = q.batches + excluded.batches, accepted = q.accepted + excluded.accepted,
    duplicates = q.duplicates + excluded.duplicates, late = q.late + excluded.late,
    flagged = q.flagged + excluded.flagged, rejected = q.rejected + excluded.rejected,
    accuracy_sum_m = q.accuracy_sum_m + excluded.accuracy_sum_m, accuracy_n = q.accuracy_n + excluded.accuracy_n,
    delay_sum_s = q.delay_sum_s + excluded.delay_sum_s, delay_max_s = greatest(q.delay_max_s, excluded.delay_max_s),
    battery_min_pct = least(q.battery_min_pct, excluded.battery_min_pct),
    battery_pct = coalesce(excluded.battery_pct, q.battery_pct),
    clock_offset_ms = coalesce(excluded.clock_offset_ms, q.clock_offset_ms)
"""
NOTE_COUNTS = """
INSERT INTO device_quality_counts AS q (org_id, device_id, day, kind, what, count)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::text[], $5::text[], $6::bigint[])
    AS i (org_id, device_id, day, kind, what) ORDER BY i.org_id, i.device_id, i.day, i.kind, i.what
ON CONFLICT (org_id, device_id, day, kind, what) DO UPDATE SET count = q.count + excluded.count
"""

_DAY = """
       y.day, y.batches, y.accepted, y.duplicates, y.late, y.flagged, y.rejected, y.accuracy_sum_m, y.accuracy_n,
       y.delay_sum_s, y.delay_max_s, y.battery_min_pct, y.battery_pct AS day_battery_pct,
       y.clock_offset_ms AS day_clock_offset_ms
"""
_SEEN = f"""
       v.id AS device_id, v.name, v.driver_id, d.name AS driver_name, v.truck_id, k.name AS truck_name, t.id AS trip_id,
       v.created_at, v.revoked_at, v.old_token_until, v.last_seen_at, t.started_at AS trip_started_at,
       p.recorded_at AS position_at, p.speed_mps, q.heard_at, q.every_s, q.stored_at, coalesce(q.doubts, 0) AS doubts,
       q.fix_at, q.delay_s, coalesce(q.battery_pct, p.battery_pct) AS battery_pct, q.reason, q.rejected_at, q.ahead_s,
       q.signal, q.signal_at, q.source, q.battery_at, q.accuracy_m, q.clock_offset_ms, {_DAY}
  FROM devices v
  JOIN drivers d ON d.org_id = v.org_id AND d.id = v.driver_id
  LEFT JOIN trucks k ON k.org_id = v.org_id AND k.id = v.truck_id
  LEFT JOIN trips t ON t.org_id = v.org_id AND t.driver_id = v.driver_id AND t.status = 'started'
  LEFT JOIN positions p ON p.org_id = v.org_id AND p.device_id = v.id
  LEFT JOIN device_quality q ON q.org_id = v.org_id AND q.device_id = v.id
  LEFT JOIN device_quality_days y ON y.org_id = v.org_id AND y.device_id = v.id AND y.day = $2
"""
LIST_SEEN = f"SELECT {_SEEN} WHERE v.org_id = $1 AND v.id > $3 AND ($4 OR v.revoked_at IS NULL) ORDER BY v.id LIMIT $5"
FIND_SEEN = f"SELECT {_SEEN} WHERE v.org_id = $1 AND v.id = $3"
DAYS = f"SELECT {_DAY} FROM device_quality_days y WHERE y.org_id = $1 AND y.device_id = $2 AND y.day >= $3"  # noqa: S608
COUNTS = """
SELECT day, kind, what, count FROM device_quality_counts
 WHERE org_id = $1 AND device_id = $2 AND day >= $3 ORDER BY day, kind, what
"""
# A gap: the device got $6 metres on, or further, in more than $5, and no good fix of its own says how (47: the doubtful
# flags, and imported). Counted where it ended, by the device's own time, from the fixes themselves: a backlog that
# fills a gap takes it away. Longitudes differ the short way round.
GAPS = """
SELECT (raw_at AT TIME ZONE 'UTC')::date AS day, count(*) AS gaps, max(pause) AS longest FROM (
    SELECT raw_at, raw_at - lag(raw_at) OVER w AS pause,
           sqrt(power((latitude_e7::float8 - lag(latitude_e7) OVER w) * 0.01113, 2)
                + power((1800000000 - abs(1800000000 - abs(longitude_e7::float8 - lag(longitude_e7) OVER w))) * 0.01113
                        * cos(radians(latitude_e7 / 1e7)), 2)) AS metres
      FROM fixes WHERE org_id = $1 AND device_id = $2 AND raw_at >= $3::timestamptz - interval '1 day' AND raw_at < $4
                   AND flags & 47 < 1
    WINDOW w AS (ORDER BY raw_at, latitude_e7, longitude_e7)) AS pairs
 WHERE raw_at >= $3 AND pause > $5 AND metres >= $6
 GROUP BY 1
"""
FORGET_DAYS = """
DELETE FROM device_quality_days WHERE (org_id, device_id, day) IN (
    SELECT org_id, device_id, day FROM device_quality_days WHERE day < $1 LIMIT $2)
"""
FORGET_COUNTS = """
DELETE FROM device_quality_counts WHERE (org_id, device_id, day, kind, what) IN (
    SELECT org_id, device_id, day, kind, what FROM device_quality_counts WHERE day < $1 LIMIT $2)
"""

FACTS = (
    "source", "heard_at", "heard", "stored_at", "doubts", "fix_at", "delay_s", "accuracy_m", "battery_pct",
    "battery_at", "clock_offset_ms", "reason", "rejected_at", "ahead_s", "signal", "signal_at",
)  # fmt: skip
COUNTERS = (
    "batches", "accepted", "duplicates", "late", "flagged", "rejected", "accuracy_sum_m", "accuracy_n", "delay_sum_s",
    "delay_max_s", "battery_min_pct", "battery_pct", "clock_offset_ms",
)  # fmt: skip
_HEARD = tuple(field.name for field in fields(Heard))


async def note(conn: Connection, tallies: Mapping[Device, Tally]) -> None:
    """Add what was counted."""
    orgs, devices = [org for org, _ in tallies], [device for _, device in tallies]
    facts = [tally.facts for tally in tallies.values()]
    await conn.execute(NOTE_FACTS, orgs, devices, *([getattr(fact, name) for fact in facts] for name in FACTS))
    days = [(*device, date, day) for device, tally in tallies.items() for date, day in tally.days.items()]
    if days:
        keys = [[row[n] for row in days] for n in range(3)]
        counters = [[getattr(row[3], name) for row in days] for name in COUNTERS]
        await conn.execute(NOTE_DAYS, *keys, *counters)
    counts = [(*row[:3], *what, count) for row in days for what, count in row[3].counts().items()]
    if counts:
        await conn.execute(NOTE_COUNTS, *zip(*counts, strict=True))


async def list_seen(
    conn: Connection, org_id: UUID, today: date, after: UUID | None, limit: int, *, revoked: bool
) -> list[Seen]:
    """Devices by id, ``limit`` of them; ``revoked``: those whose token was withdrawn too."""
    rows = await conn.fetch(LIST_SEEN, org_id, today, after or FIRST_ID, revoked, limit)
    return [_seen(row, today) for row in rows]


async def find_seen(conn: Connection, org_id: UUID, today: date, device_id: UUID) -> Seen | None:
    row = await conn.fetchrow(FIND_SEEN, org_id, today, device_id)
    return _seen(row, today) if row else None


async def days(conn: Connection, org_id: UUID, device_id: UUID, since: date) -> dict[date, DayQuality]:
    """The days of which something is known, without their gaps."""
    flags: dict[date, dict[str, int]] = defaultdict(dict)
    reasons: dict[date, dict[str, int]] = defaultdict(dict)
    for row in await conn.fetch(COUNTS, org_id, device_id, since):
        (flags if row["kind"] == "flag" else reasons)[row["day"]][row["what"]] = row["count"]
    rows = await conn.fetch(DAYS, org_id, device_id, since)
    return {row["day"]: _day(row, flags[row["day"]], reasons[row["day"]]) for row in rows}


async def gaps(
    conn: Connection, org_id: UUID, device_id: UUID, between: tuple[datetime, datetime], pause: timedelta, metres: float
) -> dict[date, tuple[int, timedelta]]:
    """By day: how many, and the longest."""
    rows = await conn.fetch(GAPS, org_id, device_id, *between, pause, metres)
    return {row["day"]: (row["gaps"], row["longest"]) for row in rows}


async def forget_days(conn: Connection, before: date, limit: int) -> int:
    """Delete about ``limit`` counters of days before that; how many days."""
    return int((await conn.execute(FORGET_DAYS, before, limit)).split()[-1])


async def forget_counts(conn: Connection, before: date, limit: int) -> int:
    """The same of flags and reasons."""
    return int((await conn.execute(FORGET_COUNTS, before, limit)).split()[-1])


def _seen(row: Record, today: date) -> Seen:
    return Seen(
        **{field.name: row[field.name] for field in fields(Seen) if field.name not in ("heard", "today")},
        heard=Heard(**{name: row[name] for name in _HEARD}),
        today=_day(row) if row["day"] is not None else DayQuality(today),
    )


def _day(row: Record, flags: Mapping[str, int] = {}, reasons: Mapping[str, int] = {}) -> DayQuality:
    shared = {name: row[name] for name in ("day", *COUNTERS[:-2])}
    return DayQuality(
        **shared,
        battery_pct=row["day_battery_pct"],
        clock_offset_ms=row["day_clock_offset_ms"],
        flags=flags,
        reasons=reasons,
    )
