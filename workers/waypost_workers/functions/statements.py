"""One worker's turn at one provider's statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from waypost.payments.statement_reader import StatementReader
from waypost_workers.functions.turns import turn

NAME = "read_statement"


async def read_statement(ctx: Mapping[str, Any], org_id: str, statement_id: str) -> None:
    """Go on with a statement for a while. How far it is stands in its row."""
    reader: StatementReader = ctx["statement_reader"]
    with turn("statement_waits", statement_id=statement_id):
        await reader.run(UUID(org_id), UUID(statement_id))
