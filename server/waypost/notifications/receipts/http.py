"""HTTP edge of receipts: the addresses that providers call, and what staff see of what came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from waypost.kernel.principal import WATCHERS
from waypost.notifications.providers.reports import Call, Road
from waypost.notifications.receipts import wire
from waypost.notifications.receipts.arrivals import Receipts
from waypost.notifications.receipts.domain import (
    Disposition,
    ReceiptDoorUnknown,
    ReceiptElsewhere,
    ReceiptForged,
)
from waypost.notifications.receipts.service import Heard
from waypost.platform.addresses import client_address, public_root
from waypost.platform.bodies import BadEncoding, BodyTooLarge, UnsupportedEncoding
from waypost.platform.routes import Handler, Route
from waypost.platform.secretbox import Unreadable
from waypost.platform.web import PRINCIPAL, raw_body, read_query, reply, reply_page

API: Final = "/api/v1"
PATH: Final = API + "/callbacks/messages/{token}"
BODY_LIMIT: Final = 64 * 1024
MAIL_LIMIT: Final = 512 * 1024  # a message that comes back whole, or a day's events in one call
FORM: Final = "application/x-www-form-urlencoded"
READS: Final[Mapping[str, Any]] = {FORM: Any, "application/json": Any}
READS_MAIL: Final[Mapping[str, Any]] = {"application/json": Any, "message/rfc822": Any, "text/plain": Any}
REFUSALS: Final = (
    ReceiptDoorUnknown, ReceiptElsewhere, ReceiptForged, BodyTooLarge, BadEncoding, UnsupportedEncoding, Unreadable,
)  # fmt: skip
# Twilio takes what it is answered for words to send: an empty answer of its own kind sends nothing.
NO_WORDS, XML = '<?xml version="1.0" encoding="UTF-8"?><Response/>', "application/xml"


@dataclass(frozen=True, slots=True)
class MessageReceiptRoutes:
    """``refused``: told of each call with a token that leads nowhere, or a bad signature; may raise what is answered
    instead. ``public_url``: as providers reach us, which a signature is over; None: as this request did.
    """

    receipts: Receipts
    heard: Heard
    refused: Callable[[web.Request], Awaitable[None]]
    public_url: str | None

    def routes(self) -> list[Route]:
        return [
            _taking("status", self.status),
            _told_by_query("status", self.status_by_query, answer=wire.ReceiptTaken),
            _told_by_query("inbound", self.inbound_by_query, content_type=XML),
            Route("POST", PATH + "/inbound", self.inbound, content_type=XML, reads=READS, query=wire.ReceiptIgnored,
                  public=True, counted=False, body_limit=BODY_LIMIT, errors=REFUSALS),
            _taking("opt-out", self.opt_out),
            Route("POST", PATH + "/bounces", self.bounces, answer=wire.ReceiptTaken, reads=READS_MAIL,
                  query=wire.ReceiptIgnored,
                  public=True, counted=False, body_limit=MAIL_LIMIT, errors=REFUSALS),
            Route("GET", API + "/message-receipts", self.list_receipts, answer=wire.Receipt, listing=True,
                  query=wire.ReceiptsQuery, roles=WATCHERS),
            Route("GET", API + "/inbound-messages", self.list_messages, answer=wire.InboundMessage, listing=True,
                  query=wire.MessagesQuery, roles=WATCHERS),
        ]  # fmt: skip

    async def status(self, request: web.Request) -> web.Response:
        """What became of a message. A second, a late, an early one do no harm; nor do fields that we do not know."""
        return reply(wire.ReceiptTaken(received=True, disposition=await self._take(request, Road.STATUS)))

    async def inbound(self, request: web.Request) -> web.Response:
        """Somebody has written to us: STOP and START are obeyed, anything else is shown to staff."""
        await self._take(request, Road.INBOUND)
        return web.Response(text=NO_WORDS, content_type=XML, headers={"Cache-Control": "no-store"})

    async def status_by_query(self, request: web.Request) -> web.Response:
        """What became of a message, said by the address alone: for gateways that call no other way."""
        return await self.status(request)

    async def inbound_by_query(self, request: web.Request) -> web.Response:
        """Somebody has written to us, said by the address alone."""
        return await self.inbound(request)

    async def opt_out(self, request: web.Request) -> web.Response:
        """Somebody has told the provider that they want no more, or again."""
        return reply(wire.ReceiptTaken(received=True, disposition=await self._take(request, Road.OPT_OUT)))

    async def bounces(self, request: web.Request) -> web.Response:
        """A mail came back, or was complained of: a mail provider's web hook, or the message that a mail server sent
        back (RFC 3464).
        """
        return reply(wire.ReceiptTaken(received=True, disposition=await self._take(request, Road.BOUNCE)))

    async def list_receipts(self, request: web.Request) -> web.Response:
        """What providers have said of messages, newest first."""
        query = read_query(request, wire.ReceiptsQuery)
        page = await self.heard.receipts(request[PRINCIPAL], query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.Receipt.from_domain)

    async def list_messages(self, request: web.Request) -> web.Response:
        """What people have written to us, newest first."""
        query = read_query(request, wire.MessagesQuery)
        page = await self.heard.messages(request[PRINCIPAL], query.from_, query.limit, query.cursor)
        return reply_page(request, page, wire.InboundMessage.from_domain)

    async def _take(self, request: web.Request, road: Road) -> Disposition | None:
        """The body first, so that the limit holds for everybody."""
        body, token = await raw_body(request), request.match_info["token"]
        root = (self.public_url or public_root(request)).rstrip("/")
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(road, root + request.raw_path, headers, dict(request.query), body)
        try:
            return await self.receipts.arrive(token, call, client_address(request))
        except (ReceiptDoorUnknown, ReceiptForged):
            await self.refused(request)
            raise


def _taking(name: str, handler: Handler) -> Route:
    return Route(
        "POST", f"{PATH}/{name}", handler, answer=wire.ReceiptTaken, reads=READS, query=wire.ReceiptIgnored,
        public=True,
        counted=False, body_limit=BODY_LIMIT, errors=REFUSALS,
    )  # fmt: skip


def _told_by_query(name: str, handler: Handler, **answer: Any) -> Route:
    """For gateways that say all in the address (Kannel, playSMS and many national ones)."""
    return Route(
        "GET",
        f"{PATH}/{name}",
        handler,
        query=wire.ReceiptIgnored,
        public=True,
        counted=False,
        errors=REFUSALS,
        **answer,
    )
