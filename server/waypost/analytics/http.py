"""HTTP edge of the figures."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.analytics import wire
from waypost.analytics.domain import BadSpan
from waypost.analytics.service import LaybyFigures
from waypost.kernel.principal import WATCHERS
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, read_query, reply


@dataclass(frozen=True, slots=True)
class AnalyticsRoutes:
    """Figures for staff."""

    laybys: LaybyFigures

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/laybys/analytics", self.of_laybys, answer=wire.LaybyFigures, query=wire.FiguresQuery,
                  roles=WATCHERS, errors=(BadSpan,), costly=True),
        ]  # fmt: skip

    async def of_laybys(self, request: web.Request) -> web.Response:
        """Counts, sums, overdue by age, default rate and trend, which add up."""
        query = read_query(request, wire.FiguresQuery)
        figures = await self.laybys.of(request[PRINCIPAL], query.from_, query.to, query.trend)
        return reply(wire.LaybyFigures.from_domain(figures, self.laybys.clock.now()))
