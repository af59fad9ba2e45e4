"""What makes an invoice count: issued, sent, and taken back by a credit note. Both sides' books move with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.invoices import announce, books, notices, storage
from waypost.invoices.announce import Ground
from waypost.invoices.billing import check_billable
from waypost.invoices.domain import Invoice, InvoiceEmpty, Issued, Kind, Move, check_move, issued
from waypost.invoices.ports import OnAccount
from waypost.invoices.service import Invoices, lock_own, record, visible
from waypost.kernel.ids import new_id
from waypost.kernel.principal import MONEY, Principal
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Issuing:
    """For who keeps the books of the issuer. ``expected``: the version that the caller has seen; None: any."""

    invoices: Invoices
    on_account: OnAccount

    async def issue(self, principal: Principal, invoice_id: UUID, *, expected: int | None = None) -> Invoice:
        """A draft gets its number and its dates, and is booked on both sides; what its counterparty has on account pays
        it, unless the organisation wants otherwise. ``InvoiceEmpty``, ``TripBilled``.
        """
        principal.require(MONEY)
        today = await self.invoices.today(principal)
        uses_account = (await self.invoices.rules.of(principal.org_id)).selling.use_money_on_account
        async with self.invoices.database.transaction(principal.org_id) as conn:
            draft = await lock_own(conn, principal, invoice_id, expected)
            check_move(Move.ISSUE, draft)
            if draft.total_minor <= 0:
                raise InvoiceEmpty
            await check_billable(conn, draft)
            given = await self._number(conn, principal.org_id, Kind.INVOICE, today, draft.terms_days)
            await storage.issue(conn, principal.org_id, invoice_id, given)
            after = await visible(conn, principal, invoice_id)
            await books.post(
                conn, self.invoices.clock, after, books.invoice_lines(after), key=f"invoice:{invoice_id}:issued",
                kind="invoice_issued", at=given.at,
            )  # fmt: skip
            if uses_account:
                after = await self.on_account.use(conn, principal, after)
            await self._tell(conn, principal, after, "issued")
            await notices.tell_issued(conn, self.invoices.clock, after)
        return await self._named(after)

    async def send(self, principal: Principal, invoice_id: UUID, *, expected: int | None = None) -> Invoice:
        """It has gone out to the counterparty; again: it has gone out again."""
        principal.require(MONEY)
        async with self.invoices.database.transaction(principal.org_id) as conn:
            check_move(Move.SEND, await lock_own(conn, principal, invoice_id, expected))
            await storage.send(conn, principal.org_id, invoice_id, self.invoices.clock.now())
            after = await visible(conn, principal, invoice_id)
            await self._tell(conn, principal, after, "sent")
        return await self._named(after)

    async def void(
        self, principal: Principal, invoice_id: UUID, reason: str | None = None, *, expected: int | None = None
    ) -> Invoice:
        """A credit note takes it back on both sides, while nothing of it is paid but from the account, where that is
        again then; its trips may be billed again.
        """
        principal.require(MONEY)
        today = await self.invoices.today(principal)
        async with self.invoices.database.transaction(principal.org_id) as conn:
            before = await lock_own(conn, principal, invoice_id, expected)
            # First the number, then the payments, as by who issues; a refusal undoes both.
            given = await self._number(conn, principal.org_id, Kind.CREDIT_NOTE, today, 0)
            before = await self.on_account.give_back(conn, principal, before)
            check_move(Move.VOID, before)
            note_id = new_id(self.invoices.clock)
            await storage.void(conn, before, note_id, given, note=reason, by=principal.user_id)
            credit_note = await visible(conn, principal, note_id)
            await books.post(
                conn, self.invoices.clock, credit_note, books.reversed_lines(books.invoice_lines(credit_note)),
                key=f"invoice:{invoice_id}:voided", kind="invoice_voided", at=given.at,
            )  # fmt: skip
            after = await visible(conn, principal, invoice_id)
            await self._tell(conn, principal, after, "voided", reason)
            await self._tell(conn, principal, credit_note, "credited", reason)
            await notices.tell_voided(conn, self.invoices.clock, after)
        return await self._named(after)

    async def _number(self, conn: Connection, org_id: UUID, kind: Kind, today: date, terms_days: int) -> Issued:
        serial = await storage.next_serial(conn, org_id, kind, today.year)
        return issued(kind, serial, today, terms_days, self.invoices.clock.now())

    async def _tell(
        self, conn: Connection, principal: Principal, invoice: Invoice, what: str, why: str | None = None
    ) -> None:
        await record(conn, principal, self.invoices.clock, invoice, what, why)
        await announce.changed(Ground(self.invoices.clock, self.invoices.publisher), conn, invoice)

    async def _named(self, invoice: Invoice) -> Invoice:
        (named,) = await self.invoices.named([invoice])
        return named
