"""Bodies of requests: read up to a limit, inflated up to the same limit and never further.

aiohttp's own inflating is off (``app.py``): it goes on inflating a body that is refused, and takes a gzip stream that
breaks off for a whole one.
"""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import StreamReader

from waypost.kernel.errors import Malformed, TooLarge, Unsupported

MAX_BODY_BYTES = 1024 * 1024
MSGPACK = "application/msgpack"
INFLATE_HERE_BYTES = 32 * 1024  # more of packed bytes are inflated beside the event loop
ENCODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class BodyTooLarge(TooLarge):
    """The body is larger than `limitBytes` (counted after decompression); send less at a time."""

    code = "body-too-large"


class BadEncoding(Malformed):
    """The body could not be decompressed as its Content-Encoding says."""

    code = "bad-encoding"


class UnsupportedEncoding(Unsupported):
    """A body may be compressed with `Content-Encoding: gzip` or `deflate`, once."""

    code = "unsupported-encoding"


class UnsupportedMediaType(Unsupported):
    """This route reads `application/json` and `application/msgpack`."""

    code = "unsupported-media-type"


async def read(content: StreamReader, encoding: str | None, limit: int) -> bytes:
    """A body, whole. ``encoding``: its Content-Encoding. ``BodyTooLarge``, ``BadEncoding``, ``UnsupportedEncoding``."""
    window = _window(encoding)
    body = await _up_to(content, limit)
    if window is None or not body:
        return body
    if len(body) <= INFLATE_HERE_BYTES:
        return inflate(body, window, limit)
    return await asyncio.to_thread(inflate, body, window, limit)


async def _up_to(content: StreamReader, limit: int) -> bytes:
    """What comes in one piece, as a small body does, is not copied."""
    body: bytes | bytearray = await content.readany()
    while not content.at_eof() and len(body) <= limit:
        if isinstance(body, bytes):
            body = bytearray(body)
        body += await content.readany()
    if len(body) > limit:
        raise _too_large(limit)
    return bytes(body)


def inflate(packed: bytes, window: int, limit: int) -> bytes:
    """At most ``limit`` bytes come out; memory is bounded by it whatever ``packed`` would become."""
    if window > 0 and not window & 16 and not _is_zlib(packed):
        window = -zlib.MAX_WBITS  # what many clients call deflate: without zlib's header
    machine = zlib.decompressobj(window)
    try:
        body = machine.decompress(packed, limit + 1)
    except zlib.error as error:
        raise BadEncoding from error
    if len(body) > limit:
        raise _too_large(limit)
    if not machine.eof:
        raise BadEncoding("The compressed body ends too early.")
    if machine.unused_data:
        raise BadEncoding("Something follows the end of the compressed body.")
    return body


def _window(encoding: str | None) -> int | None:
    """As zlib takes it; None: the body is as it is."""
    name = (encoding or "identity").strip().lower()
    if name in ("identity", ""):
        return None
    if name not in ENCODINGS:
        raise UnsupportedEncoding(encoding=name[:64])
    return ENCODINGS[name]


def _is_zlib(packed: bytes) -> bool:
    """RFC 1950, section 2.2: method 8, and a check over the first two bytes."""
    return packed[0] & 0x0F == 8 and int.from_bytes(packed[:2], "big") % 31 == 0  # noqa: PLR2004


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit} bytes (counted after decompression); send less at a time.", limitBytes=limit
    )
