"""How a customer is reached: the port of those who tell them something."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.directory import storage
from waypost.notifications.addresses import Contact
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Database


@dataclass(frozen=True, slots=True)
class ContactBook:
    """Customers' names and addresses, read through the caches: a reminder run asks for the same few again and again."""

    database: Database
    cache: Cache
    kind: Kind[Contact | None]

    async def find(self, org_id: UUID, customer_id: UUID) -> Contact | None:
        """As they are now (a change is seen within a second); None when there is no such customer.

        Not for inside a transaction: it asks Redis, and what it does not find the database by a connection of its own.
        """

        async def load() -> Contact | None:
            async with self.database.transaction(org_id) as conn:
                return await storage.contact(conn, org_id, customer_id)

        return await self.cache.get(org_id, self.kind, customer_id, load)

    def forget(self, org_id: UUID) -> None:
        """Customers have changed: call it right after the transaction of the change."""
        self.cache.forget(org_id, self.kind)
