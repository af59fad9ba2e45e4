"""Money without a known reference: suggestions, and the one decision of a person for what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity import audit
from waypost.invoices import account as billing
from waypost.invoices.domain import Invoice
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import MONEY, TELLERS, Principal
from waypost.laybys import account
from waypost.laybys.domain import Layby, share
from waypost.laybys.ports import Ground
from waypost.laybys.references import near, normal_form
from waypost.payments import groups, storage, storage_suggestions, telling
from waypost.payments.days import today_of
from waypost.payments.domain import (
    INTERNAL,
    AlreadySettled,
    Disposition,
    Kind,
    Method,
    Payment,
    PaymentNotFound,
    ReceiptTaken,
    TooMuch,
    placed,
)
from waypost.payments.entries import post_row
from waypost.payments.receipts import receipt_of
from waypost.payments.storage_suggestions import Suggestion
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher

MOST_SUGGESTIONS = 10


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What lies in suspense. It is never matched by a phone or an amount: these only rank what a person is shown."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def suggestions(self, principal: Principal, payment_id: UUID) -> Sequence[Suggestion]:
        """Laybys that the money may be for, the likeliest first; none when it has its place."""
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            payment = await _find(conn, principal, payment_id)
            left = storage.group_of(await storage.rows_of(conn, principal.org_id, payment.root_id)).suspense_minor
            if left <= 0:
                return []
            typed = payment.account_ref or ""
            references = [normal_form(typed), *near(typed)] if typed else []
            return await storage_suggestions.suggestions(conn, payment, references, left, MOST_SUGGESTIONS)

    async def assign(
        self,
        principal: Principal,
        payment_id: UUID,
        *,
        layby_id: UUID | None = None,
        invoice_id: UUID | None = None,
        on_account: bool = False,
    ) -> Payment:
        """Say for which layby (or invoice) the money was: it is applied as a payment that comes now. What is too much
        for a layby is credit; more than is open of an invoice is refused (``TooMuch``), or kept ``on_account``.

        Once: ``AlreadySettled`` for who is second, and for money that has its place.
        """
        principal.require(MONEY)
        wanted = {"laybys": [layby_id] if layby_id else [], "invoices": [invoice_id] if invoice_id else []}
        async with self.database.transaction(principal.org_id) as conn:
            found = await _find(conn, principal, payment_id)
            held = await groups.hold(conn, principal.org_id, found.root_id, **wanted)
            root, left = held.group.root, held.group.suspense_minor
            if root.disposition is not Disposition.UNMATCHED or left <= 0:
                raise AlreadySettled
            if not await storage.settle(conn, root.org_id, root.id, self.clock.now(), principal.user_id):
                raise AlreadySettled
            draft = self._draft(principal, root, left)
            if layby_id is not None:
                row = await self._to_layby(conn, principal, root, draft, held.laybys[layby_id])
            elif invoice_id is not None:
                row = await self._to_invoice(conn, draft, held.invoices[invoice_id], on_account=on_account)
            else:
                raise invalid_field("laybyId", "say for which layby or which invoice the money was")
            ground = Ground(self.clock, self.publisher)
            await telling.settled(ground, conn, root, principal.user_id, "assigned")
            await audit.record(
                conn, principal, self.clock, action="payment.assigned", subject_kind="payment", subject_id=root.id,
                detail={
                    "laybyId": str(layby_id) if layby_id else None,
                    "invoiceId": str(invoice_id) if invoice_id else None,
                    "amountMinor": left,
                    "currency": root.currency,
                },
            )  # fmt: skip
        return row

    def _draft(self, principal: Principal, root: Payment, amount_minor: int) -> Payment:
        """The row that takes the money out of suspense, as long as it is not known what becomes of it."""
        row_id, now = new_id(self.clock), self.clock.now()
        return replace(
            root,
            id=row_id,
            kind=Kind.ASSIGNMENT,
            method=Method.INTERNAL,
            provider=INTERNAL,
            receipt=receipt_of(row_id, "A"),
            amount_minor=amount_minor,
            payer_mark=None,
            prompt_id=None,
            callback_id=None,
            note=None,
            paid_at=now,
            created_at=now,
            created_by=principal.user_id,
            settled_at=None,
            settled_by=None,
        )

    async def _to_layby(
        self, conn: Connection, principal: Principal, root: Payment, draft: Payment, layby: Layby
    ) -> Payment:
        _check_currency(root, layby.currency)
        ground = Ground(self.clock, self.publisher)
        today = await today_of(conn, root.org_id, self.clock)
        amount = draft.amount_minor
        row = replace(placed(draft, layby, share(layby, amount, today)), amount_minor=0, suspense_minor=-amount)
        await _add(conn, row)
        if row.applied_minor:
            layby = (await account.pay(ground, conn, layby, row.applied_minor, today, actor=principal)).layby
        await post_row(conn, self.clock, row)
        told = replace(row, amount_minor=amount, method=root.method, provider=root.provider, receipt=root.receipt)
        await telling.changed(ground, conn, row)
        await telling.placed(ground, conn, told, layby)
        return row

    async def _to_invoice(self, conn: Connection, draft: Payment, invoice: Invoice, *, on_account: bool) -> Payment:
        _check_currency(draft, invoice.currency)
        amount, left = draft.amount_minor, invoice.open_minor
        if amount > left and not on_account:
            raise TooMuch(f"{left} is open of this invoice.", mostMinor=left)
        applied = min(amount, left)
        row = replace(
            draft, disposition=Disposition.OVERPAID if amount > left else Disposition.APPLIED, amount_minor=0,
            applied_minor=applied, credit_minor=amount - applied, suspense_minor=-amount, invoice_id=invoice.id,
            balance_minor=left - applied,
        )  # fmt: skip
        await _add(conn, row)
        invoice = (await billing.pay(billing.Ground(self.clock, self.publisher), conn, invoice, applied)).invoice
        await post_row(conn, self.clock, row, invoice=invoice)
        await telling.changed(Ground(self.clock, self.publisher), conn, row)
        return row


def _check_currency(money: Payment, currency: str) -> None:
    if money.currency != currency:
        raise CurrencyMismatch(f"The money is in {money.currency}; that is in {currency}.")


async def _add(conn: Connection, row: Payment) -> None:
    if not await storage.add(conn, row):
        raise ReceiptTaken


async def _find(conn: Connection, principal: Principal, payment_id: UUID) -> Payment:
    """The payment with which it began."""
    found = await storage.find(conn, principal.org_id, payment_id)
    root = await storage.find(conn, principal.org_id, found.root_id) if found is not None else None
    if root is None:
        raise PaymentNotFound
    return root
