"""HTTP edge of notifications: what was told whom, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiohttp import web

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Invalid, NotFound
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal, Role
from waypost.notifications import wire
from waypost.notifications import wire_asked as asked
from waypost.notifications.domain import NamedNobody, NotificationNotFound
from waypost.notifications.resending import Resending
from waypost.notifications.seen_domain import Filter
from waypost.notifications.service import Notifications
from waypost.platform.codec import instant
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/notifications"
ONE = PATH + "/{notification_id}"
A_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Trail:
    """Of a thing of another feature: ``subjects`` are the ids of what notices about it name, itself among them; it
    raises ``missing`` for one that the caller may not see. ``customer``: the notices are those of a person.
    """

    path: str
    name: str
    subjects: Callable[[Principal, UUID], Awaitable[Sequence[UUID]]]
    missing: type[NotFound]
    customer: bool = False
    roles: frozenset[Role] = WATCHERS


@dataclass(frozen=True, slots=True)
class NotificationRoutes:
    """Notifications, with their deliveries; and the trails of what they are about."""

    notifications: Notifications
    resending: Resending
    clock: Clock
    trails: Sequence[Trail]

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_all, answer=wire.Notification, listing=True, query=asked.NotificationsQuery,
                  roles=WATCHERS, errors=(Invalid,)),
            Route("GET", PATH + "/figures", self.figures, answer=wire.Figures, query=asked.DeliveryFiguresQuery,
                  roles=WATCHERS, costly=True, errors=(Invalid,)),
            Route("GET", ONE, self.get, answer=wire.NotificationDetail, roles=WATCHERS, errors=(NotificationNotFound,)),
            Route("POST", ONE + "/resend", self.resend, answer=wire.Resent, body=asked.Why, status=202, roles=PLANNERS,
                  idempotent=True, errors=(NotificationNotFound, NamedNobody)),
            *(self._trail(trail) for trail in self.trails),
        ]  # fmt: skip

    async def list_all(self, request: web.Request) -> web.Response:
        """What people were told, newest first."""
        query = read_query(request, asked.NotificationsQuery)
        page = await self.notifications.list(request[PRINCIPAL], query.wanted(), query.limit, query.cursor)
        return reply_page(request, page, wire.Notification.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One notification, with every word and every try."""
        notification_id = path_id(request, "notification_id", NotificationNotFound)
        return reply(
            wire.NotificationDetail.from_domain(await self.notifications.find(request[PRINCIPAL], notification_id))
        )

    async def figures(self, request: web.Request) -> web.Response:
        """How many went out, came and failed; how fast, and at what cost: by day, kind, channel and provider."""
        query = read_query(request, asked.DeliveryFiguresQuery)
        given = asked.span(query.since, query.until)
        until = given[1] or self.clock.now()
        since = given[0] or until - A_WEEK
        rows = await self.notifications.figures(request[PRINCIPAL], since, until)
        return reply(wire.Figures(instant(since), instant(until), [wire.Figure.from_domain(row) for row in rows]))

    async def resend(self, request: web.Request) -> web.Response:
        """Tell them the same once more, to where they are reached now: as a new notification."""
        notification_id = path_id(request, "notification_id", NotificationNotFound)
        body = await read_body(request, asked.Why)
        await self.resending.resend(request[PRINCIPAL], notification_id, body.why)
        return reply(wire.Resent(notification_id), status=202)

    def _trail(self, trail: Trail) -> Route:
        async def listed(request: web.Request) -> web.Response:
            subject_id = path_id(request, trail.name, trail.missing)
            query = read_query(request, PageQuery)
            subjects = await trail.subjects(request[PRINCIPAL], subject_id)
            wanted = Filter(customer_id=subject_id) if trail.customer else Filter(subjects=subjects)
            page = await self.notifications.list(request[PRINCIPAL], wanted, query.limit, query.cursor)
            return reply_page(request, page, wire.Notification.from_domain)

        listed.__name__ = f"list_of_{trail.name.removesuffix('_id')}"
        listed.__doc__ = "Who was told what about it, and what became of that, newest first."
        return Route("GET", trail.path, listed, answer=wire.Notification, listing=True, query=PageQuery,
                     roles=trail.roles, errors=(trail.missing,))  # fmt: skip
