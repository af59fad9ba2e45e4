"""SQL of the lists of invoices: a statement for each set of filters, since one for all of them could use no index."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from waypost.invoices import storage
from waypost.invoices.domain import Direction, Filter, Invoice
from waypost.platform.database import Connection

LAST_ID = UUID(int=2**128 - 1)
FIRST_DAY = (date(1, 1, 1), UUID(int=0))
_OWN = {
    Direction.SENT: "i.org_id = $1",
    Direction.RECEIVED: "i.counterparty_org_id = $1 AND i.status <> 'draft'",
}
_OTHER = {Direction.SENT: "i.counterparty_org_id", Direction.RECEIVED: "i.org_id"}


def _list(direction: Direction, *, by_status: bool, by_other: bool) -> str:
    """Newest first. $1 who asks, $2 the id before which the page begins, $3 how many; then the filters' values."""
    wanted = [_OWN[direction], "i.id < $2"]
    for name in [*(["i.status"] if by_status else []), *([_OTHER[direction]] if by_other else [])]:
        wanted.append(f"{name} = ${len(wanted) + 2}")
    return f"SELECT {storage.COLUMNS} WHERE {' AND '.join(wanted)} ORDER BY i.id DESC LIMIT $3"


def _overdue(direction: Direction, *, by_status: bool, by_other: bool) -> str:
    """The longest overdue first. $2 and $3 the due date and id after which the page begins, $4 today, $5 how many."""
    wanted = [
        _OWN[direction], "i.status IN ('issued', 'part_paid')", "i.kind = 'invoice'", "i.due_date < $4",
        "(i.due_date, i.id) > ($2, $3)",
    ]  # fmt: skip
    for name in [*(["i.status"] if by_status else []), *([_OTHER[direction]] if by_other else [])]:
        wanted.append(f"{name} = ${len(wanted) + 1}")
    return f"SELECT {storage.COLUMNS} WHERE {' AND '.join(wanted)} ORDER BY i.due_date, i.id LIMIT $5"


# By status; by the other organisation.
FILTERS = ((False, False), (True, False), (False, True), (True, True))
LISTS = {
    (direction, by_status, by_other): _list(direction, by_status=by_status, by_other=by_other)
    for direction, by_status, by_other in ((d, *by) for d in Direction for by in FILTERS)
}
OVERDUE = {
    (direction, by_status, by_other): _overdue(direction, by_status=by_status, by_other=by_other)
    for direction, by_status, by_other in ((d, *by) for d in Direction for by in FILTERS)
}
# In the open, so that the test that prepares every statement sees them.
SENT, SENT_OF_STATUS, SENT_TO, SENT_TO_OF_STATUS = (LISTS[Direction.SENT, *by] for by in FILTERS)
RECEIVED, RECEIVED_OF_STATUS, RECEIVED_FROM, RECEIVED_FROM_OF_STATUS = (
    LISTS[Direction.RECEIVED, *by] for by in FILTERS
)
SENT_OVERDUE, SENT_OVERDUE_OF_STATUS, SENT_OVERDUE_TO, SENT_OVERDUE_TO_OF_STATUS = (
    OVERDUE[Direction.SENT, *by] for by in FILTERS
)
RECEIVED_OVERDUE, RECEIVED_OVERDUE_OF_STATUS, RECEIVED_OVERDUE_FROM, RECEIVED_OVERDUE_FROM_OF_STATUS = (
    OVERDUE[Direction.RECEIVED, *by] for by in FILTERS
)


async def newest(conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int) -> list[Invoice]:
    """Newest first, ``limit + 1`` of them, without lines; whether overdue or not."""
    statement, values = LISTS[wanted.direction, *_given(wanted)], _values(wanted)
    rows = await conn.fetch(statement, org_id, after or LAST_ID, limit + 1, *values)
    return [storage.invoice(row) for row in rows]


async def overdue(
    conn: Connection, org_id: UUID, wanted: Filter, after: tuple[date, UUID] | None, limit: int
) -> list[Invoice]:
    """Those overdue on a day, the longest overdue first, ``limit + 1`` of them, without lines."""
    statement, values = OVERDUE[wanted.direction, *_given(wanted)], _values(wanted)
    rows = await conn.fetch(statement, org_id, *(after or FIRST_DAY), wanted.overdue_on, limit + 1, *values)
    return [storage.invoice(row) for row in rows]


def _given(wanted: Filter) -> tuple[bool, bool]:
    return wanted.status is not None, wanted.other_org_id is not None


def _values(wanted: Filter) -> list[object]:
    return [value for value in (wanted.status and str(wanted.status), wanted.other_org_id) if value is not None]
