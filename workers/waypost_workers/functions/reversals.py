"""One worker's turn at one request for a reversal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.payments.reversing import Reversing
from waypost_workers.functions.turns import turn

NAME = "ask_reversal"


async def ask(ctx: Mapping[str, Any], org_id: str, reversal_id: str, caused_by: str | None) -> None:
    """Ask once; what becomes of it is in its row."""
    reversing: Reversing = ctx["reversing"]
    with turn("reversal_waits", caused_by, reversal_id=reversal_id):
        await reversing.ask(UUID(org_id), UUID(reversal_id))
