"""One worker's turn at one message in doubt: ask its provider whether it has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.notifications.lookups import LookUps
from waypost.platform.telemetry import log

NAME = "look_up"


async def look_up(ctx: Mapping[str, Any], org_id: str, delivery_id: str) -> None:
    """Nothing is lost when it fails: the relay gives it out again."""
    lookups: LookUps = ctx["lookups"]
    try:
        await lookups.look_up(UUID(org_id), UUID(delivery_id))
    except Unavailable as error:
        log.warning("look_up_waits", delivery_id=delivery_id, reason=error.code)
