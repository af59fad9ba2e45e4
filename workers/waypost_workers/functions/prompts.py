"""One worker's turn at one prompt: ask the customer's phone, or ask how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.payments.asking import Asking
from waypost.platform.telemetry import log, request_id

NAME = "ask_phone"


async def ask(ctx: Mapping[str, Any], org_id: str, prompt_id: str, caused_by: str | None) -> None:
    """``caused_by``: the request that it all began with, for the logs."""
    token = request_id.set(caused_by)
    asking: Asking = ctx["asking"]
    try:
        await asking.ask(UUID(org_id), UUID(prompt_id))
    except Unavailable as error:  # the row says how far it got: the relay gives it out again
        log.warning("prompt_waits", prompt_id=prompt_id, reason=error.code)
    finally:
        request_id.reset(token)
