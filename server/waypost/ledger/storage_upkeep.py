"""SQL that keeps balances near and looks whether the books add up. Needs the system scope."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from waypost.ledger.domain import Account, Difference, Wrong
from waypost.platform.database import Connection

# For some accounts in the order of their ids: what each came to before entry $4, where anything was posted since the
# snapshot before. Accounts without postings since keep the one they have. Answers how many accounts were looked at.
SNAPSHOTS = """
WITH chunk AS MATERIALIZED (
    SELECT id FROM accounts WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $5),
made AS (
    INSERT INTO account_snapshots (org_id, account_id, day, before_entry, balance_minor)
    SELECT $1, a.id, $3, $4, coalesce(s.balance_minor, 0) + p.amount_minor
      FROM chunk a
      LEFT JOIN LATERAL (
        SELECT before_entry, balance_minor FROM account_snapshots
         WHERE org_id = $1 AND account_id = a.id AND day < $3 ORDER BY day DESC LIMIT 1) s ON true
      JOIN LATERAL (
        SELECT sum(amount_minor)::bigint AS amount_minor FROM postings
         WHERE org_id = $1 AND account_id = a.id AND entry_id < $4
           AND entry_id >= coalesce(s.before_entry, '00000000-0000-0000-0000-000000000000')) p
        ON p.amount_minor IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING 1)
SELECT (SELECT count(*) FROM chunk) AS looked_at, (SELECT id FROM chunk ORDER BY id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM made) AS made
"""
# Each snapshot of some accounts beside the sum of the postings before it; those that differ.
WRONG_SNAPSHOTS = """
WITH chunk AS MATERIALIZED (
    SELECT id, currency FROM accounts WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3),
steps AS (
    SELECT account_id, day, balance_minor, before_entry,
           lag(before_entry, 1, '00000000-0000-0000-0000-000000000000'::uuid)
               OVER (PARTITION BY account_id ORDER BY day) AS since
      FROM account_snapshots WHERE org_id = $1 AND account_id IN (SELECT id FROM chunk)),
sums AS (
    SELECT s.account_id, s.day, s.balance_minor,
           sum(coalesce(p.amount_minor, 0)) OVER (PARTITION BY s.account_id ORDER BY s.day)::bigint AS expected_minor
      FROM steps s
      LEFT JOIN LATERAL (
        SELECT sum(amount_minor) AS amount_minor FROM postings
         WHERE org_id = $1 AND account_id = s.account_id AND entry_id >= s.since AND entry_id < s.before_entry) p
        ON true)
SELECT (SELECT count(*) FROM chunk) AS looked_at, (SELECT id FROM chunk ORDER BY id DESC LIMIT 1) AS last,
       w.account_id, w.currency, w.day, w.expected_minor, w.balance_minor
  FROM (SELECT 1) one
  LEFT JOIN (SELECT sums.*, chunk.currency FROM sums JOIN chunk ON chunk.id = sums.account_id
              WHERE expected_minor <> balance_minor) w ON true
 ORDER BY w.account_id, w.day
"""
# Some entries in the order of their ids; those whose lines do not sum to zero in each currency.
WRONG_ENTRIES = """
WITH chunk AS MATERIALIZED (
    SELECT id FROM journal_entries WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3),
wrong AS (
    SELECT entry_id, currency, sum(amount_minor)::bigint AS found_minor FROM postings
     WHERE org_id = $1 AND entry_id > $2 AND entry_id <= (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)
     GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0)
SELECT (SELECT count(*) FROM chunk) AS looked_at, (SELECT id FROM chunk ORDER BY id DESC LIMIT 1) AS last, wrong.*
  FROM (SELECT 1) one LEFT JOIN wrong ON true ORDER BY entry_id, currency
"""
# What the organisation has to get of some others beside what these have to pay, and the other way round.
WRONG_PAIRS = """
WITH chunk AS MATERIALIZED (
    SELECT id, code, currency, counterparty_org_id FROM accounts
     WHERE org_id = $1 AND id > $2 AND code = ANY($3::text[]) AND counterparty_org_id IS NOT NULL
     ORDER BY id LIMIT $4)
SELECT (SELECT count(*) FROM chunk) AS looked_at, (SELECT id FROM chunk ORDER BY id DESC LIMIT 1) AS last,
       w.id, w.currency, w.own_minor, w.other_minor
  FROM (SELECT 1) one
  LEFT JOIN (
    SELECT a.id, a.currency, coalesce(own.amount_minor, 0) AS own_minor, coalesce(other.amount_minor, 0) AS other_minor
      FROM chunk a
      LEFT JOIN accounts b ON b.org_id = a.counterparty_org_id AND b.currency = a.currency
                          AND b.counterparty_org_id = $1
                          AND b.code = CASE a.code WHEN $3[1] THEN $3[2] ELSE $3[1] END
      LEFT JOIN LATERAL (
        SELECT sum(amount_minor)::bigint AS amount_minor FROM postings WHERE org_id = $1 AND account_id = a.id) own
        ON true
      LEFT JOIN LATERAL (
        SELECT sum(amount_minor)::bigint AS amount_minor FROM postings WHERE org_id = b.org_id AND account_id = b.id)
        other ON true) w ON w.own_minor + w.other_minor <> 0
 ORDER BY w.id
"""
PAIR = [Account.RECEIVABLE, Account.PAYABLE]


async def snapshots(
    conn: Connection, org_id: UUID, after: UUID, day: date, before: UUID, limit: int
) -> tuple[int, UUID, int]:
    """Snapshots of the next accounts: how many were looked at, the last of them, how many snapshots were made."""
    row = await conn.fetchrow(SNAPSHOTS, org_id, after, day, before, limit)
    return (row["looked_at"], row["last"] or after, row["made"]) if row else (0, after, 0)


async def wrong_snapshots(
    conn: Connection, org_id: UUID, after: UUID, limit: int
) -> tuple[UUID | None, list[Difference]]:
    """Of the next accounts; and the last of them, None: there are no more."""
    rows = await conn.fetch(WRONG_SNAPSHOTS, org_id, after, limit)
    found = [
        Difference(
            Wrong.SNAPSHOT, row["account_id"], row["currency"], row["expected_minor"], row["balance_minor"], row["day"]
        )
        for row in rows
        if row["account_id"] is not None
    ]
    return (rows[0]["last"] if rows[0]["looked_at"] == limit else None), found


async def wrong_entries(
    conn: Connection, org_id: UUID, after: UUID, limit: int
) -> tuple[UUID | None, list[Difference]]:
    """Of the next entries; and the last of them, None: there are no more."""
    rows = await conn.fetch(WRONG_ENTRIES, org_id, after, limit)
    found = [
        Difference(Wrong.ENTRY, row["entry_id"], row["currency"], 0, row["found_minor"])
        for row in rows
        if row["entry_id"] is not None
    ]
    return (rows[0]["last"] if rows[0]["looked_at"] == limit else None), found


async def wrong_pairs(conn: Connection, org_id: UUID, after: UUID, limit: int) -> tuple[UUID | None, list[Difference]]:
    """Of the next accounts with other organisations; and the last of them, None: there are no more."""
    rows = await conn.fetch(WRONG_PAIRS, org_id, after, [str(account) for account in PAIR], limit)
    found = [
        Difference(Wrong.PAIR, row["id"], row["currency"], -row["other_minor"], row["own_minor"])
        for row in rows
        if row["id"] is not None
    ]
    return (rows[0]["last"] if rows[0]["looked_at"] == limit else None), found
