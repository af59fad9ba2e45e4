"""What money does to a layby: a payment, what is taken back, a refund that went out. In the transaction of the money.

Every function takes a layby that ``lock`` gave, and gives it as it is then. The books of the money itself (where it
came from, where it lies) are the caller's; those of a completion, a reopening and a cancellation are written here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from waypost.kernel.errors import invalid_field
from waypost.kernel.principal import Principal
from waypost.laybys import completion, dates, domain, notices, record, stock, storage
from waypost.laybys.domain import Layby, LaybyMoveRefused, LaybyNotFound, Move, Order, Share, Status
from waypost.laybys.ports import Ground
from waypost.laybys.references import normal_form
from waypost.platform.database import Connection

__all__ = ["Ground", "Paid", "find_by_reference", "lock", "lock_by_reference", "pay", "refunded", "take_back"]

RUNNING = frozenset({Status.ACTIVE, Status.ON_HOLD, Status.DEFAULTED})


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment did. ``order``: the layby was completed by it; ``reinstated``: it was defaulted before."""

    layby: Layby
    share: Share
    order: Order | None = None
    reinstated: bool = False


async def find_by_reference(conn: Connection, org_id: UUID, reference: str) -> UUID | None:
    """The layby that a payer means, by the reference's normal form; None: none of this organisation's."""
    return await storage.id_of_reference(conn, org_id, normal_form(reference))


async def lock_by_reference(conn: Connection, org_id: UUID, reference: str) -> Layby | None:
    """The same, locked as ``lock`` does it, in one question less."""
    return await storage.lock_by_reference(conn, org_id, normal_form(reference))


async def lock(conn: Connection, org_id: UUID, layby_id: UUID) -> Layby:
    """The layby with its instalments; nobody else changes it before this transaction ends. ``LaybyNotFound``.

    Who locks several does so in the order of their ids.
    """
    layby = await storage.lock(conn, org_id, layby_id)
    if layby is None:
        raise LaybyNotFound
    return layby


async def pay(
    ground: Ground, conn: Connection, layby: Layby, amount_minor: int, today: date, *, actor: Principal | None = None
) -> Paid:
    """Apply money that came for a locked layby, as far as it can be (``share``); the caller keeps the rest as credit.

    It completes a layby of which nothing is owed any more. While the window of a defaulted one is open, it pays it, and
    reinstates it once nothing is past due; the window stays, so that it is no longer after the next default.
    """
    part = domain.share(layby, amount_minor, today)
    if part.applied_minor <= 0:
        return Paid(layby, part)
    after = replace(layby, paid_minor=layby.paid_minor + part.applied_minor)
    reinstated = layby.status is Status.DEFAULTED and not domain.past_due_minor(after, today)
    if reinstated:
        after = replace(after, status=Status.ACTIVE, defaulted_at=None)
    done = after.balance_minor == 0
    if done:
        after = completion.completed(after, today, ground.clock.now())
    after = await record.saved(ground, conn, layby, after)
    data = {"amountMinor": part.applied_minor, "balanceMinor": after.balance_minor}
    event = await record.keep(ground, conn, after, "paid", data, actor)
    if reinstated:
        event = await record.keep(ground, conn, after, "reinstated", {"by": "payment"}, actor)
        await record.notify(ground, conn, after, notices.reinstated(after))
    order = await completion.book(ground, conn, after, actor) if done else None
    if order is None:
        await record.tell(ground, conn, after, event)
    return Paid(after, part, order, reinstated)


async def take_back(
    ground: Ground,
    conn: Connection,
    layby: Layby,
    amount_minor: int,
    today: date,
    *,
    actor: Principal | None = None,
    reopen: bool,
) -> Layby:
    """Undo applied money of a locked layby that runs: a refund, or (``reopen``) a reversal.

    A reversal opens a completed layby again, unless its goods are out. Who owes again what was covered has some days to
    pay it (``dates.with_time_to_pay``); of a defaulted layby no date moves. ``LaybyMoveRefused`` where it cannot be:
    then nothing of the layby changes, and the caller books the amount against the customer's credit.
    """
    was_completed = layby.status is Status.COMPLETED
    if was_completed:
        completion.check_reopening(layby, reopen=reopen)
    elif layby.status not in RUNNING:
        domain.check_move(Move.PAY, layby.status)
    if not 0 < amount_minor <= layby.paid_minor:
        raise invalid_field("amountMinor", f"only {layby.paid_minor} is paid")
    opened = completion.reopened(layby) if was_completed else layby
    after = replace(opened, paid_minor=layby.paid_minor - amount_minor)
    if not reopen:
        await _check_handed_over(conn, after)
    if after.status is not Status.DEFAULTED:
        after = dates.with_time_to_pay(layby, after, after.held_since or today)
        await storage.move_dates(conn, layby, dates.differing(layby, after))
    after = await record.saved(ground, conn, layby, after)
    if was_completed:
        await completion.unbook(ground, conn, layby, after, actor)
    data = {"amountMinor": amount_minor, "balanceMinor": after.balance_minor, **dates.said(layby, after)}
    event = await record.keep(ground, conn, after, "taken_back", data, actor)
    await record.tell(ground, conn, after, event)
    return after


async def refunded(
    ground: Ground, conn: Connection, layby: Layby, amount_minor: int, *, actor: Principal | None = None
) -> Layby:
    """Money of a cancelled layby went out: less is due, and less is paid. Refused when more than is due."""
    if layby.status is not Status.CANCELLED:
        raise LaybyMoveRefused(
            f"The layby is {layby.status.replace('_', ' ')}; only of a cancelled one a refund is due.",
            laybyStatus=str(layby.status),
        )
    if not 0 < amount_minor <= layby.refund_due_minor:
        raise invalid_field("amountMinor", f"{layby.refund_due_minor} is due")
    after = replace(
        layby, refund_due_minor=layby.refund_due_minor - amount_minor, paid_minor=layby.paid_minor - amount_minor
    )
    after = await record.saved(ground, conn, layby, after)
    data = {"amountMinor": amount_minor, "refundDueMinor": after.refund_due_minor}
    event = await record.keep(ground, conn, after, "refunded", data, actor)
    await record.tell(ground, conn, after, event)
    return after


async def _check_handed_over(conn: Connection, layby: Layby) -> None:
    """What the customer has already must stay paid."""
    if layby.terms.rules.partial_hand_over:
        out = stock.handed_over_minor(await storage.items(conn, layby.org_id, layby.id))
        if out > layby.paid_minor:
            raise invalid_field("amountMinor", f"goods of {out} are handed over; that much stays paid")
