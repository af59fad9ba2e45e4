"""Answers that are sent while they are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from aiohttp import web

from waypost.platform.telemetry import log, request_id

STALLED_S = 60.0  # a reader that takes nothing for so long is gone


async def stream(
    request: web.Request, headers: Mapping[str, str], parts: AsyncIterator[bytes], status: int = 200
) -> web.StreamResponse:
    """Send ``parts`` as they come, no faster than the other side reads.

    What breaks off ends the connection without the proper end of the body, so that nobody takes what there is for the
    whole: another answer would land in its middle.
    """
    response = web.StreamResponse(status=status, headers={**_COMMON, "X-Request-Id": request_id.get() or "", **headers})
    try:
        async with aclosing(parts):  # type: ignore[type-var]  # every one of ours is a generator
            await response.prepare(request)
            async for part in parts:
                async with asyncio.timeout(STALLED_S):
                    await response.write(part)
            await response.write_eof()
    except ConnectionResetError:
        raise
    except Exception as error:
        log.warning("download_broken", reason=type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the answer broke off") from error
    return response


_COMMON = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
