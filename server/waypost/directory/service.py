"""The use cases of the registers: drivers and devices; what a device's token opens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from waypost.directory import storage
from waypost.directory.domain import (
    CustomerNotFound,
    Device,
    DeviceNotFound,
    DeviceRevoked,
    Driver,
    DriverNotFound,
    TruckNotFound,
)
from waypost.identity.domain import DEVICE_TOKEN_BYTES, DEVICE_TOKEN_PREFIX, token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, Principal
from waypost.platform.database import Connection, Database


async def check_exist(
    conn: Connection,
    org_id: UUID,
    *,
    driver_id: UUID | None = None,
    truck_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> None:
    """Raise the leaf for the first that is named but is not this organisation's."""
    no_driver, no_truck, no_customer = await storage.missing(
        conn, org_id, driver_id=driver_id, truck_id=truck_id, customer_id=customer_id
    )
    if no_driver:
        raise DriverNotFound
    if no_truck:
        raise TruckNotFound
    if no_customer:
        raise CustomerNotFound


@dataclass(frozen=True, slots=True)
class Directory:
    """Drivers, trucks, customers, devices: for planners. (Who else reads what comes with the registers.)"""

    database: Database
    clock: Clock

    async def add_driver(self, principal: Principal, *, name: str, phone: str | None = None) -> Driver:
        principal.require(PLANNERS)
        driver = Driver(new_id(self.clock), name, phone, self.clock.now())
        async with self.database.transaction(principal.org_id) as conn:
            await storage.add_driver(conn, principal.org_id, driver)
        return driver

    async def add_truck(self, principal: Principal, *, name: str, plate: str | None = None) -> UUID:
        principal.require(PLANNERS)
        truck_id = new_id(self.clock)
        async with self.database.transaction(principal.org_id) as conn:
            await storage.add_truck(conn, principal.org_id, truck_id, name, plate, self.clock.now())
        return truck_id

    async def add_customer(
        self, principal: Principal, *, name: str, phone: str | None = None, email: str | None = None
    ) -> UUID:
        principal.require(PLANNERS)
        customer_id = new_id(self.clock)
        async with self.database.transaction(principal.org_id) as conn:
            await storage.add_customer(
                conn, principal.org_id, customer_id, name=name, phone=phone, email=email, now=self.clock.now()
            )
        return customer_id

    async def drivers(self, principal: Principal, limit: int, cursor: str | None) -> Page[Driver]:
        principal.require(PLANNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_drivers(conn, principal.org_id, after, limit)
        return page_of(rows, limit, lambda driver: driver.id)

    async def add_device(
        self, principal: Principal, *, name: str, driver_id: UUID, truck_id: UUID | None = None
    ) -> tuple[Device, str]:
        """A device and its token, which is shown this once and never again."""
        principal.require(PLANNERS)
        token = DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(DEVICE_TOKEN_BYTES)
        device = Device(new_id(self.clock), name, driver_id, truck_id, self.clock.now(), None)
        async with self.database.transaction(principal.org_id) as conn:
            await check_exist(conn, principal.org_id, driver_id=driver_id, truck_id=truck_id)
            await storage.add_device(conn, principal.org_id, device, token_hash(token))
        return device, token

    async def devices(self, principal: Principal, limit: int, cursor: str | None) -> Page[Device]:
        principal.require(PLANNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_devices(conn, principal.org_id, after, limit)
        return page_of(rows, limit, lambda device: device.id)

    async def revoke_device(self, principal: Principal, device_id: UUID) -> Device:
        """Withdraw a device's token. Every node lets go of it within five seconds (``devices.py``)."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            device = await storage.revoke_device(conn, principal.org_id, device_id)
            if device is None:
                raise (
                    DeviceRevoked if await storage.device_exists(conn, principal.org_id, device_id) else DeviceNotFound
                )
        return device
