"""The morning's run that says which invoices are past their due date. May be repeated, and run twice at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.invoices import notices, storage
from waypost.kernel.clock import Clock
from waypost.kernel.zones import zone_or_utc
from waypost.notifications import outbox
from waypost.platform.database import Database

AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class OverdueInvoices:
    """Each step of each invoice is promised once, whoever runs this and however often."""

    database: Database
    clock: Clock
    rules: Rules

    async def tell(self, org_id: UUID, due_at: datetime) -> int:
        """Of the invoices that this organisation issued; how many were open past their date."""
        today = due_at.astimezone(zone_or_utc((await self.rules.of(org_id)).time_zone)).date()
        after: storage.DuePlace | None = None
        total = 0
        while True:
            async with self.database.transaction(org_id) as conn:
                rows = await storage.overdue_since(conn, org_id, today - notices.FORGOTTEN, today, after, AT_ONCE)
                issuer = await storage.name_of(conn, org_id) if rows else ""
                await outbox.add_all(conn, org_id, notices.overdue(rows, issuer, today), self.clock)
            total += len(rows)
            if len(rows) < AT_ONCE or rows[-1].due_date is None:
                return total
            after = storage.DuePlace(rows[-1].due_date, rows[-1].id)
