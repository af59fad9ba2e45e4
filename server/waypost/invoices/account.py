"""What money does to invoices, in the transaction of the caller, who keeps its row and books it (``books``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from waypost.invoices import announce, storage
from waypost.invoices.announce import Ground
from waypost.invoices.domain import Invoice, InvoiceNotFound, Kind, Move, Status, check_move, spread, status_after
from waypost.platform.database import Connection

__all__ = ["Allocation", "Applied", "Ground", "allocate", "lock", "pay", "take_back"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of money for an invoice. ``on_account_minor``: it pays none, and waits for the next."""

    invoice: Invoice
    applied_minor: int
    on_account_minor: int = 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """What became of a counterparty's money, the oldest invoice first."""

    parts: Sequence[Applied]
    on_account_minor: int


async def lock(conn: Connection, org_id: UUID, invoice_id: UUID) -> Invoice:
    """An own invoice, with its lines, held until the transaction ends. ``InvoiceNotFound``."""
    found = await storage.lock(conn, org_id, invoice_id)
    if found is None:
        raise InvoiceNotFound
    return found


async def pay(ground: Ground, conn: Connection, invoice: Invoice, amount_minor: int) -> Applied:
    """A positive amount for a locked invoice, up to what is open of it. ``InvoiceMoveRefused`` when it is not open."""
    check_move(Move.PAY, invoice)
    applied = min(amount_minor, invoice.open_minor)
    paid = await _moved(ground, conn, invoice, applied) if applied else invoice
    return Applied(paid, applied, amount_minor - applied)


async def take_back(ground: Ground, conn: Connection, invoice: Invoice, amount_minor: int) -> Invoice:
    """Of what a locked invoice was paid, so much (positive, never more than was applied) has gone again."""
    return await _moved(ground, conn, invoice, -amount_minor) if amount_minor else invoice


async def allocate(
    ground: Ground, conn: Connection, org_id: UUID, counterparty_org_id: UUID, currency: str, amount_minor: int
) -> Allocation:
    """Money of a counterparty over its open invoices of that currency, the oldest first; what is left stays on
    account.
    """
    waiting = await storage.lock_open(conn, org_id, counterparty_org_id, currency)
    parts = [
        Applied(await _moved(ground, conn, invoice, applied), applied)
        for invoice, applied in zip(waiting, spread(amount_minor, [each.open_minor for each in waiting]), strict=True)
        if applied
    ]
    return Allocation(parts, amount_minor - sum(part.applied_minor for part in parts))


async def _moved(ground: Ground, conn: Connection, invoice: Invoice, by_minor: int) -> Invoice:
    """The invoice after so much more was paid of it."""
    now, paid_minor = ground.clock.now(), invoice.paid_minor + by_minor
    if invoice.kind is not Kind.INVOICE or not 0 <= paid_minor <= invoice.total_minor:
        raise ValueError(f"{by_minor} cannot be paid of invoice {invoice.id}")
    status = status_after(invoice.total_minor, paid_minor)
    await storage.pay(conn, invoice, by_minor, status, now)
    paid_at = now if status is Status.PAID else None
    after = replace(
        invoice, paid_minor=paid_minor, status=status, paid_at=paid_at, updated_at=now, version=invoice.version + 1
    )
    await announce.changed(ground, conn, after)
    return after
