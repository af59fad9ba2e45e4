"""HTTP edge of sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.identity import wire
from waypost.identity.domain import BadCredentials, ChooseOrganisation
from waypost.identity.service import Identity
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, read_body, reply


@dataclass(frozen=True, slots=True)
class IdentityRoutes:
    """Handlers: each reads, calls the service once, answers."""

    identity: Identity

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/auth/login", self.login, answer=wire.SignedIn, body=wire.Login, public=True,
                  errors=(BadCredentials, ChooseOrganisation)),
            Route("GET", "/api/v1/me", self.me, answer=wire.Me, devices=True, cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def login(self, request: web.Request) -> web.Response:
        """Sign in with a phone number or an e-mail address."""
        body = await read_body(request, wire.Login)
        token, user = await self.identity.sign_in(
            phone=body.phone, email=body.email, password=body.password, org_id=body.org_id
        )
        return reply(wire.SignedIn(token, self.identity.access_token_s, wire.User.from_domain(user)))

    async def me(self, request: web.Request) -> web.Response:
        """Who is signed in."""
        principal = request[PRINCIPAL]
        user = await self.identity.me(principal)
        return reply(wire.Me(wire.User.from_domain(user) if user else None, principal.device_id))
