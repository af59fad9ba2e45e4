"""Completion by staff, and goods that leave the shop: a part as it is paid, all of them at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.errors import Conflict, invalid_field
from waypost.kernel.principal import Principal
from waypost.laybys import completion, desk, record, stock, storage
from waypost.laybys.desk import Desk
from waypost.laybys.domain import Item, Layby, LaybyMoveRefused, Move
from waypost.laybys.ports import Ground
from waypost.laybys.storage_read import Whole
from waypost.platform.database import Connection


class BalanceOpen(Conflict):
    """Something is still owed; the layby is completed when nothing is."""

    code = "layby-balance-open"


class HandOverRefused(Conflict):
    """By its rules the goods are handed over when all is paid; and in parts never more than is paid."""

    code = "hand-over-refused"


@dataclass(frozen=True, slots=True)
class Goods:
    """Every method is for staff who take money; gives the layby whole, as it is then."""

    desk: Desk

    async def complete(
        self, principal: Principal, layby_id: UUID, reason: str | None, *, expected: int | None = None
    ) -> Whole:
        """End a layby of which nothing is owed, as its last payment does by itself. ``BalanceOpen``."""
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.COMPLETE, expected) as (conn, layby):
            if layby.balance_minor > 0:
                raise BalanceOpen(
                    f"{layby.balance_minor} minor units of {layby.currency} are still owed.",
                    balanceMinor=layby.balance_minor,
                )
            after = completion.completed(layby, today, ground.clock.now())
            after = await record.saved(ground, conn, layby, after)
            order = await completion.book(ground, conn, after, principal)
            await audit.record(
                conn, principal, ground.clock, action="layby.completed", subject_kind="layby", subject_id=layby_id,
                why=reason, detail={"order": order.number},
            )  # fmt: skip
            return await desk.whole(conn, principal.org_id, layby_id)

    async def collect(
        self,
        principal: Principal,
        layby_id: UUID,
        *,
        received_by: str | None = None,
        note: str | None = None,
        expected: int | None = None,
    ) -> Whole:
        """The customer took the goods: the receipt of goods. Nothing of the layby changes after it."""
        async with self.desk.locked(principal, layby_id, Move.COLLECT, expected) as (conn, layby):
            if layby.released_at is not None:
                raise LaybyMoveRefused("The goods are out already.", laybyStatus=str(layby.status))
            data = {"receivedBy": received_by, "note": note}
            await release(self.desk.ground, conn, layby, "collected", data, principal)
            return await desk.whole(conn, principal.org_id, layby_id)

    async def hand_over(
        self,
        principal: Principal,
        layby_id: UUID,
        counts: Mapping[int, int],
        *,
        received_by: str | None = None,
        expected: int | None = None,
    ) -> Whole:
        """The customer takes so many of items (by their numbers) before all is paid. ``HandOverRefused``."""
        ground = self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.HAND_OVER, expected) as (conn, layby):
            if not layby.terms.rules.partial_hand_over:
                raise HandOverRefused
            items = _with(await storage.items(conn, principal.org_id, layby_id), counts)
            if (out := stock.handed_over_minor(items)) > layby.paid_minor:
                raise HandOverRefused(
                    f"With these, goods of {out} minor units would be out, and {layby.paid_minor} are paid.",
                    paidMinor=layby.paid_minor,
                )
            await storage.hand_over(conn, layby, {item.n: item.handed_over for item in items if item.n in counts})
            after = await record.saved(ground, conn, layby, layby)
            told = [{"n": n, "quantity": quantity} for n, quantity in counts.items()]
            data = {"items": told, "receivedBy": received_by}
            await record.happened(ground, conn, after, "handed_over", data, principal)
            return await desk.whole(conn, principal.org_id, layby_id)


async def release(
    ground: Ground,
    conn: Connection,
    layby: Layby,
    kind: str,
    data: Mapping[str, object],
    actor: Principal | None,
) -> Layby:
    """The goods of a completed layby are out, by ``kind``."""
    await storage.hand_over_all(conn, layby)
    after = await record.saved(ground, conn, layby, replace(layby, released_at=ground.clock.now()))
    await record.happened(ground, conn, after, kind, {k: v for k, v in data.items() if v is not None}, actor)
    return after


def _with(items: Sequence[Item], counts: Mapping[int, int]) -> list[Item]:
    """The items with so many more handed over."""
    if unknown := counts.keys() - {item.n for item in items}:
        raise invalid_field("items", f"there is no item {min(unknown)}")
    for item in items:
        if item.handed_over + counts.get(item.n, 0) > item.quantity:
            raise invalid_field("items", f"of item {item.n} only {item.quantity - item.handed_over} are here")
    return [replace(item, handed_over=item.handed_over + counts.get(item.n, 0)) for item in items]
