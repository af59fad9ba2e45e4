"""One worker's turn at one request for a reversal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.payments.reversing import Reversing
from waypost.platform.telemetry import log, request_id

NAME = "ask_reversal"


async def ask(ctx: Mapping[str, Any], org_id: str, reversal_id: str, caused_by: str | None) -> None:
    """``caused_by``: the request that it all began with, for the logs."""
    token = request_id.set(caused_by)
    reversing: Reversing = ctx["reversing"]
    try:
        await reversing.ask(UUID(org_id), UUID(reversal_id))
    except Unavailable as error:  # the row says how far it got: the relay gives it out again
        log.warning("reversal_waits", reversal_id=reversal_id, reason=error.code)
    finally:
        request_id.reset(token)
