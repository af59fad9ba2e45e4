"""The end that everybody hopes for, and the way back: order, stock, books, notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.laybys import domain, notices, record, stock, storage, storage_orders
from waypost.laybys.domain import Layby, LaybyMoveRefused, Move, Order, Status
from waypost.laybys.ports import Ground
from waypost.ledger.domain import Account, Entry, Line, moved
from waypost.ledger.posting import post
from waypost.notifications.alerts import alert
from waypost.platform.database import Connection

ORDER_VOIDED = "order_voided"  # an alert: its trip may still set out


def completed(layby: Layby, today: date, now: datetime) -> Layby:
    """The layby as its completion makes it; nothing may be owed."""
    return replace(
        layby,
        status=Status.COMPLETED,
        completions=layby.completions + 1,
        completed_at=now,
        collect_by=today + timedelta(days=layby.terms.rules.collect_days),
        reinstate_until=None,
    )


def check_reopening(layby: Layby, *, reopen: bool) -> None:
    """``LaybyMoveRefused`` unless this completed layby may be opened again: by a reversal, while its goods are here."""
    if not reopen:
        raise LaybyMoveRefused("The layby is completed; nothing of it is paid back.", laybyStatus=str(layby.status))
    domain.check_move(Move.REOPEN, layby.status)
    if layby.is_out:
        raise LaybyMoveRefused("The goods are out; nothing of the layby changes.", laybyStatus=str(layby.status))


def reopened(layby: Layby) -> Layby:
    """The layby as it runs again."""
    return replace(layby, status=Status.ACTIVE, completed_at=None, collect_by=None)


async def book(ground: Ground, conn: Connection, layby: Layby, actor: Principal | None) -> Order:
    """All that follows from a completion that is saved: the order, once; what is sold; what is earned; who is told."""
    number = f"O-{layby.reference}" if layby.completions == 1 else f"O-{layby.reference}-{layby.completions}"
    now = ground.clock.now()
    order = await storage_orders.add_order(conn, layby, new_id(ground.clock), number, now)
    items = await storage.items(conn, layby.org_id, layby.id)
    await stock.say(ground, conn, layby, stock.Said.SOLD, layby.completions - 1, stock.whole(items))
    key = f"layby:{layby.id}:completed:{layby.completions}"
    await post(conn, layby.org_id, _entry(layby, key, "layby_completed", earned(layby), now), ground.clock)
    await record.notify(ground, conn, layby, notices.completed(layby, order))
    await record.happened(ground, conn, layby, "completed", {"order": order.number}, actor)
    return order


async def unbook(ground: Ground, conn: Connection, before: Layby, after: Layby, actor: Principal | None) -> None:
    """All that follows from opening it again: ``before``, as it was completed; ``after``, as it is saved."""
    now = ground.clock.now()
    order = await storage_orders.void_order(conn, before.org_id, before.id, now)
    items = await storage.items(conn, before.org_id, before.id)
    await stock.say(ground, conn, after, stock.Said.RESERVED, before.completions, stock.whole(items))
    lines = [Line(line.account, -line.amount_minor) for line in earned(before)]
    key = f"layby:{before.id}:reopened:{before.completions}"
    await post(conn, before.org_id, _entry(before, key, "layby_reopened", lines, now), ground.clock)
    await record.keep(ground, conn, after, "reopened", {"order": order.number if order else None}, actor)
    if order is not None and order.trip_id is not None:
        await alert(
            conn,
            ground.publisher,
            ground.clock,
            before.org_id,
            kind=ORDER_VOIDED,
            key=f"order_voided:{order.id}",
            subject_kind="trip",
            subject_id=order.trip_id,
            facts={"order": order.number, "reference": before.reference},
        )


def earned(layby: Layby) -> list[Line]:
    """What a completion books: the customer's money becomes sales and fees; what was noted of late fees ends."""
    fees = layby.service_fee_minor + layby.admin_fee_minor + layby.late_fees_minor
    return [
        Line(Account.DEPOSITS_HELD, layby.payable_minor + layby.late_fees_minor),
        Line(Account.SALES, -layby.items_minor),
        Line(Account.FEE_INCOME, -fees),
        *forgotten(layby),
    ]


def forgotten(layby: Layby) -> list[Line]:
    """Late fees are noted by a pair of accounts until the layby ends."""
    return moved(layby.late_fees_minor, debit=Account.LATE_FEES_DEFERRED, credit=Account.LATE_FEES_RECEIVABLE)


def _entry(layby: Layby, key: str, kind: str, lines: list[Line], now: datetime) -> Entry:
    return Entry(key, kind, "layby", layby.id, layby.currency, lines, now, layby.customer_id)
