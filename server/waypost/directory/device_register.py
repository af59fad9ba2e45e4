"""The register of devices: phones that report, each for a driver and perhaps in a truck."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from waypost.directory import storage_devices as storage
from waypost.directory.device_apps import DeviceApps
from waypost.directory.domain import OLD_TOKEN_LIFE, Device, DeviceNotFound, DeviceRevoked, DevicesWanted
from waypost.directory.existence import check_exist
from waypost.directory.registers import public_names
from waypost.identity import audit
from waypost.identity.domain import DEVICE_TOKEN_BYTES, DEVICE_TOKEN_PREFIX, token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Stale
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, Principal
from waypost.platform.database import Connection, Database


@dataclass(frozen=True, slots=True)
class DeviceRegister:
    """For planners. Every node follows a change within five seconds (``devices.py``, ``identity/watch.py``)."""

    database: Database
    clock: Clock
    apps: DeviceApps

    async def find(self, principal: Principal, device_id: UUID) -> Device:
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await _found(conn, principal, device_id)

    async def list(self, principal: Principal, wanted: DevicesWanted, limit: int, cursor: str | None) -> Page[Device]:
        """By id, which is the order in which they were added."""
        principal.require(PLANNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_devices(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda device: device.id)

    async def add(
        self, principal: Principal, *, name: str, driver_id: UUID, truck_id: UUID | None = None
    ) -> tuple[Device, str]:
        """A device and its token, which is shown this once and never again."""
        principal.require(PLANNERS)
        token, device_id = _new_token(), new_id(self.clock)
        async with self.database.transaction(principal.org_id) as conn:
            await check_exist(conn, principal.org_id, driver_id=driver_id, truck_id=truck_id)
            await storage.add_device(
                conn, principal.org_id, device_id, name=name, driver_id=driver_id, truck_id=truck_id,
                token_hash=token_hash(token), now=self.clock.now(),
            )  # fmt: skip
            await self._record(conn, principal, "added", device_id, driverId=str(driver_id))
            return await _found(conn, principal, device_id), token

    async def change(
        self, principal: Principal, device_id: UUID, values: Mapping[str, Any], *, expected: int | None = None
    ) -> Device:
        """Another name, driver or truck. What the device reports of the time before stays the old driver's.

        ``apps``: how its tracking app is set (``DeviceApps.change``).
        """
        principal.require(PLANNERS)
        columns = {name: value for name, value in values.items() if name != "apps"}
        async with self.database.transaction(principal.org_id) as conn:
            named = {name: values[name] for name in ("driver_id", "truck_id") if name in values}
            await check_exist(conn, principal.org_id, **named)
            await self._lock(conn, principal, device_id, expected)
            if values:
                before = await _found(conn, principal, device_id)
                await self._change(conn, principal, before, replace(before, **columns))
                await self.apps.change(conn, principal.org_id, device_id, values.get("apps", {}))
                await self._record(conn, principal, "changed", device_id, fields=public_names(values))
            changed = await _found(conn, principal, device_id)
        if "apps" in values:
            self.apps.forget(principal.org_id)
        return changed

    async def _change(self, conn: Connection, principal: Principal, before: Device, after: Device) -> None:
        if (after.driver_id, after.truck_id) != (before.driver_id, before.truck_id):
            await storage.reassign(
                conn, principal.org_id, after.id, driver_id=after.driver_id, truck_id=after.truck_id,
                now=self.clock.now(),
            )  # fmt: skip
        await storage.change_device(
            conn, principal.org_id, after.id, name=after.name, driver_id=after.driver_id, truck_id=after.truck_id
        )

    async def revoke(self, principal: Principal, device_id: UUID) -> Device:
        """Withdraw its token for good."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            await self._lock(conn, principal, device_id, None)
            await self.withdraw(conn, principal, device_id)
            return await _found(conn, principal, device_id)

    async def withdraw(self, conn: Connection, principal: Principal, device_id: UUID) -> None:
        """The same for a locked device, in another's transaction."""
        await storage.revoke_device(conn, principal.org_id, device_id, self.clock.now())
        await self._record(conn, principal, "revoked", device_id)

    async def replace_token(self, principal: Principal, device_id: UUID) -> tuple[Device, str]:
        """A new token; the present one goes on for a day. One that was replaced before, within a day, ends now."""
        principal.require(PLANNERS)
        token = _new_token()
        async with self.database.transaction(principal.org_id) as conn:
            await self._lock(conn, principal, device_id, None)
            old_until = self.clock.now() + OLD_TOKEN_LIFE
            await storage.replace_token(conn, principal.org_id, device_id, token_hash(token), old_until)
            await self._record(conn, principal, "token-replaced", device_id)
            return await _found(conn, principal, device_id), token

    async def _lock(self, conn: Connection, principal: Principal, device_id: UUID, expected: int | None) -> None:
        """``DeviceNotFound``, ``Stale``, ``DeviceRevoked``."""
        locked = await storage.lock_device(conn, principal.org_id, device_id)
        if locked is None:
            raise DeviceNotFound
        if expected not in (None, locked["version"]):
            raise Stale
        if locked["revoked_at"] is not None:
            raise DeviceRevoked

    async def _record(
        self, conn: Connection, principal: Principal, what: str, device_id: UUID, **detail: object
    ) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"device.{what}", subject_kind="device", subject_id=device_id,
            detail=detail,
        )  # fmt: skip


async def _found(conn: Connection, principal: Principal, device_id: UUID) -> Device:
    device = await storage.find_device(conn, principal.org_id, device_id)
    if device is None:
        raise DeviceNotFound
    return device


def _new_token() -> str:
    return DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(DEVICE_TOKEN_BYTES)
