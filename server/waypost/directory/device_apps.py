"""How phones' own tracking apps are set: the SDK's template, and what OwnTracks encrypts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from waypost.directory import storage_apps as storage
from waypost.directory.domain import Transistor
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox


class AppSettings(msgspec.Struct, frozen=True):
    """A device's. ``sealed_secret``: as it is stored, which is how it lies in the caches too."""

    transistor: Transistor | None = None
    sealed_secret: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceApps:
    """Read through the caches, for who reads what those apps send; a change is seen on every node within a second."""

    database: Database
    cache: Cache
    kind: Kind[AppSettings]
    box: SecretBox

    async def transistor(self, org_id: UUID, device_id: UUID) -> Transistor | None:
        """How the device's SDK was told to write; None: as it does by itself."""
        return (await self._of(org_id, device_id)).transistor

    async def owntracks_secret(self, org_id: UUID, device_id: UUID) -> str | None:
        """What the device's OwnTracks encrypts with. ``Unreadable`` when it was sealed with a key that is gone."""
        sealed = (await self._of(org_id, device_id)).sealed_secret
        return self.box.open(sealed).decode() if sealed is not None else None

    async def change(self, conn: Connection, org_id: UUID, device_id: UUID, values: Mapping[str, Any]) -> None:
        """``transistor``, ``owntracks_secret``: None takes it away, what is left out stays. Of a locked device."""
        if "transistor" in values:
            await storage.set_transistor(conn, org_id, device_id, values["transistor"])
        if "owntracks_secret" in values:
            secret = values["owntracks_secret"]
            sealed = self.box.seal(secret.encode()) if secret is not None else None
            await storage.set_owntracks_secret(conn, org_id, device_id, sealed)

    def forget(self, org_id: UUID) -> None:
        """They have changed: call it right after the transaction of the change."""
        self.cache.forget(org_id, self.kind)

    async def _of(self, org_id: UUID, device_id: UUID) -> AppSettings:
        async def load() -> AppSettings:
            async with self.database.transaction(org_id) as conn:
                return AppSettings(*await storage.find_apps(conn, org_id, device_id))

        return await self.cache.get(org_id, self.kind, device_id, load)
