"""SQL of invoices, their lines and their numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record

from waypost.invoices.domain import Invoice, Issued, Kind, Line, Status, Totals
from waypost.platform.database import Connection

FIRST_ID = UUID(int=0)

COLUMNS = """
       i.org_id, i.id, i.counterparty_org_id, i.kind, i.status, i.currency, i.net_minor, i.tax_minor, i.total_minor,
       i.paid_minor, i.terms_days, i.created_at, i.updated_at, i.version, i.number, i.of_invoice_id,
       (SELECT id FROM invoices c WHERE c.org_id = i.org_id AND c.of_invoice_id = i.id) AS credit_note_id,
       i.issue_date, i.due_date, i.issued_at, i.sent_at, i.paid_at, i.voided_at, i.note, i.created_by
  FROM invoices i
"""
FIND = f"SELECT {COLUMNS} WHERE i.org_id = $1 AND i.id = $2"
FIND_RECEIVED = f"SELECT {COLUMNS} WHERE i.counterparty_org_id = $1 AND i.id = $2 AND i.status <> 'draft'"
LOCK = f"SELECT {COLUMNS} WHERE i.org_id = $1 AND i.id = $2 FOR NO KEY UPDATE OF i"
# The oldest first; each waits for its turn, and is asked again whether it is still open.
LOCK_OPEN = f"""
SELECT {COLUMNS}
 WHERE i.org_id = $1 AND i.counterparty_org_id = $2 AND i.currency = $3 AND i.kind = 'invoice'
   AND i.status IN ('issued', 'part_paid')
 ORDER BY i.issue_date, i.serial FOR NO KEY UPDATE OF i
"""
LINES = """
SELECT description, quantity_milli, unit_price_minor, tax_bp, trip_id FROM invoice_lines
 WHERE org_id = $1 AND invoice_id = $2 ORDER BY n
"""
ADD = """
INSERT INTO invoices (org_id, id, counterparty_org_id, kind, of_invoice_id, currency, net_minor, tax_minor, total_minor,
                      terms_days, note, created_by, created_at, updated_at)
VALUES ($1, $2, $3, 'invoice', NULL, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
ADD_CREDIT_NOTE = """
INSERT INTO invoices (org_id, id, counterparty_org_id, kind, of_invoice_id, status, year, serial, number, currency,
                      net_minor, tax_minor, total_minor, terms_days, issue_date, due_date, issued_at, note, created_by,
                      created_at, updated_at)
SELECT i.org_id, $3, i.counterparty_org_id, 'credit_note', i.id, 'issued', $4, $5, $6, i.currency,
       i.net_minor, i.tax_minor, i.total_minor, 0, $7, $7, $8, $9, $10, $8, $8
  FROM invoices i WHERE i.org_id = $1 AND i.id = $2
"""
ADD_LINES = """
INSERT INTO invoice_lines (org_id, invoice_id, n, trip_id, description, quantity_milli, unit_price_minor, tax_bp,
                           net_minor)
SELECT $1, $2, l.n, l.trip_id, l.description, l.quantity_milli, l.unit_price_minor, l.tax_bp, l.net_minor
  FROM unnest($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::int[], $8::bigint[]) WITH ORDINALITY
    AS l (trip_id, description, quantity_milli, unit_price_minor, tax_bp, net_minor, n)
"""
OVERDUE_SINCE = f"""
SELECT {COLUMNS}
 WHERE i.org_id = $1 AND i.kind = 'invoice' AND i.status IN ('issued', 'part_paid')
   AND i.due_date >= $2 AND i.due_date < $3 AND (i.due_date, i.id) > ($4, $5)
 ORDER BY i.due_date, i.id LIMIT $6
"""
NAME_OF = "SELECT coalesce(settings -> 'selling' ->> 'shopName', name) FROM organisations WHERE org_id = $1"
DELETE_LINES = "DELETE FROM invoice_lines WHERE org_id = $1 AND invoice_id = $2"
DELETE = "DELETE FROM invoices WHERE org_id = $1 AND id = $2 AND status = 'draft'"
CHANGE = """
UPDATE invoices SET counterparty_org_id = $3, currency = $4, terms_days = $5, note = $6, net_minor = $7, tax_minor = $8,
       total_minor = $9, updated_at = $10, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
# The row is held until the transaction ends: what is undone gives its number back, and the next one waits to see.
NEXT_SERIAL = """
INSERT INTO invoice_counters (org_id, kind, year, last) VALUES ($1, $2, $3, 1)
ON CONFLICT (org_id, kind, year) DO UPDATE SET last = invoice_counters.last + 1 RETURNING last
"""
ISSUE = """
UPDATE invoices SET status = 'issued', year = $3, serial = $4, number = $5, issue_date = $6, due_date = $7,
       issued_at = $8, updated_at = $8, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
SEND = "UPDATE invoices SET sent_at = $3, updated_at = $3, version = version + 1 WHERE org_id = $1 AND id = $2"
VOID = """
UPDATE invoices SET status = 'voided', voided_at = $3, updated_at = $3, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
PAY = """
UPDATE invoices SET paid_minor = paid_minor + $3, status = $4, updated_at = $5, version = version + 1,
       paid_at = CASE $4 WHEN 'paid' THEN $5::timestamptz END
 WHERE org_id = $1 AND id = $2
"""
# The trips are held, in one order, until the transaction ends: of two invoices for one trip the second sees the first.
HOLD_TRIPS = """
SELECT id, destination_org_id FROM trips WHERE org_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
CARRIES_FOR = "SELECT EXISTS (SELECT FROM trips WHERE org_id = $1 AND destination_org_id = $2)"
BILLED = """
SELECT l.trip_id, i.number FROM invoice_lines l JOIN invoices i ON i.org_id = l.org_id AND i.id = l.invoice_id
 WHERE l.org_id = $1 AND l.trip_id = ANY($2::uuid[]) AND i.id <> $3 AND i.kind = 'invoice' AND i.status <> 'voided'
 ORDER BY l.trip_id LIMIT 1
"""


class DuePlace(NamedTuple):
    """Where a walk by due dates has come to."""

    due_date: date
    id: UUID


async def overdue_since(
    conn: Connection, org_id: UUID, since: date, today: date, after: DuePlace | None, limit: int
) -> list[Invoice]:
    """Open ones that were due from ``since`` up to yesterday, by their due dates. Without lines."""
    place = after or DuePlace(since, FIRST_ID)
    rows = await conn.fetch(OVERDUE_SINCE, org_id, since, today, place.due_date, place.id, limit)
    return [invoice(row) for row in rows]


async def name_of(conn: Connection, org_id: UUID) -> str:
    """Of an organisation of this transaction's scope, as its customers know it."""
    return str(await conn.fetchval(NAME_OF, org_id) or "")


async def find(conn: Connection, org_id: UUID, invoice_id: UUID) -> Invoice | None:
    """With its lines; as who issues it, or as who got it (no drafts), sees it."""
    row = await conn.fetchrow(FIND, org_id, invoice_id) or await conn.fetchrow(FIND_RECEIVED, org_id, invoice_id)
    return await _with_lines(conn, invoice(row)) if row else None


async def lock(conn: Connection, org_id: UUID, invoice_id: UUID) -> Invoice | None:
    """An own one, with its lines, held until the transaction ends."""
    row = await conn.fetchrow(LOCK, org_id, invoice_id)
    return await _with_lines(conn, invoice(row)) if row else None


async def lock_open(conn: Connection, org_id: UUID, counterparty_org_id: UUID, currency: str) -> list[Invoice]:
    """Those of a counterparty that are not paid, the oldest first, without lines; held until the transaction ends."""
    return [invoice(row) for row in await conn.fetch(LOCK_OPEN, org_id, counterparty_org_id, currency)]


async def add(conn: Connection, new: Invoice) -> None:
    """A draft with its lines."""
    await conn.execute(
        ADD, new.org_id, new.id, new.counterparty_org_id, new.currency, new.net_minor, new.tax_minor, new.total_minor,
        new.terms_days, new.note, new.created_by, new.created_at,
    )  # fmt: skip
    await _add_lines(conn, new.org_id, new.id, new.lines)


async def change(conn: Connection, draft: Invoice, totals: Totals, now: datetime) -> None:
    """A locked draft, and its lines, as they are in ``draft``."""
    await conn.execute(
        CHANGE, draft.org_id, draft.id, draft.counterparty_org_id, draft.currency, draft.terms_days, draft.note,
        totals.net_minor, totals.tax_minor, totals.total_minor, now,
    )  # fmt: skip
    await conn.execute(DELETE_LINES, draft.org_id, draft.id)
    await _add_lines(conn, draft.org_id, draft.id, draft.lines)


async def delete(conn: Connection, org_id: UUID, invoice_id: UUID) -> None:
    """A draft."""
    await conn.execute(DELETE_LINES, org_id, invoice_id)
    await conn.execute(DELETE, org_id, invoice_id)


async def next_serial(conn: Connection, org_id: UUID, kind: Kind, year: int) -> int:
    """The next number; nobody else gets one until the transaction ends, and what is undone leaves no gap."""
    return int(await conn.fetchval(NEXT_SERIAL, org_id, str(kind), year))


async def issue(conn: Connection, org_id: UUID, invoice_id: UUID, given: Issued) -> None:
    await conn.execute(
        ISSUE, org_id, invoice_id, given.year, given.serial, given.number, given.issue_date, given.due_date, given.at
    )


async def send(conn: Connection, org_id: UUID, invoice_id: UUID, now: datetime) -> None:
    await conn.execute(SEND, org_id, invoice_id, now)


async def void(
    conn: Connection, voided: Invoice, credit_note_id: UUID, given: Issued, *, note: str | None, by: UUID | None
) -> None:
    """A locked one; its credit note has the same lines."""
    await conn.execute(VOID, voided.org_id, voided.id, given.at)
    await conn.execute(
        ADD_CREDIT_NOTE, voided.org_id, voided.id, credit_note_id, given.year, given.serial, given.number,
        given.issue_date, given.at, note, by,
    )  # fmt: skip
    await _add_lines(conn, voided.org_id, credit_note_id, voided.lines)


async def pay(conn: Connection, paid: Invoice, by_minor: int, status: Status, now: datetime) -> None:
    """Move what is paid of a locked one by so much."""
    await conn.execute(PAY, paid.org_id, paid.id, by_minor, str(status), now)


async def hold_trips(conn: Connection, org_id: UUID, trip_ids: Collection[UUID]) -> Mapping[UUID, UUID | None]:
    """Of own trips, held until the transaction ends, for whom each is."""
    rows = await conn.fetch(HOLD_TRIPS, org_id, list(trip_ids))
    return {row["id"]: row["destination_org_id"] for row in rows}


async def carries_for(conn: Connection, org_id: UUID, counterparty_org_id: UUID) -> bool:
    """There is a trip of the one for the other."""
    return bool(await conn.fetchval(CARRIES_FOR, org_id, counterparty_org_id))


async def billed(
    conn: Connection, org_id: UUID, trip_ids: Collection[UUID], but: UUID
) -> tuple[UUID, str | None] | None:
    """One of these trips that stands on a live invoice other than ``but``, and that one's number (None: a draft)."""
    row = await conn.fetchrow(BILLED, org_id, list(trip_ids), but)
    return (row["trip_id"], row["number"]) if row else None


def invoice(row: Record) -> Invoice:
    """Without its lines."""
    values: dict[str, Any] = dict(row)
    return Invoice(**{**values, "kind": Kind(row["kind"]), "status": Status(row["status"])})


async def _with_lines(conn: Connection, found: Invoice) -> Invoice:
    rows = await conn.fetch(LINES, found.org_id, found.id)
    return replace(found, lines=[Line(**dict(row)) for row in rows])


async def _add_lines(conn: Connection, org_id: UUID, invoice_id: UUID, lines: Sequence[Line]) -> None:
    await conn.execute(
        ADD_LINES, org_id, invoice_id, [line.trip_id for line in lines], [line.description for line in lines],
        [line.quantity_milli for line in lines], [line.unit_price_minor for line in lines],
        [line.tax_bp for line in lines], [line.net_minor for line in lines],
    )  # fmt: skip
