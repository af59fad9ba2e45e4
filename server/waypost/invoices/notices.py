"""What an organisation that is billed is told: who keeps its books gets a notice; the issuer's subscribers hear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from waypost.invoices import storage
from waypost.invoices.domain import OPEN, Invoice, Status
from waypost.kernel.clock import Clock
from waypost.notifications import outbox
from waypost.notifications.domain import Due, Notice, Promise
from waypost.notifications.kinds import INVOICE_ISSUED, INVOICE_OVERDUE, INVOICE_VOIDED
from waypost.platform.database import Connection

STEPS = (1, 7, 14, 30)  # days after the due date on which it is said
FORGOTTEN = timedelta(days=60)  # an older one is not said any more: people talk of it


async def tell(conn: Connection, clock: Clock, invoice: Invoice, kind: str, key: str) -> None:
    """Promise it in the transaction of what happened. ``kind``: issued or voided."""
    issuer = await storage.name_of(conn, invoice.org_id)
    await outbox.add(conn, invoice.org_id, kind=kind, key=key, payload=_notice(invoice, issuer), clock=clock)


async def tell_issued(conn: Connection, clock: Clock, invoice: Invoice) -> None:
    await tell(conn, clock, invoice, INVOICE_ISSUED, f"invoice:{invoice.id}:issued")


async def tell_voided(conn: Connection, clock: Clock, invoice: Invoice) -> None:
    await tell(conn, clock, invoice, INVOICE_VOIDED, f"invoice:{invoice.id}:voided")


def overdue(invoices: Iterable[Invoice], issuer: str, today: date) -> Sequence[Promise]:
    """The newest step of each that has come: of steps that were missed only the last is said."""
    return [promise for each in invoices if (promise := _overdue(each, issuer, today)) is not None]


def _overdue(invoice: Invoice, issuer: str, today: date) -> Promise | None:
    if invoice.due_date is None or invoice.open_minor <= 0:
        return None
    days = (today - invoice.due_date).days
    passed = [step for step in STEPS if step <= days]
    if not passed:
        return None
    key = f"invoice:{invoice.id}:overdue:{invoice.due_date}:{passed[-1]}"
    return Promise(INVOICE_OVERDUE, key, _notice(invoice, issuer, days))


def _notice(invoice: Invoice, issuer: str, days: int | None = None) -> Notice:
    facts = {
        "number": invoice.number or "",
        "issuer": issuer,
        "currency": invoice.currency,
        "totalMinor": str(invoice.total_minor),
        "openMinor": str(invoice.open_minor),
        "issueDate": _iso(invoice.issue_date),
        "dueDate": _iso(invoice.due_date),
        "days": "" if days is None else str(days),
    }
    return Notice(None, "invoice", invoice.id, facts, told_org_id=invoice.counterparty_org_id)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


async def unwanted(conn: Connection, due: Due) -> str | Mapping[str, str] | None:
    """Why a notice must not go out any more: it was paid, or taken back, or its due date moved. Else what is open
    now.
    """
    invoice = await storage.find(conn, due.org_id, due.subject_id)
    if invoice is None:
        return "invoice_gone"
    if due.kind == INVOICE_VOIDED:
        return None
    if invoice.status is Status.VOIDED:
        return "invoice_voided"
    if due.kind == INVOICE_OVERDUE and (
        invoice.status not in OPEN or _iso(invoice.due_date) != due.facts.get("dueDate")
    ):
        return "invoice_paid"
    return {"openMinor": str(invoice.open_minor)}
