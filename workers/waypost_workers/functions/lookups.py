"""One worker's turn at one message in doubt: ask its provider whether it has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.notifications.lookups import LookUps
from waypost_workers.functions.turns import turn

NAME = "look_up"


async def look_up(ctx: Mapping[str, Any], org_id: str, delivery_id: str) -> None:
    """Ask; what its provider knows is taken over."""
    lookups: LookUps = ctx["lookups"]
    with turn("look_up_waits", delivery_id=delivery_id):
        await lookups.look_up(UUID(org_id), UUID(delivery_id))
