"""Who hears of a payment: the staff's sockets, its customer, and who must look at it. In the transaction of its row."""

from __future__ import annotations

from uuid import UUID

from waypost.kernel.ids import new_id
from waypost.laybys.domain import Layby
from waypost.laybys.ports import Ground
from waypost.notifications import alert_domain as kinds
from waypost.notifications import outbox
from waypost.notifications.alerts import alert, over
from waypost.notifications.domain import Promise
from waypost.payments import notices, wire
from waypost.payments.domain import Disposition, Payment
from waypost.platform.database import Connection
from waypost.realtime.service import staff_room


async def changed(ground: Ground, conn: Connection, payment: Payment) -> None:
    """Promise the staff `payment:changed`."""
    body = wire.PaymentChanged(new_id(ground.clock), wire.Payment.from_domain(payment))
    room = staff_room(payment.org_id)
    await ground.publisher.promise(conn, payment.org_id, room, "payment:changed", body, body.event_id)


async def notify(ground: Ground, conn: Connection, payment: Payment, *promises: Promise) -> None:
    """Promise that the customer is told."""
    await outbox.add_all(conn, payment.org_id, promises, ground.clock)


async def booked(ground: Ground, conn: Connection, payment: Payment, layby: Layby | None) -> None:
    """Money has come: ``layby`` as it is with it, None where it is unknown for what it was."""
    await changed(ground, conn, payment)
    if layby is None:
        await look_at(ground, conn, payment, kinds.PAYMENT_UNMATCHED)
    else:
        await placed(ground, conn, payment, layby)


async def placed(ground: Ground, conn: Connection, payment: Payment, layby: Layby) -> None:
    """Money has found its layby, at once or later: its customer is told, and the staff where some of it is credit."""
    told = notices.kept_as_credit if payment.disposition is Disposition.CREDIT else notices.received
    await notify(ground, conn, payment, told(layby, payment))
    if payment.credit_minor:
        await look_at(ground, conn, payment, kinds.PAYMENT_CREDIT)


async def settled(ground: Ground, conn: Connection, payment: Payment, by: UUID | None, resolution: str) -> None:
    """Money that nobody knew has its place: nobody need look at it any more."""
    key = f"{kinds.PAYMENT_UNMATCHED}:{payment.id}"
    await over(conn, ground.publisher, ground.clock, payment.org_id, key=key, by=by, resolution=resolution)


async def look_at(ground: Ground, conn: Connection, payment: Payment, kind: str) -> None:
    """An alert of a payment; ``kind`` of notifications' alerts."""
    facts = {
        "amountMinor": str(payment.amount_minor),
        "currency": payment.currency,
        "receipt": payment.receipt,
        "creditMinor": str(payment.credit_minor),
        "accountRef": payment.account_ref or "",
        "reason": payment.note or "",
    }
    await alert(
        conn, ground.publisher, ground.clock, payment.org_id, kind=kind, key=f"{kind}:{payment.id}",
        subject_kind="payment", subject_id=payment.id, facts=facts,
    )  # fmt: skip
