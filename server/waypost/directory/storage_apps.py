"""SQL of how a phone's own tracking app is set."""

from __future__ import annotations

from uuid import UUID

import msgspec

from waypost.directory.domain import Transistor
from waypost.platform.database import Connection

FIND_APPS = "SELECT apps, owntracks_secret FROM devices WHERE org_id = $1 AND id = $2"
SET_TRANSISTOR = "UPDATE devices SET apps = $3::jsonb WHERE org_id = $1 AND id = $2"
SET_OWNTRACKS_SECRET = "UPDATE devices SET owntracks_secret = $3 WHERE org_id = $1 AND id = $2"  # noqa: S105 - no secret


class Kept(msgspec.Struct, omit_defaults=True):
    """What the column ``apps`` holds."""

    transistor: Transistor | None = None


async def find_apps(conn: Connection, org_id: UUID, device_id: UUID) -> tuple[Transistor | None, str | None]:
    """How a device's apps are set: the SDK's template, and OwnTracks' secret as it is stored."""
    row = await conn.fetchrow(FIND_APPS, org_id, device_id)
    return (transistor_of(row["apps"]), row["owntracks_secret"]) if row else (None, None)


def transistor_of(apps: str | None) -> Transistor | None:
    return msgspec.json.decode(apps, type=Kept).transistor if apps is not None else None


async def set_transistor(conn: Connection, org_id: UUID, device_id: UUID, transistor: Transistor | None) -> None:
    """Of a locked device."""
    kept = msgspec.json.encode(Kept(transistor)).decode() if transistor is not None else None
    await conn.execute(SET_TRANSISTOR, org_id, device_id, kept)


async def set_owntracks_secret(conn: Connection, org_id: UUID, device_id: UUID, sealed: str | None) -> None:
    """Of a locked device."""
    await conn.execute(SET_OWNTRACKS_SECRET, org_id, device_id, sealed)
