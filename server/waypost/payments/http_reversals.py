"""HTTP edge of requests for a reversal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from waypost.kernel.principal import MONEY, WATCHERS
from waypost.payments import wire_reversals as wire
from waypost.payments.domain import PaymentNotFound
from waypost.payments.reversal_domain import (
    AmountNotWhole,
    NotReversible,
    ReversalNotFound,
    ReversalNotSetUp,
    ReversalOpen,
)
from waypost.payments.reversals import Reversals
from waypost.platform.routes import Route
from waypost.platform.secretbox import Unreadable
from waypost.platform.web import PRINCIPAL, path_id, read_body, reply

PATH: Final = "/api/v1/payments/{payment_id}/reversal"
REFUSALS: Final = (PaymentNotFound, ReversalOpen, NotReversible, ReversalNotSetUp, AmountNotWhole, Unreadable)


@dataclass(frozen=True, slots=True)
class ReversalRoutes:
    """Asking providers to take payments back."""

    reversals: Reversals

    def routes(self) -> list[Route]:
        return [
            Route("POST", PATH, self.ask_reversal, status=202, answer=wire.ReversalRequest, body=wire.NewReversal,
                  roles=MONEY, idempotent=True, errors=REFUSALS),
            Route("GET", PATH, self.get_reversal, answer=wire.ReversalRequest, roles=WATCHERS,
                  errors=(PaymentNotFound, ReversalNotFound)),
        ]  # fmt: skip

    async def ask_reversal(self, request: web.Request) -> web.Response:
        """Ask the provider to take a payment back whole. A worker asks; what becomes of it is in the state."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        body = await read_body(request, wire.NewReversal)
        asked = await self.reversals.create(request[PRINCIPAL], payment_id, body.reason)
        return reply(wire.ReversalRequest.from_domain(asked), status=202)

    async def get_reversal(self, request: web.Request) -> web.Response:
        """The newest request to take a payment back."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        return reply(wire.ReversalRequest.from_domain(await self.reversals.find(request[PRINCIPAL], payment_id)))
