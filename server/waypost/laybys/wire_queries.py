"""Lists of laybys: their queries and rows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.laybys import domain
from waypost.laybys.references import normal_form
from waypost.laybys.storage_lists import Beginning, Filter, Listed
from waypost.laybys.storage_read import LaybyEvent
from waypost.laybys.storage_stock import StockLine as _StockLine
from waypost.laybys.wire import Product
from waypost.platform.codec import SOME_TEXT, Instant, instant
from waypost.platform.queries import PageQuery


class LaybysQuery(PageQuery, kw_only=True):
    """Which laybys a list shows; all that is given must hold.

    ``dueFrom``, ``dueTo``: the next date on which a running layby falls due is within; such a list comes by that date,
    any other newest first. ``overdue``: that date has passed. ``q``: the reference or the customer's name begins so.
    """

    status: domain.Status | None = None
    customer_id: UUID | None = None
    product: Product | None = None
    due_from: date | None = None
    due_to: date | None = None
    overdue: bool = False
    q: Annotated[str, Meta(min_length=2, max_length=100, pattern=SOME_TEXT)] | None = None

    def __post_init__(self) -> None:
        by_due = self.due_from is not None or self.due_to is not None or self.overdue
        if by_due and self.status not in (None, domain.Status.ACTIVE):
            raise ValueError("only an active layby falls due: leave out status, or dueFrom, dueTo and overdue")

    def to_domain(self, today: date) -> Filter:
        yesterday = today - timedelta(days=1)
        due_to = min(self.due_to or yesterday, yesterday) if self.overdue else self.due_to
        text = Beginning(normal_form(self.q) or " ", self.q.strip().lower()) if self.q else None
        return Filter(self.status, self.customer_id, self.product, text, self.due_from, due_to)


class StockQuery(PageQuery, kw_only=True):
    """``differing``: only products whose two sides are not the same."""

    product: Product | None = None
    differing: bool = False


class ListedLayby(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A layby as the list shows it. ``nextDue…``: the first instalment that is not covered."""

    id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: str
    trade: str
    currency: str
    items_minor: int
    payable_minor: int
    late_fees_minor: int
    paid_minor: int
    balance_minor: int
    start_date: date
    final_date: date
    items_released: bool
    created_at: Instant
    updated_at: Instant
    version: int
    refund_due_minor: int = 0
    next_due_date: date | None = None
    next_due_minor: int | None = None

    @classmethod
    def from_domain(cls, row: Listed) -> ListedLayby:
        own = {"items_released", "created_at", "updated_at"}
        return cls(
            **{name: getattr(row, name) for name in cls.__struct_fields__ if name not in own},
            items_released=row.released_at is not None,
            created_at=instant(row.created_at),
            updated_at=instant(row.updated_at),
        )


class Event(msgspec.Struct, rename="camel", omit_defaults=True):
    """Something that happened to a layby."""

    event_id: UUID
    layby_id: UUID
    kind: str
    at: Instant
    actor_name: str | None = None
    data: dict[str, Any] = {}

    @classmethod
    def from_domain(cls, event: LaybyEvent) -> Event:
        return cls(event.id, event.layby_id, event.kind, instant(event.at), event.actor_name, dict(event.data))


class StockLine(msgspec.Struct, rename="camel"):
    """A product. ``out``: reserved and neither released nor sold, as your stock keeping was told; ``held``: how many
    the open laybys hold; ``difference``: out - held, which is 0 unless something is wrong.
    """

    product: str
    reserved: int
    released: int
    sold: int
    out: int
    held: int
    difference: int

    @classmethod
    def from_domain(cls, line: _StockLine) -> StockLine:
        return cls(line.product, line.reserved, line.released, line.sold, line.out, line.held, line.out - line.held)
