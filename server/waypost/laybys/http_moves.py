"""HTTP edge of what staff do to laybys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from aiohttp import web

from waypost.directory.domain import CustomerNotFound, DriverNotFound, TruckNotFound
from waypost.kernel.errors import invalid_field
from waypost.kernel.principal import PLANNERS, TELLERS
from waypost.laybys import wire, wire_moves
from waypost.laybys.cancelling import Cancelling
from waypost.laybys.changes import Changes, NoMoreExtensions, WindowClosed
from waypost.laybys.deal import Wish
from waypost.laybys.desk import Desk
from waypost.laybys.domain import LaybyMoveRefused, LaybyNotFound
from waypost.laybys.goods import BalanceOpen, Goods, HandOverRefused
from waypost.laybys.http import PATH
from waypost.laybys.orders import OrderHasTrip, Orders
from waypost.laybys.storage_read import Whole
from waypost.platform.routes import Handler, Route
from waypost.platform.web import (
    PRINCIPAL,
    if_match,
    path_id,
    read_body,
    read_optional_body,
    reply,
    reply_versioned,
)

T = TypeVar("T")
ONE = PATH + "/{layby_id}"
REFUSED = (LaybyNotFound, LaybyMoveRefused)


@dataclass(frozen=True, slots=True)
class LaybyMoveRoutes:
    """Each answers the layby whole, as it is after the move."""

    desk: Desk
    changes: Changes
    goods: Goods
    cancelling: Cancelling
    orders: Orders

    def routes(self) -> list[Route]:
        return [
            Route("PATCH", ONE, self.change, answer=wire.Layby, body=wire_moves.LaybyChange, roles=TELLERS,
                  errors=REFUSED, versioned=True),
            _move("hold", self.hold, wire_moves.Reason, optional=True),
            _move("reactivate", self.reactivate, wire_moves.Reason, optional=True),
            _move("extend", self.extend, wire_moves.Extension, NoMoreExtensions),
            _move("reinstate", self.reinstate, wire_moves.Reinstatement, WindowClosed),
            _move("complete", self.complete, wire_moves.Reason, BalanceOpen, optional=True),
            _move("collect", self.collect, wire_moves.Collection, optional=True),
            _move("hand-over", self.hand_over, wire_moves.HandOver, HandOverRefused),
            _move("cancel", self.cancel, wire_moves.Cancel),
            Route("POST", ONE + "/cancel/preview", self.preview, answer=wire_moves.Cancellation,
                  body=wire_moves.CancelAsked, roles=TELLERS, errors=REFUSED),
            Route("POST", ONE + "/trip", self.deliver, status=201, answer=wire.Layby, body=wire_moves.Delivery,
                  body_optional=True, roles=PLANNERS, versioned=True,
                  errors=(*REFUSED, OrderHasTrip, DriverNotFound, TruckNotFound, CustomerNotFound)),
        ]  # fmt: skip

    async def change(self, request: web.Request) -> web.Response:
        """Change the note of a layby that has not ended."""
        layby_id, body = path_id(request, "layby_id", LaybyNotFound), await read_body(request, wire_moves.LaybyChange)
        if isinstance(body.note, str) or body.note is None:
            kept = self.changes.note(request[PRINCIPAL], layby_id, body.note, expected=if_match(request))
            return await self._reply(request, await kept)
        return await self._reply(request, await self.changes.seen(request[PRINCIPAL], layby_id, if_match(request)))

    async def hold(self, request: web.Request) -> web.Response:
        """Stop its clock: nothing falls due, no reminder goes, until it is reactivated."""
        layby_id, body = await _asked(request, wire_moves.Reason)
        return await self._reply(
            request, await self.changes.hold(request[PRINCIPAL], layby_id, body.reason, expected=if_match(request))
        )

    async def reactivate(self, request: web.Request) -> web.Response:
        """Go on: open dates are later by the days on hold, and the customer's waiting credit is used."""
        layby_id, body = await _asked(request, wire_moves.Reason)
        kept = self.changes.reactivate(request[PRINCIPAL], layby_id, body.reason, expected=if_match(request))
        return await self._reply(request, await kept)

    async def extend(self, request: web.Request) -> web.Response:
        """Give more time, as often and as much as the rules of its agreement allow."""
        layby_id, body = await _asked(request, wire_moves.Extension)
        kept = self.changes.extend(
            request[PRINCIPAL], layby_id, body.reason, days=body.days, to=body.dates, expected=if_match(request)
        )
        return await self._reply(request, await kept)

    async def reinstate(self, request: web.Request) -> web.Response:
        """Bring a defaulted layby back within its window."""
        layby_id, body = await _asked(request, wire_moves.Reinstatement)
        kept = self.changes.reinstate(
            request[PRINCIPAL], layby_id, body.reason, days=body.days, expected=if_match(request)
        )
        return await self._reply(request, await kept)

    async def complete(self, request: web.Request) -> web.Response:
        """End a layby of which nothing is owed; the last payment does so by itself."""
        layby_id, body = await _asked(request, wire_moves.Reason)
        kept = self.goods.complete(request[PRINCIPAL], layby_id, body.reason, expected=if_match(request))
        return await self._reply(request, await kept)

    async def collect(self, request: web.Request) -> web.Response:
        """The customer took the goods; nothing of the layby changes after it."""
        layby_id, body = await _asked(request, wire_moves.Collection)
        kept = self.goods.collect(
            request[PRINCIPAL], layby_id, received_by=body.received_by, note=body.note, expected=if_match(request)
        )
        return await self._reply(request, await kept)

    async def hand_over(self, request: web.Request) -> web.Response:
        """Give the customer a part of the goods before all is paid; never more than is paid."""
        layby_id, body = await _asked(request, wire_moves.HandOver)
        counts = {item.n: item.quantity for item in body.items}
        if len(counts) < len(body.items):
            raise invalid_field("items", "an item is named twice")
        kept = self.goods.hand_over(
            request[PRINCIPAL], layby_id, counts, received_by=body.received_by, expected=if_match(request)
        )
        return await self._reply(request, await kept)

    async def cancel(self, request: web.Request) -> web.Response:
        """End it: the fee within the law is kept, the rest is due to the customer, the goods go back."""
        layby_id, body = await _asked(request, wire_moves.Cancel)
        wish = Wish(body.by, body.reason, body.exemption)
        kept = self.cancelling.cancel(request[PRINCIPAL], layby_id, wish, expected=if_match(request))
        return await self._reply(request, await kept)

    async def preview(self, request: web.Request) -> web.Response:
        """What fee and refund a cancellation now would come to, and how; nothing changes."""
        layby_id, body = await _asked(request, wire_moves.CancelAsked)
        wish = Wish(body.by, exemption=body.exemption)
        working, currency = await self.cancelling.preview(request[PRINCIPAL], layby_id, wish)
        return reply(wire_moves.Cancellation.of(working, currency))

    async def deliver(self, request: web.Request) -> web.Response:
        """Make a trip of a completed layby's order, for its customer."""
        layby_id, body = await _asked(request, wire_moves.Delivery)
        kept = self.orders.deliver(request[PRINCIPAL], layby_id, body.to_domain(), expected=if_match(request))
        return await self._reply(request, await kept, status=201)

    async def _reply(self, request: web.Request, found: Whole, status: int = 200) -> web.Response:
        today = await self.desk.today(request[PRINCIPAL].org_id)
        return reply_versioned(wire.Layby.of(found, today), found.layby.version, status)


async def _asked(request: web.Request, kind: type[T]) -> tuple[UUID, T]:
    """The layby in the path, and the body; an empty one where none was sent."""
    return path_id(request, "layby_id", LaybyNotFound), await read_optional_body(request, kind)


def _move(name: str, handler: Handler, body: Any, *errors: Any, optional: bool = False) -> Route:
    return Route(
        "POST",
        f"{ONE}/{name}",
        handler,
        answer=wire.Layby,
        body=body,
        body_optional=optional,
        roles=TELLERS,
        errors=(*REFUSED, *errors),
        idempotent=True,
        versioned=True,
    )
