"""SQL of drivers, trucks, customers and devices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from waypost.directory.domain import Device, Driver
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection

ADD_DRIVER = "INSERT INTO drivers (org_id, id, name, phone, created_at) VALUES ($1, $2, $3, $4, $5)"
ADD_TRUCK = "INSERT INTO trucks (org_id, id, name, plate, created_at) VALUES ($1, $2, $3, $4, $5)"
ADD_CUSTOMER = "INSERT INTO customers (org_id, id, name, phone, email, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
ADD_DEVICE = """
INSERT INTO devices (org_id, id, name, driver_id, truck_id, token_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

LIST_DRIVERS = """
SELECT id, name, phone, created_at FROM drivers
 WHERE org_id = $1 AND archived_at IS NULL AND ($2::uuid IS NULL OR id > $2)
 ORDER BY id LIMIT $3
"""
LIST_DEVICES = """
SELECT id, name, driver_id, truck_id, created_at, revoked_at FROM devices
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2)
 ORDER BY id LIMIT $3
"""
REVOKE_DEVICE = """
UPDATE devices SET revoked_at = now(), version = version + 1
 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL
RETURNING id, name, driver_id, truck_id, created_at, revoked_at
"""
DEVICE_EXISTS = "SELECT EXISTS (SELECT FROM devices WHERE org_id = $1 AND id = $2)"
MISSING = """
SELECT $2::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM drivers WHERE org_id = $1 AND id = $2),
       $3::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM trucks WHERE org_id = $1 AND id = $3),
       $4::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM customers WHERE org_id = $1 AND id = $4)
"""
PRINCIPAL_BY_HASH = """
SELECT org_id, id, driver_id, coalesce(truck_id, id) AS vehicle_id FROM devices
 WHERE token_hash = $1 AND revoked_at IS NULL
"""
REVOKED_OF = "SELECT id FROM devices WHERE id = ANY($1) AND revoked_at IS NOT NULL"


async def add_driver(conn: Connection, org_id: UUID, driver: Driver) -> None:
    await conn.execute(ADD_DRIVER, org_id, driver.id, driver.name, driver.phone, driver.created_at)


async def add_truck(
    conn: Connection, org_id: UUID, truck_id: UUID, name: str, plate: str | None, now: datetime
) -> None:
    await conn.execute(ADD_TRUCK, org_id, truck_id, name, plate, now)


async def add_customer(
    conn: Connection, org_id: UUID, customer_id: UUID, *, name: str, phone: str | None, email: str | None, now: datetime
) -> None:
    await conn.execute(ADD_CUSTOMER, org_id, customer_id, name, phone, email, now)


async def add_device(conn: Connection, org_id: UUID, device: Device, token_hash: bytes) -> None:
    await conn.execute(
        ADD_DEVICE, org_id, device.id, device.name, device.driver_id, device.truck_id, token_hash, device.created_at
    )


async def list_drivers(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Driver]:
    """Drivers by id, ``limit + 1`` of them."""
    return [Driver(**row) for row in await conn.fetch(LIST_DRIVERS, org_id, after, limit + 1)]


async def list_devices(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Device]:
    """Devices by id, withdrawn ones too, ``limit + 1`` of them."""
    return [Device(**row) for row in await conn.fetch(LIST_DEVICES, org_id, after, limit + 1)]


async def missing(
    conn: Connection,
    org_id: UUID,
    *,
    driver_id: UUID | None = None,
    truck_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> tuple[bool, bool, bool]:
    """Which of the driver, truck and customer are named but are not this organisation's."""
    row = await conn.fetchrow(MISSING, org_id, driver_id, truck_id, customer_id)
    return (row[0], row[1], row[2]) if row else (True, True, True)  # a SELECT without FROM has a row always


async def revoke_device(conn: Connection, org_id: UUID, device_id: UUID) -> Device | None:
    """Withdraw a token; None when there is no such device or it was withdrawn before."""
    row = await conn.fetchrow(REVOKE_DEVICE, org_id, device_id)
    return Device(**row) if row else None


async def device_exists(conn: Connection, org_id: UUID, device_id: UUID) -> bool:
    return bool(await conn.fetchval(DEVICE_EXISTS, org_id, device_id))


async def principal_by_token(conn: Connection, token_hash: bytes) -> Principal | None:
    """Whom a device token speaks for; None when unknown or withdrawn. Needs the system scope."""
    row = await conn.fetchrow(PRINCIPAL_BY_HASH, token_hash)
    if row is None:
        return None
    return Principal(
        row["org_id"], Role.DRIVER, device_id=row["id"], driver_id=row["driver_id"], vehicle_id=row["vehicle_id"]
    )


async def revoked_of(conn: Connection, devices: Iterable[UUID]) -> set[UUID]:
    """Those of these devices, of whatever organisation, whose tokens were withdrawn. Needs the system scope."""
    return {row["id"] for row in await conn.fetch(REVOKED_OF, list(devices))}
