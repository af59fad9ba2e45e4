"""One worker's turn at telling one provider our addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.payments.registering import Registering
from waypost_workers.functions.turns import turn

NAME = "tell_addresses"


async def tell(ctx: Mapping[str, Any], org_id: str, provider_id: str) -> None:
    """Tell it; what it answered is in its row."""
    registering: Registering = ctx["registering"]
    with turn("registration_waits", provider_id=provider_id):
        await registering.tell(UUID(org_id), UUID(provider_id))
