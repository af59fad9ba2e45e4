"""One try to send one delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.notifications.deliveries import Deliveries
from waypost_workers.functions.turns import turn

NAME = "deliver"


async def deliver(ctx: Mapping[str, Any], org_id: str, delivery_id: str, caused_by: str | None) -> None:
    """Once; what becomes of it is in its row."""
    deliveries: Deliveries = ctx["deliveries"]
    with turn("delivery_waits", caused_by, delivery_id=delivery_id):
        await deliveries.attempt(UUID(org_id), UUID(delivery_id))
