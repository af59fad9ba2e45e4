"""The HTTP side of Engine.IO: who may come in, and the answers to requests and polls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from waypost.kernel.errors import Unavailable
from waypost.platform import codec
from waypost.realtime.connection import SEPARATOR

RETRY_AFTER_S = 5

# The protocol's own refusals; codes and words are those of its authors' server.
UNKNOWN_TRANSPORT: Final = (0, "Transport unknown")
UNKNOWN_SESSION: Final = (1, "Session ID unknown")
BAD_METHOD: Final = (2, "Bad handshake method")
BAD_REQUEST: Final = (3, "Bad request")
FORBIDDEN: Final = (4, "Forbidden")
UNKNOWN_VERSION: Final = (5, "Unsupported protocol version")


class Draining(Unavailable):
    """This server takes no new connections any more; another does."""

    code = "draining"


def is_allowed(request: web.Request, origins: Sequence[str] | None) -> bool:
    """May a page of this origin use the socket? What sends no origin is no page of a browser.

    A page cannot set the forwarding headers of its WebSocket, and those of a fetch only with our leave.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origins is not None and ("*" in origins or origin in origins):
        return True
    hosts = {request.headers.get("Host", ""), request.headers.get("X-Forwarded-Host", "").split(",")[0].strip()} - {""}
    return urlsplit(origin).netloc.lower() in {host.lower() for host in hosts}


def answered(request: web.Request, text: str) -> web.Response:
    """What a client of the protocol gets: plain text, and a page of another origin that is allowed may read it."""
    return web.Response(text=text, headers={"Cache-Control": "no-store", **_shared(request)})


def polled(request: web.Request, packets: Sequence[str]) -> web.Response:
    """An answer to a poll."""
    return answered(request, SEPARATOR.join(packets))


def refused(request: web.Request, why: tuple[int, str], *, status: int = 400) -> web.Response:
    """No, in the words of the protocol."""
    body = codec.encode({"code": why[0], "message": why[1]})
    return web.Response(status=status, body=body, content_type="application/json", headers=_shared(request))


def origin_refused() -> web.Response:
    """No page of this origin is served."""
    detail = "Pages of this origin may not connect; an operator can allow it."
    body = {"type": "/problems/origin-refused", "title": "origin refused", "status": 403, "detail": detail}
    body |= {"code": "origin-refused", "message": FORBIDDEN[1]}
    return web.Response(status=403, body=codec.encode(body), content_type="application/problem+json")


def draining(request: web.Request) -> web.Response:
    """Not here and not now."""
    error = Draining()
    body = {"type": f"/problems/{error.code}", "title": error.code, "status": 503, "detail": error.detail}
    headers = {"Retry-After": str(RETRY_AFTER_S), **_shared(request)}
    body |= {"code": error.code}
    return web.Response(status=503, body=codec.encode(body), content_type="application/problem+json", headers=headers)


def preflight(request: web.Request) -> web.Response:
    """What a browser asks before it lets a page of another origin send."""
    asked = request.headers.get("Access-Control-Request-Headers")
    headers = {"Access-Control-Allow-Methods": "OPTIONS, GET, POST"} | _shared(request)
    return web.Response(headers=headers | ({"Access-Control-Allow-Headers": asked} if asked else {}))


async def body_of(request: web.Request, limit: int) -> str | None:
    """The body as text, or None: larger than the limit, or no UTF-8."""
    read = bytearray()
    async for chunk in request.content.iter_any():
        read += chunk
        if len(read) > limit:
            return None
    try:
        return read.decode()
    except UnicodeDecodeError:
        return None


def _shared(request: web.Request) -> dict[str, str]:
    """Only reached with an origin that is allowed."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}
