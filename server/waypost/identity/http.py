"""HTTP edge of sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.identity import wire
from waypost.identity.domain import BadCredentials, ChooseOrganisation, RefreshTokenInvalid
from waypost.identity.passwords import SignInBusy
from waypost.identity.service import Identity
from waypost.identity.throttle import Caller
from waypost.platform.addresses import client_address
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, read_body, read_optional_body, reply

AUTH = "/api/v1/auth"


@dataclass(frozen=True, slots=True)
class IdentityRoutes:
    """Handlers: each reads, calls the service once, answers."""

    identity: Identity

    def routes(self) -> list[Route]:
        return [
            Route("POST", AUTH + "/login", self.login, answer=wire.SignedIn, body=wire.Login, public=True,
                  errors=(BadCredentials, ChooseOrganisation, SignInBusy)),
            Route("POST", AUTH + "/refresh", self.refresh, answer=wire.SignedIn, body=wire.Refresh, public=True,
                  errors=(RefreshTokenInvalid,)),
            Route("POST", AUTH + "/logout", self.logout, status=204, body=wire.Logout, body_optional=True),
            Route("GET", "/api/v1/me", self.me, answer=wire.Me, devices=True, cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def login(self, request: web.Request) -> web.Response:
        """Sign in with a phone number or an e-mail address."""
        body = await read_body(request, wire.Login)
        signed_in = await self.identity.sign_in(
            phone=body.phone, email=body.email, password=body.password, org_id=body.org_id, caller=caller_of(request)
        )
        return reply(wire.SignedIn.from_domain(signed_in))

    async def refresh(self, request: web.Request) -> web.Response:
        """Exchange a refresh token for new tokens."""
        body = await read_body(request, wire.Refresh)
        return reply(wire.SignedIn.from_domain(await self.identity.refresh(body.refresh_token, caller_of(request))))

    async def logout(self, request: web.Request) -> web.Response:
        """End this session, its sockets too; or every session of yours."""
        body = await read_optional_body(request, wire.Logout)
        await self.identity.sessions.end(request[PRINCIPAL], everywhere=body.everywhere)
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def me(self, request: web.Request) -> web.Response:
        """Who is signed in."""
        principal = request[PRINCIPAL]
        user = await self.identity.me(principal)
        return reply(wire.Me(wire.User.from_domain(user) if user else None, principal.device_id))


def caller_of(request: web.Request) -> Caller:
    """Who asks, as far as the network says."""
    return Caller(client_address(request), request.headers.get("User-Agent", ""))
