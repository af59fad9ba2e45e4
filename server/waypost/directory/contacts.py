"""How a customer is reached: the port of those who tell them something."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.directory import storage
from waypost.notifications.domain import Contact
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class ContactBook:
    """Customers' names and addresses, read through the caches: a reminder run asks for the same few again and again."""

    cache: Cache
    kind: Kind[Contact | None]

    async def find(self, conn: Connection, org_id: UUID, customer_id: UUID) -> Contact | None:
        """As they are now (a change is seen within a second); None when there is no such customer."""
        return await self.cache.get(
            org_id, self.kind, customer_id, lambda: storage.contact(conn, org_id, customer_id), alone=True
        )

    def forget(self, org_id: UUID) -> None:
        """Customers have changed: call it right after the transaction of the change."""
        self.cache.forget(org_id, self.kind)
