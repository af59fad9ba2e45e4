"""HTTP edge of data quality. For staff."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory.domain import DeviceNotFound
from waypost.kernel.principal import PLANNERS, WATCHERS
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_query, reply, reply_page
from waypost.tracking import wire_quality as wire
from waypost.tracking.quality_reports import QualityReports

DEVICE = "/api/v1/devices/{device_id}"


@dataclass(frozen=True, slots=True)
class QualityRoutes:
    """Who is silent and why, how good a device's data is, what of it was refused."""

    reports: QualityReports

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/tracking/quality", self.states, answer=wire.HeardDevice, listing=True,
                  query=wire.QualityQuery, roles=WATCHERS),
            Route("GET", DEVICE + "/quality", self.of_device, answer=wire.DeviceQuality, query=wire.DaysQuery,
                  roles=PLANNERS, errors=(DeviceNotFound,)),
            Route("GET", DEVICE + "/rejections", self.rejections, answer=wire.RejectedRecord, listing=True,
                  query=PageQuery, roles=PLANNERS, errors=(DeviceNotFound,)),
        ]  # fmt: skip

    async def states(self, request: web.Request) -> web.Response:
        """How each device is heard of: live, late, parked, silent since when and why, or never."""
        query = read_query(request, wire.QualityQuery)
        page = await self.reports.list(request[PRINCIPAL], query.limit, query.cursor, revoked=query.revoked)
        return reply_page(request, page, wire.state)

    async def of_device(self, request: web.Request) -> web.Response:
        """How a device is heard of, and by day what came from it and what was wrong with that."""
        device_id, query = path_id(request, "device_id", DeviceNotFound), read_query(request, wire.DaysQuery)
        told, days = await self.reports.of_device(request[PRINCIPAL], device_id, query.days)
        return reply(wire.DeviceQuality(device=wire.state(told), days=[wire.day(day) for day in days]))

    async def rejections(self, request: web.Request) -> web.Response:
        """The locations of a device that were refused, the newest first, as they were sent."""
        device_id, query = path_id(request, "device_id", DeviceNotFound), read_query(request, PageQuery)
        page = await self.reports.rejections(request[PRINCIPAL], device_id, query.limit, query.cursor)
        return reply_page(request, page, wire.rejected)
