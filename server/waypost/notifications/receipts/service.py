"""What staff see of what providers reported and people wrote."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.notifications.consent.domain import same_form
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.domain import Disposition, Receipt
from waypost.notifications.receipts.storage import Inbound
from waypost.platform.database import Database


@dataclass(frozen=True, slots=True)
class ReceiptFilter:
    """Which receipts a list wants; None: any."""

    disposition: Disposition | None = None
    delivery_id: UUID | None = None
    provider_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Receipts and messages of an organisation, for its staff."""

    database: Database

    async def receipts(
        self, principal: Principal, wanted: ReceiptFilter, limit: int, cursor: str | None
    ) -> Page[Receipt]:
        """Newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_receipts(
                conn, principal.org_id, after, limit, disposition=wanted.disposition,
                delivery_id=wanted.delivery_id, provider_id=wanted.provider_id,
            )  # fmt: skip
        return page_of(rows, limit, lambda row: row.id)

    async def messages(
        self, principal: Principal, from_address: str | None, limit: int, cursor: str | None
    ) -> Page[Inbound]:
        """What people wrote to us, newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        address = same_form(from_address) if from_address else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_inbound(conn, principal.org_id, after, limit, from_address=address)
        return page_of(rows, limit, lambda row: row.id)
