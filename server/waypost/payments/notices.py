"""What a customer is told of their money: pure builders of outbox rows, and the guard that asks when they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from waypost.laybys.domain import Layby
from waypost.laybys.notices import facts_of
from waypost.notifications import kinds
from waypost.notifications.domain import Due, Notice, Promise
from waypost.payments import storage_notices
from waypost.payments.domain import Payment
from waypost.platform.database import Connection

SUBJECT = "payment"
# Why a provider says that nothing was paid, in our words.
REASONS = ("cancelled", "no_funds", "no_answer", "wrong_pin", "limit", "busy", "expired", "other")


def received(layby: Layby, payment: Payment) -> Promise:
    """Money was applied to ``layby``, which is as it is afterwards; what was too much is kept as credit."""
    facts = {**_money(payment), "creditMinor": str(payment.credit_minor), "appliedMinor": str(payment.applied_minor)}
    return _promise(kinds.PAYMENT_RECEIVED, _received_key(payment), layby, payment, facts)


def kept_as_credit(layby: Layby, payment: Payment) -> Promise:
    """Money came that the layby cannot take: it is kept for the customer."""
    facts = {**_money(payment), "creditMinor": str(payment.credit_minor)}
    return _promise(kinds.PAYMENT_RECEIVED_CREDIT, _received_key(payment), layby, payment, facts)


def failed(layby: Layby, prompt_id: UUID, amount_minor: int, reason: str) -> Promise:
    """A prompt came to nothing, told once a prompt; ``reason``: one of ``REASONS``."""
    facts = {
        **facts_of(layby),
        "amountMinor": str(amount_minor),
        "reason": reason if reason in REASONS else "other",
    }
    notice = Notice(layby.customer_id, "prompt", prompt_id, facts)
    return Promise(kinds.PAYMENT_FAILED, f"prompt:{prompt_id}:failed", notice)


def refund_issued(layby: Layby | None, payment: Payment) -> Promise:
    """Money has left for the customer: ``payment`` is the refund's row; ``layby`` None: credit was paid out."""
    facts = {**_money(payment), "amountMinor": str(-payment.amount_minor)}
    return _promise(kinds.REFUND_ISSUED, f"payment:{payment.id}:refunded", layby, payment, facts)


def reversed_(layby: Layby | None, payment: Payment, original_receipt: str) -> Promise:
    """A provider took a payment back: ``payment`` is the reversal's row."""
    facts = {**_money(payment), "amountMinor": str(-payment.amount_minor), "originalReceipt": original_receipt}
    return _promise(kinds.PAYMENT_REVERSED, f"payment:{payment.id}:reversed", layby, payment, facts)


async def unwanted(conn: Connection, due: Due) -> str | None:
    """Why a notice must not go out any more: the prompt that failed was paid after all. Money that moved is told."""
    if due.kind == kinds.PAYMENT_FAILED and await storage_notices.is_paid(conn, due.org_id, due.subject_id):
        return "prompt_paid"
    return None


def _received_key(payment: Payment) -> str:
    return f"payment.received:{payment.provider}:{payment.receipt}"


def _money(payment: Payment) -> dict[str, str]:
    return {
        "amountMinor": str(payment.amount_minor),
        "receipt": payment.receipt,
        "method": str(payment.method),
        "paidAt": payment.paid_at.isoformat(),
    }


def _promise(kind: str, key: str, layby: Layby | None, payment: Payment, facts: Mapping[str, str]) -> Promise:
    customer_id = layby.customer_id if layby else payment.customer_id
    if customer_id is None:
        raise ValueError("a payment without a customer tells nobody")
    about = facts_of(layby) if layby else _of_no_layby(payment)
    return Promise(kind, key, Notice(customer_id, SUBJECT, payment.id, {**about, **facts}))


def _of_no_layby(payment: Payment) -> dict[str, str]:
    names = ("reference", "balanceMinor", "nextDueMinor", "nextDueDate", "finalDate", "status")
    return {**dict.fromkeys(names, ""), "currency": payment.currency}
