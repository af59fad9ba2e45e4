"""What invoices and their payments do to the books of both sides, in one transaction.

An organisation may not write another's books. The counterparty's half goes through a function of the database that
books for an invoice which the transaction's own organisation has issued, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.invoices import storage_books
from waypost.invoices.domain import Invoice
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.ledger import posting
from waypost.ledger.domain import Account, Entry, Line, settled
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Books:
    """The lines of one event, for the issuer's books and for the counterparty's."""

    own: Sequence[Line]
    theirs: Sequence[Line]


def invoice_lines(invoice: Invoice) -> Books:
    """Of an issued invoice: the issuer has to get it, the counterparty to pay it."""
    net, tax, total = invoice.net_minor, invoice.tax_minor, invoice.total_minor
    return Books(
        own=[
            Line(Account.RECEIVABLE, total, invoice.counterparty_org_id),
            Line(Account.FREIGHT_INCOME, -net),
            Line(Account.TAX_PAYABLE, -tax),
        ],
        theirs=[
            Line(Account.FREIGHT_EXPENSE, net),
            Line(Account.TAX_RECOVERABLE, tax),
            Line(Account.PAYABLE, -total, invoice.org_id),
        ],
    )


def payment_lines(
    org_id: UUID,
    counterparty_org_id: UUID,
    amount_minor: int,
    *,
    held_in: Account = Account.BANK,
    paid_from: Account = Account.BANK,
) -> Books:
    """Of money that the counterparty has paid, applied or kept on account alike; negative: that was taken back.

    ``held_in``: where the issuer has it; ``paid_from``: the counterparty's, bank or cash.
    """
    return Books(
        own=[Line(held_in, amount_minor), Line(Account.RECEIVABLE, -amount_minor, counterparty_org_id)],
        theirs=[Line(Account.PAYABLE, amount_minor, org_id), Line(paid_from, -amount_minor)],
    )


def reversed_lines(books: Books) -> Books:
    """The same the other way round."""
    return Books(_negated(books.own), _negated(books.theirs))


def _negated(lines: Sequence[Line]) -> list[Line]:
    return [Line(line.account, -line.amount_minor, line.counterparty_org_id) for line in lines]


async def post(
    conn: Connection,
    clock: Clock,
    invoice: Invoice,
    books: Books,
    *,
    key: str,
    kind: str,
    at: datetime,
    source: tuple[str, UUID] | None = None,
) -> bool:
    """Book both halves; False, and nothing done, when the key is there. In the issuer's own transaction.

    ``source``: of the own entry, the invoice unless it says more; the other's is always the invoice.
    """
    source_kind, source_id = source or ("invoice", invoice.id)
    own = Entry(key, kind, source_kind, source_id, invoice.currency, books.own, at, note=invoice.number)
    theirs = Entry(key, kind, "invoice", invoice.id, invoice.currency, books.theirs, at, note=invoice.number)
    # In the order of the organisations: of two that invoice each other at once, neither waits for the other's accounts.
    if invoice.org_id < invoice.counterparty_org_id:
        return await posting.post(conn, invoice.org_id, own, clock) and await _post_theirs(conn, clock, invoice, theirs)
    return await _post_theirs(conn, clock, invoice, theirs) and await posting.post(conn, invoice.org_id, own, clock)


async def post_payment(
    conn: Connection,
    clock: Clock,
    invoice: Invoice,
    payment_id: UUID,
    amount_minor: int,
    *,
    key: str,
    at: datetime,
    kind: str = "invoice_payment",
    held_in: Account = Account.BANK,
    paid_from: Account = Account.BANK,
) -> bool:
    """``payment_lines`` of a payment row of the issuer's, booked on both sides."""
    books = payment_lines(
        invoice.org_id, invoice.counterparty_org_id, amount_minor, held_in=held_in, paid_from=paid_from
    )
    return await post(conn, clock, invoice, books, key=key, kind=kind, at=at, source=("payment", payment_id))


async def _post_theirs(conn: Connection, clock: Clock, invoice: Invoice, entry: Entry) -> bool:
    lines = settled(entry.lines)
    if not lines:
        return False
    return await storage_books.post_theirs(conn, invoice, new_id(clock), entry, lines)
