"""What every request passes before its handler: shares of the rate limits, and a query that the route knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from waypost.kernel.principal import Principal, Role
from waypost.platform.addresses import client_address
from waypost.platform.limits import Limit, Limiter, Share
from waypost.platform.routes import Route, row_of
from waypost.platform.telemetry import log
from waypost.platform.web import PRINCIPAL, BadQuery, check_fields


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a minute; 0: no limit. ``free``: the roles that no limit holds (each pass is logged)."""

    person: int
    organisation: int
    address: int
    costly: int
    free: frozenset[Role] = frozenset()

    def shares(self, row: Route, principal: Principal | None, address: str) -> list[Share]:
        """What a request is counted against. A device's reports are not counted here: ingest has limits of its own."""
        if principal is None:
            return _those_that_hold((Limit("address", self.address), address))
        if principal.device_id is not None:
            return []
        person = str(principal.user_id)
        costly = [(Limit("costly", self.costly), f"{person}:{row.method}:{row.path}")] if row.costly else []
        organisation = (Limit("organisation", self.organisation), str(principal.org_id))
        return _those_that_hold(*costly, (Limit("person", self.person), person), organisation)


def _those_that_hold(*counted: tuple[Limit, str]) -> list[Share]:
    return [Share(limit, key) for limit, key in counted if limit.a_minute > 0]


def refusals(limiter: Limiter, rates: Rates) -> Callable[[web.Request], Awaitable[None]]:
    """Count a refused token against the address it came from: guessing, and beating on a dead one, is limited too."""

    async def refused(request: web.Request) -> None:
        if rates.address > 0:
            await limiter.spend([Share(Limit("refused", rates.address), client_address(request))])

    return refused


def rate_limits(limiter: Limiter, rates: Rates) -> Middleware:
    """Count the request; 429 with `Retry-After` and `RateLimit-*` when a share is used up."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        row = row_of(request)
        if row is None or not row.counted or not row.described or not row.path.startswith("/api/v1"):
            return await handler(request)
        principal = request.get(PRINCIPAL)
        shares = rates.shares(row, principal, client_address(request))
        if principal is not None and principal.device_id is None and principal.role in rates.free:
            log.info("rate_limit_bypassed", role=str(principal.role), user_id=str(principal.user_id), path=row.path)
        elif shares:
            await limiter.spend(shares)
        return await handler(request)

    return middleware


@web.middleware
async def known_queries(request: web.Request, handler: Handler) -> web.StreamResponse:
    """``BadQuery`` for parameters on a route that has none, and for ``fields`` that its rows do not have."""
    row = row_of(request)
    if row is not None and row.described:
        if row.query is None and request.query_string and request.query:
            raise BadQuery("This takes no query parameters.")
        check_fields(row, request)
    return await handler(request)
