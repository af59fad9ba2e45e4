"""HTTP edge of the register of payment providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from waypost.kernel.errors import invalid_field
from waypost.kernel.principal import MONEY, Role
from waypost.payments import wire_providers as wire
from waypost.payments.providers.accounts import ProviderAccount, ProviderNotFound
from waypost.payments.providers_register import ProviderArchived, ProviderRegister
from waypost.payments.registrations import NothingToRegister, Registrations
from waypost.platform.addresses import public_root
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, if_match, path_id, read_body, read_query, reply_page, reply_versioned

PATH: Final = "/api/v1/payment-providers"
ONE: Final = PATH + "/{provider_id}"
OWNERS: Final = frozenset({Role.OWNER})


@dataclass(frozen=True, slots=True)
class ProviderRoutes:
    """Accounts with providers of payments. ``public_url``: where providers reach us; None: where this request did."""

    register: ProviderRegister
    registering: Registrations
    public_url: str | None

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_providers, answer=wire.PaymentProvider, listing=True,
                  query=wire.ProvidersQuery, roles=MONEY, cache=Cache.PRIVATE),
            Route("POST", PATH, self.add_provider, status=201, answer=wire.PaymentProviderWithAddresses,
                  body=wire.NewProvider, roles=OWNERS, idempotent=True, versioned=True),
            Route("GET", ONE, self.get_provider, answer=wire.PaymentProvider, roles=MONEY, cache=Cache.PRIVATE,
                  errors=(ProviderNotFound,), versioned=True),
            Route("PATCH", ONE, self.change_provider, answer=wire.PaymentProvider, body=wire.ProviderChange,
                  roles=OWNERS, errors=(ProviderNotFound, ProviderArchived), versioned=True),
            Route("DELETE", ONE, self.archive_provider, status=204, roles=OWNERS,
                  errors=(ProviderNotFound,)),
            Route("POST", ONE + "/rotate-token", self.replace_token, answer=wire.PaymentProviderWithAddresses,
                  roles=OWNERS, errors=(ProviderNotFound, ProviderArchived), idempotent=True),
            Route("POST", ONE + "/register-urls", self.register_urls, status=202, answer=wire.PaymentProvider,
                  roles=OWNERS, errors=(ProviderNotFound, ProviderArchived, NothingToRegister),
                  idempotent=True),
        ]  # fmt: skip

    async def list_providers(self, request: web.Request) -> web.Response:
        """The organisation's accounts with payment providers."""
        query = read_query(request, wire.ProvidersQuery)
        page = await self.register.list(request[PRINCIPAL], query.limit, query.cursor, archived=query.archived)
        return reply_page(request, page, wire.PaymentProvider.from_domain)

    async def add_provider(self, request: web.Request) -> web.Response:
        """Add an account with a provider; the addresses for its callbacks are in this answer and in no later one."""
        body = await read_body(request, wire.NewProvider)
        account, token = await self.register.add(
            request[PRINCIPAL],
            name=body.name,
            config=body.config.to_domain(),
            currency=body.currency,
            addresses=body.addresses,
            check_above_minor=body.check_above_minor,
        )
        return self._with_addresses(request, account, token, status=201)

    async def get_provider(self, request: web.Request) -> web.Response:
        """One account, without its secrets."""
        provider_id = path_id(request, "provider_id", ProviderNotFound)
        return _reply(await self.register.find(request[PRINCIPAL], provider_id))

    async def change_provider(self, request: web.Request) -> web.Response:
        """Change an account: its name, settings, addresses. A new signing secret stands a day beside the old."""
        provider_id = path_id(request, "provider_id", ProviderNotFound)
        body, expected = await read_body(request, wire.ProviderChange), if_match(request)
        if body.provider is not None:
            account = await self.register.find(request[PRINCIPAL], provider_id)
            if account.provider is not body.provider:
                raise invalid_field("config.provider", f"this account is one of {account.provider}")
        changed = await self.register.change(request[PRINCIPAL], provider_id, body.values(), expected=expected)
        return _reply(changed)

    async def archive_provider(self, request: web.Request) -> web.Response:
        """Put an account away: nothing new is asked of the provider; what it still reports is taken."""
        await self.register.archive(request[PRINCIPAL], path_id(request, "provider_id", ProviderNotFound))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def replace_token(self, request: web.Request) -> web.Response:
        """New addresses for callbacks; the present ones go on for a day."""
        provider_id = path_id(request, "provider_id", ProviderNotFound)
        account, token = await self.register.replace_token(request[PRINCIPAL], provider_id)
        return self._with_addresses(request, account, token)

    async def register_urls(self, request: web.Request) -> web.Response:
        """Have the provider told where payments that nobody prompted are reported. A worker tells it; `registration`
        says how that stands.
        """
        provider_id = path_id(request, "provider_id", ProviderNotFound)
        account = await self.registering.create(request[PRINCIPAL], provider_id)
        return reply_versioned(wire.PaymentProvider.from_domain(account), account.version, 202)

    def _with_addresses(
        self, request: web.Request, account: ProviderAccount, token: str, status: int = 200
    ) -> web.Response:
        shown = wire.PaymentProviderWithAddresses.of(account, token, self.public_url or public_root(request))
        return reply_versioned(shown, account.version, status)


def _reply(account: ProviderAccount) -> web.Response:
    return reply_versioned(wire.PaymentProvider.from_domain(account), account.version)
