"""What other organisations are called: those that one does business with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from waypost.ledger import storage_books
from waypost.platform.database import SYSTEM, Database


async def names_of(database: Database, org_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """By id; one that does not exist is left out. In a transaction of its own: call it while you hold none."""
    if not org_ids:
        return {}
    async with database.transaction(SYSTEM) as conn:
        return await storage_books.organisation_names(conn, org_ids)
