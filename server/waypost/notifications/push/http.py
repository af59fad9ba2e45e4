"""HTTP edge of web push: a person's own browsers."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.notifications.push import wire
from waypost.notifications.push.domain import PushSubscriptionNotFound
from waypost.notifications.push.service import PushBook
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH = "/api/v1/push"
OWN = PATH + "/subscriptions"


@dataclass(frozen=True, slots=True)
class PushRoutes:
    """Everybody's own."""

    push: PushBook

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH + "/key", self.key, answer=wire.PushKey),
            Route("GET", OWN, self.list_own, answer=wire.PushSubscription, listing=True, query=PageQuery),
            Route("POST", OWN, self.subscribe, status=201, answer=wire.PushSubscription, body=wire.NewPushSubscription),
            Route("DELETE", OWN + "/{push_subscription_id}", self.unsubscribe, status=204,
                  errors=(PushSubscriptionNotFound,)),
        ]  # fmt: skip

    async def key(self, _request: web.Request) -> web.Response:
        """The key that your browser subscribes with."""
        return reply(wire.PushKey(await self.push.public_key()))

    async def list_own(self, request: web.Request) -> web.Response:
        """Your browsers that are pushed to."""
        query = read_query(request, PageQuery)
        page = await self.push.list(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.PushSubscription.from_domain)

    async def subscribe(self, request: web.Request) -> web.Response:
        """Push to this browser from now on; said again, it renews its keys."""
        body = await read_body(request, wire.NewPushSubscription)
        agent = request.headers.get("User-Agent", "")
        made = await self.push.subscribe(request[PRINCIPAL], body.endpoint, body.keys.to_domain(), agent)
        return reply(wire.PushSubscription.from_domain(made), 201)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """No more pushes to this browser."""
        subscription_id = path_id(request, "push_subscription_id", PushSubscriptionNotFound)
        await self.push.unsubscribe(request[PRINCIPAL], subscription_id)
        return web.Response(status=204, headers={"Cache-Control": "no-store"})
