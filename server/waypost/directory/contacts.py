"""How a customer or a member is reached: the port of those who tell them something."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from waypost.directory import storage
from waypost.identity import storage_staff
from waypost.notifications.addresses import Contact
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import SYSTEM, Database

FEW = 4


@dataclass(frozen=True, slots=True)
class ContactBook:
    """Customers' and members' names and addresses. A few customers are read through the caches, many at once."""

    database: Database
    cache: Cache
    kind: Kind[Contact | None]

    async def find(self, org_id: UUID, customer_id: UUID) -> Contact | None:
        """As they are now (a change is seen within a second); None when there is no such customer.

        Not for inside a transaction: it asks Redis, and what it does not find the database by a connection of its own.
        """

        async def load() -> Contact | None:
            return (await self._load([(org_id, customer_id)])).get((org_id, customer_id))

        return await self.cache.get(org_id, self.kind, customer_id, load)

    async def customers(self, wanted: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Contact]:
        """Of several organisations; who is not there is left out. Not for inside a transaction."""
        if len(wanted) > FEW:
            return await self._load(wanted)
        found = {(org_id, customer_id): await self.find(org_id, customer_id) for org_id, customer_id in wanted}
        return {key: contact for key, contact in found.items() if contact is not None}

    async def staff(self, wanted: Collection[tuple[UUID, UUID | None]]) -> dict[tuple[UUID, UUID], Contact]:
        """Members by organisation and id; an organisation with None stands for all who run it."""
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage_staff.staff(conn, wanted)
        return {(one.org_id, one.user_id): _contact(one) for one in found}

    def forget(self, org_id: UUID) -> None:
        """Customers have changed: call it right after the transaction of the change."""
        self.cache.forget(org_id, self.kind)

    async def _load(self, wanted: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Contact]:
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.contacts(conn, list(wanted))


def _contact(one: storage_staff.Reached) -> Contact:
    return Contact(
        name=one.name,
        business=one.business,
        phone=one.phone,
        email=one.email,
        locale=one.locale,
        time_zone=one.time_zone,
        org_time_zone=one.time_zone,
        country=one.country,
        user_id=str(one.user_id),
        role=one.role,
    )
