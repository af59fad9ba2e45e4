"""One try to send one delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.notifications.deliveries import Deliveries
from waypost.platform.telemetry import log, request_id

NAME = "deliver"


async def deliver(ctx: Mapping[str, Any], org_id: str, delivery_id: str, caused_by: str | None) -> None:
    """``caused_by``: the request that it all began with, for the logs."""
    token = request_id.set(caused_by)
    deliveries: Deliveries = ctx["deliveries"]
    try:
        await deliveries.attempt(UUID(org_id), UUID(delivery_id))
    except Unavailable as error:  # nothing was claimed: the relay gives it out again
        log.warning("delivery_waits", delivery_id=delivery_id, reason=error.code)
    finally:
        request_id.reset(token)
