"""What a device's token opens, and which of the devices that are connected do not stand as they did."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from waypost.directory import storage_devices as storage
from waypost.directory.guesses import Guesses
from waypost.identity.domain import TokenInvalid, token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal
from waypost.kernel.remembered import Remembered
from waypost.platform.database import SYSTEM, Database

_TOKEN = re.compile(r"wpd_[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Devices:
    """Device tokens of this process. ``seen``: which devices were about lately."""

    database: Database
    clock: Clock
    remembered: Remembered[bytes]
    guesses: Guesses
    seen: set[tuple[UUID, UUID]] = field(default_factory=set)

    async def authenticate(self, token: str) -> Principal:
        """The device's principal; ``TokenInvalid`` when the token is unknown or withdrawn."""
        if not _TOKEN.fullmatch(token):
            raise TokenInvalid
        hashed = token_hash(token)
        if (remembered := self.remembered.get(hashed)) is not None:
            return remembered
        if self.guesses.is_bad(hashed):
            raise TokenInvalid
        if hashed in self.remembered.known:
            return await self._look_up(hashed)
        async with self.guesses.share():
            return await self._look_up(hashed)

    async def _look_up(self, hashed: bytes) -> Principal:
        asked_at = self.clock.monotonic()
        async with self.database.transaction(SYSTEM) as conn:
            principal = await storage.principal_by_token(conn, hashed, self.clock.now())
        if principal is None or principal.device_id is None:
            self.remembered.known.pop(hashed, None)
            self.guesses.note(hashed)
            raise TokenInvalid
        self.remembered.keep(hashed, principal, asked_at)
        self.seen.add((principal.org_id, principal.device_id))
        return principal

    def forget(self, device_id: UUID) -> None:
        """Ask anew on this node what a device is; the others do within a few seconds."""
        self.remembered.forget(lambda principal: principal.device_id == device_id)

    async def lost(self, connected: Collection[Principal]) -> set[Principal]:
        """Those devices among ``connected`` that were withdrawn, or are another driver's or in another truck by now,
        or whose token has been replaced and is no longer good.

        Those that came with a request are asked about in the same breath: who reports every few seconds is looked up
        once, not each time.
        """
        devices = {p for p in connected if p.device_id is not None}
        used = self.remembered.used()
        asked = list(devices.union(used.values()))
        if not asked:
            return set()
        asked_at = self.clock.monotonic()
        async with self.database.transaction(SYSTEM) as conn:
            marks = await storage.lost_devices(conn, asked, self.clock.now())
        self.remembered.forget(lambda principal: principal.session_id in marks)
        self.remembered.confirm(used, asked_at)
        self.seen.update((p.org_id, p.device_id) for p in used.values() if p.device_id is not None)
        return {device for device in devices if device.session_id in marks}

    async def note_seen(self, connected: Collection[Principal]) -> None:
        """Keep that these, and who came with a token since the last time, are about."""
        seen = self.seen | {(p.org_id, p.device_id) for p in connected if p.device_id is not None}
        self.seen.clear()
        if seen:
            async with self.database.transaction(SYSTEM) as conn:
                await storage.note_seen(conn, seen, self.clock.now())
