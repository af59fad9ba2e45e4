"""SQL of accounts and postings."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from waypost.ledger.domain import GENERAL, KINDS, Entry, Line, account_id
from waypost.platform.database import Connection

# The entry and its lines, and whether an account of theirs is not there yet. Nothing where the key is known.
POST = """
WITH entry AS (
    INSERT INTO journal_entries (org_id, id, key, kind, source_kind, source_id, customer_id, note, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (org_id, key) DO NOTHING RETURNING org_id, id),
lines AS (
    SELECT * FROM unnest($10::uuid[], $11::bigint[]) WITH ORDINALITY AS l (account_id, amount, n)),
posted AS (
    INSERT INTO postings (org_id, entry_id, n, account_id, currency, amount_minor, customer_id)
    SELECT e.org_id, e.id, l.n, l.account_id, $12, l.amount, $7 FROM lines l, entry e)
SELECT EXISTS (
         SELECT FROM lines l WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.org_id = $1 AND a.id = l.account_id))
       AS first FROM entry
"""
# All accounts of a currency at once, those of a counterparty last: whatever a transaction books first and whatever it
# books later, it takes the same keys in the same order. Of two first entries one waits, and never each for the other.
OPEN = """
INSERT INTO accounts (org_id, id, code, kind, currency, counterparty_org_id, created_at)
SELECT $1, a.id, a.code, a.kind, $2, a.counterparty, $3
  FROM unnest($4::uuid[], $5::text[], $6::text[], $7::uuid[]) AS a (id, code, kind, counterparty)
 ORDER BY a.counterparty IS NOT NULL, a.id
ON CONFLICT DO NOTHING
"""


async def post(conn: Connection, org_id: UUID, entry_id: UUID, entry: Entry, lines: Sequence[Line]) -> bool:
    """Write an entry; False, and nothing written, when its key is there already."""
    accounts = [account_id(org_id, line.account, entry.currency, line.counterparty_org_id) for line in lines]
    first = await conn.fetchval(
        POST, org_id, entry_id, entry.key, entry.kind, entry.source_kind, entry.source_id, entry.customer_id,
        entry.note, entry.at, accounts, [line.amount_minor for line in lines], entry.currency,
    )  # fmt: skip
    if first:
        await _open(conn, org_id, entry, lines)
    return first is not None


async def _open(conn: Connection, org_id: UUID, entry: Entry, lines: Sequence[Line]) -> None:
    """Every account of the entry's currency, and those of its lines that have a counterparty."""
    wanted = {(account, None) for account in GENERAL} | {(line.account, line.counterparty_org_id) for line in lines}
    accounts = {account_id(org_id, account, entry.currency, other): (account, other) for account, other in wanted}
    await conn.execute(
        OPEN, org_id, entry.currency, entry.at, list(accounts), [str(account) for account, _ in accounts.values()],
        [str(KINDS[account]) for account, _ in accounts.values()], [other for _, other in accounts.values()],
    )  # fmt: skip
