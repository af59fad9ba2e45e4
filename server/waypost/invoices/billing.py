"""May this organisation be billed, and may these trips stand on the invoice?"""

from __future__ import annotations

from waypost.identity.domain import OrganisationNotFound
from waypost.invoices import storage
from waypost.invoices.domain import Invoice, TripBilled
from waypost.kernel.errors import invalid_field
from waypost.platform.database import Connection
from waypost.trips.domain import TripNotFound


async def check_billable(conn: Connection, invoice: Invoice) -> None:
    """What the lines say of trips is so, and there is a trip for the counterparty: nobody writes a stranger's books.

    ``TripNotFound``, ``Invalid`` naming the line, ``TripBilled``; ``OrganisationNotFound``, for a stranger as for one
    that does not exist.
    """
    await _check_trips(conn, invoice)
    if not await storage.carries_for(conn, invoice.org_id, invoice.counterparty_org_id):
        raise OrganisationNotFound


async def _check_trips(conn: Connection, invoice: Invoice) -> None:
    """Own trips for this counterparty that no other live invoice bills; they are held until the transaction ends."""
    trip_ids = {line.trip_id for line in invoice.lines if line.trip_id is not None}
    if not trip_ids:
        return
    receivers = await storage.hold_trips(conn, invoice.org_id, trip_ids)
    for n, line in enumerate(invoice.lines):
        if line.trip_id is None:
            continue
        if line.trip_id not in receivers:
            raise TripNotFound
        if receivers[line.trip_id] != invoice.counterparty_org_id:
            raise invalid_field(f"lines[{n}].tripId", "that trip is not for the organisation that is billed")
    if (known := await storage.billed(conn, invoice.org_id, trip_ids, invoice.id)) is not None:
        trip_id, number = known
        where = f"invoice {number}" if number else "another draft"
        raise TripBilled(f"Trip {trip_id} stands on {where}.", tripId=str(trip_id))
