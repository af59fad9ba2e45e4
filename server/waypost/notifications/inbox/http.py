"""HTTP edge of inboxes."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.notifications.inbox import wire
from waypost.notifications.inbox.service import Inbox
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, read_body, read_query, reply, reply_page

PATH = "/api/v1/inbox"


@dataclass(frozen=True, slots=True)
class InboxRoutes:
    """Everybody's own inbox."""

    inbox: Inbox

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_all, answer=wire.InboxItem, listing=True, query=wire.InboxQuery),
            Route("GET", PATH + "/unread", self.unread, answer=wire.InboxUnread),
            Route("POST", PATH + "/read", self.read, answer=wire.InboxUnread, body=wire.InboxRead),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """What you were told, newest first; with `since` what came after that number, oldest first."""
        query = read_query(request, wire.InboxQuery)
        page = await self.inbox.list(request[PRINCIPAL], query.since, query.limit, query.cursor)
        return reply_page(request, page, wire.InboxItem.from_domain)

    async def unread(self, request: web.Request) -> web.Response:
        """How many you have not read."""
        return reply(wire.InboxUnread.from_domain(await self.inbox.unread(request[PRINCIPAL])))

    async def read(self, request: web.Request) -> web.Response:
        """You have read these; your other windows hear of it."""
        body = await read_body(request, wire.InboxRead)
        found = await self.inbox.read(request[PRINCIPAL], body.up_to, body.ids)
        return reply(wire.InboxUnread.from_domain(found))
