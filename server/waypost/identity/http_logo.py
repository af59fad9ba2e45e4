"""HTTP edge of logos: the organisation's own route, and the address that anybody's mail program asks."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from waypost.identity import wire_members
from waypost.identity.domain import OrganisationNotFound
from waypost.identity.logo import ROOT
from waypost.identity.logos import Logos, PicturesBusy
from waypost.identity.members import OWNERS
from waypost.platform.addresses import client_address
from waypost.platform.bodies import BadEncoding
from waypost.platform.caching import plain_etag
from waypost.platform.limits import Limit, Limiter, Share
from waypost.platform.pictures import PictureUnreadable, PictureUnseen
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, raw_body, reply_versioned

PATH: Final = "/api/v1/org/logo"
PNG: Final = "image/png"
TYPES: Final = (PNG, "image/jpeg", "image/webp")
LARGEST_BYTES: Final = 2 * 1024 * 1024
# An image, whatever a browser would like to make of it.
SAFE: Final = {
    "Cache-Control": Cache.IMMUTABLE.value,
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@dataclass(frozen=True, slots=True)
class LogoRoutes:
    """To set and remove it."""

    logos: Logos

    def routes(self) -> list[Route]:
        return [
            Route("PUT", PATH, self.put_logo, answer=wire_members.Org, reads=dict.fromkeys(TYPES, Any),
                  body_limit=LARGEST_BYTES, roles=OWNERS, costly=True,
                  errors=(OrganisationNotFound, PictureUnreadable, PictureUnseen, PicturesBusy, BadEncoding)),
            Route("DELETE", PATH, self.remove_logo, status=204, roles=OWNERS, errors=(OrganisationNotFound,)),
        ]  # fmt: skip

    async def put_logo(self, request: web.Request) -> web.Response:
        """Set the logo of your e-mails and papers: a PNG, JPEG or WebP of 2 MB and 16 megapixels at most.

        What it is, its content says. It is kept as a PNG on white, within 600 by 180 pixels; `selling.logo` says where.
        """
        org = await self.logos.put(request[PRINCIPAL], await raw_body(request))
        return reply_versioned(wire_members.Org.from_domain(org), org.version)

    async def remove_logo(self, request: web.Request) -> web.Response:
        """Remove the logo, former ones too: e-mails that were sent show your name in its place."""
        await self.logos.remove(request[PRINCIPAL])
        return web.Response(status=204, headers={"Cache-Control": Cache.NO_STORE.value})


@dataclass(frozen=True, slots=True)
class LogoPictures:
    """To look at it: ``a_minute`` times from an address, apart from what the API counts; 0: as often as they like."""

    logos: Logos
    limiter: Limiter
    a_minute: int

    def routes(self) -> list[Route]:
        return [
            Route("GET", ROOT + "{key:[A-Za-z0-9_-]{32}}.png", self.show, public=True, cache=Cache.IMMUTABLE,
                  content_type=PNG, described=False),
        ]  # fmt: skip

    async def show(self, request: web.Request) -> web.Response:
        """The same address shows the same picture for ever."""
        key = request.match_info["key"]
        if self.a_minute > 0:
            await self.limiter.spend([Share(Limit("logo", self.a_minute), client_address(request))])
        png = await self.logos.png(key)
        if png is None:
            raise web.HTTPNotFound
        headers = {**SAFE, "ETag": f'"{key}"'}
        if headers["ETag"] in map(plain_etag, request.headers.get("If-None-Match", "").split(",")):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=png, content_type=PNG, headers=headers)
