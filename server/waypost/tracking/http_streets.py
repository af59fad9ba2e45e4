"""HTTP edge of learned streets."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.principal import WATCHERS
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL
from waypost.tracking.street_map import NoSuchTile, StreetMap

VECTOR_TILE = "application/vnd.mapbox-vector-tile"
LONGEST_NUMBER = 6


@dataclass(frozen=True, slots=True)
class StreetRoutes:
    """The base map that the organisation has driven itself."""

    streets: StreetMap

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/tracking/streets/{z}/{x}/{y}", self.tile, roles=WATCHERS, content_type=VECTOR_TILE,
                  errors=(NoSuchTile,), cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def tile(self, request: web.Request) -> web.Response:
        """Streets that your vehicles have driven twice at least, as a vector tile of points."""
        z, x, y = (_number(request.match_info[name]) for name in ("z", "x", "y"))
        body = await self.streets.tile(request[PRINCIPAL], z, x, y)
        return web.Response(body=body, content_type=VECTOR_TILE, headers={"Cache-Control": "no-store"})


def _number(text: str) -> int:
    if len(text) > LONGEST_NUMBER or not (text.isascii() and text.isdigit()):
        raise NoSuchTile
    return int(text)
