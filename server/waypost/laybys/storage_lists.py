"""SQL of the list of laybys: a page by the index of what was asked for, at any size of the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from waypost.laybys.domain import Status
from waypost.platform.database import Connection

COLUMNS = """
       l.id, l.reference, l.customer_id, c.name AS customer_name, l.status, l.trade, l.currency, l.items_minor,
       l.items_minor + l.service_fee_minor + l.admin_fee_minor AS payable_minor, l.late_fees_minor, l.paid_minor,
       l.balance_minor, l.refund_due_minor, l.start_date, l.final_date, l.next_due_date, l.next_due_minor,
       l.released_at, l.created_at, l.updated_at, l.version
  FROM laybys l JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
"""
# A statement for each way into the table, since one for all ("$4 IS NULL OR ...") could use the index of none. Each
# takes the organisation, the limit and the id after which the page begins; `/*also*/`: what else was asked for.
BY_ID = f"SELECT {COLUMNS} WHERE l.org_id = $1 AND l.id < $3 /*also*/ ORDER BY l.id DESC LIMIT $2"
BY_PRODUCT = f"""
SELECT {COLUMNS} WHERE l.org_id = $1 AND l.id IN (
    SELECT DISTINCT i.layby_id FROM layby_items i JOIN laybys l ON l.org_id = i.org_id AND l.id = i.layby_id
     WHERE i.org_id = $1 AND i.product = $4 AND i.layby_id < $3 /*also*/ ORDER BY i.layby_id DESC LIMIT $2)
 ORDER BY l.id DESC LIMIT $2
"""  # noqa: S608 - constants of this file
# The reference or the customer's name begins so.
BY_TEXT = f"""
SELECT {COLUMNS} WHERE l.org_id = $1 AND l.id IN (
    (SELECT l.id FROM laybys l WHERE l.org_id = $1 AND l.reference >= $4 AND l.reference < $5 AND l.id < $3 /*also*/
      ORDER BY l.id DESC LIMIT $2)
    UNION ALL
    (SELECT l.id FROM customers k JOIN laybys l ON l.org_id = k.org_id AND l.customer_id = k.id
      WHERE k.org_id = $1 AND k.name_key >= $6 AND k.name_key < $7 AND l.id < $3 /*also*/
      ORDER BY l.id DESC LIMIT $2))
 ORDER BY l.id DESC LIMIT $2
"""  # noqa: S608
# Of the laybys that run, those on which something falls due in a span, the earliest first.
BY_DUE = f"""
SELECT {COLUMNS} WHERE l.org_id = $1 AND l.status = 'active' AND l.next_due_date <= $5
   AND (l.next_due_date, l.id) > ($4, $3) /*also*/
 ORDER BY l.next_due_date, l.id LIMIT $2
"""
STATUS_IS = "AND l.status = {0}"
CUSTOMER_IS = "AND l.customer_id = {0}"
HAS_PRODUCT = (
    "AND EXISTS (SELECT FROM layby_items i WHERE i.org_id = l.org_id AND i.layby_id = l.id AND i.product = {0})"
)
TEXT_IS = "AND (l.reference >= {0} AND l.reference < {1} OR c.name_key >= {2} AND c.name_key < {3})"
ALSO = "/*also*/"
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_AFTER_ALL = "\U0010ffff"  # sorts behind whatever begins a text


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a reference, or a customer's name in lower case, begins with."""

    reference: str
    name: str

    def bounds(self) -> list[str]:
        return [self.reference, self.reference + _AFTER_ALL, self.name, self.name + _AFTER_ALL]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which laybys a list wants; None: any. With a span of dates they come by what falls due, else newest first."""

    status: Status | None = None
    customer_id: UUID | None = None
    product: str | None = None
    text: Beginning | None = None
    due_from: date | None = None
    due_to: date | None = None

    @property
    def by_due(self) -> bool:
        return self.due_from is not None or self.due_to is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """A layby as a list shows it."""

    id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: Status
    trade: str
    currency: str
    items_minor: int
    payable_minor: int
    late_fees_minor: int
    paid_minor: int
    balance_minor: int
    refund_due_minor: int
    start_date: date
    final_date: date
    next_due_date: date | None
    next_due_minor: int | None
    released_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


async def page(conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int) -> list[Listed]:
    """Newest first, ``limit + 1`` of them."""
    return await _read(conn, asked(org_id, wanted, after, limit))


async def page_by_due(
    conn: Connection, org_id: UUID, wanted: Filter, after: tuple[date, UUID] | None, limit: int
) -> list[Listed]:
    """By what falls due, the earliest first, ``limit + 1`` of them."""
    return await _read(conn, asked_by_due(org_id, wanted, after, limit))


def asked(org_id: UUID, wanted: Filter, after: UUID | None, limit: int) -> tuple[str, list[Any]]:
    """The statement of a page, and what it takes."""
    statement, own, also = _way(wanted)
    return _narrowed(statement, [org_id, limit + 1, after or LAST_ID, *own], also)


def asked_by_due(org_id: UUID, wanted: Filter, after: tuple[date, UUID] | None, limit: int) -> tuple[str, list[Any]]:
    """The same of a page by what falls due."""
    day, layby_id = after or (wanted.due_from or date.min, FIRST_ID)
    return _narrowed(BY_DUE, [org_id, limit + 1, layby_id, day, wanted.due_to or date.max], _narrower(wanted))


def _narrowed(statement: str, own: list[Any], also: list[tuple[str, list[Any]]]) -> tuple[str, list[Any]]:
    arguments, clauses = list(own), []
    for clause, values in also:
        clauses.append(clause.format(*(f"${len(arguments) + n}" for n in range(1, len(values) + 1))))
        arguments += values
    return statement.replace(ALSO, " ".join(clauses)), arguments


async def _read(conn: Connection, asked_: tuple[str, list[Any]]) -> list[Listed]:
    statement, arguments = asked_
    return [Listed(**{**dict(row), "status": Status(row["status"])}) for row in await conn.fetch(statement, *arguments)]


def _way(wanted: Filter) -> tuple[str, list[Any], list[tuple[str, list[Any]]]]:
    """The statement by whose index the page is found, what it takes, and what else narrows it."""
    if wanted.text is not None:
        return BY_TEXT, wanted.text.bounds(), _narrower(wanted, text=False)
    if wanted.product is not None:
        return BY_PRODUCT, [wanted.product], _narrower(wanted, product=False)
    return BY_ID, [], _narrower(wanted)


def _narrower(wanted: Filter, *, text: bool = True, product: bool = True) -> list[tuple[str, list[Any]]]:
    """Clauses with what each takes."""
    clauses: list[tuple[str, list[Any]]] = []
    if wanted.status is not None:
        clauses.append((STATUS_IS, [wanted.status]))
    if wanted.customer_id is not None:
        clauses.append((CUSTOMER_IS, [wanted.customer_id]))
    if product and wanted.product is not None:
        clauses.append((HAS_PRODUCT, [wanted.product]))
    if text and wanted.text is not None:
        clauses.append((TEXT_IS, wanted.text.bounds()))
    return clauses
