"""The dashboard's built files: hashed assets for ever, the page itself never cached, nothing from elsewhere."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from waypost.platform.web import public

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

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.index),
            web.get("/{name:favicon\\.svg|theme\\.js|[A-Za-z0-9_-]+\\.(?:svg|js|json|txt|webmanifest)}", self.top),
            web.get("/assets/{name:[A-Za-z0-9._-]+}", self.asset),
        ]

    @public
    async def index(self, _request: web.Request) -> web.StreamResponse:
        if not (self.folder / "index.html").is_file():
            return web.Response(
                text=NOT_BUILT, content_type="text/html", headers={**HEADERS, "Cache-Control": "no-cache"}
            )
        return _file(self.folder / "index.html", "no-cache")

    @public
    async def top(self, request: web.Request) -> web.StreamResponse:
        return _file(self.folder / request.match_info["name"], "no-cache")

    @public
    async def asset(self, request: web.Request) -> web.StreamResponse:
        return _file(self.folder / "assets" / request.match_info["name"], "public, max-age=31536000, immutable")


def _file(path: Path, cache: str) -> web.StreamResponse:
    if not path.is_file():
        raise web.HTTPNotFound
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {**HEADERS, "Cache-Control": cache, "Vary": "Accept-Encoding", "Content-Type": kind}
    # aiohttp itself picks NAME.gz beside NAME when the client accepts gzip, and answers If-None-Match.
    return web.FileResponse(path, headers=headers)
