"""Trips as a CSV file: one kind of job (``jobs.ports.JobKind``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from waypost.identity.service import settings_of
from waypost.jobs.domain import Asked, Plan, Step
from waypost.kernel import csv_text
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import RANDOM_BITS, uuid7
from waypost.kernel.zones import zone_or_utc
from waypost.platform.codec import EARLIEST
from waypost.platform.database import Connection
from waypost.trips import domain, storage
from waypost.trips.domain import Status, Trip
from waypost.trips.storage import Span

ROWS_A_STEP = 1000
HEADER = (
    "id", "reference", "status", "direction", "driver", "truck", "customer", "origin", "destination",
    "plannedStartAt", "startedAt", "completedAt", "cancelledAt", "createdAt",
)  # fmt: skip
# An id and the creation of its trip are told from the clock one after the other.
ID_SLACK = timedelta(minutes=1)


class TripsExport:
    """Own and received trips by their id, which is the order in which they were made; a thousand a chunk."""

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        """Trips made up to now; a span of ``createdAt`` and one status, if they are asked for."""
        if asked.status is not None and asked.status not in set(Status):
            raise invalid_field("status", f"give one of {', '.join(Status)}")
        zone = zone_or_utc((await settings_of(conn, org_id)).time_zone)
        until = min(asked.until, now) if asked.until else now
        params: dict[str, object] = {"until": until.isoformat(), "timeZone": zone.key, "bom": asked.bom}
        if asked.since:
            params["from"] = asked.since.isoformat()
        if asked.status:
            params["status"] = asked.status
        return Plan(params, f"trips-{now.astimezone(zone):%Y-%m-%d}.csv", "text/csv; charset=utf-8")

    async def count(self, conn: Connection, org_id: UUID, plan: Plan) -> int:
        """How many there are now."""
        return await storage.count_span(conn, org_id, _span(plan.params))

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        """The next thousand; ``cursor`` is the last id as text."""
        after = UUID(cursor) if isinstance(cursor, str) else None
        trips = await storage.list_span(conn, org_id, _span(plan.params), after, ROWS_A_STEP)
        zone = zone_or_utc(str(plan.params["timeZone"]))
        lines = [csv_text.line(_cells(domain.seen_by(org_id, trip), org_id, zone)) for trip in trips]
        if after is None:
            lines.insert(0, (csv_text.BOM if plan.params.get("bom") else "") + csv_text.line(HEADER))
        more = len(trips) == ROWS_A_STEP
        return Step("".join(lines).encode(), len(trips), str(trips[-1].id) if more else None)


def _span(params: Mapping[str, object]) -> Span:
    since = datetime.fromisoformat(str(params["from"])) if "from" in params else None
    until = datetime.fromisoformat(str(params["until"]))
    return Span(
        since=since,
        until=until,
        status=Status(str(params["status"])) if "status" in params else None,
        first=uuid7(max(since - ID_SLACK, EARLIEST), 0) if since else UUID(int=0),
        last=uuid7(until + ID_SLACK, (1 << RANDOM_BITS) - 1),
    )


def _cells(trip: Trip, org_id: UUID, zone: ZoneInfo) -> list[str | None]:
    times = (trip.planned_start_at, trip.started_at, trip.completed_at, trip.cancelled_at, trip.created_at)
    return [
        str(trip.id), trip.reference, str(trip.status), "own" if trip.org_id == org_id else "received",
        trip.driver_name, trip.truck_name, trip.customer_name, trip.origin, trip.destination,
        *(at.astimezone(zone).isoformat(timespec="milliseconds") if at else None for at in times),
    ]  # fmt: skip
