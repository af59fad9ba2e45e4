"""Money is given back: of a payment, or what the cancellation of a layby left to be paid back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, WATCHERS, Principal
from waypost.laybys import account
from waypost.laybys.domain import Layby
from waypost.laybys.ports import Ground
from waypost.ledger.domain import Account
from waypost.payments import (
    groups,
    notices,
    returning,
    storage,
    storage_credit,
    storage_due,
    storage_reversals,
    telling,
)
from waypost.payments.domain import (
    COUNTER,
    Disposition,
    Kind,
    NothingToGive,
    Part,
    Payment,
    PaymentNotFound,
    Place,
    ReceiptTaken,
    TooMuch,
    free_of,
    taken_back,
)
from waypost.payments.groups import Held
from waypost.payments.receipts import receipt_of
from waypost.payments.returning import Given
from waypost.payments.reversal_domain import ReversalOpen
from waypost.payments.storage_due import RefundDue
from waypost.payments.ways import Way
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class Refunds:
    """Refunds. What is asked for more than once goes out more than once: callers send an `Idempotency-Key`."""

    database: Database
    clock: Clock
    publisher: Publisher

    @property
    def _ground(self) -> Ground:
        return Ground(self.clock, self.publisher)

    async def of_payment(self, principal: Principal, payment_id: UUID, amount_minor: int, way: Way) -> Given:
        """Give back of a payment and what came of it: what has no place, then credit, then what was applied (a layby's
        balance rises). ``TooMuch`` when less is left; what a completed layby has earned is not given back, nor credit
        against which the customer owes something of another payment.
        """
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            found = await storage.find(conn, principal.org_id, payment_id)
            if found is None:
                raise PaymentNotFound
            held = await self._hold(conn, found)
            await _check_not_asked_back(conn, found.org_id, [found.root_id])
            sources = groups.refundable(held)
            most = free_of(held.group, sources)
            if amount_minor > most:
                raise TooMuch(f"{most} can be given back of this payment.", mostMinor=most)
            parts = taken_back(held.group, sources, amount_minor)
            given = await self._give(conn, principal, held, parts, way)
            await self._record(conn, principal, "payment", found.root_id, given, way)
        return given

    async def _hold(self, conn: Connection, payment: Payment) -> Held:
        """The payment's group, and with it all of its customer's credit: no more of it is there than its sum."""
        seen = storage.group_of(await storage.rows_of(conn, payment.org_id, payment.root_id))
        beside = await storage_credit.in_currency(conn, payment.org_id, seen.customer_id, payment.currency)
        roots = [each.root_id for each in beside]
        held = await groups.hold(conn, payment.org_id, payment.root_id, roots=roots)
        return await groups.less_debt(conn, held)

    async def of_layby(self, principal: Principal, layby_id: UUID, amount_minor: int | None, way: Way) -> Given:
        """Carry out what a cancellation left to be paid back, or a part of it: from its newest payments first.

        ``NothingToGive``, or ``TooMuch`` beyond what is due.
        """
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            layby = await account.lock(conn, principal.org_id, layby_id)
            due = layby.refund_due_minor
            if not due:
                raise NothingToGive("No refund is due of this layby.", laybyStatus=str(layby.status))
            amount = due if amount_minor is None else amount_minor
            if amount > due:
                raise TooMuch(f"{due} is to be paid back.", mostMinor=due)
            given = await self._pay_out(conn, principal, layby, amount, way)
            await self._record(conn, principal, "layby", layby_id, given, way)
        return given

    async def due(self, principal: Principal, limit: int, cursor: str | None) -> Page[RefundDue]:
        """Laybys of which a refund is due and has not gone out, the oldest cancellation's first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_due.refunds_due(conn, principal.org_id, after, limit)
        return page_of(rows, limit, lambda row: row.layby_id)

    async def _pay_out(
        self, conn: Connection, principal: Principal, layby: Layby, amount_minor: int, way: Way
    ) -> Given:
        """A row for each payment that it comes from: never more than was paid with it."""
        applied = await storage_due.applied_by_root(conn, layby.org_id, layby.id)
        root_ids = [root_id for root_id, _ in applied]
        await storage.lock_roots(conn, layby.org_id, root_ids)
        await _check_not_asked_back(conn, layby.org_id, root_ids)
        rows: list[Payment] = []
        left = amount_minor
        for root_id, lies_there in applied:
            if not (part := min(left, lies_there)):
                break
            left -= part
            group = storage.group_of(await storage.rows_of(conn, layby.org_id, root_id))
            place = Place(layby.id, None, lies_there)
            parts = [Part(place, applied_minor=part, out_of=Account.REFUNDS_PAYABLE)]
            given = await self._row(conn, principal, Held(group, {layby.id: layby}), parts, way)
            rows += given.rows
            layby = given.layby or layby
        given = Given(rows, layby)
        await telling.notify(self._ground, conn, given.whole, notices.refund_issued(layby, given.whole))
        return given

    async def _give(self, conn: Connection, principal: Principal, held: Held, parts: Sequence[Part], way: Way) -> Given:
        given = await self._row(conn, principal, held, parts, way)
        whole = given.whole
        if whole.customer_id is not None:
            await telling.notify(self._ground, conn, whole, notices.refund_issued(given.layby, whole))
        return given

    async def _row(self, conn: Connection, principal: Principal, held: Held, parts: Sequence[Part], way: Way) -> Given:
        like = self._like(principal, held.group.root, way)
        given = await returning.give_back(self._ground, conn, held, parts, like, actor=principal, reopen=False)
        if given is None:  # a number of our own is there already: sixty random bits came twice
            raise ReceiptTaken
        return given

    def _like(self, principal: Principal, root: Payment, way: Way) -> Payment:
        """The form of a refund's rows."""
        now = self.clock.now()
        return replace(
            root,
            kind=Kind.REFUND,
            method=way.method,
            provider=COUNTER,
            receipt=receipt_of(new_id(self.clock), "F"),
            disposition=Disposition.REFUNDED,
            account_ref=way.reference,
            payer_mark=None,
            payer_hint=None,
            prompt_id=None,
            callback_id=None,
            note=way.reason,
            paid_at=now,
            created_at=now,
            created_by=principal.user_id,
            settled_at=None,
            settled_by=None,
        )

    async def _record(
        self, conn: Connection, principal: Principal, kind: str, subject_id: UUID, given: Given, way: Way
    ) -> None:
        whole = given.whole
        detail = {"amountMinor": -whole.amount_minor, "currency": whole.currency, "method": str(way.method)}
        await audit.record(
            conn, principal, self.clock, action="payment.refunded", subject_kind=kind, subject_id=subject_id,
            why=way.reason, detail={**detail, "receipt": whole.receipt},
        )  # fmt: skip


async def _check_not_asked_back(conn: Connection, org_id: UUID, root_ids: Sequence[UUID]) -> None:
    """``ReversalOpen``: a provider is asked to take one of these back, so the same money could go out twice."""
    if (reversal_id := await storage_reversals.open_of(conn, org_id, root_ids)) is not None:
        raise ReversalOpen(reversalId=str(reversal_id))
