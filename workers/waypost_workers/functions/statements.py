"""One worker's turn at one provider's statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.kernel.errors import Unavailable
from waypost.payments.statement_reader import StatementReader
from waypost.platform.telemetry import log

NAME = "read_statement"


async def read_statement(ctx: Mapping[str, Any], org_id: str, statement_id: str) -> None:
    """Go on with a statement for a while. How far it is stands in its row."""
    reader: StatementReader = ctx["statement_reader"]
    try:
        await reader.run(UUID(org_id), UUID(statement_id))
    except Unavailable as error:  # nothing was claimed: the relay gives it out again
        log.warning("statement_waits", statement_id=statement_id, reason=error.code)
