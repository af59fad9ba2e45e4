"""An organisation's logo: taken in, shown to anybody who has its address, taken away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from waypost.identity import audit, storage_logos, storage_members
from waypost.identity.domain import Organisation, OrganisationNotFound
from waypost.identity.logo import STORED, Logo, logo_of
from waypost.identity.members import OWNERS
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.pictures import picture_of

AT_ONCE = 1  # picture being read: the largest holds a hundred megabytes and more for a moment
WAITING = 8  # others, of two megabytes each


class PicturesBusy(Unavailable):
    """Too many pictures are being read just now; try again in a moment."""

    code = "pictures-busy"
    retry = True


def _new_key() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Logos:
    """The settings name the present one, so that e-mails and papers find it with everything else of their shop."""

    database: Database
    clock: Clock
    rules: Rules
    new_key: Callable[[], str] = _new_key
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    inside: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE + WAITING))

    async def put(self, principal: Principal, data: bytes) -> Organisation:
        """It is their logo from now on. ``PictureUnreadable``, ``PictureUnseen``, ``PicturesBusy``."""
        principal.require(OWNERS)
        if self.inside.locked():
            raise PicturesBusy
        async with self.inside, self.at_once:
            picture = await asyncio.to_thread(picture_of, data, STORED)
        logo = logo_of(self.new_key(), picture.width, picture.height)
        async with self.database.transaction(principal.org_id) as conn:
            changed = await self._name(conn, principal, logo)
            await storage_logos.add(conn, principal.org_id, logo.key, picture.png, self.clock.now())
        self.rules.forget(principal.org_id)
        return changed

    async def remove(self, principal: Principal) -> None:
        """They have none; nothing when they had none."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            await self._name(conn, principal, None)
            await storage_logos.drop_all(conn, principal.org_id)
        self.rules.forget(principal.org_id)

    async def png(self, key: str) -> bytes | None:
        """The picture behind a public address; None: there is none."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage_logos.find(conn, key)

    async def _name(self, conn: Connection, principal: Principal, logo: Logo | None) -> Organisation:
        org_id = principal.org_id
        before = await storage_members.find_organisation(conn, org_id, lock=True)
        if before is None:
            raise OrganisationNotFound
        if before.settings.selling.logo == logo:
            return before
        selling = msgspec.structs.replace(before.settings.selling, logo=logo)
        settings = msgspec.structs.replace(before.settings, selling=selling)
        await storage_members.change_organisation(conn, org_id, before.name, settings)
        await audit.record(
            conn, principal, self.clock, action="organisation.logo_changed" if logo else "organisation.logo_removed",
            subject_kind="organisation", subject_id=org_id,
        )  # fmt: skip
        return await storage_members.find_organisation(conn, org_id) or before
