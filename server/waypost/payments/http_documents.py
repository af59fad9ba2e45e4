"""HTTP edge of receipts."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import WATCHERS
from waypost.payments.domain import PaymentNotFound
from waypost.payments.receipt_papers import Receipts
from waypost.platform.papers.edge import HTML, PDF, PaperQuery, answer_paper, file_name
from waypost.platform.papers.press import Press, PressBusy
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_query


@dataclass(frozen=True, slots=True)
class ReceiptRoutes:
    """The receipt of each payment."""

    receipts: Receipts
    press: Press

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/payments/{payment_id}/receipt", self.receipt, query=PaperQuery, roles=WATCHERS,
                  content_type=HTML, other_types=(PDF,), errors=(PaymentNotFound, PressBusy)),
        ]  # fmt: skip

    async def receipt(self, request: web.Request) -> web.Response:
        """What was paid, what it was used for, and what was left to pay after it."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        query = read_query(request, PaperQuery)
        paper = await self.receipts.receipt(request[PRINCIPAL], payment_id, query.lang)
        name = file_name("receipt", paper.number)
        return await answer_paper(self.press, paper, query.format, name, self.receipts.clock.now())
