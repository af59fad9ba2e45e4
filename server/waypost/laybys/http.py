"""HTTP edge of laybys: reading them, and the plan of one that is not there yet."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import TELLERS, WATCHERS
from waypost.laybys import wire, wire_queries
from waypost.laybys.desk import Desk
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.service import Laybys
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page, reply_versioned

PATH = "/api/v1/laybys"


@dataclass(frozen=True, slots=True)
class LaybyRoutes:
    """Laybys as they are. Fixed paths stand before the one of an id."""

    laybys: Laybys
    desk: Desk

    def routes(self) -> list[Route]:
        one = PATH + "/{layby_id}"
        return [
            Route("GET", PATH, self.list_laybys, answer=wire_queries.ListedLayby, listing=True,
                  query=wire_queries.LaybysQuery, roles=WATCHERS, cache=Cache.PRIVATE),
            Route("POST", PATH + "/plan", self.plan, answer=wire.Plan, body=wire.PlanAsked, roles=TELLERS),
            Route("GET", PATH + "/stock", self.list_stock, answer=wire_queries.StockLine, listing=True,
                  query=wire_queries.StockQuery, roles=WATCHERS, costly=True),
            Route("GET", one, self.get, answer=wire.Layby, roles=WATCHERS, errors=(LaybyNotFound,),
                  cache=Cache.PRIVATE, versioned=True),
            Route("GET", one + "/events", self.list_events, answer=wire_queries.Event, listing=True, query=PageQuery,
                  roles=WATCHERS, errors=(LaybyNotFound,), cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def list_laybys(self, request: web.Request) -> web.Response:
        """Laybys, newest first; with `dueFrom`, `dueTo` or `overdue` those that run, by what falls due."""
        query = read_query(request, wire_queries.LaybysQuery)
        page = await self.laybys.list(request[PRINCIPAL], query.to_domain, query.limit, query.cursor)
        return reply_page(request, page, wire_queries.ListedLayby.from_domain)

    async def plan(self, request: web.Request) -> web.Response:
        """What a layby would come to, and when what would be due; nothing is stored."""
        body = await read_body(request, wire.PlanAsked)
        return reply(wire.Plan.from_domain(await self.laybys.plan(request[PRINCIPAL], body.deal(), body.deposit_minor)))

    async def list_stock(self, request: web.Request) -> web.Response:
        """By product what your stock keeping was told, against what the open laybys hold."""
        query = read_query(request, wire_queries.StockQuery)
        page = await self.laybys.stock(
            request[PRINCIPAL], query.limit, query.cursor, product=query.product, differing=query.differing
        )
        return reply_page(request, page, wire_queries.StockLine.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One layby whole: goods, instalments with what is covered, order, terms."""
        principal = request[PRINCIPAL]
        today = await self.desk.today(principal.org_id)
        found = await self.laybys.find(principal, path_id(request, "layby_id", LaybyNotFound))
        return reply_versioned(wire.Layby.of(found, today), found.layby.version)

    async def list_events(self, request: web.Request) -> web.Response:
        """What happened to a layby, newest first."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        query = read_query(request, PageQuery)
        page = await self.laybys.events(request[PRINCIPAL], layby_id, query.limit, query.cursor)
        return reply_page(request, page, wire_queries.Event.from_domain)
