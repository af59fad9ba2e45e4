"""HTTP edge of providers' statements, and of what the nightly comparison found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from waypost.kernel.errors import Unsupported
from waypost.kernel.principal import MONEY
from waypost.payments import wire_statements as wire
from waypost.payments.providers.accounts import ProviderNotFound
from waypost.payments.reconcile import Reconciliations
from waypost.payments.statement_lines import BadMapping, StatementUnreadable
from waypost.payments.statements import StatementEmpty, StatementNotFound, Statements
from waypost.platform.bodies import BadEncoding
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, path_id, raw_body, read_query, reply, reply_page

PATH: Final = "/api/v1/payments/statements"
ONE: Final = PATH + "/{statement_id}"
LARGEST_FILE_BYTES: Final = 8 * 1024 * 1024
CSV_TYPES: Final = ("text/csv", "application/csv", "text/plain")


class NoStatementFile(Unsupported):
    """Send the file itself as the body, with `Content-Type: text/csv`."""

    code = "no-statement-file"


@dataclass(frozen=True, slots=True)
class StatementRoutes:
    """Statements of payment providers."""

    statements: Statements
    reconciliations: Reconciliations

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_statements, answer=wire.PaymentStatement, listing=True,
                  query=wire.StatementsQuery, roles=MONEY),
            Route("POST", PATH, self.add_statement, status=202, answer=wire.PaymentStatement,
                  query=wire.NewStatementQuery, reads=dict.fromkeys(CSV_TYPES, Any), body_limit=LARGEST_FILE_BYTES,
                  roles=MONEY, idempotent=True, costly=True,
                  errors=(ProviderNotFound, NoStatementFile, StatementUnreadable, StatementEmpty, BadMapping,
                          BadEncoding)),
            Route("GET", ONE, self.get_statement, answer=wire.PaymentStatement, roles=MONEY,
                  errors=(StatementNotFound,)),
            Route("GET", ONE + "/lines", self.list_lines, answer=wire.PaymentStatementLine, listing=True,
                  query=wire.StatementLinesQuery, roles=MONEY, errors=(StatementNotFound,)),
            Route("GET", "/api/v1/payments/reconciliation", self.list_runs, answer=wire.ReconciliationRun,
                  listing=True, query=wire.ReconciliationsQuery, roles=MONEY, cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def list_statements(self, request: web.Request) -> web.Response:
        """Statements that were sent in, newest first."""
        query = read_query(request, wire.StatementsQuery)
        page = await self.statements.list(request[PRINCIPAL], query.provider_id, query.limit, query.cursor)
        return reply_page(request, page, wire.PaymentStatement.from_domain)

    async def add_statement(self, request: web.Request) -> web.Response:
        """Send in a provider's CSV; a worker compares it with what is here and books what is missing. Twice is once."""
        query = read_query(request, wire.NewStatementQuery)
        if request.content_type not in CSV_TYPES:
            raise NoStatementFile
        statement = await self.statements.add(
            request[PRINCIPAL], query.provider_id, name=query.name, body=await raw_body(request), columns=query.over
        )
        return reply(wire.PaymentStatement.from_domain(statement), 202)

    async def get_statement(self, request: web.Request) -> web.Response:
        """How far a statement has been read, and what became of its lines."""
        statement_id = path_id(request, "statement_id", StatementNotFound)
        return reply(wire.PaymentStatement.from_domain(await self.statements.find(request[PRINCIPAL], statement_id)))

    async def list_lines(self, request: web.Request) -> web.Response:
        """The lines of a statement, each with what became of it."""
        statement_id = path_id(request, "statement_id", StatementNotFound)
        query = read_query(request, wire.StatementLinesQuery)
        page = await self.statements.lines(request[PRINCIPAL], statement_id, query.outcome, query.limit, query.cursor)
        return reply_page(request, page, wire.PaymentStatementLine.from_domain)

    async def list_runs(self, request: web.Request) -> web.Response:
        """What the nightly comparisons of sums and rows found, newest first."""
        query = read_query(request, wire.ReconciliationsQuery)
        page = await self.reconciliations.list(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.ReconciliationRun.from_domain)
