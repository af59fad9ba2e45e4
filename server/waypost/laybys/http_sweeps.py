"""HTTP edge of the sweeps."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import WATCHERS
from waypost.laybys import wire_sweeps
from waypost.laybys.sweeps import Sweeps
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, read_query, reply_page


@dataclass(frozen=True, slots=True)
class SweepRoutes:
    """What goes by itself, and how far it is."""

    sweeps: Sweeps

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/laybys/sweeps", self.list_sweeps, answer=wire_sweeps.SweepRun, listing=True,
                  query=wire_sweeps.SweepsQuery, roles=WATCHERS),
        ]  # fmt: skip

    async def list_sweeps(self, request: web.Request) -> web.Response:
        """The runs of reminders, late fees and defaults, the newest first; what runs now shows how far it is."""
        query = read_query(request, wire_sweeps.SweepsQuery)
        page = await self.sweeps.runs(request[PRINCIPAL], query.name, query.limit, query.cursor)
        return reply_page(request, page, wire_sweeps.SweepRun.from_domain)
