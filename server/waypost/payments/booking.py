"""Money that came is booked once, whichever road it came by; and what a provider takes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.laybys import account
from waypost.laybys.domain import Layby, LaybyNotFound, Share, share
from waypost.laybys.ports import Ground
from waypost.payments import groups, returning, reversal_ends, storage, telling
from waypost.payments.days import Days
from waypost.payments.domain import (
    Booked,
    Disposition,
    Kind,
    Payment,
    PaymentNotFound,
    Report,
    hint_of,
    placed,
    taken_back,
)
from waypost.payments.entries import post_row
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher


class SharesDiffer(Exception):
    """A mistake of ours: the layby took another part of the money than its row says."""


@dataclass(frozen=True, slots=True)
class Bookings:
    """Every method works inside the caller's transaction, in the organisation's own scope.

    ``mark``: a keyed hash of a payer's phone, by which two payments of one phone are known without keeping it.

    Locks are taken in one order (docs/decisions/0020-money.md): the layby, then the receipt's unique key, by the insert
    itself. Nothing of the layby has changed by then, so that a duplicate leaves nothing. A transaction that books many
    calls ``hold`` first, and books them in the order of their receipts.
    """

    clock: Clock
    publisher: Publisher
    mark: Callable[[str], bytes]
    days: Days

    @property
    def ground(self) -> Ground:
        return Ground(self.clock, self.publisher)

    async def hold(self, conn: Connection, org_id: UUID, reports: list[Report]) -> None:
        """Lock all laybys that these are for, in their order: for a transaction that books more than one."""
        found = [await self._layby_id(conn, org_id, report) for report in reports]
        await groups.lock_laybys(conn, org_id, {layby_id for layby_id in found if layby_id is not None})

    async def book(self, conn: Connection, org_id: UUID, report: Report) -> Booked:
        """Book what a provider says it has received: APPLIED, OVERPAID, CREDIT or UNMATCHED, with the new row;
        DUPLICATE, and nothing done, with the one that its receipt has. Waits for whoever books the same just now.

        ``report.amount_minor`` is positive.
        """
        layby = await self._layby(conn, org_id, report)
        draft = self._draft(org_id, report)
        if layby is not None and layby.currency != report.currency:
            draft, layby = replace(draft, note=f"{layby.reference} is in {layby.currency}"), None
        payment = await self.place(conn, draft, layby)
        if payment is not None:
            return Booked(payment.disposition, payment)
        return Booked(Disposition.DUPLICATE, await self._known(conn, org_id, report.provider, report.receipt))

    async def place(
        self,
        conn: Connection,
        draft: Payment,
        layby: Layby | None,
        *,
        actor: Principal | None = None,
        tell: bool = True,
    ) -> Payment | None:
        """Write a payment's row and all that follows from it; None, and nothing done, when its receipt is known.

        ``layby``: locked, of the same currency; None: the money waits in suspense. ``tell``: the customer of it.
        """
        if layby is None:
            payment = placed(draft, None, None)
            if not await storage.add(conn, payment):
                return None
        else:
            today = await self.days.today(conn, draft.org_id)
            part = share(layby, draft.amount_minor, today)
            payment = placed(draft, layby, part)
            if not await storage.add(conn, payment):
                return None
            layby = await self._apply(conn, layby, payment, part, today, actor)
        await post_row(conn, self.clock, payment)
        if tell:
            await telling.booked(self.ground, conn, payment, layby)
        else:
            await telling.changed(self.ground, conn, payment)
        return payment

    async def _apply(
        self, conn: Connection, layby: Layby, payment: Payment, part: Share, today: date, actor: Principal | None
    ) -> Layby:
        """What the row says, done to the layby."""
        if not payment.applied_minor:
            return layby
        paid = await account.pay(self.ground, conn, layby, payment.amount_minor, today, actor=actor)
        if paid.share != part:
            raise SharesDiffer(payment.id)
        return paid.layby

    async def reverse(
        self,
        conn: Connection,
        org_id: UUID,
        *,
        provider: str,
        original_receipt: str,
        receipt: str,
        amount_minor: int | None,
        at: datetime,
        callback_id: UUID | None,
        by_person: bool = False,
    ) -> Booked | None:
        """Undo what a payment did, wherever its money went since; ``amount_minor`` None: all of it.

        REVERSED with the new row (the first of them, where the money lay in several places); DUPLICATE; None: there is
        no such payment (yet). REVIEW, with the payment and nothing done: more than was left of what came, perhaps the
        very money that a refund has noted (unless ``by_person``, who says that it is not), or under a receipt that is
        something else's. What lies where nothing
        can be taken back (goods that are out, a refund that was paid) is from now on the customer's debt: credit below
        zero, and an alert.
        """
        root = await storage.find_by_receipt(conn, org_id, provider, original_receipt)
        if root is None or root.kind is not Kind.PAYMENT:
            return None
        held = await groups.hold(conn, org_id, root.id)
        if (known := await storage.find_by_receipt(conn, org_id, provider, receipt)) is not None:
            return _of_known(known, root)
        amount = held.group.to_reverse_minor if amount_minor is None else amount_minor
        if not held.group.may_be_reversed(amount, by_person=by_person):
            return Booked(Disposition.REVIEW, root)
        like = self._reversal(held.group.root, receipt, at, callback_id)
        parts = taken_back(held.group, groups.reversible(held), amount)
        given = await returning.give_back(self.ground, conn, held, parts, like, reopen=True)
        if given is None:  # another transaction took the receipt for something else meanwhile
            return _of_known(await self._known(conn, org_id, provider, receipt), root)
        await returning.tell_of_reversal(self.ground, conn, held, parts, given)
        await reversal_ends.by_payment(self.ground, conn, given.rows[0], amount)
        return Booked(Disposition.REVERSED, given.rows[0])

    async def _layby(self, conn: Connection, org_id: UUID, report: Report) -> Layby | None:
        if report.layby_id is None:
            return await account.lock_by_reference(conn, org_id, report.account_ref) if report.account_ref else None
        try:
            return await account.lock(conn, org_id, report.layby_id)
        except LaybyNotFound:
            return None

    async def _layby_id(self, conn: Connection, org_id: UUID, report: Report) -> UUID | None:
        if report.layby_id is not None:
            return report.layby_id
        return await account.find_by_reference(conn, org_id, report.account_ref) if report.account_ref else None

    async def _known(self, conn: Connection, org_id: UUID, provider: str, receipt: str) -> Payment:
        known = await storage.find_by_receipt(conn, org_id, provider, receipt)
        if known is None:  # rows are never deleted
            raise PaymentNotFound
        return known

    def _draft(self, org_id: UUID, report: Report) -> Payment:
        """The row before it is known what becomes of the money."""
        row_id = new_id(self.clock)
        return Payment(
            org_id=org_id,
            id=row_id,
            root_id=row_id,
            kind=Kind.PAYMENT,
            method=report.method,
            provider=report.provider,
            receipt=report.receipt,
            disposition=Disposition.UNMATCHED,
            currency=report.currency,
            amount_minor=report.amount_minor,
            applied_minor=0,
            credit_minor=0,
            suspense_minor=report.amount_minor,
            paid_at=report.paid_at,
            created_at=self.clock.now(),
            account_ref=report.account_ref,
            payer_mark=self.mark(report.payer) if report.payer else None,
            payer_hint=hint_of(report.payer) if report.payer else None,
            prompt_id=report.prompt_id,
            callback_id=report.callback_id,
        )

    def _reversal(self, root: Payment, receipt: str, at: datetime, callback_id: UUID | None) -> Payment:
        return replace(
            root,
            kind=Kind.REVERSAL,
            receipt=receipt,
            disposition=Disposition.REVERSED,
            paid_at=at,
            created_at=self.clock.now(),
            callback_id=callback_id,
            prompt_id=None,
            note=None,
            created_by=None,
            settled_at=None,
            settled_by=None,
        )


def _of_known(known: Payment, root: Payment) -> Booked:
    """The receipt of a reversal is there: this one, or something else, and then nothing says that money went back."""
    if known.kind is Kind.REVERSAL and known.root_id == root.id:
        return Booked(Disposition.DUPLICATE, known)
    return Booked(Disposition.REVIEW, root)
