"""One worker's turn at telling one provider our addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.payments.registering import Registering
from waypost.platform.telemetry import log

NAME = "tell_addresses"


async def tell(ctx: Mapping[str, Any], org_id: str, provider_id: str) -> None:
    """The row says how far it got: what cannot be done now is given out again."""
    registering: Registering = ctx["registering"]
    try:
        await registering.tell(UUID(org_id), UUID(provider_id))
    except Unavailable as error:
        log.warning("registration_waits", provider_id=provider_id, reason=error.code)
