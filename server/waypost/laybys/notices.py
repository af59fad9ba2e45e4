"""What a layby's customer is told: pure builders of outbox rows, ``tell`` to write one, and the guard that asks once
more when it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from waypost.laybys import storage_notices, storage_read
from waypost.laybys.cancellation import Working, WorkingLine
from waypost.laybys.domain import Instalment, Item, Layby, Order, Status, next_due, open_parts
from waypost.laybys.ports import Ground
from waypost.laybys.rule_lines import rule_lines
from waypost.laybys.storage_notices import Standing
from waypost.notifications import kinds, outbox
from waypost.notifications.domain import Due, Notice, Promise
from waypost.platform.database import Connection

SUBJECT = "layby"


@dataclass(frozen=True, slots=True)
class Step:
    """A turn of the sweep at an instalment: its name in the key ("T-3"), and until when it may still be said."""

    name: str
    until: datetime


async def tell(ground: Ground, conn: Connection, layby: Layby, promise: Promise) -> None:
    """Promise it in the transaction of what happened; the same promise twice is one."""
    await outbox.add_all(conn, layby.org_id, [promise], ground.clock)


def created(layby: Layby, items: Sequence[Item], deposit_receipt: str) -> Promise:
    """The agreement was made; ``deposit_receipt``: of the deposit, empty when there was none."""
    facts = {
        "goods": _goods(items),
        "payableMinor": str(layby.payable_minor),
        "itemsMinor": str(layby.items_minor),
        "feesMinor": str(layby.service_fee_minor + layby.admin_fee_minor),
        "depositMinor": str(layby.deposit_minor),
        "receipt": deposit_receipt,
        "schedule": _schedule(layby),
        "cancelling": _coded(rule_lines(layby)),
    }
    return _promise(layby, kinds.LAYBY_CREATED, "created", facts)


def completed(layby: Layby, order: Order) -> Promise:
    """Paid off: the goods wait. Once a completion, since a reversal may open it again."""
    facts = {"order": order.number, "collectBy": _day(layby.collect_by)}
    return _promise(layby, kinds.LAYBY_COMPLETED, f"completed:{layby.completions}", facts)


def on_hold(layby: Layby) -> Promise:
    """Nothing falls due until it goes on."""
    return _promise(layby, kinds.LAYBY_ON_HOLD, f"on_hold:{layby.version}", {})


def reactivated(layby: Layby) -> Promise:
    """It goes on, with these dates."""
    return _promise(layby, kinds.LAYBY_REACTIVATED, f"reactivated:{layby.version}", {"schedule": _schedule(layby)})


def extended(layby: Layby) -> Promise:
    """There is more time."""
    return _promise(layby, kinds.LAYBY_EXTENDED, f"extended:{layby.extensions}", {"schedule": _schedule(layby)})


def reinstated(layby: Layby) -> Promise:
    """The way back from a default."""
    return _promise(layby, kinds.LAYBY_REINSTATED, f"reinstated:{layby.version}", {"schedule": _schedule(layby)})


def cancelled(layby: Layby, working: Working) -> Promise:
    """Ended; ``working``: how fee and refund were worked out."""
    facts = {
        "by": str(layby.cancelled_by or ""),
        "paidMinor": str(working.paid_minor),
        "feeMinor": str(working.fee_minor),
        "refundMinor": str(working.refund_minor),
        "working": _coded(working.lines),
    }
    return _promise(layby, kinds.LAYBY_CANCELLED, "cancelled", facts)


def defaulted(layby: Layby, missed: int) -> Promise:
    """Too many instalments were missed; ``missed``: how many."""
    facts = {"missed": str(missed), "reinstateUntil": _day(layby.reinstate_until)}
    return _promise(layby, kinds.LAYBY_DEFAULTED, f"defaulted:{layby.version}", facts)


def reminder(layby: Layby, instalment: Instalment, today: date, step: Step) -> Promise:
    """An instalment falls due soon, or today (R6)."""
    facts = {**_instalment(layby, instalment), "days": str((instalment.due_date - today).days)}
    return _stepped(layby, kinds.PAYMENT_REMINDER, instalment, step, facts)


def overdue(layby: Layby, instalment: Instalment, today: date, step: Step) -> Promise:
    """An instalment's date has passed and it is not covered (R6)."""
    facts = {
        **_instalment(layby, instalment),
        "days": str((today - instalment.due_date).days),
        "lateFeeMinor": str(instalment.late_fee_minor),
    }
    return _stepped(layby, kinds.PAYMENT_OVERDUE, instalment, step, facts)


def late_fee(layby: Layby, instalment: Instalment) -> Promise:
    """A late fee was charged: ``instalment`` and ``layby`` as they are with it (R7)."""
    facts = {**_instalment(layby, instalment), "feeMinor": str(instalment.late_fee_minor)}
    return _promise(layby, kinds.LATE_FEE_APPLIED, f"late_fee:{instalment.n}", facts)


def completion_reminder(layby: Layby, step: Step) -> Promise:
    """The last day comes near."""
    key = f"{step.name}:{layby.final_date.isoformat()}"
    return _promise(layby, kinds.COMPLETION_REMINDER, key, {}, step.until)


def collection_reminder(layby: Layby, order_number: str, step: Step) -> Promise:
    """The goods wait to be collected."""
    key = f"{step.name}:{layby.completions}"
    facts = {"order": order_number, "collectBy": _day(layby.collect_by)}
    return _promise(layby, kinds.COLLECTION_REMINDER, key, facts, step.until)


def facts_of(layby: Layby) -> dict[str, str]:
    """What every notice may say of its layby."""
    due = next_due(layby)
    return {
        "reference": layby.reference,
        "currency": layby.currency,
        "balanceMinor": str(layby.balance_minor),
        "nextDueMinor": str(due.open_minor) if due else "",
        "nextDueDate": due.due_date.isoformat() if due else "",
        "finalDate": layby.final_date.isoformat(),
        "status": str(layby.status),
    }


_ASKS = frozenset({kinds.PAYMENT_REMINDER, kinds.PAYMENT_OVERDUE, kinds.LATE_FEE_APPLIED, kinds.COMPLETION_REMINDER})
# What says how things stand is said only while they do; the others tell what happened, and stay true.
_TRUE_WHILE = {
    kinds.LAYBY_ON_HOLD: frozenset({Status.ON_HOLD}),
    kinds.LAYBY_REACTIVATED: frozenset({Status.ACTIVE}),
    kinds.LAYBY_EXTENDED: frozenset({Status.ACTIVE, Status.ON_HOLD}),
    kinds.LAYBY_REINSTATED: frozenset({Status.ACTIVE, Status.ON_HOLD, Status.COMPLETED}),
    kinds.LAYBY_DEFAULTED: frozenset({Status.DEFAULTED}),
    kinds.LAYBY_CREATED: frozenset(Status) - {Status.CANCELLED},
    kinds.LAYBY_COMPLETED: frozenset({Status.COMPLETED}),
    kinds.COLLECTION_REMINDER: frozenset({Status.COMPLETED}),
}


async def unwanted(conn: Connection, due: Due) -> str | Mapping[str, str] | None:
    """Why a notice must not go out any more, asked in the very transaction that claims it. Where it asks for money, no
    payment comes between; then it asks for what is owed now.
    """
    if due.kind in _ASKS:
        await storage_notices.hold(conn, due.org_id, due.subject_id)
    standing = await storage_notices.standing(conn, due.org_id, due.subject_id)
    if standing is None:
        return "layby_gone"
    reason = reason_against(due.kind, due.facts, standing)
    return await _owed_now(conn, due) if reason is None and due.kind in _ASKS else reason


async def _owed_now(conn: Connection, due: Due) -> Mapping[str, str]:
    """What is open of the layby, and of the instalment that the notice is about."""
    found = await storage_read.whole(conn, due.org_id, due.subject_id)
    if found is None:
        return {}
    n = due.facts.get("n")
    about = [_instalment(found.layby, each) for each in found.layby.instalments if str(each.n) == n]
    return {**facts_of(found.layby), **(about[0] if about else {})}


def reason_against(kind: str, facts: Mapping[str, str], now: Standing) -> str | None:
    """The reason as a stable word; None: it still holds."""
    if kind in _ASKS:
        return _reason_against_asking(kind, facts, now)
    if (while_ := _TRUE_WHILE.get(kind)) is not None and now.status not in while_:
        return f"layby_{now.status}"
    if kind in {kinds.LAYBY_COMPLETED, kinds.COLLECTION_REMINDER} and now.is_released:
        return "goods_released"
    return None


def _reason_against_asking(kind: str, facts: Mapping[str, str], now: Standing) -> str | None:
    """Money is asked for only while it is owed, on the date that the customer is told. That a fee was charged is said
    of a layby that defaulted the same night, too.
    """
    charged = kind == kinds.LATE_FEE_APPLIED
    if now.status is not Status.ACTIVE and not (charged and now.status is Status.DEFAULTED):
        return f"layby_{now.status}"
    if now.next_due_n is None:
        return "nothing_owed"
    if kind == kinds.COMPLETION_REMINDER:
        return None if facts.get("finalDate") == now.final_date.isoformat() else "dates_moved"
    if charged:
        return None
    n = int(facts.get("n") or 0)
    if now.next_due_n > n:
        return "instalment_covered"
    return None if now.due_date_of(n) == facts.get("dueDate") else "dates_moved"


def _promise(layby: Layby, kind: str, key: str, facts: Mapping[str, str], until: datetime | None = None) -> Promise:
    notice = Notice(layby.customer_id, SUBJECT, layby.id, {**facts_of(layby), **facts}, until)
    return Promise(kind, f"layby:{layby.id}:{key}", notice)


def _stepped(layby: Layby, kind: str, instalment: Instalment, step: Step, facts: Mapping[str, str]) -> Promise:
    key = f"{instalment.n}:{step.name}:{instalment.due_date.isoformat()}"
    return _promise(layby, kind, key, facts, step.until)


def _instalment(layby: Layby, instalment: Instalment) -> dict[str, str]:
    open_ = dict(zip((each.n for each in layby.instalments), open_parts(layby), strict=True))
    return {
        "n": str(instalment.n),
        "of": str(len(layby.instalments)),
        "dueDate": instalment.due_date.isoformat(),
        "amountMinor": str(instalment.amount_minor),
        "openMinor": str(open_.get(instalment.n, 0)),
    }


def _goods(items: Sequence[Item]) -> str:
    return _rows(
        [{"name": item.name, "quantity": str(item.quantity), "totalMinor": str(item.total_minor)} for item in items]
    )


def _schedule(layby: Layby) -> str:
    """What is still owed with each instalment, and its date."""
    return _rows(
        [
            {"n": str(each.n), "date": each.due_date.isoformat(), "openMinor": str(part)}
            for each, part in zip(layby.instalments, open_parts(layby), strict=True)
            if part > 0
        ]
    )


def _coded(lines: Sequence[WorkingLine]) -> str:
    return _rows([{"code": line.code, **line.params} for line in lines])


def _rows(rows: Sequence[Mapping[str, str]]) -> str:
    """A list inside a fact is JSON; templates read it by the filter ``rows``."""
    return msgspec.json.encode(rows).decode()


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
