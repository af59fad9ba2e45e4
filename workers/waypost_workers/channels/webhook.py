"""Events to subscribers: one POST a try, to judged addresses alone, no redirects, little of the answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from waypost.kernel.clock import Clock
from waypost.platform.guarded import AddressRefused, Guard, Outside, outside
from waypost.webhooks import rules, signing
from waypost.webhooks.domain import Due
from waypost.webhooks.rules import Outcome

KEPT_BYTES: Final = 1024
ANSWER_S: Final = 2.0  # for the body of an answer whose status is there already
FAILED: Final = (aiohttp.ClientError, OSError, ValueError)  # the last: what cannot be an address


@dataclass(frozen=True, slots=True)
class WebhookPoster:
    """``timeout_s``: of a whole try."""

    out: Outside
    clock: Clock
    timeout_s: float

    async def post(self, due: Due) -> Outcome:
        """Try once. Whether it was taken when nothing came back need not be known: a repeat has the same id."""
        body = due.body.encode()
        headers = signing.headers(due.secrets, str(due.event_id), self.clock.now(), body)
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                self.out.to(due.url).post(due.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                asked_s = rules.retry_after_s(response.headers.get("Retry-After"))
                return rules.outcome_of(response.status, asked_s, await _beginning(response))
        except TimeoutError:
            return Outcome(taken=False, reason="timeout")
        except FAILED as error:
            return Outcome(taken=False, reason=_word(error))


@asynccontextmanager
async def webhook_poster(guard: Guard, clock: Clock, timeout_s: float) -> AsyncIterator[WebhookPoster]:
    """For as long as the block runs."""
    async with outside(guard) as out:
        yield WebhookPoster(out, clock, timeout_s)


async def _beginning(response: aiohttp.ClientResponse) -> str | None:
    """The first kilobyte, for who looks at the log; what does not come soon is not waited for."""
    read = bytearray()
    try:
        async with asyncio.timeout(ANSWER_S):
            while len(read) < KEPT_BYTES and not response.content.at_eof():
                read += await response.content.readany()
    except (aiohttp.ClientError, OSError):  # a time-out too
        pass
    return bytes(read[:KEPT_BYTES]).decode(errors="replace").replace("\0", "\ufffd") or None


def _word(error: BaseException) -> str:
    """Why there was no answer, in a stable word."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return "address_refused"
    words: tuple[tuple[type[BaseException], str], ...] = (
        (aiohttp.ClientConnectorDNSError, "no_such_host"),
        (aiohttp.ClientConnectorCertificateError, "certificate"),
        (aiohttp.ClientSSLError, "tls"),
        (aiohttp.ClientConnectorError, "connect"),
        (aiohttp.InvalidURL, "bad_address"),
        (aiohttp.ClientError, "cut_off"),
        (OSError, "cut_off"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "bad_address")
