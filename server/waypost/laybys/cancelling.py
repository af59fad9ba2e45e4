"""The end before it is paid: worked out beforehand, and kept with its working."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.kernel.principal import TELLERS, Principal
from waypost.laybys import completion, desk, domain, notices, record, stock, storage
from waypost.laybys.cancellation import Working, work_out
from waypost.laybys.deal import Wish
from waypost.laybys.desk import Desk
from waypost.laybys.domain import Item, Layby, Move, Status
from waypost.laybys.ports import Ground
from waypost.laybys.storage_read import Whole
from waypost.ledger.domain import Account, Entry, Line
from waypost.ledger.posting import post
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Cancelling:
    """For staff who take money."""

    desk: Desk

    async def preview(self, principal: Principal, layby_id: UUID, wish: Wish) -> tuple[Working, str]:
        """What fee and refund there would be if it were cancelled now, in its currency; nothing changes."""
        principal.require(TELLERS)
        today = await self.desk.today(principal.org_id)
        async with self.desk.database.transaction(principal.org_id) as conn:
            found = await desk.whole(conn, principal.org_id, layby_id)
        domain.check_move(Move.CANCEL, found.layby.status)
        out = stock.handed_over_minor(found.items)
        return work_out(found.layby, wish.by, today, wish.exemption, handed_over_minor=out), found.layby.currency

    async def cancel(self, principal: Principal, layby_id: UUID, wish: Wish, *, expected: int | None = None) -> Whole:
        """End it: the fee is kept, the rest is due to the customer, the goods go back. Nothing is paid out here."""
        today, ground = await self.desk.today(principal.org_id), self.desk.ground
        async with self.desk.locked(principal, layby_id, Move.CANCEL, expected) as (conn, layby):
            items = await storage.items(conn, principal.org_id, layby_id)
            out = stock.handed_over_minor(items)
            working = work_out(layby, wish.by, today, wish.exemption, handed_over_minor=out)
            after = replace(
                layby,
                status=Status.CANCELLED,
                held_since=None,
                cancelled_at=ground.clock.now(),
                cancelled_by=wish.by,
                cancellation={**msgspec.to_builtins(working), "reason": wish.reason},
                cancellation_fee_minor=working.fee_minor,
                refund_due_minor=working.refund_minor,
            )
            after = await record.saved(ground, conn, layby, after)
            await _say(ground, conn, after, items)
            await post(conn, layby.org_id, _entry(ground, after, working), ground.clock)
            await record.notify(ground, conn, after, notices.cancelled(after, working))
            data = {"by": wish.by, "reason": wish.reason, "feeMinor": working.fee_minor}
            data["refundMinor"] = working.refund_minor
            await record.happened(ground, conn, after, "cancelled", data, principal)
            await audit.record(
                conn, principal, ground.clock, action="layby.cancelled", subject_kind="layby", subject_id=layby_id,
                why=wish.reason, detail=data,
            )  # fmt: skip
            return await desk.whole(conn, principal.org_id, layby_id)


async def _say(ground: Ground, conn: Connection, layby: Layby, items: Sequence[Item]) -> None:
    """What is here goes back on the shelf; what the customer has already is sold."""
    back = [(item, item.quantity - item.handed_over) for item in items]
    await stock.say(ground, conn, layby, stock.Said.RELEASED, layby.completions, back)
    out = [(item, item.handed_over) for item in items]
    await stock.say(ground, conn, layby, stock.Said.SOLD, layby.completions, out)


def _entry(ground: Ground, layby: Layby, working: Working) -> Entry:
    """The customer's money becomes what is due to them, the fee, and the price of what they have."""
    sold = layby.paid_minor - working.refund_minor - working.fee_minor
    lines = [
        Line(Account.DEPOSITS_HELD, layby.paid_minor),
        Line(Account.REFUNDS_PAYABLE, -working.refund_minor),
        Line(Account.FEE_INCOME, -working.fee_minor),
        Line(Account.SALES, -sold),
        *completion.forgotten(layby),
    ]
    key, now = f"layby:{layby.id}:cancelled", ground.clock.now()
    return Entry(key, "layby_cancelled", "layby", layby.id, layby.currency, lines, now, layby.customer_id)
