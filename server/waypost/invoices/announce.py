"""`invoice:changed`: the staff of both sides. Promised in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass

from waypost.invoices.domain import Invoice, Status
from waypost.invoices.wire import InvoiceChanged
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher, staff_room

NAME = "invoice:changed"


@dataclass(frozen=True, slots=True)
class Ground:
    """What every change needs to tell of itself."""

    clock: Clock
    publisher: Publisher


async def changed(ground: Ground, conn: Connection, invoice: Invoice, *, deleted: bool = False) -> None:
    """Promise to tell of it as it is now; of a draft only its own side."""
    body = InvoiceChanged(
        event_id=new_id(ground.clock),
        invoice_id=invoice.id,
        org_id=invoice.org_id,
        counterparty_org_id=invoice.counterparty_org_id,
        kind=invoice.kind,
        status=invoice.status,
        currency=invoice.currency,
        total_minor=invoice.total_minor,
        paid_minor=invoice.paid_minor,
        version=invoice.version,
        number=invoice.number,
        due_date=invoice.due_date,
        deleted=deleted,
    )
    told = [invoice.org_id] if invoice.status is Status.DRAFT else [invoice.org_id, invoice.counterparty_org_id]
    for org_id in told:
        await ground.publisher.promise(conn, invoice.org_id, staff_room(org_id), NAME, body, body.event_id)
