"""HTTP edge of callbacks: Daraja's addresses, and what staff see of what came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from waypost.kernel.principal import MONEY
from waypost.laybys.domain import LaybyNotFound
from waypost.payments import wire_callbacks as wire
from waypost.payments.callback_domain import (
    CallbackElsewhere,
    CallbackNotFound,
    CallbackUnknown,
    NothingToSettle,
    PerhapsBooked,
)
from waypost.payments.callback_work import Ended
from waypost.payments.callbacks import Callbacks
from waypost.payments.domain import AlreadySettled, Disposition, PaymentNotFound
from waypost.payments.providers.accounts import ProviderName, ProviderNotFound
from waypost.payments.providers.daraja import Road
from waypost.payments.reviews import Reviews
from waypost.platform.addresses import client_address
from waypost.platform.bodies import BadEncoding, BodyTooLarge, UnsupportedEncoding
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, raw_body, read_body, read_query, reply, reply_page

PATH: Final = "/api/v1/callbacks"
DARAJA: Final = PATH + "/daraja/{token}"
BODY_LIMIT: Final = 64 * 1024
READS: Final[Mapping[str, Any]] = {"application/json": Any}
REFUSALS: Final = CallbackUnknown, CallbackElsewhere, BodyTooLarge, BadEncoding, UnsupportedEncoding


@dataclass(frozen=True, slots=True)
class CallbackRoutes:
    """``refused``: told of each call with a token that leads nowhere; may raise what is answered instead."""

    callbacks: Callbacks
    reviews: Reviews
    refused: Callable[[web.Request], Awaitable[None]]

    def routes(self) -> list[Route]:
        return [
            self._daraja(Road.STK, self.stk, wire.Taken),
            self._daraja(Road.VALIDATION, self.validation, wire.Judged),
            self._daraja(Road.CONFIRMATION, self.confirmation, wire.Taken),
            self._daraja(Road.REVERSAL, self.reversal, wire.Taken),
            self._daraja(Road.TIMEOUT, self.timeout, wire.Taken),
            Route("GET", PATH, self.list_callbacks, answer=wire.Callback, listing=True, query=wire.CallbacksQuery,
                  roles=MONEY),
            Route("GET", PATH + "/{callback_id}", self.get, answer=wire.WholeCallback, roles=MONEY,
                  errors=(CallbackNotFound,)),
            Route("POST", PATH + "/{callback_id}/settle", self.settle, answer=wire.WholeCallback, body=wire.Settle,
                  roles=MONEY, idempotent=True,
                  errors=(CallbackNotFound, NothingToSettle, AlreadySettled, PerhapsBooked, PaymentNotFound,
                          LaybyNotFound, ProviderNotFound)),
        ]  # fmt: skip

    def _daraja(self, road: Road, handler: Callable[[web.Request], Awaitable[web.Response]], answer: Any) -> Route:
        return Route(
            "POST", f"{DARAJA}/{road}", handler, answer=answer, reads=READS, query=wire.Ignored, public=True,
            counted=False, body_limit=BODY_LIMIT, errors=REFUSALS,
        )  # fmt: skip

    async def stk(self, request: web.Request) -> web.Response:
        """A customer has answered a prompt on their phone."""
        await self._take(request, Road.STK)
        return reply(wire.Taken())

    async def confirmation(self, request: web.Request) -> web.Response:
        """A customer has paid by the shop's number."""
        await self._take(request, Road.CONFIRMATION)
        return reply(wire.Taken())

    async def reversal(self, request: web.Request) -> web.Response:
        """A payment was taken back."""
        await self._take(request, Road.REVERSAL)
        return reply(wire.Taken())

    async def timeout(self, request: web.Request) -> web.Response:
        """A request for a reversal has waited too long in the provider's queue."""
        await self._take(request, Road.TIMEOUT)
        return reply(wire.Taken())

    async def validation(self, request: web.Request) -> web.Response:
        """May a customer pay this? Nothing is booked by it. Who hears no refusal lets the customer pay."""
        ended = await self._take(request, Road.VALIDATION)
        if ended is not None and ended.disposition is Disposition.REJECTED:
            return reply(wire.Judged(ended.detail, "Rejected"))
        return reply(wire.Judged())

    async def _take(self, request: web.Request, road: Road) -> Ended | None:
        """The body first, so that the limit holds for everybody; kept, unless nobody's address was called."""
        body, token = await raw_body(request), request.match_info["token"]
        try:
            return await self.callbacks.arrive(token, ProviderName.DARAJA, road, body, client_address(request))
        except CallbackUnknown:
            await self.refused(request)
            raise

    async def list_callbacks(self, request: web.Request) -> web.Response:
        """What providers have sent, newest first."""
        query = read_query(request, wire.CallbacksQuery)
        page = await self.reviews.list(request[PRINCIPAL], query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.Callback.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One callback, with its raw body."""
        callback_id = path_id(request, "callback_id", CallbackNotFound)
        return reply(wire.WholeCallback.from_domain(await self.reviews.find(request[PRINCIPAL], callback_id)))

    async def settle(self, request: web.Request) -> web.Response:
        """End the question that a callback leaves open: book what it is about, or dismiss it."""
        callback_id = path_id(request, "callback_id", CallbackNotFound)
        body = await read_body(request, wire.Settle)
        row = await self.reviews.settle(request[PRINCIPAL], callback_id, body.to_domain())
        return reply(wire.WholeCallback.from_domain(row))
