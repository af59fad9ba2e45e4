"""SQL of payments: rows that are added, and only then read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.payments.domain import Disposition, Group, Kind, Method, Payment, Place
from waypost.platform.database import Connection

_COLUMNS = """org_id, id, root_id, kind, method, provider, receipt, disposition, currency, amount_minor, applied_minor,
       credit_minor, suspense_minor, balance_minor, layby_id, invoice_id, customer_id, account_ref, payer_mark,
       payer_hint, prompt_id, callback_id, note, paid_at, created_at, created_by"""
_ALL = f"{_COLUMNS}, settled_at, settled_by"

# The unique key is taken here: who comes second waits for the first one's commit, and then has no row.
ADD = f"""
INSERT INTO payments ({_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26)
ON CONFLICT (org_id, provider, receipt) DO NOTHING RETURNING id
"""  # noqa: S608 - constants of this file
FIND = f"SELECT {_ALL} FROM payments WHERE org_id = $1 AND id = $2"  # noqa: S608
FIND_BY_RECEIPT = f"SELECT {_ALL} FROM payments WHERE org_id = $1 AND provider = $2 AND receipt = $3"  # noqa: S608
GROUP = f"SELECT {_ALL} FROM payments WHERE org_id = $1 AND root_id = $2 ORDER BY id"  # noqa: S608
LOCK_ROOTS = """
SELECT id FROM payments WHERE org_id = $1 AND id = ANY($2::uuid[]) AND root_id = id ORDER BY id FOR UPDATE
"""
SETTLE = """
UPDATE payments SET settled_at = $3, settled_by = $4 WHERE org_id = $1 AND id = $2 AND settled_at IS NULL RETURNING id
"""


async def add(conn: Connection, payment: Payment) -> bool:
    """Keep a row; False, and nothing kept, when its provider's receipt is there already."""
    p = payment
    added = await conn.fetchval(
        ADD, p.org_id, p.id, p.root_id, p.kind, p.method, p.provider, p.receipt, p.disposition, p.currency,
        p.amount_minor, p.applied_minor, p.credit_minor, p.suspense_minor, p.balance_minor, p.layby_id, p.invoice_id,
        p.customer_id, p.account_ref, p.payer_mark, p.payer_hint, p.prompt_id, p.callback_id, p.note, p.paid_at,
        p.created_at, p.created_by,
    )  # fmt: skip
    return added is not None


async def find(conn: Connection, org_id: UUID, payment_id: UUID) -> Payment | None:
    row = await conn.fetchrow(FIND, org_id, payment_id)
    return _payment(row) if row else None


async def find_by_receipt(conn: Connection, org_id: UUID, provider: str, receipt: str) -> Payment | None:
    row = await conn.fetchrow(FIND_BY_RECEIPT, org_id, provider, receipt)
    return _payment(row) if row else None


async def rows_of(conn: Connection, org_id: UUID, root_id: UUID) -> list[Payment]:
    """A payment and all that came of it, in order."""
    return [_payment(row) for row in await conn.fetch(GROUP, org_id, root_id)]


async def lock_roots(conn: Connection, org_id: UUID, root_ids: Collection[UUID]) -> None:
    """Nobody else moves what came of these payments before this transaction ends. After the locks of laybys."""
    await conn.execute(LOCK_ROOTS, org_id, root_ids)


async def settle(conn: Connection, org_id: UUID, payment_id: UUID, now: datetime, by: UUID | None) -> bool:
    """End an open question; False when it is ended already."""
    return await conn.fetchval(SETTLE, org_id, payment_id, now, by) is not None


def group_of(rows: Sequence[Payment]) -> Group:
    """Rows of one root, the root among them, summed up."""
    root = next(row for row in rows if row.id == row.root_id)
    places: dict[tuple[UUID | None, UUID | None], int] = {}
    for row in rows:
        key = row.layby_id, row.invoice_id
        if any(key):
            there = places.get(key, 0)
            if row.applied_minor > 0 and not there:
                places.pop(key, None)  # it is the newest place now
            places[key] = there + row.applied_minor
    return Group(
        root=root,
        amount_minor=sum(row.amount_minor for row in rows),
        reversed_minor=-sum(row.amount_minor for row in rows if row.kind is Kind.REVERSAL),
        sent_back_minor=-sum(row.amount_minor for row in rows if row.kind is Kind.REFUND and row.method is root.method),
        credit_minor=sum(row.credit_minor for row in rows),
        suspense_minor=sum(row.suspense_minor for row in rows),
        customer_id=next((row.customer_id for row in reversed(rows) if row.customer_id is not None), None),
        places=[Place(layby_id, invoice_id, applied) for (layby_id, invoice_id), applied in places.items()],
    )


def _payment(row: Record) -> Payment:
    values: dict[str, Any] = dict(row)
    return Payment(
        **{
            **values,
            "kind": Kind(row["kind"]),
            "method": Method(row["method"]),
            "disposition": Disposition(row["disposition"]),
        }
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payments a list wants; None: any. ``unsettled``: money without a place that waits for a person."""

    layby_id: UUID | None = None
    customer_id: UUID | None = None
    receipt: str | None = None
    disposition: Disposition | None = None
    kind: Kind | None = None
    provider: str | None = None
    method: Method | None = None
    unsettled: bool = False
    paid_from: datetime | None = None
    paid_until: datetime | None = None

    @property
    def by_time(self) -> bool:
        """Is a span of time asked for? Then the list is in its order."""
        return self.paid_from is not None or self.paid_until is not None


IDS_OF_LAYBY = """
(SELECT id FROM payments WHERE org_id = $1 AND layby_id = $2 ORDER BY id DESC LIMIT 500)
UNION ALL (SELECT id FROM prompts WHERE org_id = $1 AND layby_id = $2 ORDER BY id DESC LIMIT 500)
"""

# A list names the conditions that it has and no other: one statement for all of them could use no filter's index.
_CONDITIONS = (
    ("layby_id", "layby_id = "),
    ("customer_id", "customer_id = "),
    ("receipt", "receipt = "),
    ("disposition", "disposition = "),
    ("kind", "kind = "),
    ("provider", "provider = "),
    ("method", "method = "),
    ("paid_from", "paid_at >= "),
    ("paid_until", "paid_at < "),
)
_UNSETTLED = "disposition = 'unmatched' AND settled_at IS NULL"


def list_statement(wanted: Filter, after: tuple[datetime, UUID] | None) -> tuple[str, list[object]]:
    """The statement of a page, and its arguments from ``$3`` on (``$1``: the organisation, ``$2``: how many)."""
    arguments: list[object] = []

    def given(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments) + 2}"

    conditions = ["org_id = $1"]
    for name, condition in _CONDITIONS:
        if (value := getattr(wanted, name)) is not None:
            conditions.append(condition + given(value))
    if wanted.unsettled:
        conditions.append(_UNSETTLED)
    order = "paid_at DESC, id DESC" if wanted.by_time else "id DESC"
    if after is not None and wanted.by_time:
        conditions.append(f"(paid_at, id) < ({given(after[0])}, {given(after[1])})")
    elif after is not None:
        conditions.append(f"id < {given(after[1])}")
    where = " AND ".join(conditions)
    return f"SELECT {_ALL} FROM payments WHERE {where} ORDER BY {order} LIMIT $2", arguments  # noqa: S608 - constants


async def list_payments(
    conn: Connection, org_id: UUID, wanted: Filter, after: tuple[datetime, UUID] | None, limit: int
) -> list[Payment]:
    """Newest first, ``limit + 1`` of them; with a span of time in the order in which they were paid."""
    statement, arguments = list_statement(wanted, after)
    return [_payment(row) for row in await conn.fetch(statement, org_id, limit + 1, *arguments)]


async def ids_of_layby(conn: Connection, org_id: UUID, layby_id: UUID) -> list[UUID]:
    """Of its newest payments and prompts."""
    return [row["id"] for row in await conn.fetch(IDS_OF_LAYBY, org_id, layby_id)]
