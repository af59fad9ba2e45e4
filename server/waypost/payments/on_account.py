"""Money that an organisation has on account: what it paid too much pays the next invoice that it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.identity import audit
from waypost.invoices import account as billing
from waypost.invoices.domain import Invoice, spread
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.laybys.ports import Ground
from waypost.payments import storage, storage_credit, telling
from waypost.payments.domain import INTERNAL, Disposition, Kind, Method, Payment, ReceiptTaken
from waypost.payments.entries import post_row
from waypost.payments.receipts import receipt_of
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class OnAccount:
    """``invoices.ports.OnAccount``. Locks: the invoice is its caller's, then the payments in the order of their ids.
    The accounts that it posts to are there, since money on account came by them.
    """

    clock: Clock
    publisher: Publisher

    async def use(self, conn: Connection, principal: Principal, invoice: Invoice) -> Invoice:
        """Pay an issued invoice with what its counterparty has on account in its currency, the oldest first."""
        found = await storage_credit.on_account(conn, invoice.org_id, invoice.counterparty_org_id, invoice.currency)
        if not found:
            return invoice
        known = {each.root_id for each in found}
        await storage.lock_roots(conn, invoice.org_id, known)
        now = await storage_credit.on_account(conn, invoice.org_id, invoice.counterparty_org_id, invoice.currency)
        left = [each for each in now if each.root_id in known]  # as the lock has it
        parts = spread(invoice.open_minor, [max(0, each.credit_minor) for each in left])
        return await self._moved(conn, principal, invoice, dict(zip((e.root_id for e in left), parts, strict=True)))

    async def give_back(self, conn: Connection, principal: Principal, invoice: Invoice) -> Invoice:
        """What was paid of an invoice from the account goes back there."""
        found = await storage_credit.from_account(conn, invoice.org_id, invoice.id)
        if not found:
            return invoice
        await storage.lock_roots(conn, invoice.org_id, list(found))
        lies_there = await storage_credit.from_account(conn, invoice.org_id, invoice.id)
        return await self._moved(
            conn, principal, invoice, {root: -part for root, part in lies_there.items() if root in found}
        )

    async def _moved(self, conn: Connection, principal: Principal, invoice: Invoice, parts: dict[UUID, int]) -> Invoice:
        """``parts``: of each payment so much to the invoice; negative: back to the account."""
        before = invoice
        for root_id, part in parts.items():
            if part:
                invoice = await self._move(conn, principal, invoice, root_id, part)
        if invoice is not before:
            detail = {"amountMinor": invoice.paid_minor - before.paid_minor, "currency": invoice.currency}
            await audit.record(
                conn, principal, self.clock, action="credit.applied", subject_kind="invoice", subject_id=invoice.id,
                detail=detail,
            )  # fmt: skip
        return invoice

    async def _move(
        self, conn: Connection, principal: Principal, invoice: Invoice, root_id: UUID, part: int
    ) -> Invoice:
        row = self._row(principal, invoice, root_id, part)
        if not await storage.add(conn, row):
            raise ReceiptTaken
        ground = billing.Ground(self.clock, self.publisher)
        if part > 0:
            invoice = (await billing.pay(ground, conn, invoice, part)).invoice
        else:
            invoice = await billing.take_back(ground, conn, invoice, -part)
        await post_row(conn, self.clock, row, invoice=invoice)
        await telling.changed(Ground(self.clock, self.publisher), conn, row)
        return invoice

    def _row(self, principal: Principal, invoice: Invoice, root_id: UUID, part: int) -> Payment:
        now, row_id = self.clock.now(), new_id(self.clock)
        return Payment(
            org_id=invoice.org_id,
            id=row_id,
            root_id=root_id,
            kind=Kind.CREDIT,
            method=Method.INTERNAL,
            provider=INTERNAL,
            receipt=receipt_of(row_id, "C"),
            disposition=Disposition.APPLIED if part > 0 else Disposition.CREDIT,
            currency=invoice.currency,
            amount_minor=0,
            applied_minor=part,
            credit_minor=-part,
            suspense_minor=0,
            balance_minor=invoice.open_minor - part,
            invoice_id=invoice.id,
            paid_at=now,
            created_at=now,
            created_by=principal.user_id,
        )
