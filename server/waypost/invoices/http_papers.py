"""HTTP edge of printed invoices."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.invoices.domain import InvoiceNotFound
from waypost.invoices.papers import InvoicePapers
from waypost.kernel.principal import WATCHERS
from waypost.platform.papers.edge import HTML, PDF, PaperQuery, answer_paper, file_name
from waypost.platform.papers.press import Press, PressBusy
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_query


@dataclass(frozen=True, slots=True)
class InvoicePaperRoutes:
    """An invoice as a page and as PDF."""

    papers: InvoicePapers
    press: Press

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/invoices/{invoice_id}/paper", self.paper, query=PaperQuery, roles=WATCHERS,
                  content_type=HTML, other_types=(PDF,), errors=(InvoiceNotFound, PressBusy)),
        ]  # fmt: skip

    async def paper(self, request: web.Request) -> web.Response:
        """An invoice or a credit note, to print and to send on."""
        invoice_id = path_id(request, "invoice_id", InvoiceNotFound)
        query = read_query(request, PaperQuery)
        paper = await self.papers.paper(request[PRINCIPAL], invoice_id, query.lang)
        name = file_name("invoice", paper.number)
        return await answer_paper(self.press, paper, query.format, name, self.papers.clock.now())
