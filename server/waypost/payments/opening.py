"""A layby begins with its deposit: both in one transaction, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import TELLERS, Principal
from waypost.laybys import desk
from waypost.laybys.deal import NewLayby
from waypost.laybys.domain import Layby
from waypost.laybys.opening import open_layby
from waypost.laybys.ports import Ground
from waypost.laybys.storage_read import Whole
from waypost.payments.booking import Bookings
from waypost.payments.days import today_of
from waypost.payments.domain import ReceiptTaken
from waypost.payments.till import Taken, typed_in
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class Opened:
    """A layby whole, and the day that it is for its business."""

    found: Whole
    today: date


@dataclass(frozen=True, slots=True)
class Opening:
    """New laybys."""

    database: Database
    clock: Clock
    publisher: Publisher
    bookings: Bookings

    async def open(self, principal: Principal, new: NewLayby, deposit: Taken) -> Opened:
        """Write the agreement, its schedule, the reservation, the deposit, the books and what is to be told.

        The deposit's receipt goes out with the news of the layby. Raises what ``open_layby`` does; ``ReceiptTaken``.
        """
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            row_id = new_id(self.clock)
            receipt = deposit.receipt_of(row_id) if deposit.amount_minor else ""
            ground = Ground(self.clock, self.publisher)
            layby = await open_layby(ground, conn, principal, new, deposit.amount_minor, receipt=receipt)
            if deposit.amount_minor:
                await self._book(conn, principal, layby, deposit, row_id)
            found = await desk.whole(conn, principal.org_id, layby.id)
            return Opened(found, await today_of(conn, principal.org_id, self.clock))

    async def _book(self, conn: Connection, principal: Principal, layby: Layby, deposit: Taken, row_id: UUID) -> None:
        draft = typed_in(principal, row_id, layby.currency, deposit, self.clock.now())
        if await self.bookings.place(conn, draft, layby, actor=principal, tell=False) is None:
            raise ReceiptTaken
