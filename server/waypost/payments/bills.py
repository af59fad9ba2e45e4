"""Money that another organisation has paid of an invoice, as staff type it in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity import audit
from waypost.invoices import account as billing
from waypost.invoices.domain import Move, check_move
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import MONEY, Principal
from waypost.laybys.ports import Ground
from waypost.payments import storage, telling
from waypost.payments.domain import Disposition, Payment, ReceiptTaken, TooMuch
from waypost.payments.entries import post_row
from waypost.payments.till import Taken, typed_in
from waypost.platform.database import Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class BillPayments:
    """Payments of invoices."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def take(self, principal: Principal, invoice_id: UUID, taken: Taken, *, on_account: bool = False) -> Payment:
        """Book it, in the books of both sides. ``InvoiceMoveRefused``, ``TooMuch`` (with what is open),
        ``CurrencyMismatch``, ``ReceiptTaken``. ``on_account``: what is more than open is kept for the next invoice.
        """
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            invoice = await billing.lock(conn, principal.org_id, invoice_id)
            check_move(Move.PAY, invoice)
            left = invoice.open_minor
            if taken.currency != invoice.currency:
                raise CurrencyMismatch(f"The invoice is in {invoice.currency}.", openMinor=left)
            rest = max(0, taken.amount_minor - left)
            if rest and not on_account:
                raise TooMuch(f"{left} is open of this invoice.", openMinor=left, currency=invoice.currency)
            draft = typed_in(principal, new_id(self.clock), invoice.currency, taken, self.clock.now())
            row = replace(
                draft, disposition=Disposition.OVERPAID if rest else Disposition.APPLIED, suspense_minor=0,
                applied_minor=taken.amount_minor - rest, credit_minor=rest, invoice_id=invoice_id,
                balance_minor=left - taken.amount_minor + rest,
            )  # fmt: skip
            if not await storage.add(conn, row):
                raise ReceiptTaken
            ground = billing.Ground(self.clock, self.publisher)
            invoice = (await billing.pay(ground, conn, invoice, row.applied_minor)).invoice
            await post_row(conn, self.clock, row, invoice=invoice)
            await telling.changed(Ground(self.clock, self.publisher), conn, row)
            await audit.record(
                conn, principal, self.clock, action="payment.taken", subject_kind="payment", subject_id=row.id,
                why=taken.note, detail={"invoiceId": str(invoice_id), "amountMinor": row.amount_minor,
                                        "currency": row.currency, "receipt": row.receipt},
            )  # fmt: skip
        return row
