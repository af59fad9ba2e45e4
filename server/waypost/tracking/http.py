"""HTTP edge of tracking."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.errors import NotFound
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, raw_body, read_query, reply, reply_packed, reply_page
from waypost.tracking import answers, wire
from waypost.tracking.batches import decode_http
from waypost.tracking.compact import Columns, TooManyLocations
from waypost.tracking.service import Tracking
from waypost.tracking.shares import DeviceTooFast, Overloaded
from waypost.tracking.wire_batches import FixBatch
from waypost.trips.domain import TripNotFound


class NoPositionYet(NotFound):
    """The trip has no position yet: nothing was reported for it."""

    code = "no-position-yet"


@dataclass(frozen=True, slots=True)
class TrackingRoutes:
    """Reports of devices, positions."""

    tracking: Tracking

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/tracking/ping", self.ping, answer=wire.Outcomes, body=FixBatch,
                  packed=Columns, roles=frozenset(), devices=True,
                  errors=(TripNotFound, TooManyLocations, DeviceTooFast, Overloaded)),
            Route("GET", "/api/v1/tracking/latest", self.latest, answer=wire.LivePosition, listing=True,
                  query=PageQuery, devices=True),
            Route("GET", "/api/v1/tracking/trips/{trip_id}/latest", self.latest_of_trip, answer=wire.LivePosition,
                  devices=True, errors=(TripNotFound, NoPositionYet)),
        ]  # fmt: skip

    async def ping(self, request: web.Request) -> web.Response:
        """Report a batch of fixes; the answer comes once they are stored, with one outcome for each."""
        self.tracking.knock(request[PRINCIPAL])
        batch = decode_http(request.headers.get("Content-Type"), await raw_body(request))
        reported = await self.tracking.report(
            request[PRINCIPAL], batch.reports, batch.trip_id, stream=batch.stream, sent_at=batch.sent_at
        )
        return reply_packed(request, answers.outcomes(reported))

    async def latest(self, request: web.Request) -> web.Response:
        """The newest good position of each vehicle that you may see."""
        query = read_query(request, PageQuery)
        page = await self.tracking.latest(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.position)

    async def latest_of_trip(self, request: web.Request) -> web.Response:
        """The newest good position of a trip."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        position = await self.tracking.latest_of_trip(request[PRINCIPAL], trip_id)
        if position is None:
            raise NoPositionYet
        return reply(wire.position(position))
