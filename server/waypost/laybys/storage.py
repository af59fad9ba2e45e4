"""SQL that changes laybys: the row under its lock, instalments, items, events. The reading is in storage_read.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.laybys import domain
from waypost.laybys.domain import CancelledBy, Instalment, Item, Layby, Rhythm, Status
from waypost.laybys.rules import Terms
from waypost.platform.database import Connection

# The row as ``layby_of`` takes it.
COLUMNS = """
       l.org_id, l.id, l.reference, l.customer_id, c.name AS customer_name, l.status, l.trade, l.jurisdiction,
       l.currency, l.items_minor, l.service_fee_minor, l.admin_fee_minor, l.late_fees_minor, l.paid_minor,
       l.deposit_minor, l.rhythm, l.start_date, l.final_date, l.terms, l.created_at, l.updated_at, l.version,
       l.told_before_at, l.note, l.extensions, l.held_since, l.completions, l.completed_at, l.collect_by,
       l.sent_out_at, l.released_at, l.defaulted_at, l.reinstate_until, l.cancelled_at, l.cancelled_by, l.cancellation,
       l.cancellation_fee_minor, l.refund_due_minor, l.created_by
"""
LOCK = f"""
SELECT {COLUMNS} FROM laybys l JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
 WHERE l.org_id = $1 AND l.id = $2 FOR NO KEY UPDATE OF l
"""  # noqa: S608 - constants of this file
LOCK_BY_REFERENCE = f"""
SELECT {COLUMNS} FROM laybys l JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
 WHERE l.org_id = $1 AND l.reference = $2 FOR NO KEY UPDATE OF l
"""  # noqa: S608
# A statement of its own, after the lock: what a winner committed while we waited is seen.
INSTALMENTS = """
SELECT n, agreed_date, due_date, amount_minor, late_fee_minor, late_fee_at FROM layby_instalments
 WHERE org_id = $1 AND layby_id = $2 ORDER BY n
"""
ITEMS = """
SELECT n, product, name, quantity, unit_price_minor, handed_over FROM layby_items
 WHERE org_id = $1 AND layby_id = $2 ORDER BY n
"""
ID_OF_REFERENCE = "SELECT id FROM laybys WHERE org_id = $1 AND reference = $2"

ADD = """
INSERT INTO laybys (org_id, id, reference, customer_id, trade, jurisdiction, currency, items_minor, service_fee_minor,
                    admin_fee_minor, deposit_minor, rhythm, start_date, final_date, next_due_n, next_due_date,
                    next_due_minor, terms, told_before_at, note, created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22)
ON CONFLICT (org_id, reference) DO NOTHING RETURNING true
"""
ADD_ITEMS = """
INSERT INTO layby_items (org_id, layby_id, n, product, name, quantity, unit_price_minor)
SELECT $1, $2, * FROM unnest($3::smallint[], $4::text[], $5::text[], $6::integer[], $7::bigint[])
"""
ADD_INSTALMENTS = """
INSERT INTO layby_instalments (org_id, layby_id, n, agreed_date, due_date, amount_minor)
SELECT $1, $2, * FROM unnest($3::smallint[], $4::date[], $5::date[], $6::bigint[])
"""
# Sums move by difference; the version is the one that was locked.
SAVE = """
UPDATE laybys
   SET status = $4, version = version + 1, updated_at = $5,
       late_fees_minor = late_fees_minor + $6, paid_minor = paid_minor + $7, refund_due_minor = refund_due_minor + $8,
       final_date = $9, next_due_n = $10, next_due_date = $11, next_due_minor = $12, note = $13, extensions = $14,
       held_since = $15, completions = $16, completed_at = $17, collect_by = $18, released_at = $19, defaulted_at = $20,
       reinstate_until = $21, cancelled_at = $22, cancelled_by = $23, cancellation = $24, cancellation_fee_minor = $25,
       sent_out_at = $26
 WHERE org_id = $1 AND id = $2 AND version = $3 RETURNING version
"""
MOVE_DATES = """
UPDATE layby_instalments i SET due_date = m.due_date FROM unnest($3::smallint[], $4::date[]) AS m (n, due_date)
 WHERE i.org_id = $1 AND i.layby_id = $2 AND i.n = m.n
"""
SET_LATE_FEE = """
UPDATE layby_instalments SET late_fee_minor = $4, late_fee_at = $5
 WHERE org_id = $1 AND layby_id = $2 AND n = $3 AND late_fee_at IS NULL RETURNING true
"""
HAND_OVER = """
UPDATE layby_items i SET handed_over = m.handed_over FROM unnest($3::smallint[], $4::integer[]) AS m (n, handed_over)
 WHERE i.org_id = $1 AND i.layby_id = $2 AND i.n = m.n
"""
HAND_OVER_ALL = "UPDATE layby_items SET handed_over = quantity WHERE org_id = $1 AND layby_id = $2"
ADD_EVENT = """
INSERT INTO layby_events (org_id, layby_id, id, kind, at, actor_name, data)
VALUES ($1, $2, $3, $4, $5, (SELECT name FROM users WHERE id = $6), $7)
"""


class LostUnderLock(Exception):
    """A mistake of ours: a layby was saved that this transaction had not locked."""


async def lock(conn: Connection, org_id: UUID, layby_id: UUID) -> Layby | None:
    """The layby with its instalments; nobody else changes either before this transaction ends."""
    return await _with_instalments(conn, await conn.fetchrow(LOCK, org_id, layby_id))


async def lock_by_reference(conn: Connection, org_id: UUID, reference: str) -> Layby | None:
    """The same by the reference as it is kept."""
    return await _with_instalments(conn, await conn.fetchrow(LOCK_BY_REFERENCE, org_id, reference))


async def _with_instalments(conn: Connection, row: Record | None) -> Layby | None:
    if row is None:
        return None
    rows = await conn.fetch(INSTALMENTS, row["org_id"], row["id"])
    return layby_of(row, [Instalment(**each) for each in rows])


async def items(conn: Connection, org_id: UUID, layby_id: UUID) -> list[Item]:
    return [Item(**row) for row in await conn.fetch(ITEMS, org_id, layby_id)]


async def id_of_reference(conn: Connection, org_id: UUID, reference: str) -> UUID | None:
    """By the reference as it is kept."""
    found: UUID | None = await conn.fetchval(ID_OF_REFERENCE, org_id, reference)
    return found


async def add(conn: Connection, layby: Layby, goods: Sequence[Item]) -> bool:
    """Write a new layby, its items and instalments; False, and nothing written, when its reference is taken."""
    due = domain.next_due(layby)
    written = await conn.fetchval(
        ADD, layby.org_id, layby.id, layby.reference, layby.customer_id, layby.trade, layby.jurisdiction,
        layby.currency,
        layby.items_minor, layby.service_fee_minor, layby.admin_fee_minor, layby.deposit_minor, layby.rhythm,
        layby.start_date, layby.final_date, due and due.n, due and due.due_date, due and due.open_minor,
        msgspec.json.encode(layby.terms).decode(), layby.told_before_at, layby.note, layby.created_by, layby.created_at,
    )  # fmt: skip
    if not written:
        return False
    columns = zip(*((i.n, i.product, i.name, i.quantity, i.unit_price_minor) for i in goods), strict=True)
    await conn.execute(ADD_ITEMS, layby.org_id, layby.id, *columns)
    if layby.instalments:
        parts = zip(*((i.n, i.agreed_date, i.due_date, i.amount_minor) for i in layby.instalments), strict=True)
        await conn.execute(ADD_INSTALMENTS, layby.org_id, layby.id, *parts)
    return True


async def save(conn: Connection, before: Layby, after: Layby, now: datetime) -> int:
    """Write what became of a locked layby's row; its new version."""
    due = domain.next_due(after) if after.status not in {Status.CANCELLED, Status.COMPLETED} else None
    version: int | None = await conn.fetchval(
        SAVE, before.org_id, before.id, before.version, after.status, now,
        after.late_fees_minor - before.late_fees_minor, after.paid_minor - before.paid_minor,
        after.refund_due_minor - before.refund_due_minor, after.final_date, due and due.n, due and due.due_date,
        due and due.open_minor, after.note, after.extensions, after.held_since, after.completions, after.completed_at,
        after.collect_by, after.released_at, after.defaulted_at, after.reinstate_until, after.cancelled_at,
        after.cancelled_by, msgspec.json.encode(after.cancellation).decode() if after.cancellation else None,
        after.cancellation_fee_minor, after.sent_out_at,
    )  # fmt: skip
    if version is None:
        raise LostUnderLock(before.id)
    return version


async def move_dates(conn: Connection, layby: Layby, dates: Mapping[int, date]) -> None:
    """Give instalments other due dates, by their numbers."""
    await conn.execute(MOVE_DATES, layby.org_id, layby.id, list(dates), list(dates.values()))


async def set_late_fee(conn: Connection, layby: Layby, n: int, fee_minor: int, now: datetime) -> bool:
    """Mark an instalment's late fee; False when it has had one."""
    return bool(await conn.fetchval(SET_LATE_FEE, layby.org_id, layby.id, n, fee_minor, now))


async def hand_over(conn: Connection, layby: Layby, counts: Mapping[int, int]) -> None:
    """How many of each item, by its number, the customer has now."""
    await conn.execute(HAND_OVER, layby.org_id, layby.id, list(counts), list(counts.values()))


async def hand_over_all(conn: Connection, layby: Layby) -> None:
    await conn.execute(HAND_OVER_ALL, layby.org_id, layby.id)


async def add_event(
    conn: Connection, layby: Layby, event_id: UUID, kind: str, at: datetime, user_id: UUID | None, data: str
) -> None:
    """Keep an event; ``user_id``: whose name goes with it; ``data``: JSON."""
    await conn.execute(ADD_EVENT, layby.org_id, layby.id, event_id, kind, at, user_id, data)


def layby_of(row: Record, instalments: Sequence[Instalment]) -> Layby:
    """A layby from ``COLUMNS`` (and perhaps more)."""
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    by, cancellation = values["cancelled_by"], values["cancellation"]
    return Layby(
        **values
        | {
            "status": Status(values["status"]),
            "rhythm": Rhythm(values["rhythm"]),
            "terms": msgspec.json.decode(values["terms"], type=Terms),
            "cancelled_by": CancelledBy(by) if by else None,
            "cancellation": msgspec.json.decode(cancellation) if cancellation else {},
        },
        instalments=instalments,
    )


_FIELDS = tuple(name for name in Layby.__dataclass_fields__ if name != "instalments")
