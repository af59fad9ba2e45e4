"""How a request for a reversal ends, whoever says so: inside the transaction of what says it.

Locks: the layby, the payment, the request; then the questions about it, as far as nobody has them in hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from waypost.laybys.ports import Ground
from waypost.notifications.alert_domain import REVERSAL_FAILED
from waypost.notifications.alerts import alert, over
from waypost.payments import storage
from waypost.payments import storage_reversals as requests
from waypost.payments.callback_domain import TIMEOUT, Callback, alert_key
from waypost.payments.domain import Booked, Disposition, Payment
from waypost.payments.providers.outcomes import NotReversed, Outcome, Reversed
from waypost.payments.reversal_domain import ReversalRequest, ReversalState
from waypost.platform.database import Connection

QUEUE: Final = "the provider's queue timed out"


async def by_payment(ground: Ground, conn: Connection, reversal: Payment, amount_minor: int) -> None:
    """A payment was undone by ``reversal``, the first of its rows, by whatever road."""
    ids = await requests.done_by_payment(
        conn, reversal.org_id, reversal.root_id, amount_minor, reversal.id, ground.clock.now()
    )
    await _answer(ground, conn, reversal.org_id, ids, reversal.id)


async def heard(
    ground: Ground, conn: Connection, row: Callback, provider: str, outcome: Outcome, became: Disposition
) -> None:
    """A callback came to a request's own address, and was worked on. Success outranks failure, in whatever order."""
    if row.reversal_request_id is None:
        return
    if isinstance(outcome, Reversed) and became in {Disposition.REVERSED, Disposition.DUPLICATE}:
        reversal = await storage.find_by_receipt(conn, row.org_id, provider, outcome.receipt)
        await _done(ground, conn, row.org_id, row.reversal_request_id, reversal)
        return
    request = await requests.find(conn, row.org_id, row.reversal_request_id, lock=True)
    if request is None or request.state in {ReversalState.REVERSED, ReversalState.FAILED}:
        return
    now = ground.clock.now()
    if isinstance(outcome, NotReversed):
        await failed(ground, conn, request, outcome.code, outcome.text)
    elif became is Disposition.REVIEW:
        await requests.ended(conn, request, ReversalState.REVIEW, now, code=None, text=row.detail or "it is in doubt")
    elif row.road == TIMEOUT:
        await requests.noted(conn, request, QUEUE, now)


async def asked_back(conn: Connection, row: Callback) -> str | None:
    """The receipt that a callback's address was made to take back; None: it is no such address."""
    if row.reversal_request_id is None:
        return None
    request = await requests.find(conn, row.org_id, row.reversal_request_id)
    return request.receipt if request else None


async def settled(ground: Ground, conn: Connection, row: Callback, booked: Booked | None) -> None:
    """A person has settled the question ``row``; ``booked`` None: nothing was taken back."""
    if row.reversal_request_id is None:
        return
    if booked is not None:
        await _done(ground, conn, row.org_id, row.reversal_request_id, booked.payment)
        return
    request = await requests.find(conn, row.org_id, row.reversal_request_id, lock=True)
    if request is not None and request.state is ReversalState.REVIEW:
        text = "nothing was taken back, as a person found"
        await requests.ended(conn, request, ReversalState.FAILED, ground.clock.now(), code=None, text=text)


async def failed(ground: Ground, conn: Connection, request: ReversalRequest, code: str, text: str) -> None:
    """The provider will not do it: the locked request ends, and staff hear why."""
    now = ground.clock.now()
    await requests.ended(conn, request, ReversalState.FAILED, now, code=code, text=text)
    await _answer(ground, conn, request.org_id, [request.id], None)
    facts = {
        "receipt": request.receipt, "amountMinor": str(request.amount_minor), "currency": request.currency,
        "code": code, "why": text,
    }  # fmt: skip
    await alert(
        conn, ground.publisher, ground.clock, request.org_id, kind=REVERSAL_FAILED,
        key=f"{REVERSAL_FAILED}:{request.id}", subject_kind="payment", subject_id=request.payment_id,
        facts=facts,
    )  # fmt: skip


async def _done(ground: Ground, conn: Connection, org_id: UUID, request_id: UUID, reversal: Payment | None) -> None:
    if reversal is not None:
        ids = await requests.done(conn, org_id, request_id, reversal.id, ground.clock.now())
        await _answer(ground, conn, org_id, ids, reversal.id)


async def _answer(
    ground: Ground, conn: Connection, org_id: UUID, request_ids: Sequence[UUID], reversal_id: UUID | None
) -> None:
    """What a person was to find out, the provider has said."""
    for request_id in request_ids:
        for callback_id in await requests.answered(conn, org_id, request_id, ground.clock.now(), reversal_id):
            await over(
                conn, ground.publisher, ground.clock, org_id, key=alert_key(callback_id), by=None,
                resolution="the provider has said what became of it",
            )  # fmt: skip
        if reversal_id is not None:
            await over(
                conn, ground.publisher, ground.clock, org_id, key=f"{REVERSAL_FAILED}:{request_id}", by=None,
                resolution="it was taken back after all",
            )  # fmt: skip
