"""The dashboard's built files: hashed assets for ever, the page itself never cached, nothing from elsewhere."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from waypost.platform.routes import Cache, Handler, Route

WEB = Path(__file__).absolute().parent.parent / "web"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Waypost</title>
<h1>The dashboard is not built</h1>
<p>The server runs, its API is at <code>/api/v1</code>. Build the pages: <code>make web</code>.</p></html>
"""


@dataclass(frozen=True, slots=True)
class Pages:
    """Files under ``folder``; a file with a ``.gz`` twin goes out compressed to who takes it."""

    folder: Path = WEB

    def routes(self) -> list[Route]:
        return [
            _page("/", self.index, Cache.NO_CACHE),
            _page("/{name:[A-Za-z0-9_-]+\\.(?:svg|js|json|txt|webmanifest)}", self.top, Cache.NO_CACHE),
            _page("/assets/{name:[A-Za-z0-9._-]+}", self.asset, Cache.IMMUTABLE),
        ]

    async def index(self, _request: web.Request) -> web.StreamResponse:
        if not (self.folder / "index.html").is_file():
            return web.Response(
                text=NOT_BUILT, content_type="text/html", headers={**HEADERS, "Cache-Control": Cache.NO_CACHE.value}
            )
        return _file(self.folder / "index.html", Cache.NO_CACHE)

    async def top(self, request: web.Request) -> web.StreamResponse:
        return _file(self.folder / request.match_info["name"], Cache.NO_CACHE)

    async def asset(self, request: web.Request) -> web.StreamResponse:
        return _file(self.folder / "assets" / request.match_info["name"], Cache.IMMUTABLE)


def _page(path: str, handler: Handler, cache: Cache) -> Route:
    return Route("GET", path, handler, public=True, cache=cache, content_type="text/html", described=False)


def _file(path: Path, cache: Cache) -> web.StreamResponse:
    if not path.is_file():
        raise web.HTTPNotFound
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {**HEADERS, "Cache-Control": cache.value, "Vary": "Accept-Encoding", "Content-Type": kind}
    # aiohttp itself picks NAME.gz beside NAME when the client accepts gzip, and answers If-None-Match.
    return web.FileResponse(path, headers=headers)
