"""HTTP edge of sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.identity import wire
from waypost.identity.service import Identity
from waypost.platform.web import PRINCIPAL, public, read_body, reply


@dataclass(frozen=True, slots=True)
class IdentityRoutes:
    """Handlers: each reads, calls the service once, answers."""

    identity: Identity

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/auth/login", self.login),
            web.get("/api/v1/me", self.me),
        ]

    @public
    async def login(self, request: web.Request) -> web.Response:
        body = await read_body(request, wire.Login)
        token, user = await self.identity.sign_in(
            phone=body.phone, email=body.email, password=body.password, org_id=body.org_id
        )
        return reply(wire.SignedIn(token, self.identity.access_token_s, wire.User.from_domain(user)))

    async def me(self, request: web.Request) -> web.Response:
        principal = request[PRINCIPAL]
        user = await self.identity.me(principal)
        return reply(wire.Me(wire.User.from_domain(user) if user else None, principal.device_id))
