"""HTTP edge of a layby's papers."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import WATCHERS
from waypost.laybys.documents import statement as documents
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.statement import LaybyPapers
from waypost.laybys.wire_statement import Statement, StatementQuery
from waypost.platform.papers.edge import HTML, NOT_KEPT, PDF, PaperQuery, answer_paper, file_name
from waypost.platform.papers.press import Press, PressBusy
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_query, reply

PATH = "/api/v1/laybys/{layby_id}"
CSV = "text/csv"


@dataclass(frozen=True, slots=True)
class LaybyPaperRoutes:
    """Agreement and statement."""

    papers: LaybyPapers
    press: Press

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH + "/agreement", self.agreement, query=PaperQuery, roles=WATCHERS, content_type=HTML,
                  other_types=(PDF,), errors=(LaybyNotFound, PressBusy)),
            Route("GET", PATH + "/statement", self.statement, answer=Statement, query=StatementQuery, roles=WATCHERS,
                  other_types=(CSV, HTML, PDF), errors=(LaybyNotFound, PressBusy)),
        ]  # fmt: skip

    async def agreement(self, request: web.Request) -> web.Response:
        """The written agreement, to print, to sign and to keep."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        query = read_query(request, PaperQuery)
        paper = await self.papers.agreement(request[PRINCIPAL], layby_id, query.lang)
        name = file_name("agreement", paper.number)
        return await answer_paper(self.press, paper, query.format, name, self.papers.clock.now())

    async def statement(self, request: web.Request) -> web.Response:
        """Every charge, payment, credit and refund, with what was owed after each."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        query = read_query(request, StatementQuery)
        if query.format in {"html", "pdf"}:
            paper = await self.papers.printed_statement(request[PRINCIPAL], layby_id, query.lang)
            name = file_name("statement", paper.number)
            return await answer_paper(self.press, paper, query.format, name, self.papers.clock.now())
        statement = await self.papers.statement(request[PRINCIPAL], layby_id)
        if query.format == "json":
            return reply(Statement.from_domain(statement))
        name = file_name("statement", statement.layby.reference)
        headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{name}.csv"'}
        text = "".join(documents.csv_of(statement))
        return web.Response(text=text, content_type=CSV, charset="utf-8", headers=headers)
