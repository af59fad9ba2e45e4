"""HTTP edge of invoices."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from waypost.identity.domain import OrganisationNotFound
from waypost.invoices import wire
from waypost.invoices.domain import OPEN, Filter, Invoice, InvoiceEmpty, InvoiceMoveRefused, InvoiceNotFound, TripBilled
from waypost.invoices.issuing import Issuing
from waypost.invoices.service import Invoices, NewInvoice
from waypost.kernel.principal import MONEY, WATCHERS
from waypost.platform.routes import Cache, Route
from waypost.platform.web import (
    PRINCIPAL,
    BadQuery,
    if_match,
    path_id,
    read_body,
    read_optional_body,
    read_query,
    reply_page,
    reply_versioned,
)
from waypost.trips.domain import TripNotFound

PATH = "/api/v1/invoices"
ONE = PATH + "/{invoice_id}"
WRITING = (OrganisationNotFound, TripNotFound, TripBilled)
MOVING = (InvoiceNotFound, InvoiceMoveRefused)


@dataclass(frozen=True, slots=True)
class InvoiceRoutes:
    """Invoices between organisations."""

    invoices: Invoices
    issuing: Issuing

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_invoices, answer=wire.InvoiceRow, listing=True, query=wire.InvoicesQuery,
                  roles=WATCHERS, cache=Cache.PRIVATE),
            Route("POST", PATH, self.create, status=201, answer=wire.Invoice, body=wire.NewInvoice, roles=MONEY,
                  errors=WRITING, idempotent=True, versioned=True),
            Route("GET", ONE, self.get, answer=wire.Invoice, roles=WATCHERS, errors=(InvoiceNotFound,),
                  cache=Cache.PRIVATE, versioned=True),
            Route("PATCH", ONE, self.change, answer=wire.Invoice, body=wire.InvoiceChange, roles=MONEY,
                  errors=(*MOVING, *WRITING), versioned=True),
            Route("DELETE", ONE, self.delete, status=204, roles=MONEY, errors=MOVING),
            Route("POST", ONE + "/issue", self.issue, answer=wire.Invoice, roles=MONEY,
                  errors=(*MOVING, *WRITING, InvoiceEmpty), versioned=True),
            Route("POST", ONE + "/send", self.send, answer=wire.Invoice, roles=MONEY, errors=MOVING, versioned=True),
            Route("POST", ONE + "/void", self.void, answer=wire.Invoice, body=wire.VoidReason, body_optional=True,
                  roles=MONEY, errors=MOVING, versioned=True),
        ]  # fmt: skip

    async def list_invoices(self, request: web.Request) -> web.Response:
        """Invoices and credit notes that you send, or (`direction=received`) that you got, newest first;
        `overdue=true`: those past their due date, the oldest first.
        """
        query, principal = read_query(request, wire.InvoicesQuery), request[PRINCIPAL]
        today = await self.invoices.today(principal)
        if query.overdue and query.status not in (None, *OPEN):
            raise BadQuery(f"overdue: an invoice that is {query.status} never is; leave out status")
        overdue_on = today if query.overdue else None
        wanted = Filter(query.direction, query.status, query.counterparty_org_id, overdue_on)
        page = await self.invoices.list(principal, wanted, query.limit, query.cursor)
        return reply_page(request, page, lambda invoice: wire.InvoiceRow.from_domain(invoice, today))

    async def create(self, request: web.Request) -> web.Response:
        """Draft an invoice to another organisation; each of its trips is yours, for them, and on no other invoice."""
        body = await read_body(request, wire.NewInvoice)
        draft = await self.invoices.create(request[PRINCIPAL], NewInvoice(**body.to_domain()))
        return await self._reply(request, draft, status=201)

    async def get(self, request: web.Request) -> web.Response:
        """One invoice or credit note with its lines."""
        return await self._reply(request, await self.invoices.find(request[PRINCIPAL], _id(request)))

    async def change(self, request: web.Request) -> web.Response:
        """Change a draft."""
        invoice_id = _id(request)
        body = await read_body(request, wire.InvoiceChange)
        draft = await self.invoices.change(request[PRINCIPAL], invoice_id, body.to_domain(), expected=if_match(request))
        return await self._reply(request, draft)

    async def delete(self, request: web.Request) -> web.Response:
        """Throw a draft away; an issued invoice is voided instead."""
        await self.invoices.delete(request[PRINCIPAL], _id(request))
        return web.Response(status=204)

    async def issue(self, request: web.Request) -> web.Response:
        """Give a draft its number and its due date, and book it on both sides."""
        expected = if_match(request)
        return await self._reply(request, await self.issuing.issue(request[PRINCIPAL], _id(request), expected=expected))

    async def send(self, request: web.Request) -> web.Response:
        """Note that it has gone out to the counterparty."""
        expected = if_match(request)
        return await self._reply(request, await self.issuing.send(request[PRINCIPAL], _id(request), expected=expected))

    async def void(self, request: web.Request) -> web.Response:
        """Take an issued invoice back by a credit note, which the answer names; only while nothing of it is paid."""
        invoice_id = _id(request)
        body = await read_optional_body(request, wire.VoidReason)
        voided = await self.issuing.void(request[PRINCIPAL], invoice_id, body.reason, expected=if_match(request))
        return await self._reply(request, voided)

    async def _reply(self, request: web.Request, invoice: Invoice, status: int = 200) -> web.Response:
        today = await self.invoices.today(request[PRINCIPAL])
        return reply_versioned(wire.Invoice.from_domain(invoice, today), invoice.version, status)


def _id(request: web.Request) -> UUID:
    return path_id(request, "invoice_id", InvoiceNotFound)
