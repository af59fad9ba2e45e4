"""HTTP edge of alerts."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import TELLERS, WATCHERS
from waypost.notifications import wire_alerts as wire
from waypost.notifications.alert_domain import AlertFilter, AlertNotFound, AlertResolved
from waypost.notifications.alerts import Alerts
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/alerts"


@dataclass(frozen=True, slots=True)
class AlertRoutes:
    """What staff must look at."""

    alerts: Alerts

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_all, answer=wire.Alert, listing=True, query=wire.AlertsQuery, roles=WATCHERS),
            Route("POST", PATH + "/{alert_id}/resolve", self.resolve, answer=wire.Alert, body=wire.AlertResolution,
                  roles=TELLERS, errors=(AlertNotFound, AlertResolved)),
        ]  # fmt: skip

    async def list_all(self, request: web.Request) -> web.Response:
        """What staff must look at, newest first: the open ones, unless others are asked for."""
        query = read_query(request, wire.AlertsQuery)
        wanted = AlertFilter(query.state, query.kind)
        page = await self.alerts.list(request[PRINCIPAL], wanted, query.limit, query.cursor)
        return reply_page(request, page, wire.Alert.from_domain)

    async def resolve(self, request: web.Request) -> web.Response:
        """Say what was found and done: the alert is no longer open."""
        alert_id = path_id(request, "alert_id", AlertNotFound)
        body = await read_body(request, wire.AlertResolution)
        return reply(wire.Alert.from_domain(await self.alerts.resolve(request[PRINCIPAL], alert_id, body.resolution)))
