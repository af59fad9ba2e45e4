"""SQL of what rooms that are watched should have been told lately. Needs the system scope: rooms of many organisations.

Every statement goes along the organisations' own rows: an index on ``received_at`` would cost each fix more than
watchers cost here. First the times, as text and of all; then the positions of those few that a room has not heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from waypost.platform.database import Connection
from waypost.tracking.domain import Position
from waypost.tracking.storage import NAMES, POSITION

_AT = """to_char(p.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
FLEETS = f"""
SELECT p.org_id, p.org_id, p.device_id, NULL::uuid, p.vehicle_id::text, {_AT}, p.received_at
  FROM positions p WHERE p.org_id = ANY($1::uuid[]) AND p.received_at > $2 AND p.received_at <= $3
UNION ALL
SELECT t.destination_org_id, p.org_id, NULL, p.trip_id, p.vehicle_id::text, {_AT}, p.received_at
  FROM trips t JOIN trip_positions p ON p.org_id = t.org_id AND p.trip_id = t.id
 WHERE t.destination_org_id = ANY($1::uuid[]) AND t.status = 'started' AND p.received_at > $2 AND p.received_at <= $3
 LIMIT $4
"""  # noqa: S608 - constants of this file
# OFFSET: one look into the index for each, whatever the planner believes of the table.
TRIPS = f"""
SELECT i.org_id, p.org_id, NULL::uuid, p.trip_id, '', {_AT}, p.received_at
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, trip_id)
  JOIN trip_positions p ON p.org_id = i.org_id AND p.trip_id = i.trip_id
 WHERE p.received_at > $3 AND p.received_at <= $4
UNION ALL
SELECT i.org_id, p.org_id, NULL, p.trip_id, '', {_AT}, p.received_at
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, trip_id)
  CROSS JOIN LATERAL (
    SELECT org_id, id FROM trips WHERE destination_org_id = i.org_id AND id = i.trip_id OFFSET 0) t
  JOIN trip_positions p ON p.org_id = t.org_id AND p.trip_id = t.id
 WHERE p.received_at > $3 AND p.received_at <= $4
"""  # noqa: S608 - constants of this file
OF_DEVICES = f"""
{POSITION}, p.org_id
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, device_id)
  JOIN positions p ON p.org_id = i.org_id AND p.device_id = i.device_id {NAMES}
"""
OF_TRIPS = f"""
{POSITION}, p.org_id
  FROM unnest($1::uuid[], $2::uuid[]) AS i (org_id, trip_id)
  JOIN trip_positions p ON p.org_id = i.org_id AND p.trip_id = i.trip_id {NAMES}
"""


class Lately(NamedTuple):
    """When ``watcher``'s room should have heard of a vehicle (of a trip's room: empty) last, as events say it.

    Its position is kept as that of a device, or of a trip, of ``org_id``.
    """

    watcher: UUID
    org_id: UUID
    device_id: UUID | None
    trip_id: UUID | None
    vehicle: str
    at: str
    received_at: datetime


async def of_fleets(
    conn: Connection, watchers: Sequence[UUID], after: datetime, until: datetime, limit: int
) -> list[Lately]:
    """Of the devices of these organisations, and of what runs towards them, what was received in a span."""
    return [Lately(*row) for row in await conn.fetch(FLEETS, watchers, after, until, limit)]


async def of_trips(
    conn: Connection, watched: Sequence[tuple[UUID, UUID]], after: datetime, until: datetime
) -> list[Lately]:
    """The same of trips, each with the organisation that watches it: the sender, or the receiver."""
    return [Lately(*row) for row in await conn.fetch(TRIPS, *_apart(watched), after, until)]


async def positions(conn: Connection, wanted: Sequence[Lately]) -> list[tuple[Lately, Position]]:
    """Where they are by now."""
    devices = {(one.org_id, one.device_id) for one in wanted if one.device_id is not None}
    trips = {(one.org_id, one.trip_id) for one in wanted if one.trip_id is not None}
    found: dict[tuple[UUID, UUID], Position] = {}
    for row in await conn.fetch(OF_DEVICES, *_apart(devices)) if devices else ():
        found[row["org_id"], row["device_id"]] = _position(dict(row))
    for row in await conn.fetch(OF_TRIPS, *_apart(trips)) if trips else ():
        found[row["org_id"], row["trip_id"]] = _position(dict(row))
    keys = [(one, one.device_id or one.trip_id) for one in wanted]
    return [(one, found[one.org_id, key]) for one, key in keys if key is not None and (one.org_id, key) in found]


def _apart(pairs: Iterable[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    in_order = list(pairs)
    return [org_id for org_id, _ in in_order], [other for _, other in in_order]


def _position(row: dict[str, Any]) -> Position:
    del row["org_id"]
    return Position(**row)
