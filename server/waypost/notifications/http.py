"""HTTP edge of notifications: what was told, and what staff do about a delivery that is stuck."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from waypost.kernel.errors import NotFound
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal
from waypost.notifications import wire
from waypost.notifications.domain import DeliveryMoveRefused, DeliveryNotFound, Filter, NotificationNotFound
from waypost.notifications.service import Notifications
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/notifications"
STUCK = "/api/v1/deliveries/{delivery_id}"


@dataclass(frozen=True, slots=True)
class TripLookup:
    """Trips belong to another feature: ``find`` raises ``missing`` for one that the caller may not see."""

    find: Callable[[Principal, UUID], Awaitable[object]]
    missing: type[NotFound]


@dataclass(frozen=True, slots=True)
class NotificationRoutes:
    """Notifications, and their deliveries."""

    notifications: Notifications
    trips: TripLookup

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_all, answer=wire.Notification, listing=True, query=wire.NotificationsQuery,
                  roles=WATCHERS),
            Route("GET", PATH + "/{notification_id}", self.get, answer=wire.NotificationDetail, roles=WATCHERS,
                  errors=(NotificationNotFound,)),
            Route("GET", "/api/v1/trips/{trip_id}/notifications", self.list_of_trip, answer=wire.Notification,
                  listing=True, query=PageQuery, roles=WATCHERS, errors=(self.trips.missing,)),
            Route("POST", STUCK + "/replay", self.replay, answer=wire.Delivery, body=wire.Why, roles=PLANNERS,
                  errors=(DeliveryNotFound, DeliveryMoveRefused)),
            Route("POST", STUCK + "/resolve", self.resolve, answer=wire.Delivery, body=wire.Resolution, roles=PLANNERS,
                  errors=(DeliveryNotFound, DeliveryMoveRefused)),
        ]  # fmt: skip

    async def list_all(self, request: web.Request) -> web.Response:
        """What customers were told, newest first."""
        query = read_query(request, wire.NotificationsQuery)
        wanted = Filter(query.state, query.kind, query.trip_id)
        page = await self.notifications.list(request[PRINCIPAL], wanted, query.limit, query.cursor)
        return reply_page(request, page, wire.Notification.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One notification, with every word and every try."""
        notification_id = path_id(request, "notification_id", NotificationNotFound)
        return reply(
            wire.NotificationDetail.from_domain(await self.notifications.find(request[PRINCIPAL], notification_id))
        )

    async def list_of_trip(self, request: web.Request) -> web.Response:
        """What a trip's customer was told, newest first."""
        trip_id = path_id(request, "trip_id", self.trips.missing)
        query = read_query(request, PageQuery)
        await self.trips.find(request[PRINCIPAL], trip_id)
        wanted = Filter(subject_id=trip_id)
        page = await self.notifications.list(request[PRINCIPAL], wanted, query.limit, query.cursor)
        return reply_page(request, page, wire.Notification.from_domain)

    async def replay(self, request: web.Request) -> web.Response:
        """Send once more what was given up or refused."""
        delivery_id = path_id(request, "delivery_id", DeliveryNotFound)
        body = await read_body(request, wire.Why)
        return reply(
            wire.Delivery.from_domain(await self.notifications.replay(request[PRINCIPAL], delivery_id, body.why))
        )

    async def resolve(self, request: web.Request) -> web.Response:
        """Decide about a delivery in doubt: send it again, or let it be."""
        delivery_id = path_id(request, "delivery_id", DeliveryNotFound)
        body = await read_body(request, wire.Resolution)
        send_again = body.action == "send_again"
        delivery = await self.notifications.resolve(request[PRINCIPAL], delivery_id, body.why, send_again=send_again)
        return reply(wire.Delivery.from_domain(delivery))
