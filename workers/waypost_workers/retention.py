"""How long each organisation keeps its fixes. What is deleted is gone, so nobody's wish is guessed here."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from waypost.identity.domain import OrgSettings
from waypost.platform.database import SYSTEM, Database

SETTINGS = "SELECT org_id, settings FROM organisations WHERE $1::uuid IS NULL OR org_id = $1"


async def days(database: Database, org_id: UUID | None = None) -> Mapping[UUID, int | None]:
    """Of all organisations, or of one. None: its settings cannot be read. Elsewhere the defaults stand in for them."""
    async with database.transaction(SYSTEM) as conn:
        rows = await conn.fetch(SETTINGS, org_id)
    return {row["org_id"]: _days(row["settings"]) for row in rows}


def _days(text: str) -> int | None:
    try:
        return msgspec.json.decode(text, type=OrgSettings).tracking.retention_days
    except msgspec.MsgspecError:
        return None
