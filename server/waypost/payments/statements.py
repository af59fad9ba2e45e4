"""Providers' statements: kept whole, for a worker to read (``statement_reader.py``)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Invalid, NotFound
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, Principal
from waypost.payments import statement_lines
from waypost.payments import storage_statements as storage
from waypost.payments.providers.accounts import ProviderName, ProviderNotFound
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.statement_lines import MPESA, SIMPLE, Columns
from waypost.payments.storage_statements import Outcome, State, Statement, StatementLine, StatementPoke
from waypost.platform.database import Connection, Database

REPOKE: Final = timedelta(seconds=60)


class StatementNotFound(NotFound):
    """No such statement, or none of yours."""

    code = "statement-not-found"


class StatementEmpty(Invalid):
    """The file has no line below its header."""

    code = "statement-empty"


def as_usual(columns: Columns) -> Columns:
    """As the provider writes its statements."""
    return columns


class LinePlace(NamedTuple):
    """Where a list of lines goes on; of a cursor, which may be anybody's making."""

    n: Annotated[int, Meta(ge=0, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of an organisation, for its bookkeepers, and for the relay."""

    database: Database
    clock: Clock
    register: ProviderRegister

    async def add(
        self,
        principal: Principal,
        provider_id: UUID,
        *,
        name: str,
        body: bytes,
        columns: Callable[[Columns], Columns] = as_usual,
    ) -> Statement:
        """Keep a file for a worker to read. The same file by the same mapping is the statement that is there; one that
        had failed goes on. ``columns``: what becomes of the provider's usual ones. ``StatementUnreadable``,
        ``StatementEmpty``.
        """
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            account = await self.register.of(conn, principal.org_id, provider_id)
        if account is None:
            raise ProviderNotFound
        mapping = columns(MPESA if account.provider is ProviderName.DARAJA else SIMPLE)
        lines = await asyncio.to_thread(_count, body, mapping)
        if not lines:
            raise StatementEmpty
        statement = Statement(
            principal.org_id, new_id(self.clock), provider_id, name, mapping, State.QUEUED, lines, 0, {}, None, 0, 0,
            None, None, principal.user_id, self.clock.now(), None,
        )  # fmt: skip
        sha256 = hashlib.sha256(msgspec.json.encode(mapping) + body).digest()
        async with self.database.transaction(principal.org_id) as conn:
            kept = await storage.add(conn, statement, body, sha256)
            if kept.id == statement.id:
                await audit.record(
                    conn, principal, self.clock, action="payment-statement.added", subject_kind="payment-statement",
                    subject_id=kept.id, detail={"lines": lines, "providerId": str(provider_id)},
                )  # fmt: skip
        return kept

    async def find(self, principal: Principal, statement_id: UUID) -> Statement:
        """How far it is, and what became of its lines."""
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            return await _found(conn, principal.org_id, statement_id)

    async def list(
        self, principal: Principal, provider_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Statement]:
        """Newest first."""
        principal.require(MONEY)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_statements(conn, principal.org_id, provider_id, after, limit)
        return page_of(rows, limit, lambda statement: statement.id)

    async def lines(
        self, principal: Principal, statement_id: UUID, outcome: Outcome | None, limit: int, cursor: str | None
    ) -> Page[StatementLine]:
        """Its lines, in order, as far as it has been read."""
        principal.require(MONEY)
        after = decode_cursor(cursor, LinePlace).n if cursor else 0
        async with self.database.transaction(principal.org_id) as conn:
            await _found(conn, principal.org_id, statement_id)
            rows = await storage.list_lines(conn, principal.org_id, statement_id, outcome, after, limit)
        return page_of(rows, limit, lambda line: (line.n,))

    async def due_statements(self, conn: Connection, limit: int) -> Sequence[StatementPoke]:
        """Statements that no worker holds, each given out once a minute. For the relay, in the system scope."""
        return await storage.due(conn, REPOKE, limit)

    async def untold(self, conn: Connection, pokes: Sequence[StatementPoke]) -> None:
        """The queue could not be told of these."""
        await storage.untold(conn, pokes)


def _count(body: bytes, columns: Columns) -> int:
    return statement_lines.count(statement_lines.sheet_of(body, columns))


async def _found(conn: Connection, org_id: UUID, statement_id: UUID) -> Statement:
    statement = await storage.find(conn, org_id, statement_id)
    if statement is None:
        raise StatementNotFound
    return statement
