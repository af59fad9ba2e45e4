"""HTTP edge of trips."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.platform.web import (
    PRINCIPAL,
    paging,
    path_id,
    query_choice,
    query_id,
    read_body,
    read_optional_body,
    reply,
    reply_page,
)
from waypost.trips import wire
from waypost.trips.domain import Filter, Move, Status, TripNotFound
from waypost.trips.service import NewTrip, Trips

STATUSES: dict[str, Status | None] = {str(status): status for status in Status}
MOVES = {"start": Move.START, "complete": Move.COMPLETE, "cancel": Move.CANCEL}


@dataclass(frozen=True, slots=True)
class TripRoutes:
    """Trips and their events."""

    trips: Trips

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/trips", self.list_trips),
            web.post("/api/v1/trips", self.create),
            web.get("/api/v1/trips/{trip_id}", self.get),
            web.patch("/api/v1/trips/{trip_id}", self.change),
            web.post("/api/v1/trips/{trip_id}/{move:start|complete|cancel}", self.move),
            web.get("/api/v1/trips/{trip_id}/events", self.list_events),
        ]

    async def list_trips(self, request: web.Request) -> web.Response:
        wanted = Filter(query_choice(request, "status", STATUSES, None), query_id(request, "driverId"))
        page = await self.trips.list(request[PRINCIPAL], wanted, *paging(request))
        return reply_page(page, wire.Trip.from_domain)

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, wire.NewTrip)
        trip = await self.trips.create(request[PRINCIPAL], NewTrip(**body.to_domain()))
        return reply(wire.Trip.from_domain(trip), status=201)

    async def get(self, request: web.Request) -> web.Response:
        trip = await self.trips.find(request[PRINCIPAL], path_id(request, "trip_id", TripNotFound))
        return reply(wire.Trip.from_domain(trip))

    async def change(self, request: web.Request) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        body = await read_body(request, wire.TripChange)
        return reply(wire.Trip.from_domain(await self.trips.change(request[PRINCIPAL], trip_id, body.to_domain())))

    async def move(self, request: web.Request) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        body = await read_optional_body(request, wire.Reason)
        move = MOVES[request.match_info["move"]]
        return reply(wire.Trip.from_domain(await self.trips.move(request[PRINCIPAL], trip_id, move, body.reason)))

    async def list_events(self, request: web.Request) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        page = await self.trips.events(request[PRINCIPAL], trip_id, *paging(request))
        return reply_page(page, wire.TripEvent.from_domain)
