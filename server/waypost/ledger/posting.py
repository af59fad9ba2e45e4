"""The door by which a feature books: one entry, in the transaction of what it books; and asks what came of it."""

from __future__ import annotations

from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.ledger import storage, storage_books
from waypost.ledger.domain import Account, Entry, account_id, settled
from waypost.platform.database import Connection


async def post(conn: Connection, org_id: UUID, entry: Entry, clock: Clock) -> bool:
    """Book it; False, and nothing done, when an entry with its key is there, or when its lines come to nothing.

    ``Unbalanced`` is a mistake of the caller's. The database checks the sum once more as the transaction commits.
    """
    lines = settled(entry.lines)
    return bool(lines) and await storage.post(conn, org_id, new_id(clock), entry, lines)


async def balance(
    conn: Connection, org_id: UUID, account: Account, currency: str, counterparty: UUID | None = None
) -> int:
    """What an account comes to now: debit +, credit -."""
    return await storage_books.balance(conn, org_id, account_id(org_id, account, currency, counterparty))


async def customer_balance(conn: Connection, org_id: UUID, account: Account, currency: str, customer_id: UUID) -> int:
    """A customer's part of it."""
    return await storage_books.customer_balance(conn, org_id, account_id(org_id, account, currency), customer_id)
