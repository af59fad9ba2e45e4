"""What time does to a locked layby: a late fee, a default. In the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from waypost.laybys import domain, notices, record, steps, storage
from waypost.laybys.domain import Layby, Move, Status
from waypost.laybys.ports import Ground
from waypost.ledger.domain import Account, Entry, moved
from waypost.ledger.posting import post
from waypost.platform.database import Connection


async def charge_late_fees(ground: Ground, conn: Connection, layby: Layby, today: date) -> Layby:
    """Charge what is due of a locked layby (R7), each instalment once; the same layby when nothing is."""
    for instalment in steps.late_fee_instalments(layby, today):
        layby = await _charge(ground, conn, layby, instalment.n)
    return layby


async def default(ground: Ground, conn: Connection, layby: Layby, today: date) -> Layby:
    """End a locked layby that was not kept up (R8); the same layby when there is no reason to."""
    reason = steps.default_reason(layby, today)
    if reason is None:
        return layby
    domain.check_move(Move.DEFAULT, layby.status)
    missed = len(domain.missed(layby, today))
    after = replace(
        layby,
        status=Status.DEFAULTED,
        defaulted_at=ground.clock.now(),
        reinstate_until=_window(layby, today),
    )
    after = await record.saved(ground, conn, layby, after)
    await record.notify(ground, conn, after, notices.defaulted(after, missed))
    await record.happened(ground, conn, after, "defaulted", {"reason": reason, "missed": missed})
    return after


def _window(layby: Layby, today: date) -> date | None:
    """Until when a payment brings it back. A window that an earlier default has opened is not made longer."""
    days = layby.terms.rules.reinstate_days
    if domain.may_reinstate(layby, today):
        return layby.reinstate_until
    return today + timedelta(days=days) if days else None


async def _charge(ground: Ground, conn: Connection, layby: Layby, n: int) -> Layby:
    """One instalment's fee: on the balance, and noted in the books until the layby ends."""
    fee, now = layby.terms.rules.late_fee_minor, ground.clock.now()
    if not await storage.set_late_fee(conn, layby, n, fee, now):
        return layby
    charged = [
        replace(each, late_fee_minor=fee, late_fee_at=now) if each.n == n else each for each in layby.instalments
    ]
    after = replace(layby, late_fees_minor=layby.late_fees_minor + fee, instalments=charged)
    after = await record.saved(ground, conn, layby, after)
    lines = moved(fee, debit=Account.LATE_FEES_RECEIVABLE, credit=Account.LATE_FEES_DEFERRED)
    key = f"layby:{layby.id}:late_fee:{n}"
    entry = Entry(key, "late_fee", "layby", layby.id, layby.currency, lines, now, layby.customer_id)
    await post(conn, layby.org_id, entry, ground.clock)
    (instalment,) = [each for each in charged if each.n == n]
    await record.notify(ground, conn, after, notices.late_fee(after, instalment))
    await record.happened(ground, conn, after, "late_fee", {"n": n, "amountMinor": fee})
    return after
