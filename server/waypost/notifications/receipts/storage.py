"""SQL of receipts and of what people wrote to us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from waypost.notifications.providers.reports import Answered, Road
from waypost.notifications.receipts.domain import Disposition, Receipt
from waypost.platform.database import Connection

_COLUMNS = """
org_id, id, provider_id, road, provider_ref, status, delivery_id, body, query, received_at, due_at, tries,
disposition, detail
"""
ADD = """
INSERT INTO receipts (org_id, id, provider_id, road, provider_ref, status, delivery_id, body, body_hash, received_at,
                      due_at, disposition, detail, query)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (org_id, provider_id, road, provider_ref, status, body_hash) DO NOTHING RETURNING id
"""
TAKE = f"""
SELECT {_COLUMNS} FROM receipts WHERE org_id = $1 AND id = $2 AND disposition IS NULL FOR UPDATE SKIP LOCKED
"""  # noqa: S608
CLOSE = """
UPDATE receipts SET disposition = $3, detail = $4, delivery_id = coalesce(delivery_id, $5)
 WHERE org_id = $1 AND id = $2
"""
# For the sweep: each is taken for a while, and longer each time.
DUE = """
WITH due AS (
    SELECT org_id, id FROM receipts WHERE disposition IS NULL AND due_at <= $1
     ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE receipts r
   SET tries = tries + 1, due_at = $1 + least(power(2, least(r.tries, 10)) * $3::interval, $4::interval)
  FROM due WHERE r.org_id = due.org_id AND r.id = due.id
RETURNING r.org_id, r.id, r.tries
"""
LIST = f"""
SELECT {_COLUMNS} FROM receipts
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR disposition = $3)
   AND ($4::uuid IS NULL OR delivery_id = $4) AND ($5::uuid IS NULL OR provider_id = $5)
 ORDER BY id DESC LIMIT $6
"""  # noqa: S608
# Which delivery a provider's name of a message means.
BY_REFERENCE = """
SELECT id FROM deliveries WHERE org_id = $1 AND provider_id = $2 AND provider_ref = $3 ORDER BY id DESC LIMIT 1
"""
OF_ORG = "SELECT id FROM deliveries WHERE org_id = $1 AND id = $2"
ORG_OF = "SELECT org_id FROM deliveries WHERE id = $1"
CHARGE = """
UPDATE deliveries SET segments = coalesce($3, segments), cost = coalesce($4, cost),
       cost_currency = coalesce($5, cost_currency)
 WHERE org_id = $1 AND id = $2
"""
ADD_INBOUND = """
INSERT INTO inbound_messages
    (org_id, id, provider_id, provider_ref, from_address, to_address, body, meant, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (org_id, provider_id, provider_ref) DO NOTHING RETURNING id
"""
LIST_INBOUND = """
SELECT id, provider_id, from_address, to_address, body, meant, received_at FROM inbound_messages
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR from_address = $3)
 ORDER BY id DESC LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A receipt that is to be worked on; ``tries``: how often it was, this time with it."""

    org_id: UUID
    id: UUID
    tries: int


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that somebody wrote to us, as staff see it. ``meant``: the keyword that it is."""

    id: UUID
    provider_id: UUID
    from_address: str
    to_address: str
    body: str
    meant: str | None
    received_at: datetime


async def add(conn: Connection, row: Receipt) -> bool:
    """Keep what came, before anything is made of it; False: it is there."""
    added = await conn.fetchval(
        ADD, row.org_id, row.id, row.provider_id, row.road, row.provider_ref, row.status, row.delivery_id, row.body,
        row.body_hash, row.received_at, row.due_at, row.disposition, row.detail,
        row.query,
    )  # fmt: skip
    return added is not None


async def take(conn: Connection, org_id: UUID, receipt_id: UUID) -> Receipt | None:
    """One that is still to be worked on, locked; None: it is done, or somebody is at it."""
    row = await conn.fetchrow(TAKE, org_id, receipt_id)
    return _receipt(row) if row else None


async def close(
    conn: Connection, row: Receipt, disposition: Disposition, detail: str | None, delivery_id: UUID | None
) -> None:
    """What became of one that ``take`` gave."""
    await conn.execute(CLOSE, row.org_id, row.id, disposition, detail, delivery_id)


async def due(conn: Connection, now: datetime, limit: int, wait_s: float, longest_s: float) -> list[Due]:
    """Take those whose time has come. Needs the system scope."""
    rows = await conn.fetch(DUE, now, limit, timedelta(seconds=wait_s), timedelta(seconds=longest_s))
    return [Due(row["org_id"], row["id"], row["tries"]) for row in rows]


async def list_receipts(
    conn: Connection,
    org_id: UUID,
    after: UUID | None,
    limit: int,
    *,
    disposition: str | None,
    delivery_id: UUID | None,
    provider_id: UUID | None,
) -> list[Receipt]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST, org_id, after, disposition, delivery_id, provider_id, limit + 1)
    return [_receipt(row) for row in rows]


async def by_reference(conn: Connection, org_id: UUID, provider_id: UUID, reference: str) -> UUID | None:
    found: UUID | None = await conn.fetchval(BY_REFERENCE, org_id, provider_id, reference)
    return found


async def of_org(conn: Connection, org_id: UUID, delivery_id: UUID) -> UUID | None:
    """The same id, if the delivery is this organisation's."""
    found: UUID | None = await conn.fetchval(OF_ORG, org_id, delivery_id)
    return found


async def org_of(conn: Connection, delivery_id: UUID) -> UUID | None:
    """Whose delivery it is. Needs the system scope."""
    found: UUID | None = await conn.fetchval(ORG_OF, delivery_id)
    return found


async def charge(conn: Connection, org_id: UUID, delivery_id: UUID, *values: object) -> None:
    """Parts, cost and its currency as the provider reports them; None: as they are."""
    await conn.execute(CHARGE, org_id, delivery_id, *values)


async def add_inbound(conn: Connection, row: Receipt, inbound_id: UUID, answered: Answered, meant: str | None) -> bool:
    """False: it is there."""
    added = await conn.fetchval(
        ADD_INBOUND, row.org_id, inbound_id, row.provider_id, answered.reference or str(row.id),
        answered.from_address, answered.to_address, answered.text, meant, row.received_at,
    )  # fmt: skip
    return added is not None


async def list_inbound(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, *, from_address: str | None
) -> Sequence[Inbound]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_INBOUND, org_id, after, from_address, limit + 1)
    return [Inbound(**dict(row)) for row in rows]


def _receipt(row: Record) -> Receipt:
    known = row["disposition"]
    values = {**dict(row), "road": Road(row["road"]), "disposition": Disposition(known) if known else None}
    return Receipt(**values)
