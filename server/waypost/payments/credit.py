"""A customer's credit: what was too much, or came too late, waits for them and can be used for a layby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.directory.service import check_exist
from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import TELLERS, WATCHERS, Principal
from waypost.laybys import account, desk
from waypost.laybys.domain import Layby, LaybyMoveRefused, share
from waypost.laybys.ports import Ground
from waypost.payments import storage, storage_credit, telling
from waypost.payments.days import today_of
from waypost.payments.domain import INTERNAL, Disposition, Kind, Method, NothingToGive, Payment, ReceiptTaken, TooMuch
from waypost.payments.entries import post_row
from waypost.payments.opening import Opened
from waypost.payments.receipts import receipt_of
from waypost.payments.storage_credit import Remainder
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class Credit:
    """Credit of customers. Below zero it is a debt: what a provider took back when nothing was left to take."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def of_customer(self, principal: Principal, customer_id: UUID) -> Sequence[Remainder]:
        """What is left of each payment, the oldest first. ``CustomerNotFound`` for one that never had any."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_credit.credit_of(conn, principal.org_id, customer_id)
            if not rows:
                await check_exist(conn, principal.org_id, customer_id=customer_id)
        return rows

    async def apply(self, principal: Principal, layby_id: UUID, amount_minor: int | None) -> Opened:
        """Use the customer's credit for a layby: so much, or as much as is there and can be used.

        ``NothingToGive``; ``TooMuch`` beyond the credit or the balance; ``LaybyMoveRefused``.
        """
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            layby = await account.lock(conn, principal.org_id, layby_id)
            today = await today_of(conn, layby.org_id, self.clock)
            if not share(layby, 1, today).applied_minor:
                raise LaybyMoveRefused("The layby takes no payment now.", laybyStatus=str(layby.status))
            after = await self._use(conn, layby, today, amount_minor, principal)
            used = after.paid_minor - layby.paid_minor
            if not used:
                raise NothingToGive("There is no credit to use.")
            await audit.record(
                conn, principal, self.clock, action="credit.applied", subject_kind="layby", subject_id=layby_id,
                detail={"amountMinor": used, "currency": layby.currency},
            )  # fmt: skip
            return Opened(await desk.whole(conn, layby.org_id, layby_id), today)

    async def use(
        self, ground: Ground, conn: Connection, layby: Layby, today: date, *, actor: Principal | None
    ) -> Layby:
        """Use what waits for a locked layby, as far as it takes it; the layby as it is then. In the caller's
        transaction (``laybys.ports.ApplyCredit``).
        """
        del ground
        return await self._use(conn, layby, today, None, actor)

    async def _use(
        self, conn: Connection, layby: Layby, today: date, amount_minor: int | None, actor: Principal | None
    ) -> Layby:
        """The layby is locked; then the payments of the credit, in the order of their ids."""
        found = await self._left(conn, layby)
        if not found:
            return layby
        await storage.lock_roots(conn, layby.org_id, [each.root_id for each in found])
        left = await self._left(conn, layby)  # as the lock has it
        most = max(0, min(sum(each.credit_minor for each in left), layby.balance_minor))
        if amount_minor is not None and amount_minor > most:
            raise TooMuch(f"{most} can be used.", mostMinor=most)
        total = share(layby, most if amount_minor is None else amount_minor, today).applied_minor
        if not total:
            return layby
        known = {each.root_id for each in found}
        rows = self._rows(layby, [each for each in left if each.root_id in known], total, actor)
        for row in rows:
            if not await storage.add(conn, row):
                raise ReceiptTaken
        ground = Ground(self.clock, self.publisher)
        applied = sum(row.applied_minor for row in rows)
        paid = await account.pay(ground, conn, layby, applied, today, actor=actor)
        for row in rows:
            await post_row(conn, self.clock, row)
            await telling.changed(ground, conn, row)
        return paid.layby

    async def _left(self, conn: Connection, layby: Layby) -> list[Remainder]:
        return await storage_credit.in_currency(conn, layby.org_id, layby.customer_id, layby.currency)

    def _rows(self, layby: Layby, left: Sequence[Remainder], total: int, actor: Principal | None) -> list[Payment]:
        """Rows that move ``total``, or as much as is there, out of credit, the oldest first."""
        rows: list[Payment] = []
        used = 0
        for each in left:
            part = min(total - used, each.credit_minor)
            if part > 0:
                used += part
                rows.append(self._row(layby, each, part, layby.balance_minor - used, actor))
        return rows

    def _row(self, layby: Layby, source: Remainder, part: int, balance_minor: int, actor: Principal | None) -> Payment:
        now, row_id = self.clock.now(), new_id(self.clock)
        return Payment(
            org_id=layby.org_id,
            id=row_id,
            root_id=source.root_id,
            kind=Kind.CREDIT,
            method=Method.INTERNAL,
            provider=INTERNAL,
            receipt=receipt_of(row_id, "C"),
            disposition=Disposition.APPLIED,
            currency=layby.currency,
            amount_minor=0,
            applied_minor=part,
            credit_minor=-part,
            suspense_minor=0,
            balance_minor=balance_minor,
            layby_id=layby.id,
            customer_id=layby.customer_id,
            paid_at=now,
            created_at=now,
            created_by=actor.user_id if actor is not None else None,
        )
