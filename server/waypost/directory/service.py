"""The use cases of the registers, each with its own rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import asyncpg

from waypost.directory import storage, storage_devices
from waypost.directory.contacts import ContactBook
from waypost.directory.device_apps import DeviceApps
from waypost.directory.device_register import DeviceRegister
from waypost.directory.domain import (
    Assignment,
    Customer,
    CustomerNotFound,
    Device,
    Driver,
    DriverNotFound,
    DriverOnTheRoad,
    MemberDrivesAlready,
    Truck,
    TruckNotFound,
    TruckOnTheRoad,
    driver_seen_by,
)
from waypost.directory.existence import check_exist, is_driver_in_use
from waypost.directory.registers import Register
from waypost.identity.members import check_member
from waypost.identity.rules import country_of
from waypost.identity.service import checked_email, checked_phone
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal, Role
from waypost.kernel.zones import zone_named
from waypost.platform.database import Connection, Database

__all__ = [
    "Customers", "Directory", "Drivers", "Trucks", "assignments_of_driver", "check_exist",
    "is_driver_in_use",
]  # fmt: skip

BOOKKEEPERS = PLANNERS | {Role.ACCOUNTANT}


@dataclass(frozen=True, slots=True)
class Drivers(Register[Driver]):
    """Who drives."""

    devices: DeviceRegister

    async def add(self, principal: Principal, values: Mapping[str, object]) -> Driver:
        """``MemberDrivesAlready``, ``MemberNotFound`` for ``user_id``."""
        try:
            return await Register.add(self, principal, values)
        except asyncpg.UniqueViolationError as error:
            raise MemberDrivesAlready from error

    async def change(
        self, principal: Principal, entry_id: UUID, values: Mapping[str, object], *, expected: int | None = None
    ) -> Driver:
        """The same."""
        try:
            return await Register.change(self, principal, entry_id, values, expected=expected)
        except asyncpg.UniqueViolationError as error:
            raise MemberDrivesAlready from error

    async def checked(
        self, conn: Connection, principal: Principal, values: Mapping[str, object]
    ) -> Mapping[str, object]:
        if isinstance(user_id := values.get("user_id"), UUID):
            await check_member(conn, principal.org_id, user_id)
        return await _with_normal_addresses(conn, principal, values)

    async def _put_away(self, conn: Connection, principal: Principal, entry_id: UUID) -> None:
        """Not while on the road. Their devices are withdrawn, and their member may be linked to another."""
        if await storage.is_driver_running(conn, principal.org_id, entry_id):
            raise DriverOnTheRoad
        for device_id in await storage_devices.devices_of_driver(conn, principal.org_id, entry_id):
            await self.devices.withdraw(conn, principal, device_id)
        await storage.unlink_driver(conn, principal.org_id, entry_id)

    def _seen(self, principal: Principal, entry: Driver) -> Driver:
        return driver_seen_by(principal, entry)


@dataclass(frozen=True, slots=True)
class Trucks(Register[Truck]):
    """What is driven."""

    async def _put_away(self, conn: Connection, principal: Principal, entry_id: UUID) -> None:
        """Not while on the road. The devices in it are vehicles of their own again."""
        if await storage.is_truck_running(conn, principal.org_id, entry_id):
            raise TruckOnTheRoad
        now = self.clock.now()
        for device_id, driver_id in await storage_devices.devices_in_truck(conn, principal.org_id, entry_id):
            await storage_devices.reassign(
                conn, principal.org_id, device_id, driver_id=driver_id, truck_id=None, now=now
            )
            await storage_devices.take_out_of_truck(conn, principal.org_id, device_id)


@dataclass(frozen=True, slots=True)
class Customers(Register[Customer]):
    """Who is delivered to."""

    book: ContactBook

    async def change(
        self, principal: Principal, entry_id: UUID, values: Mapping[str, object], *, expected: int | None = None
    ) -> Customer:
        # The two arguments: a dataclass with slots is made anew, so the short form does not find itself.
        changed = await super(Customers, self).change(principal, entry_id, values, expected=expected)
        self.book.forget(principal.org_id)
        return changed

    async def checked(
        self,
        conn: Connection,
        principal: Principal,
        values: Mapping[str, object],
    ) -> Mapping[str, object]:
        if isinstance(zone := values.get("time_zone"), str):
            try:
                zone_named(zone)
            except ValueError as error:
                raise invalid_field("timeZone", str(error)) from error
        return await _with_normal_addresses(conn, principal, values)


async def _with_normal_addresses(
    conn: Connection, principal: Principal, values: Mapping[str, object]
) -> Mapping[str, object]:
    """Phone numbers in E.164, e-mail addresses in lower case; ``Invalid`` names the field of what is neither. A number
    without + is one of the organisation's country.
    """
    normal = dict(values)
    if isinstance(phone := values.get("phone"), str):
        country = None if phone.lstrip().startswith("+") else await country_of(conn, principal.org_id)
        normal["phone"] = checked_phone(phone, country=country)
    if isinstance(email := values.get("email"), str):
        normal["email"] = checked_email(email)
    return normal


@dataclass(frozen=True, slots=True)
class Directory:
    """All registers. The methods are short ways for commands and tests."""

    drivers: Drivers
    trucks: Trucks
    customers: Customers
    devices: DeviceRegister

    @classmethod
    def over(cls, database: Database, clock: Clock, book: ContactBook, apps: DeviceApps) -> Self:
        devices = DeviceRegister(database, clock, apps)
        return cls(
            Drivers(database, clock, storage.DRIVERS, "driver", DriverNotFound, WATCHERS, devices),
            Trucks(database, clock, storage.TRUCKS, "truck", TruckNotFound, WATCHERS),
            Customers(database, clock, storage.CUSTOMERS, "customer", CustomerNotFound, BOOKKEEPERS, book),
            devices,
        )

    async def add_driver(self, principal: Principal, *, name: str, phone: str | None = None) -> Driver:
        return await self.drivers.add(principal, {"name": name, "phone": phone})

    async def add_truck(self, principal: Principal, *, name: str, plate: str | None = None) -> UUID:
        return (await self.trucks.add(principal, {"name": name, "plate": plate})).id

    async def add_customer(
        self, principal: Principal, *, name: str, phone: str | None = None, email: str | None = None
    ) -> UUID:
        return (await self.customers.add(principal, {"name": name, "phone": phone, "email": email})).id

    async def add_device(
        self, principal: Principal, *, name: str, driver_id: UUID, truck_id: UUID | None = None
    ) -> tuple[Device, str]:
        """A device and its token, which is shown this once and never again."""
        return await self.devices.add(principal, name=name, driver_id=driver_id, truck_id=truck_id)

    async def revoke_device(self, principal: Principal, device_id: UUID) -> Device:
        return await self.devices.revoke(principal, device_id)


async def assignments_of_driver(conn: Connection, org_id: UUID, driver_id: UUID) -> Sequence[tuple[UUID, Assignment]]:
    """The devices that a driver has had, oldest first, each with when."""
    return await storage_devices.assignments_of_driver(conn, org_id, driver_id)
