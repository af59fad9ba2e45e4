"""HTTP edge of preferences and suppressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiohttp import web

from waypost.kernel.errors import NotFound
from waypost.kernel.principal import PLANNERS, TELLERS, WATCHERS, Principal
from waypost.notifications.consent import wire
from waypost.notifications.consent.domain import SuppressionEnded, SuppressionNotFound, SuppressionTheirs
from waypost.notifications.consent.ports import FindCustomer
from waypost.notifications.consent.service import OWNERS, Preferences, Suppressions
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

API: Final = "/api/v1"
OF_CUSTOMER: Final = API + "/customers/{customer_id}/preferences"
SUPPRESSIONS: Final = API + "/suppressions"


@dataclass(frozen=True, slots=True)
class CustomerLookup:
    """Customers belong to another feature: ``find`` gives None for one that is not the organisation's."""

    find: FindCustomer
    missing: type[NotFound]

    async def check(self, principal: Principal, customer_id: UUID) -> None:
        """Raises ``missing``."""
        if await self.find(principal.org_id, customer_id) is None:
            raise self.missing


@dataclass(frozen=True, slots=True)
class ConsentRoutes:
    """Who wants to be told what, and who must not be written to."""

    preferences: Preferences
    suppressions: Suppressions
    customers: CustomerLookup

    def routes(self) -> list[Route]:
        missing = (self.customers.missing,)
        return [
            Route("GET", OF_CUSTOMER, self.get_customers, answer=wire.Chosen, roles=WATCHERS, errors=missing),
            Route("PUT", OF_CUSTOMER, self.set_customers, answer=wire.Chosen, body=wire.CustomerPreferences,
                  roles=TELLERS, errors=missing),
            Route("GET", API + "/me/preferences", self.get_mine, answer=wire.Chosen),
            Route("PUT", API + "/me/preferences", self.set_mine, answer=wire.Chosen, body=wire.Preferences),
            Route("GET", API + "/organisation/preferences", self.get_ours, answer=wire.Chosen, roles=WATCHERS),
            Route("PUT", API + "/organisation/preferences", self.set_ours, answer=wire.Chosen, body=wire.Preferences,
                  roles=OWNERS),
            Route("GET", SUPPRESSIONS, self.list_suppressions, answer=wire.Suppression, listing=True,
                  query=wire.SuppressionsQuery, roles=WATCHERS),
            Route("POST", SUPPRESSIONS, self.suppress, status=201, answer=wire.Suppression, body=wire.NewSuppression,
                  roles=TELLERS, errors=(SuppressionNotFound,), idempotent=True),
            Route("POST", SUPPRESSIONS + "/{suppression_id}/end", self.end, answer=wire.Suppression, body=wire.Ending,
                  roles=PLANNERS, errors=(SuppressionNotFound, SuppressionEnded, SuppressionTheirs)),
        ]  # fmt: skip

    async def get_customers(self, request: web.Request) -> web.Response:
        """What a customer wants to be told, and by which channel."""
        customer_id = await self._customer(request)
        return reply(wire.Chosen.from_domain(await self.preferences.of_customer(request[PRINCIPAL], customer_id)))

    async def set_customers(self, request: web.Request) -> web.Response:
        """Keep what a customer has said of what they want to be told. What is required cannot be switched off."""
        customer_id = await self._customer(request)
        body = await read_body(request, wire.CustomerPreferences)
        said = await self.preferences.set_for_customer(
            request[PRINCIPAL], customer_id, body.to_domain(), body.source
        )  # fmt: skip
        return reply(wire.Chosen.from_domain(said))

    async def get_mine(self, request: web.Request) -> web.Response:
        """What you want to be told as a member of staff. The inbox is always filled."""
        return reply(wire.Chosen.from_domain(await self.preferences.of_me(request[PRINCIPAL])))

    async def set_mine(self, request: web.Request) -> web.Response:
        """Say what you want to be told as a member of staff."""
        body = await read_body(request, wire.Preferences)
        return reply(wire.Chosen.from_domain(await self.preferences.set_for_me(request[PRINCIPAL], body.to_domain())))

    async def get_ours(self, request: web.Request) -> web.Response:
        """What the organisation has chosen for all who have not chosen themselves."""
        return reply(wire.Chosen.from_domain(await self.preferences.of_organisation(request[PRINCIPAL])))

    async def set_ours(self, request: web.Request) -> web.Response:
        """Choose for all who have not chosen themselves."""
        body = await read_body(request, wire.Preferences)
        said = await self.preferences.set_for_organisation(request[PRINCIPAL], body.to_domain())
        return reply(wire.Chosen.from_domain(said))

    async def list_suppressions(self, request: web.Request) -> web.Response:
        """Addresses that must not be written to, newest first."""
        query = read_query(request, wire.SuppressionsQuery)
        page = await self.suppressions.list(request[PRINCIPAL], query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.Suppression.from_domain)

    async def suppress(self, request: web.Request) -> web.Response:
        """Write to an address no more."""
        body = await read_body(request, wire.NewSuppression)
        row = await self.suppressions.add(
            request[PRINCIPAL], channel=body.channel, address=body.checked(), sender=body.sender, why=body.why
        )
        return reply(wire.Suppression.from_domain(row), status=201)

    async def end(self, request: web.Request) -> web.Response:
        """An address is good again. What the person has said themselves (STOP, the link in an e-mail, a complaint) is
        theirs to take back.
        """
        suppression_id = path_id(request, "suppression_id", SuppressionNotFound)
        body = await read_body(request, wire.Ending)
        return reply(
            wire.Suppression.from_domain(await self.suppressions.end(request[PRINCIPAL], suppression_id, body.why))
        )

    async def _customer(self, request: web.Request) -> UUID:
        customer_id = path_id(request, "customer_id", self.customers.missing)
        await self.customers.check(request[PRINCIPAL], customer_id)
        return customer_id
