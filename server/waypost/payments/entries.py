"""A payment row as an entry of the books."""

from __future__ import annotations

from uuid import UUID

from waypost.ledger.domain import Account, Entry, Line
from waypost.payments.domain import HELD_IN, Payment


def entry_of(
    payment: Payment, lies_in: Account = Account.DEPOSITS_HELD, counterparty_org_id: UUID | None = None
) -> Entry:
    """Where the money came from (or went), and where it lies now. One form for every kind: a refund's amounts are
    negative, and a row that moves no money has an amount of 0.

    ``lies_in``: the account of its applied part; ``counterparty_org_id``: whose, where that is a receivable.
    """
    lines = [
        Line(Account.SUSPENSE, -payment.suspense_minor),
        Line(Account.CUSTOMER_CREDIT, -payment.credit_minor),
        Line(lies_in, -payment.applied_minor, counterparty_org_id),
    ]
    if payment.amount_minor:
        lines.append(Line(HELD_IN[payment.method], payment.amount_minor))
    return Entry(
        key=f"payment:{payment.id}",
        kind=str(payment.kind),
        source_kind="payment",
        source_id=payment.id,
        currency=payment.currency,
        lines=lines,
        at=payment.paid_at,
        customer_id=payment.customer_id,
    )
