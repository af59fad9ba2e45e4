"""SQL of devices: their tokens, and whose they were when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from waypost.directory.domain import Assignment, Device, DevicesWanted
from waypost.directory.storage_apps import transistor_of
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection

_DEVICE = """
SELECT v.id, v.name, v.driver_id, d.name AS driver_name, v.truck_id, k.name AS truck_name, v.created_at, v.revoked_at,
       v.last_seen_at, v.old_token_until, v.version, v.apps, v.owntracks_secret IS NOT NULL AS has_owntracks_secret
  FROM devices v
  JOIN drivers d ON d.org_id = v.org_id AND d.id = v.driver_id
  LEFT JOIN trucks k ON k.org_id = v.org_id AND k.id = v.truck_id
"""
FIND_DEVICE = f"{_DEVICE} WHERE v.org_id = $1 AND v.id = $2"
LIST_DEVICES = f"""
{_DEVICE}
 WHERE v.org_id = $1 AND ($2::uuid IS NULL OR v.id > $2) AND ($3::uuid IS NULL OR v.driver_id = $3)
   AND ($4::uuid IS NULL OR v.truck_id = $4) AND ($5::boolean IS NULL OR (v.revoked_at IS NOT NULL) = $5)
 ORDER BY v.id LIMIT $6
"""
LOCK_DEVICE = """
SELECT driver_id, truck_id, revoked_at, version FROM devices WHERE org_id = $1 AND id = $2 FOR UPDATE
"""
ADD_DEVICE = """
INSERT INTO devices (org_id, id, name, driver_id, truck_id, token_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
CHANGE_DEVICE = """
UPDATE devices SET name = $3, driver_id = $4, truck_id = $5, version = version + 1 WHERE org_id = $1 AND id = $2
"""
TAKE_OUT_OF_TRUCK = "UPDATE devices SET truck_id = NULL, version = version + 1 WHERE org_id = $1 AND id = $2"
REVOKE_DEVICE = """
UPDATE devices SET revoked_at = $3, old_token_hash = NULL, old_token_until = NULL, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
DEVICES_OF_DRIVER = """
SELECT id FROM devices WHERE org_id = $1 AND driver_id = $2 AND revoked_at IS NULL ORDER BY id FOR UPDATE
"""
DEVICES_IN_TRUCK = """
SELECT id, driver_id FROM devices WHERE org_id = $1 AND truck_id = $2 AND revoked_at IS NULL ORDER BY id FOR UPDATE
"""
# The token that was current becomes the old one; an old one that was still good ends here.
REPLACE = """
UPDATE devices SET old_token_hash = token_hash, old_token_until = $4, token_hash = $3, version = version + 1
 WHERE org_id = $1 AND id = $2
"""

# For a device that a node of an older version made after the migration.
FIRST_ASSIGNMENT = """
INSERT INTO device_assignments (org_id, device_id, driver_id, truck_id, from_at)
SELECT org_id, id, driver_id, truck_id, created_at FROM devices
 WHERE org_id = $1 AND id = $2
   AND NOT EXISTS (SELECT FROM device_assignments a WHERE a.org_id = $1 AND a.device_id = $2)
"""
OPEN_ASSIGNMENT = """
INSERT INTO device_assignments (org_id, device_id, driver_id, truck_id, from_at) VALUES ($1, $2, $3, $4, $5)
"""
# Never empty, and never before it began, whatever the node's clock says.
CLOSE_ASSIGNMENT = """
UPDATE device_assignments SET until_at = greatest($3, from_at + interval '1 microsecond')
 WHERE org_id = $1 AND device_id = $2 AND until_at IS NULL
RETURNING until_at
"""
DEVICES_OF_DRIVER_THEN = """
SELECT a.device_id, a.driver_id, a.truck_id, a.from_at, a.until_at
  FROM device_assignments a WHERE a.org_id = $1 AND a.driver_id = $2 ORDER BY a.from_at, a.device_id
"""

# A token's mark stands for it in a principal, where the hash itself has no business.
_HOLDS = (
    "(substr(d.token_hash, 1, 16) = a.mark OR (substr(d.old_token_hash, 1, 16) = a.mark AND d.old_token_until > $6))"
)
PRINCIPAL_BY_HASH = """
SELECT org_id, id, driver_id, coalesce(truck_id, id) AS vehicle_id FROM devices
 WHERE (token_hash = $1 OR (old_token_hash = $1 AND old_token_until > $2)) AND revoked_at IS NULL
"""
LOST_DEVICES = f"""
SELECT a.mark FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bytea[])
                AS a (org_id, id, driver_id, vehicle_id, mark)
 WHERE NOT EXISTS (SELECT FROM devices d
                    WHERE d.org_id = a.org_id AND d.id = a.id AND d.revoked_at IS NULL AND d.driver_id = a.driver_id
                      AND coalesce(d.truck_id, d.id) = a.vehicle_id AND {_HOLDS})
"""  # noqa: S608
NOTE_DEVICES_SEEN = """
UPDATE devices SET last_seen_at = $3 WHERE (org_id, id) IN (
    SELECT org_id, id FROM devices
     WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
       AND (last_seen_at IS NULL OR last_seen_at < $3)
     ORDER BY org_id, id FOR NO KEY UPDATE SKIP LOCKED)
"""


def mark_of(token_hash: bytes) -> UUID:
    """What stands for a token in the principal that it opened."""
    return UUID(bytes=token_hash[:16])


def _device(row: Iterable[tuple[str, Any]]) -> Device:
    columns = dict(row)
    transistor = transistor_of(columns.pop("apps"))
    return Device(**columns, transistor=transistor)


async def find_device(conn: Connection, org_id: UUID, device_id: UUID) -> Device | None:
    row = await conn.fetchrow(FIND_DEVICE, org_id, device_id)
    return _device(row.items()) if row else None


async def list_devices(
    conn: Connection, org_id: UUID, wanted: DevicesWanted, after: UUID | None, limit: int
) -> list[Device]:
    """Devices by id, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_DEVICES, org_id, after, wanted.driver_id, wanted.truck_id, wanted.revoked, limit + 1)
    return [_device(row.items()) for row in rows]


async def lock_device(conn: Connection, org_id: UUID, device_id: UUID) -> Mapping[str, object] | None:
    """Lock a device for a change: its driver_id, truck_id, revoked_at and version."""
    row = await conn.fetchrow(LOCK_DEVICE, org_id, device_id)
    return dict(row) if row else None


async def add_device(
    conn: Connection, org_id: UUID, device_id: UUID, *, name: str, driver_id: UUID, truck_id: UUID | None,
    token_hash: bytes, now: datetime,
) -> None:  # fmt: skip
    await conn.execute(ADD_DEVICE, org_id, device_id, name, driver_id, truck_id, token_hash, now)
    await conn.execute(OPEN_ASSIGNMENT, org_id, device_id, driver_id, truck_id, now)


async def change_device(
    conn: Connection, org_id: UUID, device_id: UUID, *, name: str, driver_id: UUID, truck_id: UUID | None
) -> None:
    """Of a locked device."""
    await conn.execute(CHANGE_DEVICE, org_id, device_id, name, driver_id, truck_id)


async def take_out_of_truck(conn: Connection, org_id: UUID, device_id: UUID) -> None:
    """Of a locked device."""
    await conn.execute(TAKE_OUT_OF_TRUCK, org_id, device_id)


async def reassign(
    conn: Connection, org_id: UUID, device_id: UUID, *, driver_id: UUID, truck_id: UUID | None, now: datetime
) -> None:
    """From ``now`` on a locked device is that driver's, in that truck: noted before ``change_device`` makes it so."""
    await conn.execute(FIRST_ASSIGNMENT, org_id, device_id)
    closed_at: datetime | None = await conn.fetchval(CLOSE_ASSIGNMENT, org_id, device_id, now)
    await conn.execute(OPEN_ASSIGNMENT, org_id, device_id, driver_id, truck_id, closed_at or now)


async def revoke_device(conn: Connection, org_id: UUID, device_id: UUID, now: datetime) -> None:
    """Of a locked device."""
    await conn.execute(REVOKE_DEVICE, org_id, device_id, now)


async def devices_of_driver(conn: Connection, org_id: UUID, driver_id: UUID) -> list[UUID]:
    """Those that are not withdrawn, locked."""
    return [row["id"] for row in await conn.fetch(DEVICES_OF_DRIVER, org_id, driver_id)]


async def devices_in_truck(conn: Connection, org_id: UUID, truck_id: UUID) -> list[tuple[UUID, UUID]]:
    """Those that are not withdrawn, locked: (device, driver)."""
    return [(row["id"], row["driver_id"]) for row in await conn.fetch(DEVICES_IN_TRUCK, org_id, truck_id)]


async def replace_token(
    conn: Connection, org_id: UUID, device_id: UUID, token_hash: bytes, old_until: datetime
) -> None:
    """Of a locked device: the present token goes on until ``old_until``."""
    await conn.execute(REPLACE, org_id, device_id, token_hash, old_until)


async def assignments_of_driver(conn: Connection, org_id: UUID, driver_id: UUID) -> list[tuple[UUID, Assignment]]:
    """The devices that a driver has had, oldest first, each with when and in which truck."""
    rows = await conn.fetch(DEVICES_OF_DRIVER_THEN, org_id, driver_id)
    return [(row["device_id"], Assignment(driver_id, row["truck_id"], row["from_at"], row["until_at"])) for row in rows]


async def principal_by_token(conn: Connection, token_hash: bytes, now: datetime) -> Principal | None:
    """Whom a device token speaks for; None when unknown or withdrawn. Needs the system scope."""
    row = await conn.fetchrow(PRINCIPAL_BY_HASH, token_hash, now)
    if row is None:
        return None
    return Principal(
        row["org_id"], Role.DRIVER, device_id=row["id"], driver_id=row["driver_id"], vehicle_id=row["vehicle_id"],
        session_id=mark_of(token_hash),
    )  # fmt: skip


async def lost_devices(conn: Connection, devices: Collection[Principal], now: datetime) -> set[UUID]:
    """The marks of those tokens that do not open the same any more. Needs the system scope."""
    rows = await conn.fetch(
        LOST_DEVICES,
        [p.org_id for p in devices],
        [p.device_id for p in devices],
        [p.driver_id for p in devices],
        [p.vehicle_id for p in devices],
        [p.session_id.bytes if p.session_id else b"" for p in devices],
        now,
    )
    return {UUID(bytes=row["mark"]) for row in rows if row["mark"]}


async def note_seen(conn: Connection, devices: Iterable[tuple[UUID, UUID]], now: datetime) -> None:
    """Keep that these (organisation, device) are about; a row that somebody else holds is left for the next time."""
    keys = list(devices)
    await conn.execute(NOTE_DEVICES_SEEN, [key[0] for key in keys], [key[1] for key in keys], now)
