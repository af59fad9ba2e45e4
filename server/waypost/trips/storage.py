"""SQL of trips and their events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.directory.domain import Assignment
from waypost.kernel.principal import Principal
from waypost.platform.database import Connection
from waypost.trips.domain import Filter, Past, Run, Sight, Status, Trip, TripEvent

COLUMNS = """
       t.org_id, t.id, t.reference, t.status, t.created_at, t.updated_at, t.version, t.destination_org_id,
       t.driver_id, d.name AS driver_name, t.truck_id, k.name AS truck_name, t.customer_id, c.name AS customer_name,
       t.origin, t.destination, t.planned_start_at, t.started_at, t.completed_at, t.cancelled_at
  FROM trips t
  LEFT JOIN drivers d ON d.org_id = t.org_id AND d.id = t.driver_id
  LEFT JOIN trucks k ON k.org_id = t.org_id AND k.id = t.truck_id
  LEFT JOIN customers c ON c.org_id = t.org_id AND c.id = t.customer_id
"""

FIND = f"SELECT {COLUMNS} WHERE t.id = $2 AND t.org_id = $1"
FIND_RECEIVED = f"SELECT {COLUMNS} WHERE t.id = $2 AND t.destination_org_id = $1"
# Who sees trips that somebody watches: of each pair (organisation that watches, trip) what decides it.
SEEN_BY = """
SELECT w.org_id AS watcher_org_id, t.id, t.org_id, t.destination_org_id, t.driver_id
  FROM unnest($1::uuid[], $2::uuid[]) AS w (org_id, trip_id)
 CROSS JOIN LATERAL (
    SELECT id, org_id, destination_org_id, driver_id FROM trips WHERE org_id = w.org_id AND id = w.trip_id
     UNION ALL
    SELECT id, org_id, destination_org_id, driver_id FROM trips WHERE destination_org_id = w.org_id AND id = w.trip_id
 ) t
"""
LOCK = "SELECT status, driver_id, version FROM trips WHERE org_id = $1 AND id = $2 FOR UPDATE"


def _page(own: str = "", received: str = "") -> str:
    """A page of own and received trips: each branch is a scan of an index in its order, ended by its limit.

    An OR over both columns would read every trip of either; and a statement for each filter, since one for all of them
    ("$4 IS NULL OR …") cannot use the filter's index.
    """
    return f"""
SELECT {COLUMNS}
 WHERE (t.org_id, t.id) IN (
    (SELECT org_id, id FROM trips WHERE org_id = $1 AND id < $2 {own} ORDER BY id DESC LIMIT $3)
    UNION ALL
    (SELECT org_id, id FROM trips WHERE destination_org_id = $1 AND id < $2 {received} ORDER BY id DESC LIMIT $3))
 ORDER BY t.id DESC LIMIT $3
"""  # noqa: S608 - constants of this file


LIST = _page()
LIST_BY_STATUS = _page("AND status = $4", "AND status = $4")
# A receiver sees no driver, so asking for one asks for own trips.
LIST_BY_DRIVER = _page("AND driver_id = $4", "AND false")
LIST_BY_BOTH = _page("AND driver_id = $4 AND status = $5", "AND false")
LAST_ID = UUID(int=2**128 - 1)

ADD = """
INSERT INTO trips (org_id, id, reference, destination_org_id, driver_id, truck_id, customer_id, origin, destination,
                   planned_start_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
CHANGEABLE = (
    "reference", "destination_org_id", "driver_id", "truck_id", "customer_id", "origin", "destination",
    "planned_start_at",
)  # fmt: skip
SET_STATUS = """
UPDATE trips
   SET status = $3, version = version + 1, updated_at = $4,
       started_at = CASE WHEN $3 = 'started' THEN $4 ELSE started_at END,
       completed_at = CASE WHEN $3 = 'completed' THEN $4 ELSE completed_at END,
       cancelled_at = CASE WHEN $3 = 'cancelled' THEN $4 ELSE cancelled_at END
 WHERE org_id = $1 AND id = $2
"""
ADD_EVENT = """
INSERT INTO trip_events (org_id, trip_id, id, kind, at, actor_name, data)
VALUES ($1, $2, $3, $4, $5, (SELECT name FROM users WHERE id = $6), $7)
RETURNING actor_name
"""
LIST_EVENTS = """
SELECT id, trip_id, kind, at, actor_name, data FROM trip_events
 WHERE org_id = $1 AND trip_id = $2 AND ($3::uuid IS NULL OR id < $3)
 ORDER BY id DESC LIMIT $4
"""
# Organisation, device, the driver of its token, and the span that is asked about.
Wanted: TypeAlias = tuple[UUID, UUID, UUID | None, datetime, datetime]
# Whose a device was from a moment on, and which trips each of these drivers ran meanwhile; one row at least for each.
PASTS = """
SELECT i.org_id, i.device_id, coalesce(a.driver_id, i.driver_id) AS driver_id, a.truck_id, a.from_at, a.until_at, t.*
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    AS i (org_id, device_id, driver_id, since, until)
  LEFT JOIN device_assignments a ON a.org_id = i.org_id AND a.device_id = i.device_id
                                AND (a.until_at IS NULL OR a.until_at > i.since)
  LEFT JOIN LATERAL (
    SELECT id, started_at, coalesce(completed_at, cancelled_at) AS ended_at, destination_org_id FROM trips
     WHERE org_id = i.org_id AND driver_id = coalesce(a.driver_id, i.driver_id)
       AND started_at <= i.until + $6::interval
       AND coalesce(completed_at, cancelled_at, 'infinity') >= i.since - $6::interval
     ORDER BY started_at DESC LIMIT 100) t ON true
 ORDER BY a.from_at, t.started_at DESC
"""
ORGANISATION_EXISTS = "SELECT EXISTS (SELECT FROM organisations WHERE org_id = $1)"


async def find(conn: Connection, org_id: UUID, trip_id: UUID) -> Trip | None:
    """The trip as its sender, or as its receiver, sees it."""
    row = await conn.fetchrow(FIND, org_id, trip_id) or await conn.fetchrow(FIND_RECEIVED, org_id, trip_id)
    return _trip(row) if row else None


async def lock(conn: Connection, org_id: UUID, trip_id: UUID) -> tuple[Status, UUID | None, int] | None:
    """Lock an own trip for a change; its status, driver and version."""
    row = await conn.fetchrow(LOCK, org_id, trip_id)
    return (Status(row["status"]), row["driver_id"], row["version"]) if row else None


async def list_trips(conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int) -> list[Trip]:
    """Own and received trips, newest first, ``limit + 1`` of them."""
    arguments: list[object] = []
    statement = LIST
    if wanted.driver_id is not None:
        statement, arguments = LIST_BY_DRIVER, [wanted.driver_id]
        if wanted.status is not None:
            statement, arguments = LIST_BY_BOTH, [wanted.driver_id, wanted.status]
    elif wanted.status is not None:
        statement, arguments = LIST_BY_STATUS, [wanted.status]
    rows = await conn.fetch(statement, org_id, after or LAST_ID, limit + 1, *arguments)
    return [_trip(row) for row in rows]


async def add(conn: Connection, trip: Trip) -> None:
    await conn.execute(
        ADD, trip.org_id, trip.id, trip.reference, trip.destination_org_id, trip.driver_id, trip.truck_id,
        trip.customer_id, trip.origin, trip.destination, trip.planned_start_at, trip.created_at,
    )  # fmt: skip


async def change(conn: Connection, org_id: UUID, trip_id: UUID, columns: Mapping[str, object], now: datetime) -> None:
    """Set some of the ``CHANGEABLE`` columns."""
    names = [name for name in CHANGEABLE if name in columns]
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, start=4))
    await conn.execute(
        f"UPDATE trips SET {sets}, version = version + 1, updated_at = $3 WHERE org_id = $1 AND id = $2",  # noqa: S608
        org_id, trip_id, now, *(columns[name] for name in names),
    )  # fmt: skip


async def set_status(conn: Connection, org_id: UUID, trip_id: UUID, status: Status, now: datetime) -> None:
    """Move a locked trip. ``UniqueViolationError`` when it starts and its driver runs another."""
    await conn.execute(SET_STATUS, org_id, trip_id, status, now)


async def add_event(conn: Connection, org_id: UUID, event: TripEvent, principal: Principal) -> TripEvent:
    """Keep an event; given back with the name of the person who did it."""
    data = msgspec.json.encode(event.data).decode()
    name = await conn.fetchval(
        ADD_EVENT, org_id, event.trip_id, event.id, event.kind, event.at, principal.user_id, data
    )
    return TripEvent(event.id, event.trip_id, event.kind, event.at, name, event.data)


async def seen_by(conn: Connection, watched: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Sight]:
    """Of each pair (organisation, trip) what decides who of the organisation sees it; absent: nobody."""
    rows = await conn.fetch(SEEN_BY, [org_id for org_id, _ in watched], [trip_id for _, trip_id in watched])
    return {
        (row["watcher_org_id"], row["id"]): Sight(row["org_id"], row["destination_org_id"], row["driver_id"])
        for row in rows
    }


async def list_events(conn: Connection, org_id: UUID, trip_id: UUID, after: UUID | None, limit: int) -> list[TripEvent]:
    """Events of a trip, newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_EVENTS, org_id, trip_id, after, limit + 1)
    return [TripEvent(**{**dict(row), "data": msgspec.json.decode(row["data"])}) for row in rows]


async def pasts(conn: Connection, wanted: Sequence[Wanted], grace: timedelta) -> dict[tuple[UUID, UUID], Past]:
    """Whose each (organisation, device) was, oldest first, and which trips its drivers ran, newest first."""
    found: dict[tuple[UUID, UUID], Past] = {}
    for row in await conn.fetch(PASTS, *zip(*wanted, strict=True), grace):
        org_id, device_id, driver_id, truck_id, from_at, until_at, trip_id, started_at, ended_at, destination = row
        past = found.get((org_id, device_id))
        if past is None:
            past = found[org_id, device_id] = Past([], {})
        if from_at is not None and not any(known.from_at == from_at for known in past.assignments):
            past.assignments.append(Assignment(driver_id, truck_id, from_at, until_at))
        if trip_id is not None:
            runs = past.runs.setdefault(driver_id, [])
            if not any(run.trip_id == trip_id for run in runs):
                runs.append(Run(trip_id, started_at, ended_at, destination))
    return found


async def organisation_exists(conn: Connection, org_id: UUID) -> bool:
    """Needs the system scope: no organisation sees another."""
    return bool(await conn.fetchval(ORGANISATION_EXISTS, org_id))


def _trip(row: Record) -> Trip:
    values: dict[str, Any] = dict(row)
    return Trip(**{**values, "status": Status(row["status"])})


# A span of trips in the order of their ids, for exports: two index scans, each in order, then merged. A received trip
# has no names: they are the sender's, and row-level security would find none, one by one.
_NAMELESS = """
       t.org_id, t.id, t.reference, t.status, t.created_at, t.updated_at, t.version, t.destination_org_id,
       t.driver_id, NULL AS driver_name, t.truck_id, NULL AS truck_name, t.customer_id, NULL AS customer_name,
       t.origin, t.destination, t.planned_start_at, t.started_at, t.completed_at, t.cancelled_at
  FROM trips t
"""
_IN_SPAN = """
   AND t.id > $2 AND t.id <= $3 AND ($4::timestamptz IS NULL OR t.created_at >= $4) AND t.created_at < $5
   AND ($6::text IS NULL OR t.status = $6)
"""
LIST_SPAN = f"""
SELECT * FROM (
    (SELECT {COLUMNS} WHERE t.org_id = $1 {_IN_SPAN} ORDER BY t.id LIMIT $7)
    UNION ALL
    (SELECT {_NAMELESS} WHERE t.destination_org_id = $1 {_IN_SPAN} ORDER BY t.id LIMIT $7)) either
 ORDER BY id LIMIT $7
"""  # noqa: S608
COUNT_SPAN = f"""
SELECT (SELECT count(*) FROM trips t WHERE t.org_id = $1 {_IN_SPAN})
     + (SELECT count(*) FROM trips t WHERE t.destination_org_id = $1 {_IN_SPAN})
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Span:
    """Trips made from ``since`` (None: ever) up to, not including, ``until``; their ids are within first and last."""

    since: datetime | None
    until: datetime
    status: Status | None
    first: UUID
    last: UUID


async def list_span(conn: Connection, org_id: UUID, span: Span, after: UUID | None, limit: int) -> list[Trip]:
    """The next ``limit`` own and received trips of a span after an id, in the order of ids."""
    first = after or span.first
    rows = await conn.fetch(LIST_SPAN, org_id, first, span.last, span.since, span.until, span.status, limit)
    return [_trip(row) for row in rows]


async def count_span(conn: Connection, org_id: UUID, span: Span) -> int:
    return int(await conn.fetchval(COUNT_SPAN, org_id, span.first, span.last, span.since, span.until, span.status))
