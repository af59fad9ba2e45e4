"""HTTP edge of trips."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory.domain import CustomerNotFound, DriverNotFound, TruckNotFound
from waypost.identity.domain import OrganisationNotFound
from waypost.kernel.principal import PLANNERS, WATCHERS, Role
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Cache, Route
from waypost.platform.web import (
    PRINCIPAL,
    if_match,
    path_id,
    read_body,
    read_optional_body,
    read_query,
    reply_page,
    reply_versioned,
)
from waypost.realtime.bus import RedisAway
from waypost.realtime.wire import Watcher
from waypost.trips import wire
from waypost.trips.domain import DriverBusy, Filter, Move, Trip, TripMoveRefused, TripNotFound, TripWithoutDriver
from waypost.trips.service import NewTrip, Trips
from waypost.trips.watching import Watching

PATH = "/api/v1/trips"
MAY_MOVE = PLANNERS | {Role.DRIVER}
NAMES = (DriverNotFound, TruckNotFound, CustomerNotFound, OrganisationNotFound)


@dataclass(frozen=True, slots=True)
class TripRoutes:
    """Trips and their events."""

    trips: Trips
    watching: Watching

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_trips, answer=wire.Trip, listing=True, query=wire.TripsQuery, devices=True,
                  cache=Cache.PRIVATE),
            Route("POST", PATH, self.create, status=201, answer=wire.Trip, body=wire.NewTrip, roles=PLANNERS,
                  errors=NAMES, idempotent=True, versioned=True),
            Route("GET", PATH + "/{trip_id}", self.get, answer=wire.Trip, devices=True, errors=(TripNotFound,),
                  cache=Cache.PRIVATE, versioned=True),
            Route("PATCH", PATH + "/{trip_id}", self.change, answer=wire.Trip, body=wire.TripChange, roles=PLANNERS,
                  errors=(TripNotFound, TripMoveRefused, *NAMES), versioned=True),
            Route("POST", PATH + "/{trip_id}/start", self.start, answer=wire.Trip, body=wire.Reason, body_optional=True,
                  roles=MAY_MOVE, devices=True, errors=(TripNotFound, TripMoveRefused, TripWithoutDriver, DriverBusy),
                  versioned=True),
            Route("POST", PATH + "/{trip_id}/complete", self.complete, answer=wire.Trip, body=wire.Reason,
                  body_optional=True, roles=MAY_MOVE, devices=True, errors=(TripNotFound, TripMoveRefused),
                  versioned=True),
            Route("POST", PATH + "/{trip_id}/cancel", self.cancel, answer=wire.Trip, body=wire.Reason,
                  body_optional=True, roles=PLANNERS, errors=(TripNotFound, TripMoveRefused), versioned=True),
            Route("GET", PATH + "/{trip_id}/events", self.list_events, answer=wire.TripEvent, listing=True,
                  query=PageQuery, devices=True, errors=(TripNotFound,), cache=Cache.PRIVATE),
            Route("GET", PATH + "/{trip_id}/watchers", self.list_watchers, answer=Watcher, listing=True,
                  query=PageQuery, roles=WATCHERS, errors=(TripNotFound, RedisAway)),
        ]  # fmt: skip

    async def list_trips(self, request: web.Request) -> web.Response:
        """The trips that you may see, newest first; a driver's are their own."""
        query = read_query(request, wire.TripsQuery)
        wanted = Filter(query.status, query.driver_id)
        page = await self.trips.list(request[PRINCIPAL], wanted, query.limit, query.cursor)
        return reply_page(request, page, wire.Trip.from_domain)

    async def create(self, request: web.Request) -> web.Response:
        """Plan a trip."""
        body = await read_body(request, wire.NewTrip)
        return _reply(await self.trips.create(request[PRINCIPAL], NewTrip(**body.to_domain())), status=201)

    async def get(self, request: web.Request) -> web.Response:
        """One trip."""
        return _reply(await self.trips.find(request[PRINCIPAL], path_id(request, "trip_id", TripNotFound)))

    async def change(self, request: web.Request) -> web.Response:
        """Change a trip that has not ended; what is fixed once it runs only while it is planned."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        body = await read_body(request, wire.TripChange)
        expected = if_match(request)
        return _reply(await self.trips.change(request[PRINCIPAL], trip_id, body.to_domain(), expected=expected))

    async def start(self, request: web.Request) -> web.Response:
        """The driver sets out; one running trip a driver."""
        return await self._move(request, Move.START)

    async def complete(self, request: web.Request) -> web.Response:
        """The trip has reached its end."""
        return await self._move(request, Move.COMPLETE)

    async def cancel(self, request: web.Request) -> web.Response:
        """Call a trip off."""
        return await self._move(request, Move.CANCEL)

    async def _move(self, request: web.Request, move: Move) -> web.Response:
        trip_id = path_id(request, "trip_id", TripNotFound)
        body = await read_optional_body(request, wire.Reason)
        expected = if_match(request)
        return _reply(await self.trips.move(request[PRINCIPAL], trip_id, move, body.reason, expected=expected))

    async def list_events(self, request: web.Request) -> web.Response:
        """What happened on a trip, newest first."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        query = read_query(request, PageQuery)
        page = await self.trips.events(request[PRINCIPAL], trip_id, query.limit, query.cursor)
        return reply_page(request, page, wire.TripEvent.from_domain)

    async def list_watchers(self, request: web.Request) -> web.Response:
        """Who of your organisation has a trip open right now, on whatever server."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        query = read_query(request, PageQuery)
        page = await self.watching.list(request[PRINCIPAL], trip_id, query.limit, query.cursor)
        return reply_page(request, page, lambda watcher: watcher)


def _reply(trip: Trip, status: int = 200) -> web.Response:
    return reply_versioned(wire.Trip.from_domain(trip), trip.version, status)
