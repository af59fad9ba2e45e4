"""A payment row as an entry of the books: of the organisation's own, and where it pays an invoice of both sides'."""

from __future__ import annotations

from uuid import UUID

from waypost.invoices import books
from waypost.invoices.books import Books
from waypost.invoices.domain import Invoice
from waypost.kernel.clock import Clock
from waypost.ledger.domain import Account, Entry, Line
from waypost.ledger.posting import post
from waypost.payments.domain import COUNTER, HELD_IN, Payment
from waypost.platform.database import Connection


async def post_row(
    conn: Connection,
    clock: Clock,
    payment: Payment,
    lies_in: Account = Account.DEPOSITS_HELD,
    invoice: Invoice | None = None,
) -> None:
    """Book a row; ``invoice``: where its applied part lies."""
    if invoice is None or not payment.applied_minor:
        await post(conn, payment.org_id, entry_of(payment, lies_in), clock)
        return
    own = entry_of(payment, Account.RECEIVABLE, invoice.counterparty_org_id)
    theirs = books.payment_lines(invoice.org_id, invoice.counterparty_org_id, payment.applied_minor).theirs
    await books.post(
        conn, clock, invoice, Books(own.lines, theirs), key=own.key, kind=own.kind, at=own.at,
        source=("payment", payment.id),
    )  # fmt: skip


def entry_of(
    payment: Payment, lies_in: Account = Account.DEPOSITS_HELD, counterparty_org_id: UUID | None = None
) -> Entry:
    """Where the money came from (or went), and where it lies now. One form for every kind: a refund's amounts are
    negative, and a row that moves no money has an amount of 0. What a provider reports lies in clearing until it
    settles, by whatever way it was paid.

    ``lies_in``: the account of its applied part; ``counterparty_org_id``: whose, where that is a receivable.
    """
    lines = [
        Line(Account.SUSPENSE, -payment.suspense_minor),
        Line(Account.CUSTOMER_CREDIT, -payment.credit_minor),
        Line(lies_in, -payment.applied_minor, counterparty_org_id),
    ]
    if payment.amount_minor:
        held_in = HELD_IN[payment.method] if payment.provider == COUNTER else Account.CLEARING
        lines.append(Line(held_in, payment.amount_minor))
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
