"""One worker's turn at one webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log
from waypost.webhooks.sending import Sender

NAME = "send_webhook"


async def send(ctx: Mapping[str, Any], org_id: str, webhook_id: str, delivery_id: str) -> None:
    """Begin with that delivery, go on with what else is due for it."""
    sender: Sender = ctx["webhook_sender"]
    try:
        await sender.turn(UUID(org_id), UUID(webhook_id), UUID(delivery_id))
    except Unavailable as error:  # nothing was claimed: the relay gives it out again
        log.warning("webhook_waits", delivery_id=delivery_id, reason=error.code)
