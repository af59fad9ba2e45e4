"""What a trip's customer is told: that it is planned, put off, on its way, done, or that it will not come.

Each is promised for a trip without a customer, too: nobody is told, but subscribers hear of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.zones import zone_or_utc
from waypost.notifications import outbox
from waypost.notifications.before import told_before
from waypost.notifications.domain import Due, Notice
from waypost.notifications.kinds import TRIP_COMPLETED, TRIP_DELAYED, TRIP_FAILED, TRIP_SCHEDULED, TRIP_STARTED
from waypost.platform.database import Connection
from waypost.trips import storage
from waypost.trips.domain import Move, Status, Trip

_KINDS: Mapping[Move, str] = {
    Move.START: TRIP_STARTED,
    Move.COMPLETE: TRIP_COMPLETED,
    Move.CANCEL: TRIP_FAILED,
}
# In which states of the trip a notice is true.
_TRUE: Mapping[str, frozenset[Status]] = {
    TRIP_SCHEDULED: frozenset({Status.PLANNED}),
    TRIP_DELAYED: frozenset({Status.PLANNED}),
    TRIP_STARTED: frozenset({Status.STARTED}),
    TRIP_COMPLETED: frozenset({Status.COMPLETED}),
    TRIP_FAILED: frozenset({Status.CANCELLED}),
}


async def tell(conn: Connection, clock: Clock, trip: Trip, move: Move) -> None:
    """Promise, in the move's own transaction, that its customer is told."""
    kind = _KINDS.get(move)
    if kind is not None:
        more = {"reason": "cancelled"} if kind == TRIP_FAILED else {}
        await _promise(conn, clock, trip, kind, f"trip:{trip.id}:{move}", more)


async def tell_planned(conn: Connection, clock: Clock, trip: Trip) -> None:
    """The same of a new trip, if it is known when it sets out."""
    if trip.planned_start_at is not None:
        await _promise(conn, clock, trip, TRIP_SCHEDULED, f"trip:{trip.id}:scheduled", await _start(conn, trip))


async def tell_put_off(conn: Connection, clock: Clock, before: Trip, after: Trip) -> None:
    """The same of a planned trip that is to set out later than was said."""
    was, will_be = before.planned_start_at, after.planned_start_at
    if was is None or will_be is None or will_be <= was:
        return
    more = {**await _start(conn, after), "arriveDate": "", "arriveTime": ""}
    await _promise(conn, clock, after, TRIP_DELAYED, f"trip:{after.id}:delayed:{will_be.isoformat()}", more)


async def _start(conn: Connection, trip: Trip) -> dict[str, str]:
    """When it sets out, by the clock of the business."""
    if trip.planned_start_at is None:
        return {"startDate": "", "startTime": ""}
    there = trip.planned_start_at.astimezone(zone_or_utc((await settings_of(conn, trip.org_id)).time_zone))
    return {"startDate": there.date().isoformat(), "startTime": f"{there:%H:%M}"}


async def _promise(conn: Connection, clock: Clock, trip: Trip, kind: str, key: str, more: Mapping[str, str]) -> None:
    facts = {"reference": trip.reference, "origin": trip.origin or "", "destination": trip.destination or "", **more}
    notice = Notice(trip.customer_id, "trip", trip.id, facts)
    await outbox.add(conn, trip.org_id, kind=kind, key=key, payload=notice, clock=clock)


async def unwanted(conn: Connection, due: Due) -> str | None:
    """Why a notice must not go out any more: the trip has gone on since, or is another customer's by now; or it is to
    set out at another time than the notice says. That it will not come is said to who was told of it.
    """
    trip = await storage.find(conn, due.org_id, due.subject_id)
    if trip is None:
        return "trip_cancelled"
    if trip.status not in _TRUE.get(due.kind, frozenset({trip.status})):
        return f"trip_{trip.status}"
    if due.kind in {TRIP_SCHEDULED, TRIP_DELAYED} and await _start(conn, trip) != {
        name: due.facts.get(name, "") for name in ("startDate", "startTime")
    }:
        return "trip_moved"
    if due.kind == TRIP_FAILED and not await told_before(conn, due):
        return "nothing_said"
    return "customer_changed" if trip.customer_id != due.customer_id else None
