"""HTTP edge of deliveries, one by one: what is stuck or was withheld, and what staff do about it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.errors import Invalid
from waypost.kernel.principal import PLANNERS, WATCHERS
from waypost.notifications import wire
from waypost.notifications import wire_asked as asked
from waypost.notifications.domain import DeliveryMoveRefused, DeliveryNotFound
from waypost.notifications.service import Notifications
from waypost.notifications.stuck import Stuck
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/deliveries"
ONE = PATH + "/{delivery_id}"


@dataclass(frozen=True, slots=True)
class StuckRoutes:
    """Deliveries."""

    notifications: Notifications
    stuck: Stuck

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_all, answer=wire.KindedDelivery, listing=True, query=asked.DeliveriesQuery,
                  roles=WATCHERS, errors=(Invalid,)),
            Route("POST", PATH + "/replay", self.replay_many, answer=wire.Replayed, body=asked.ReplayRange,
                  roles=PLANNERS, idempotent=True),
            Route("POST", ONE + "/replay", self.replay, answer=wire.Delivery, body=asked.Why, roles=PLANNERS,
                  errors=(DeliveryNotFound, DeliveryMoveRefused)),
            Route("POST", ONE + "/resolve", self.resolve, answer=wire.Delivery, body=asked.Resolution, roles=PLANNERS,
                  errors=(DeliveryNotFound, DeliveryMoveRefused)),
        ]  # fmt: skip

    async def list_all(self, request: web.Request) -> web.Response:
        """Deliveries one by one, newest first: `state=dead` are the dead letters, `state=in_doubt` wait for a person,
        `reason` finds what was withheld.
        """
        query = read_query(request, asked.DeliveriesQuery)
        page = await self.notifications.deliveries(request[PRINCIPAL], query.wanted(), query.limit, query.cursor)
        return reply_page(request, page, wire.KindedDelivery.of)

    async def replay_many(self, request: web.Request) -> web.Response:
        """Send once more all that were given up or refused and are of this sort, the oldest first."""
        body = await read_body(request, asked.ReplayRange)
        done = await self.stuck.replay_many(request[PRINCIPAL], body.wanted(), body.why, body.limit)
        return reply(wire.Replayed(done.done, done.more))

    async def replay(self, request: web.Request) -> web.Response:
        """Send once more what was given up or refused."""
        delivery_id = path_id(request, "delivery_id", DeliveryNotFound)
        body = await read_body(request, asked.Why)
        return reply(wire.Delivery.from_domain(await self.stuck.replay(request[PRINCIPAL], delivery_id, body.why)))

    async def resolve(self, request: web.Request) -> web.Response:
        """Decide about a delivery in doubt: send it again, or let it be."""
        delivery_id = path_id(request, "delivery_id", DeliveryNotFound)
        body = await read_body(request, asked.Resolution)
        send_again = body.action == "send_again"
        return reply(
            wire.Delivery.from_domain(
                await self.stuck.resolve(request[PRINCIPAL], delivery_id, body.why, send_again=send_again)
            )
        )
