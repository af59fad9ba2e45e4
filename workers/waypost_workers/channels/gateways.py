"""Providers of SMS over HTTP, on connections that are kept for a moment: what is asked and what its answers mean is
`waypost.notifications.providers`' to say. Here it is known how far a request got.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from waypost.kernel.clock import Clock
from waypost.notifications.ports import Checkpoint, pass_on
from waypost.notifications.providers.exchange import Answer, Ask
from waypost.platform.guarded import Guard, Names, connector

MOST_BYTES: Final = 64 * 1024  # of an ordinary answer
# Less than servers keep an idle connection: one that dies as it is used again leaves a message in doubt.
KEPT_S: Final = 4.0
LOOKUPS_AT_ONCE: Final = 16
AWAY: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)  # the last: what cannot be an address


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """``begun``: a connection was there, so nobody knows how much of the request got through."""

    word: str
    begun: bool


@dataclass(slots=True)
class Progress:
    """How far a request got. ``writes``: it is one that sends a message."""

    writes: bool
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Gateways:
    """``timeout_s``: of a whole call."""

    secure: aiohttp.ClientSession
    plain: aiohttp.ClientSession
    clock: Clock
    timeout_s: float

    async def call(self, ask: Ask, *, writes: bool, most_bytes: int = MOST_BYTES) -> Answer | NoAnswer:
        """Once: aiohttp repeats no POST by itself, and no redirect is followed. ``writes``: it sends a message;
        ``most_bytes``: of the answer's body, the rest is not read.
        """
        session = self.plain if ask.url.lower().startswith("http:") else self.secure
        progress = Progress(writes)
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                session.request(
                    ask.method, ask.url, headers=ask.headers, data=ask.body or None, allow_redirects=False,
                    trace_request_ctx=progress,
                ) as response,
            ):  # fmt: skip
                waits_s = retry_after_s(response.headers.get("Retry-After"), self.clock.now())
                return Answer(response.status, await _beginning(response, most_bytes), waits_s)
        except AWAY as error:
            return NoAnswer(_word(error), progress.begun)


@asynccontextmanager
async def gateways(
    guard: Guard,
    clock: Clock,
    timeout_s: float,
    checkpoint: Checkpoint = pass_on,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Gateways]:
    """For as long as the block runs. In the clear only to the operator's own networks."""
    names = resolver or Names(ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="gateway-names"))
    try:
        async with (
            _session(guard, names, checkpoint) as secure,
            _session(guard.without_outside(), names, checkpoint) as plain,
        ):
            yield Gateways(secure, plain, clock, timeout_s)
    finally:
        await names.close()


def _session(guard: Guard, names: AbstractResolver, checkpoint: Checkpoint) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector(guard, names, KEPT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[_tracing(checkpoint)],
    )


def _tracing(checkpoint: Checkpoint) -> aiohttp.TraceConfig:
    """Notes when a connection was there, and passes the checkpoint once the request is written."""
    tracing = aiohttp.TraceConfig()

    async def begun(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        _progress(context).begun = True

    async def written(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        if _progress(context).writes:
            checkpoint("after_write")

    tracing.on_connection_create_end.append(begun)
    tracing.on_connection_reuseconn.append(begun)
    tracing.on_request_chunk_sent.append(written)
    return tracing


def _progress(context: SimpleNamespace) -> Progress:
    progress: Progress = context.trace_request_ctx
    return progress


def retry_after_s(text: str | None, now: datetime) -> float | None:
    """Seconds, or until a date (RFC 9110, 10.2.3); None: it says nothing that can be read."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max((until - now).total_seconds(), 0.0)


async def _beginning(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    read = bytearray()
    while not response.content.at_eof() and len(read) < most_bytes:
        read += await response.content.readany()
    return bytes(read[:most_bytes])


def _word(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return "connect"
    return "timeout" if isinstance(error, TimeoutError) else "cut_off"
