"""Reading laybys: one whole, lists, what happened, the stock report; and a plan of one that is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta

from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import TELLERS, WATCHERS, Principal
from waypost.laybys import desk, opening, storage_lists, storage_read, storage_stock
from waypost.laybys.deal import Deal, Plan
from waypost.laybys.desk import Desk
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.storage_lists import Filter, Listed
from waypost.laybys.storage_read import LaybyEvent, Whole
from waypost.laybys.storage_stock import StockLine
from waypost.platform.codec import NO_NUL


class StockPlace(NamedTuple):
    """Where the stock report goes on; of a cursor, which may be anybody's making."""

    product: Annotated[str, Meta(max_length=200, pattern=NO_NUL)]


@dataclass(frozen=True, slots=True)
class Laybys:
    """An organisation's laybys. What is another's does not exist."""

    desk: Desk

    async def find(self, principal: Principal, layby_id: UUID) -> Whole:
        """One layby with everything of it. ``LaybyNotFound``."""
        principal.require(WATCHERS)
        async with self.desk.database.transaction(principal.org_id) as conn:
            return await desk.whole(conn, principal.org_id, layby_id)

    async def list(
        self, principal: Principal, wanted: Callable[[date], Filter], limit: int, cursor: str | None
    ) -> Page[Listed]:
        """Newest first, or, with a span of dates, by what falls due. ``wanted``: asked for by today's date."""
        principal.require(WATCHERS)
        filter_ = wanted(await self.desk.today(principal.org_id))
        async with self.desk.database.transaction(principal.org_id) as conn:
            if filter_.by_due:
                begin = decode_cursor(cursor, tuple[date, UUID]) if cursor else None
                rows = await storage_lists.page_by_due(conn, principal.org_id, filter_, begin, limit)
                return page_of(rows, limit, lambda row: (row.next_due_date, row.id))
            after = decode_cursor(cursor, UUID) if cursor else None
            rows = await storage_lists.page(conn, principal.org_id, filter_, after, limit)
            return page_of(rows, limit, lambda row: row.id)

    async def events(self, principal: Principal, layby_id: UUID, limit: int, cursor: str | None) -> Page[LaybyEvent]:
        """What happened to a layby, newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.desk.database.transaction(principal.org_id) as conn:
            rows = await storage_read.list_events(conn, principal.org_id, layby_id, after, limit)
            if not rows and await storage_read.whole(conn, principal.org_id, layby_id) is None:
                raise LaybyNotFound
        return page_of(rows, limit, lambda event: event.id)

    async def plan(self, principal: Principal, deal: Deal, deposit_minor: int | None) -> Plan:
        """A deal worked out under the present rules; nothing is stored."""
        principal.require(TELLERS)
        async with self.desk.database.transaction(principal.org_id) as conn:
            return await opening.planned(conn, self.desk.ground.clock, principal.org_id, deal, deposit_minor)

    async def stock(
        self, principal: Principal, limit: int, cursor: str | None, *, product: str | None, differing: bool
    ) -> Page[StockLine]:
        """By product what the shop's stock keeping was told, against what the open laybys hold."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, StockPlace).product if cursor else None
        async with self.desk.database.transaction(principal.org_id) as conn:
            rows = await storage_stock.report(
                conn, principal.org_id, product=product, differing=differing, after=after, limit=limit
            )
        return page_of(rows, limit, lambda line: (line.product,))
