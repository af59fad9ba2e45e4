"""SQL of callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from waypost.payments.callback_domain import Callback, Close, Filter
from waypost.payments.domain import Disposition
from waypost.payments.prompt_domain import Prompt
from waypost.platform.database import Connection

_COLUMNS = """
org_id, id, provider_id, prompt_id, road, body, address, received_at, due_at, tries, disposition, detail, event_id,
receipt, account_ref, amount_minor, checkout_request_id, payment_id, done_at, settled_at, settled_by,
reversal_request_id
"""
# Nothing is stored of an event whose id is known.
ADD = """
INSERT INTO callbacks (org_id, id, provider_id, prompt_id, road, body, address, received_at, due_at, event_id,
                       reversal_request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (org_id, provider_id, event_id) WHERE event_id IS NOT NULL DO NOTHING RETURNING id
"""
ADD_QUESTION = """
INSERT INTO callbacks (org_id, id, provider_id, prompt_id, road, body, received_at, due_at, disposition, detail,
                       amount_minor, checkout_request_id, done_at, event_id, receipt, account_ref, payment_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'review', $9, $10, $11, $8, $12, $13, $14, $15)
ON CONFLICT (org_id, provider_id, event_id) WHERE event_id IS NOT NULL DO NOTHING RETURNING id
"""
# Money for a layby that may be the same as a prompt's: as much, at about that time, of no other prompt, by any road.
PERHAPS_BOOKED = """
SELECT r.id, r.receipt FROM payments p JOIN payments r ON r.org_id = p.org_id AND r.id = p.root_id
 WHERE p.org_id = $1 AND p.layby_id = $2 AND p.kind IN ('payment', 'assignment')
   AND r.amount_minor = $3 AND r.currency = $4 AND r.method <> 'cash' AND r.paid_at >= $5 AND r.paid_at < $6
   AND (r.prompt_id IS NULL OR r.prompt_id = $7)
 ORDER BY r.id
"""
FIND = f"SELECT {_COLUMNS} FROM callbacks WHERE org_id = $1 AND id = $2"  # noqa: S608
LOCK = f"{FIND} FOR UPDATE"
TAKE = f"{FIND} AND disposition IS NULL FOR UPDATE SKIP LOCKED"
CLOSE = """
UPDATE callbacks
   SET disposition = $3, detail = $4, receipt = $5, amount_minor = $6, account_ref = $7, payment_id = $8, done_at = $9,
       prompt_id = $10, checkout_request_id = $11
 WHERE org_id = $1 AND id = $2
"""
PUT_OFF = """
UPDATE callbacks SET due_at = $3, detail = $4, checkout_request_id = $5, prompt_id = $6 WHERE org_id = $1 AND id = $2
"""
# For the sweep: each is taken for a while, and longer each time.
DUE = """
WITH due AS (
    SELECT org_id, id FROM callbacks WHERE disposition IS NULL AND due_at <= $1
     ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE callbacks c
   SET tries = tries + 1, due_at = $1 + least(power(2, least(c.tries, 10)) * $3::interval, $4::interval)
  FROM due WHERE c.org_id = due.org_id AND c.id = due.id
RETURNING c.org_id, c.id, c.tries
"""
# What waited for a prompt: at once. One that somebody works on just now is looked at again by itself.
WAITING_FOR = """
WITH waiting AS (
    SELECT org_id, id FROM callbacks
     WHERE org_id = $1 AND disposition IS NULL AND (prompt_id = $2 OR checkout_request_id = $3)
       FOR UPDATE SKIP LOCKED)
UPDATE callbacks c SET due_at = $4 FROM waiting WHERE c.org_id = waiting.org_id AND c.id = waiting.id RETURNING c.id
"""
SETTLE = "UPDATE callbacks SET settled_at = $3, settled_by = $4, payment_id = $5 WHERE org_id = $1 AND id = $2"
# The questions that a prompt's end has answered.
ANSWERED = """
UPDATE callbacks SET settled_at = $3, payment_id = $4
 WHERE org_id = $1 AND prompt_id = $2 AND disposition = 'review' AND settled_at IS NULL
RETURNING id
"""
LIST = f"""
SELECT {_COLUMNS} FROM callbacks WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
"""  # noqa: S608
LIST_BY_DISPOSITION = f"""
SELECT {_COLUMNS} FROM callbacks
 WHERE org_id = $1 AND disposition = $4 AND id < $2 ORDER BY id DESC LIMIT $3
"""  # noqa: S608
LIST_TO_SETTLE = f"""
SELECT {_COLUMNS} FROM callbacks
 WHERE org_id = $1 AND disposition IN ('review', 'quarantined') AND settled_at IS NULL
   AND id < $2 AND ($4::text IS NULL OR disposition = $4)
 ORDER BY id DESC LIMIT $3
"""  # noqa: S608

LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Due:
    """A callback that is to be worked on; ``tries``: how often it was, this time with it."""

    org_id: UUID
    id: UUID
    tries: int


async def add(conn: Connection, row: Callback) -> bool:
    """Keep what came, before anything is made of it; False: an event with its id is there."""
    added = await conn.fetchval(
        ADD, row.org_id, row.id, row.provider_id, row.prompt_id, row.road, row.body, row.address, row.received_at,
        row.due_at, row.event_id, row.reversal_request_id,
    )  # fmt: skip
    return added is not None


async def add_question(conn: Connection, row: Callback) -> bool:
    """Keep what a person has to look at: a prompt of which nobody knows what became, a line of a statement; False: what
    has its ``event_id`` was asked before.
    """
    added = await conn.fetchval(
        ADD_QUESTION, row.org_id, row.id, row.provider_id, row.prompt_id, row.road, row.body, row.received_at,
        row.due_at, row.detail, row.amount_minor, row.checkout_request_id, row.event_id, row.receipt, row.account_ref,
        row.payment_id,
    )  # fmt: skip
    return added is not None


async def perhaps_booked(
    conn: Connection, prompt: Prompt, layby_id: UUID, amount_minor: int, since: datetime, until: datetime
) -> dict[str, UUID]:
    """Payments that may be the very money of a prompt, by their receipts."""
    rows = await conn.fetch(
        PERHAPS_BOOKED, prompt.org_id, layby_id, amount_minor, prompt.currency, since, until, prompt.id
    )
    return {row["receipt"]: row["id"] for row in rows}


async def take(conn: Connection, org_id: UUID, callback_id: UUID) -> Callback | None:
    """One that is still to be worked on, locked; None: it is done, or somebody is at it."""
    return _row(await conn.fetchrow(TAKE, org_id, callback_id))


async def find(conn: Connection, org_id: UUID, callback_id: UUID, *, lock: bool = False) -> Callback | None:
    return _row(await conn.fetchrow(LOCK if lock else FIND, org_id, callback_id))


async def close(conn: Connection, row: Callback, how: Close, payment_id: UUID | None, now: datetime) -> None:
    """What became of a callback that ``take`` gave."""
    await conn.execute(
        CLOSE, row.org_id, row.id, how.disposition, how.detail or None, how.receipt, how.amount_minor, how.account_ref,
        payment_id, now, row.prompt_id, row.checkout_request_id,
    )  # fmt: skip


async def put_off(conn: Connection, row: Callback, due_at: datetime, why: str) -> None:
    """It stays open until then."""
    await conn.execute(PUT_OFF, row.org_id, row.id, due_at, why, row.checkout_request_id, row.prompt_id)


async def due(conn: Connection, now: datetime, limit: int, wait_s: float, longest_s: float) -> list[Due]:
    """Take those whose time has come. Needs the system scope."""
    rows = await conn.fetch(DUE, now, limit, timedelta(seconds=wait_s), timedelta(seconds=longest_s))
    return [Due(row["org_id"], row["id"], row["tries"]) for row in rows]


async def waiting_for(
    conn: Connection, org_id: UUID, prompt_id: UUID, request_id: str | None, now: datetime
) -> list[UUID]:
    """The callbacks that waited for something of a prompt: they are due now."""
    return [row["id"] for row in await conn.fetch(WAITING_FOR, org_id, prompt_id, request_id, now)]


async def settle(conn: Connection, row: Callback, now: datetime, by: UUID | None, payment_id: UUID | None) -> None:
    await conn.execute(SETTLE, row.org_id, row.id, now, by, payment_id)


async def answered(conn: Connection, prompt: Prompt, now: datetime, payment_id: UUID | None) -> list[UUID]:
    """The prompt is paid after all, or is not: no question about it stays open; those that were."""
    return [row["id"] for row in await conn.fetch(ANSWERED, prompt.org_id, prompt.id, now, payment_id)]


async def list_callbacks(
    conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int
) -> list[Callback]:
    """Newest first, ``limit + 1`` of them."""
    after = after or LAST_ID
    if wanted.to_settle:
        rows = await conn.fetch(LIST_TO_SETTLE, org_id, after, limit + 1, wanted.disposition)
    elif wanted.disposition is not None:
        rows = await conn.fetch(LIST_BY_DISPOSITION, org_id, after, limit + 1, wanted.disposition)
    else:
        rows = await conn.fetch(LIST, org_id, after, limit + 1)
    return _rows(rows)


def _rows(rows: Sequence[Record]) -> list[Callback]:
    return [found for row in rows if (found := _row(row)) is not None]


def _row(row: Record | None) -> Callback | None:
    if row is None:
        return None
    known = row["disposition"]
    return Callback(**{**dict(row), "disposition": Disposition(known) if known else None})
