"""An organisation's settings for those who ask at every batch: kept near, and forgotten as they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from waypost.identity import storage
from waypost.identity.domain import OrgSettings
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Rules:
    """Read through the caches; a change is seen on every node within a second."""

    database: Database
    cache: Cache
    kind: Kind[OrgSettings]
    also: tuple[Kind[Any], ...] = ()  # what else holds something of the organisation's own row

    async def of(self, org_id: UUID) -> OrgSettings:
        """The organisation's settings; the defaults for one that is unknown."""
        return await self.cache.get(org_id, self.kind, "settings", lambda: self._read(org_id))

    def forget(self, org_id: UUID) -> None:
        """They have changed: call it right after the transaction of the change."""
        for kind in (self.kind, *self.also):
            self.cache.forget(org_id, kind)

    async def _read(self, org_id: UUID) -> OrgSettings:
        async with self.database.transaction(org_id) as conn:
            return await storage.settings_of(conn, org_id)


async def present_rules(conn: Connection, org_id: UUID) -> OrgSettings:
    """As they stand in the database, for what must not go by those of a second ago."""
    return await storage.settings_of(conn, org_id)


async def country_of(conn: Connection, org_id: UUID) -> str | None:
    """Where an organisation is at home (ISO 3166), in a transaction that is there already."""
    return (await storage.settings_of(conn, org_id)).selling.country
