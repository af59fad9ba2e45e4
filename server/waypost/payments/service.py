"""The use cases of payments: taken at the counter, listed, looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import TELLERS, WATCHERS, Principal
from waypost.laybys import account
from waypost.payments import groups, storage
from waypost.payments.booking import Bookings
from waypost.payments.days import today_of
from waypost.payments.domain import Group, Payment, PaymentNotFound, ReceiptTaken, free_of
from waypost.payments.storage import Filter
from waypost.payments.till import Taken, check_takes, typed_in
from waypost.platform.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Whole:
    """A payment with all that came of it. ``refundable_minor``: as it stands, before anything moves."""

    payment: Payment
    group: Group
    rows: Sequence[Payment]
    refundable_minor: int


@dataclass(frozen=True, slots=True)
class Payments:
    """Payments of an organisation."""

    database: Database
    clock: Clock
    bookings: Bookings

    async def take(self, principal: Principal, layby_id: UUID, taken: Taken) -> Payment:
        """Book what was paid at the counter. Refused where it cannot be applied: ``LaybyMoveRefused``, ``TooMuch``,
        ``CurrencyMismatch``, each with the balance; ``ReceiptTaken``.
        """
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            layby = await account.lock(conn, principal.org_id, layby_id)
            check_takes(layby, taken, await today_of(conn, principal.org_id, self.clock))
            draft = typed_in(principal, new_id(self.clock), layby.currency, taken, self.clock.now())
            payment = await self.bookings.place(conn, draft, layby, actor=principal)
            if payment is None:
                raise ReceiptTaken
            await self._record(conn, principal, payment)
        return payment

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Payment]:
        """Newest first; where a span of time is asked for, by when they were paid."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, tuple[datetime, UUID]) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_payments(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda row: (row.paid_at, row.id))

    async def find(self, principal: Principal, payment_id: UUID) -> Whole:
        """One payment, with its group."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id, snapshot=True) as conn:
            payment = await storage.find(conn, principal.org_id, payment_id)
            if payment is None:
                raise PaymentNotFound
            rows = await storage.rows_of(conn, principal.org_id, payment.root_id)
            held = await groups.look_at(conn, principal.org_id, rows)
            free = await groups.less_debt(conn, held)
        return Whole(payment, held.group, rows, free_of(free.group, groups.refundable(held)))

    async def ids_of_layby(self, principal: Principal, layby_id: UUID) -> Sequence[UUID]:
        """Its payments, and the phones that were asked, the newest first; a thousand at most."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await storage.ids_of_layby(conn, principal.org_id, layby_id)

    async def _record(self, conn: Connection, principal: Principal, payment: Payment) -> None:
        detail = {"laybyId": str(payment.layby_id), "amountMinor": payment.amount_minor, "currency": payment.currency}
        await audit.record(
            conn, principal, self.clock, action="payment.taken", subject_kind="payment", subject_id=payment.id,
            why=payment.note, detail={**detail, "method": str(payment.method), "receipt": payment.receipt},
        )  # fmt: skip
