"""SQL that reads the books: balances, and an account's lines. A balance is the newest snapshot and what came since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.ledger.domain import AccountKind, BookedAccount, BookLine
from waypost.platform.database import Connection

FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)

# Not coalesce(): under row-level security that is no condition for an index, since PostgreSQL takes it for leaky.
_SINCE = "CASE WHEN s.before_entry IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE s.before_entry END"
# What account a comes to, from its postings' index alone.
_NEWEST = f"""
  LEFT JOIN LATERAL (
    SELECT before_entry, balance_minor FROM account_snapshots
     WHERE org_id = a.org_id AND account_id = a.id ORDER BY day DESC LIMIT 1) s ON true
  LEFT JOIN LATERAL (
    SELECT sum(amount_minor) AS amount_minor FROM postings
     WHERE org_id = a.org_id AND account_id = a.id
       AND entry_id >= {_SINCE}) p ON true
"""  # noqa: S608
_SUM = "(coalesce(s.balance_minor, 0) + coalesce(p.amount_minor, 0))::bigint"
ACCOUNTS = f"""
SELECT a.id, a.code, a.kind, a.currency, a.counterparty_org_id, {_SUM} AS balance_minor
  FROM accounts a
  JOIN LATERAL (
    SELECT FROM postings WHERE org_id = a.org_id AND account_id = a.id ORDER BY entry_id LIMIT 1) posted_to ON true
       {_NEWEST}
 WHERE a.org_id = $1 AND (a.code, a.currency, a.id) > ($2, $3, $4)
 ORDER BY a.code, a.currency, a.id LIMIT $5
"""  # noqa: S608 - constants of this file
EXISTS = "SELECT true FROM postings WHERE org_id = $1 AND account_id = $2 ORDER BY entry_id LIMIT 1"
BALANCE = f"SELECT {_SUM} FROM (SELECT $1::uuid AS org_id, $2::uuid AS id) a {_NEWEST}"  # noqa: S608
CUSTOMER_BALANCE = """
SELECT coalesce(sum(amount_minor), 0)::bigint FROM postings WHERE org_id = $1 AND customer_id = $2 AND account_id = $3
"""

_ENTRY = "e.key, e.kind, e.source_kind, e.source_id, e.customer_id, e.note, e.at"
# What account $2 came to with the line of page row r: the snapshot before it, and the postings between.
_AS_OF = f"""
  LEFT JOIN LATERAL (
    SELECT before_entry, balance_minor FROM account_snapshots
     WHERE org_id = $1 AND account_id = $2 AND before_entry <= r.entry_id ORDER BY day DESC LIMIT 1) s ON true
  LEFT JOIN LATERAL (
    SELECT sum(amount_minor) AS amount_minor FROM postings
     WHERE org_id = $1 AND account_id = $2
       AND entry_id >= {_SINCE}
       AND (entry_id, n) <= (r.entry_id, r.n)) p ON true
"""  # noqa: S608
# A page, newest first: the balance with its newest line, and from there down by difference.
LINES = f"""
WITH page AS MATERIALIZED (
    SELECT entry_id, n, currency, amount_minor FROM postings
     WHERE org_id = $1 AND account_id = $2 AND (entry_id, n) < ($3, $4) AND entry_id >= $5
     ORDER BY entry_id DESC, n DESC LIMIT $6),
newest AS (
    SELECT {_SUM} AS balance_minor
      FROM (SELECT entry_id, n FROM page ORDER BY entry_id DESC, n DESC LIMIT 1) r {_AS_OF})
SELECT r.*, {_ENTRY},
       (newest.balance_minor - coalesce(sum(r.amount_minor) OVER (
            ORDER BY r.entry_id DESC, r.n DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::bigint
           AS balance_minor
  FROM page r CROSS JOIN newest JOIN journal_entries e ON e.org_id = $1 AND e.id = r.entry_id
 ORDER BY r.entry_id DESC, r.n DESC
"""  # noqa: S608
# A customer's lines lie far apart: the balance at each by itself.
LINES_OF_CUSTOMER = f"""
WITH r AS MATERIALIZED (
    SELECT entry_id, n, currency, amount_minor FROM postings
     WHERE org_id = $1 AND customer_id = $7 AND account_id = $2 AND (entry_id, n) < ($3, $4) AND entry_id >= $5
     ORDER BY entry_id DESC, n DESC LIMIT $6)
SELECT r.*, {_ENTRY}, {_SUM} AS balance_minor
  FROM r JOIN journal_entries e ON e.org_id = $1 AND e.id = r.entry_id {_AS_OF}
 ORDER BY r.entry_id DESC, r.n DESC
"""  # noqa: S608
# Needs the system scope: no organisation sees another.
ORGANISATION_NAMES = "SELECT org_id, name FROM organisations WHERE org_id = ANY($1::uuid[])"


async def accounts(conn: Connection, org_id: UUID, after: tuple[str, str, UUID], limit: int) -> list[BookedAccount]:
    """Those that were posted to, by code, currency and id, ``limit + 1`` of them."""
    rows = await conn.fetch(ACCOUNTS, org_id, *after, limit + 1)
    return [BookedAccount(**{**dict(row), "kind": AccountKind(row["kind"])}) for row in rows]


async def account_exists(conn: Connection, org_id: UUID, account_id: UUID) -> bool:
    """It was posted to."""
    return bool(await conn.fetchval(EXISTS, org_id, account_id))


async def balance(conn: Connection, org_id: UUID, account_id: UUID) -> int:
    """What an account comes to now; 0 for one that was never posted to."""
    return int(await conn.fetchval(BALANCE, org_id, account_id))


async def customer_balance(conn: Connection, org_id: UUID, account_id: UUID, customer_id: UUID) -> int:
    """A customer's part of it."""
    return int(await conn.fetchval(CUSTOMER_BALANCE, org_id, customer_id, account_id))


async def lines(
    conn: Connection,
    org_id: UUID,
    account_id: UUID,
    customer_id: UUID | None,
    before: tuple[UUID, int],
    first: UUID,
    limit: int,
) -> list[BookLine]:
    """Lines before one (entry, n), of entries from ``first`` on; newest first, ``limit + 1`` of them."""
    if customer_id is None:
        rows: Sequence[Record] = await conn.fetch(LINES, org_id, account_id, *before, first, limit + 1)
    else:
        rows = await conn.fetch(LINES_OF_CUSTOMER, org_id, account_id, *before, first, limit + 1, customer_id)
    return [_line(row) for row in rows]


async def organisation_names(conn: Connection, org_ids: Collection[UUID]) -> dict[UUID, str]:
    rows = await conn.fetch(ORGANISATION_NAMES, list(org_ids))
    return {row["org_id"]: row["name"] for row in rows}


def _line(row: Record) -> BookLine:
    values: dict[str, Any] = dict(row)
    return BookLine(**values)
