"""HTTP edge of tracking."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.errors import NotFound
from waypost.platform.web import PRINCIPAL, paging, path_id, query_choice, read_body, reply, reply_page
from waypost.tracking import answers, wire
from waypost.tracking.service import Tracking
from waypost.trips.domain import TripNotFound

YES_NO = {"true": True, "false": False}


class NoPositionYet(NotFound):
    """The trip has no position yet: nothing was reported for it."""

    code = "no-position-yet"


@dataclass(frozen=True, slots=True)
class TrackingRoutes:
    """Reports of devices, positions, tracks."""

    tracking: Tracking

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/tracking/ping", self.ping),
            web.get("/api/v1/tracking/latest", self.latest),
            web.get("/api/v1/tracking/trips/{trip_id}/latest", self.latest_of_trip),
            web.get("/api/v1/trips/{trip_id}/locations", self.track),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        batch = await read_body(request, wire.FixBatch)
        reported = await self.tracking.report(request[PRINCIPAL], wire.reports_of(batch), batch.trip_id)
        return reply(answers.outcomes(reported))

    async def latest(self, request: web.Request) -> web.Response:
        return reply_page(await self.tracking.latest(request[PRINCIPAL], *paging(request)), wire.position)

    async def latest_of_trip(self, request: web.Request) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        position = await self.tracking.latest_of_trip(request[PRINCIPAL], trip_id)
        if position is None:
            raise NoPositionYet
        return reply(wire.position(position))

    async def track(self, request: web.Request) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        query_choice(request, "format", {"json": None}, None)
        page = await self.tracking.track(
            request[PRINCIPAL],
            trip_id,
            *paging(request),
            doubtful=query_choice(request, "flagged", YES_NO, default=False),
            backwards=query_choice(request, "order", {"asc": False, "desc": True}, default=False),
        )
        return reply_page(page, lambda fix: wire.location(fix, fix.received_at))
