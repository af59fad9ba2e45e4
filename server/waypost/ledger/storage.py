"""SQL of accounts and postings."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from waypost.ledger.domain import KINDS, Entry, Line, account_id
from waypost.platform.database import Connection

# One statement: the accounts that are not there yet, the entry, its lines. Nothing where the key is known. Accounts are
# made in one order: of two first entries at once one waits, and never each for the other.
POST = """
WITH entry AS (
    INSERT INTO journal_entries (org_id, id, key, kind, source_kind, source_id, customer_id, note, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (org_id, key) DO NOTHING RETURNING org_id, id),
lines AS (
    SELECT * FROM unnest($10::uuid[], $11::text[], $12::text[], $13::uuid[], $14::bigint[])
        WITH ORDINALITY AS l (account_id, code, kind, counterparty, amount, n)),
opened AS (
    INSERT INTO accounts (org_id, id, code, kind, currency, counterparty_org_id, created_at)
    SELECT $1, l.account_id, l.code, l.kind, $15, l.counterparty, $9 FROM lines l, entry
     WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.org_id = $1 AND a.id = l.account_id)
     ORDER BY l.account_id
    ON CONFLICT DO NOTHING),
posted AS (
    INSERT INTO postings (org_id, entry_id, n, account_id, currency, amount_minor, customer_id)
    SELECT e.org_id, e.id, l.n, l.account_id, $15, l.amount, $7 FROM lines l, entry e)
SELECT id FROM entry
"""


async def post(conn: Connection, org_id: UUID, entry_id: UUID, entry: Entry, lines: Sequence[Line]) -> bool:
    """Write an entry; False, and nothing written, when its key is there already."""
    accounts = [account_id(org_id, line.account, entry.currency, line.counterparty_org_id) for line in lines]
    written = await conn.fetchval(
        POST, org_id, entry_id, entry.key, entry.kind, entry.source_kind, entry.source_id, entry.customer_id,
        entry.note, entry.at, accounts, [str(line.account) for line in lines],
        [str(KINDS[line.account]) for line in lines], [line.counterparty_org_id for line in lines],
        [line.amount_minor for line in lines], entry.currency,
    )  # fmt: skip
    return written is not None
