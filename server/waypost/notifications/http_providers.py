"""HTTP edge of the register of message providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from waypost.kernel.errors import invalid_field
from waypost.notifications import wire_providers as wire
from waypost.notifications import wire_providers_shown as shown
from waypost.notifications.provider_trials import ProviderTrials
from waypost.notifications.providers.accounts import MessageProviderNotFound
from waypost.notifications.providers_register import (
    OWNERS,
    MessageProviderArchived,
    MessageProviders,
    Shown,
    TooManyMessageProviders,
)
from waypost.platform.addresses import public_root
from waypost.platform.routes import Route
from waypost.platform.secretbox import Unreadable
from waypost.platform.web import PRINCIPAL, if_match, path_id, read_body, read_query, reply, reply_page, reply_versioned

PATH: Final = "/api/v1/message-providers"
NAME: Final = "message_provider_id"
ONE: Final = f"{PATH}/{{{NAME}}}"


@dataclass(frozen=True, slots=True)
class MessageProviderRoutes:
    """By whom messages go out. ``public_url``: where providers reach us; None: where this request did."""

    register: MessageProviders
    trials: ProviderTrials
    public_url: str | None

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_providers, answer=shown.MessageProvider, listing=True,
                  query=wire.MessageProvidersQuery, roles=OWNERS),
            Route("POST", PATH, self.add_provider, status=201, answer=shown.MessageProviderWithAddresses,
                  body=wire.NewMessageProvider, roles=OWNERS, errors=(TooManyMessageProviders,), idempotent=True,
                  versioned=True),
            Route("GET", ONE, self.get_provider, answer=shown.MessageProvider, roles=OWNERS,
                  errors=(MessageProviderNotFound,), versioned=True),
            Route("PATCH", ONE, self.change_provider, answer=shown.MessageProvider, body=wire.MessageProviderChange,
                  roles=OWNERS, errors=(MessageProviderNotFound, MessageProviderArchived), versioned=True),
            Route("DELETE", ONE, self.archive_provider, status=204, roles=OWNERS,
                  errors=(MessageProviderNotFound,)),
            Route("POST", ONE + "/rotate-token", self.replace_token, answer=shown.MessageProviderWithAddresses,
                  roles=OWNERS, errors=(MessageProviderNotFound, MessageProviderArchived), idempotent=True,
                  versioned=True),
            Route("POST", ONE + "/test", self.test_provider, status=202, answer=shown.SentTest, body=wire.ProviderTest,
                  roles=OWNERS, errors=(MessageProviderNotFound, MessageProviderArchived, Unreadable),
                  idempotent=True),
        ]  # fmt: skip

    async def list_providers(self, request: web.Request) -> web.Response:
        """By whom the organisation's messages go out, and how they do."""
        query = read_query(request, wire.MessageProvidersQuery)
        page = await self.register.list(request[PRINCIPAL], query.limit, query.cursor, archived=query.archived)
        return reply_page(request, page, shown.MessageProvider.from_domain)

    async def add_provider(self, request: web.Request) -> web.Response:
        """Add a provider; the addresses for its reports are in this answer and in no later one."""
        body = await read_body(request, wire.NewMessageProvider)
        found, token = await self.register.add(request[PRINCIPAL], body.to_domain())
        return self._with_addresses(request, found, token, status=201)

    async def get_provider(self, request: web.Request) -> web.Response:
        """One provider, without its secrets."""
        provider_id = path_id(request, NAME, MessageProviderNotFound)
        return _reply(await self.register.find(request[PRINCIPAL], provider_id))

    async def change_provider(self, request: web.Request) -> web.Response:
        """Change a provider: its name, settings, sender, share, price, limit, networks."""
        provider_id = path_id(request, NAME, MessageProviderNotFound)
        body, expected = await read_body(request, wire.MessageProviderChange), if_match(request)
        if body.provider is not None:
            present = (await self.register.find(request[PRINCIPAL], provider_id)).account.provider
            if present is not body.provider:
                raise invalid_field("config.provider", f"this account is one of {present}")
        changed = await self.register.change(request[PRINCIPAL], provider_id, body.values(), expected=expected)
        return _reply(changed)

    async def archive_provider(self, request: web.Request) -> web.Response:
        """Put a provider away: nothing goes out by it any more; what it still reports is taken."""
        await self.register.archive(request[PRINCIPAL], path_id(request, NAME, MessageProviderNotFound))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def replace_token(self, request: web.Request) -> web.Response:
        """New addresses for reports; the present ones go on for a day."""
        provider_id = path_id(request, NAME, MessageProviderNotFound)
        found, token = await self.register.replace_token(request[PRINCIPAL], provider_id)
        return self._with_addresses(request, found, token)

    async def test_provider(self, request: web.Request) -> web.Response:
        """Send a test message by this provider alone; `GET /notifications/{id}` says what becomes of it."""
        body = await read_body(request, wire.ProviderTest)
        provider_id = path_id(request, NAME, MessageProviderNotFound)
        trial = await self.trials.send(request[PRINCIPAL], provider_id, body.to)
        return reply(shown.SentTest.from_domain(trial), 202)

    def _with_addresses(self, request: web.Request, found: Shown, token: str, status: int = 200) -> web.Response:
        answer = shown.MessageProviderWithAddresses.of(found, token, self.public_url or public_root(request))
        return reply_versioned(answer, found.account.version, status)


def _reply(found: Shown) -> web.Response:
    return reply_versioned(shown.MessageProvider.from_domain(found), found.account.version)
