"""One worker's turn at one webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.webhooks.sending import Sender
from waypost_workers.functions.turns import turn

NAME = "send_webhook"


async def send(ctx: Mapping[str, Any], org_id: str, webhook_id: str, delivery_id: str) -> None:
    """Begin with that delivery, go on with what else is due for it."""
    sender: Sender = ctx["webhook_sender"]
    with turn("webhook_waits", delivery_id=delivery_id):
        await sender.turn(UUID(org_id), UUID(webhook_id), UUID(delivery_id))
