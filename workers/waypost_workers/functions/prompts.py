"""One worker's turn at one prompt: ask the customer's phone, or ask how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.payments.asking import Asking
from waypost_workers.functions.turns import turn

NAME = "ask_phone"


async def ask(ctx: Mapping[str, Any], org_id: str, prompt_id: str, caused_by: str | None) -> None:
    """Ask the phone, or ask how it stands."""
    asking: Asking = ctx["asking"]
    with turn("prompt_waits", caused_by, prompt_id=prompt_id):
        await asking.ask(UUID(org_id), UUID(prompt_id))
