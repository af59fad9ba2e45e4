"""The use cases of invoices: drafts, and reading. What makes them count is in ``issuing``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from waypost.identity import audit
from waypost.identity.rules import Rules
from waypost.invoices import announce, storage, storage_lists
from waypost.invoices.announce import Ground
from waypost.invoices.billing import check_billable
from waypost.invoices.domain import (
    Filter,
    Invoice,
    InvoiceNotFound,
    Kind,
    Line,
    Move,
    Status,
    check_move,
    totals,
)
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, Stale, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, WATCHERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.ledger.parties import names_of
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """What a draft begins with."""

    counterparty_org_id: UUID
    currency: str
    terms_days: int = 30
    note: str | None = None
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Invoices:
    """Invoices that an organisation sends, and those that it gets. Who gets one reads it, and changes nothing."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules

    async def today(self, principal: Principal) -> date:
        """The date at the organisation of who asks."""
        zone = zone_or_utc((await self.rules.of(principal.org_id)).time_zone)
        return self.clock.now().astimezone(zone).date()

    async def find(self, principal: Principal, invoice_id: UUID) -> Invoice:
        """One invoice with its lines; ``InvoiceNotFound`` whether it is absent, another's, or another's draft."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            found = await visible(conn, principal, invoice_id)
        (named,) = await self.named([found])
        return named

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Invoice]:
        """Newest first; those that are overdue by their due date, the oldest first. Without lines."""
        principal.require(WATCHERS)
        if wanted.overdue_on is not None:
            return await self._overdue(principal, wanted, limit, cursor)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_lists.newest(conn, principal.org_id, wanted, after, limit)
        return page_of(await self.named(rows), limit, lambda invoice: invoice.id)

    async def _overdue(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Invoice]:
        after = decode_cursor(cursor, tuple[date, UUID]) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_lists.overdue(conn, principal.org_id, wanted, after, limit)
        return page_of(await self.named(rows), limit, lambda invoice: (invoice.due_date, invoice.id))

    async def create(self, principal: Principal, new: NewInvoice) -> Invoice:
        """A draft. ``OrganisationNotFound``, ``TripNotFound``, ``TripBilled``."""
        principal.require(MONEY)
        sums, now = totals(new.lines), self.clock.now()
        draft = Invoice(
            org_id=principal.org_id,
            id=new_id(self.clock),
            counterparty_org_id=new.counterparty_org_id,
            kind=Kind.INVOICE,
            status=Status.DRAFT,
            currency=new.currency,
            net_minor=sums.net_minor,
            tax_minor=sums.tax_minor,
            total_minor=sums.total_minor,
            paid_minor=0,
            terms_days=new.terms_days,
            created_at=now,
            updated_at=now,
            version=1,
            note=new.note,
            created_by=principal.user_id,
            lines=new.lines,
        )
        _check_not_own(principal, new.counterparty_org_id)
        async with self.database.transaction(principal.org_id) as conn:
            await check_billable(conn, draft)
            await storage.add(conn, draft)
            await self._record(conn, principal, draft, "created")
        (named,) = await self.named([draft])
        return named

    async def change(
        self, principal: Principal, invoice_id: UUID, columns: Mapping[str, Any], *, expected: int | None = None
    ) -> Invoice:
        """Another draft in its place. ``expected``: the version that the caller has seen; None: any."""
        principal.require(MONEY)
        if not columns:
            return await self.find(principal, invoice_id)
        if "counterparty_org_id" in columns:
            _check_not_own(principal, columns["counterparty_org_id"])
        async with self.database.transaction(principal.org_id) as conn:
            before = await lock_own(conn, principal, invoice_id, expected)
            check_move(Move.CHANGE, before)
            draft = replace(before, **columns)
            sums = totals(draft.lines)
            await check_billable(conn, draft)
            await storage.change(conn, draft, sums, self.clock.now())
            changed = await visible(conn, principal, invoice_id)
            await self._record(conn, principal, changed, "changed")
        (named,) = await self.named([changed])
        return named

    async def delete(self, principal: Principal, invoice_id: UUID) -> None:
        """A draft; what was issued is voided instead."""
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            draft = await lock_own(conn, principal, invoice_id, None)
            check_move(Move.DELETE, draft)
            await storage.delete(conn, principal.org_id, invoice_id)
            await self._record(conn, principal, draft, "deleted")

    async def named(self, rows: Sequence[Invoice]) -> Sequence[Invoice]:
        """With what both sides are called."""
        names = await names_of(self.database, {each for row in rows for each in (row.org_id, row.counterparty_org_id)})
        return [
            replace(row, org_name=names.get(row.org_id), counterparty_name=names.get(row.counterparty_org_id))
            for row in rows
        ]

    async def _record(self, conn: Connection, principal: Principal, invoice: Invoice, what: str) -> None:
        await record(conn, principal, self.clock, invoice, what)
        await announce.changed(Ground(self.clock, self.publisher), conn, invoice, deleted=what == "deleted")


def _check_not_own(principal: Principal, counterparty: UUID) -> None:
    if counterparty == principal.org_id:
        raise invalid_field("counterpartyOrgId", "that is your own organisation")


async def record(
    conn: Connection, principal: Principal, clock: Clock, invoice: Invoice, what: str, why: str | None = None
) -> None:
    """In the log: who did what to an invoice."""
    detail = {"number": invoice.number, "currency": invoice.currency, "totalMinor": invoice.total_minor,
              "counterpartyOrgId": str(invoice.counterparty_org_id)}  # fmt: skip
    await audit.record(
        conn, principal, clock, action=f"invoice.{what}", subject_kind="invoice", subject_id=invoice.id, why=why,
        detail=detail,
    )  # fmt: skip


async def visible(conn: Connection, principal: Principal, invoice_id: UUID) -> Invoice:
    """The invoice, if this organisation sends it, or has got it."""
    found = await storage.find(conn, principal.org_id, invoice_id)
    if found is None:
        raise InvoiceNotFound
    return found


async def lock_own(conn: Connection, principal: Principal, invoice_id: UUID, expected: int | None) -> Invoice:
    """An own invoice for a change. ``InvoiceNotFound``, ``Denied`` to who got it, ``Stale``."""
    locked = await storage.lock(conn, principal.org_id, invoice_id)
    if locked is None:
        await visible(conn, principal, invoice_id)
        raise Denied("This invoice belongs to the organisation that issues it; only they change it.")
    if expected not in (None, locked.version):
        raise Stale
    return locked
