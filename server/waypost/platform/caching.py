"""What a cache may keep of an answer: headers by the route table, ETag and 304, compression."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from waypost.platform.routes import Cache, Route, row_of

COMPRESS_FROM_BYTES = 1024
_GZIPPED = "-gzip"
_GZIP = re.compile(r"gzip\s*(;\s*q=(?!0(\.0*)?$)[\d.]+)?")


@web.middleware
async def caching(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Headers of a good answer to a GET. Live answers (``no-store``) go out as they are: small, fresh, unpacked."""
    response = await handler(request)
    row = row_of(request)
    if (
        row is None
        or row.cache not in (Cache.PRIVATE, Cache.NO_CACHE)
        or not isinstance(response, web.Response)
        or response.status != HTTPStatus.OK
        or not isinstance(response.body, bytes)
    ):
        return response
    return _kept(request, row, response, response.body)


def _kept(request: web.Request, row: Route, response: web.Response, body: bytes) -> web.Response:
    etag = response.headers.get("ETag") or f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    packed = len(body) > COMPRESS_FROM_BYTES and _takes_gzip(request.headers.get("Accept-Encoding", ""))
    headers = {
        "Cache-Control": row.cache.value,
        "Vary": "Accept-Encoding, Authorization",
        "ETag": f'{etag[:-1]}{_GZIPPED}"' if packed else etag,  # another representation, so another ETag
    }
    if _names(request.headers.get("If-None-Match", ""), etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    if packed:
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _takes_gzip(accepted: str) -> bool:
    """Is gzip among them, and not by ``q=0``?"""
    return any(_GZIP.fullmatch(part.strip()) for part in accepted.lower().split(","))


def plain_etag(etag: str) -> str:
    """Of the uncompressed representation."""
    return etag.strip().removeprefix("W/").replace(f'{_GZIPPED}"', '"')


def _names(wanted: str, etag: str) -> bool:
    return wanted.strip() == "*" or etag in [plain_etag(each) for each in wanted.split(",")]
