"""What a trip's customer is told: that it set out, and that it is done."""

from __future__ import annotations

from waypost.kernel.clock import Clock
from waypost.notifications import outbox
from waypost.notifications.domain import Due, Notice
from waypost.notifications.kinds import TRIP_COMPLETED, TRIP_STARTED
from waypost.platform.database import Connection
from waypost.trips import storage
from waypost.trips.domain import Move, Status, Trip

_KINDS = {Move.START: TRIP_STARTED, Move.COMPLETE: TRIP_COMPLETED}


async def tell(conn: Connection, clock: Clock, trip: Trip, move: Move) -> None:
    """Promise, in the move's own transaction, that its customer is told; nothing where there is none to tell."""
    kind = _KINDS.get(move)
    if kind is None or trip.customer_id is None:
        return
    facts = {"reference": trip.reference, "origin": trip.origin or "", "destination": trip.destination or ""}
    notice = Notice(trip.customer_id, "trip", trip.id, facts)
    await outbox.add(conn, trip.org_id, kind=kind, key=f"trip:{trip.id}:{move}", payload=notice, clock=clock)


async def unwanted(conn: Connection, due: Due) -> str | None:
    """Why a notice must not go out any more: the trip was cancelled, or is another customer's by now; or that it set
    out, when it has arrived.
    """
    trip = await storage.find(conn, due.org_id, due.subject_id)
    if trip is None or trip.status is Status.CANCELLED:
        return "trip_cancelled"
    if due.kind == TRIP_STARTED and trip.status is Status.COMPLETED:
        return "trip_completed"
    return "customer_changed" if trip.customer_id != due.customer_id else None
