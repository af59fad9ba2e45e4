"""Web push: one sealed POST to where a browser said that it is reached.

Its receiver drops a repeat: the same ``Topic`` replaces what still waits at the push service, the same tag what is
shown. So an unknown outcome is simply tried again.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import UUID

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.notifications.addresses import one_line
from waypost.notifications.domain import Message, Queue
from waypost.notifications.kinds import KINDS, validity_of
from waypost.notifications.ports import Checkpoint, pass_on
from waypost.notifications.push.domain import Target
from waypost.notifications.push.sealing import MOST_PLAIN, SALT_BYTES, Curve, Vapid, fitting, seal
from waypost.notifications.push.service import PushBook
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.guarded import AddressRefused, Outside
from waypost.platform.telemetry import log

OURS: Final = 0.9  # part of the time that a try may take
NOTING: Final = 0.05  # part of it for what we note afterwards
LONGEST_TTL: Final = timedelta(days=28)  # what the services keep at most
SHORT_PLAIN: Final = 1500  # of one that a service found too long
GONE: Final = frozenset({404, 410})
NOT_OURS: Final = frozenset({401, 403})  # subscribed with another key than this installation's
TOO_LARGE, TOO_MANY, UNAVAILABLE = 413, 429, 503
FAILED: Final = (aiohttp.ClientError, OSError, ValueError)  # the last: what cannot be an address


@dataclass(frozen=True, slots=True)
class Push:
    """The channel. ``timeout_s``: of a whole try; ``root``: where people reach us, for what a click opens."""

    book: PushBook
    out: Outside
    clock: Clock
    timeout_s: float
    root: str | None = None
    checkpoint: Checkpoint = pass_on
    provider: str = "webpush"

    async def send(self, message: Message) -> Outcome:
        """Try once; who is gone is forgotten."""
        until = asyncio.get_running_loop().time() + self.timeout_s * OURS
        try:
            async with asyncio.timeout_at(until):
                target, vapid = await self._target(message), await self.book.vapid.get()
        except (Unavailable, TimeoutError):
            return Outcome(OutcomeKind.NOT_SENT, "push_not_looked_up")
        if target is None:
            return Outcome(OutcomeKind.REFUSED, "push_gone")
        try:
            async with asyncio.timeout_at(until):
                outcome = await self._post(message, target, vapid, MOST_PLAIN)
                if outcome.status == TOO_LARGE:
                    outcome = await self._post(message, target, vapid, SHORT_PLAIN)
        except TimeoutError:
            return Outcome(OutcomeKind.UNKNOWN, "push_timeout", provider_failed=True)
        await self._note(target, outcome)
        return outcome

    async def _note(self, target: Target, outcome: Outcome) -> None:
        """What the service said of the browser: worth little beside the outcome, which it must not cost."""
        try:
            async with asyncio.timeout(self.timeout_s * NOTING):
                if outcome.kind is OutcomeKind.ACCEPTED:
                    await self.book.sent(target)
                elif outcome.status in GONE | NOT_OURS:
                    await self.book.prune(target, "gone" if outcome.status in GONE else "other_key")
        except Exception as error:  # noqa: BLE001 - whatever it runs into, the outcome is known
            reason = type(error).__name__
            log.warning("push_not_noted", subscription_id=str(target.id), outcome=outcome.kind, reason=reason)

    async def _target(self, message: Message) -> Target | None:
        try:
            subscription_id = UUID(message.address)
        except ValueError:
            return None
        return await self.book.target(message.org_id, subscription_id)

    async def _post(self, message: Message, target: Target, vapid: Vapid, most: int) -> Outcome:
        plain = fitting(lambda text: _plain(message, text, self.root), message.text.body, most)
        own, salt = ec.generate_private_key(Curve()), os.urandom(SALT_BYTES)
        headers = _headers(message) | {"Authorization": vapid.authorization(target.endpoint, self.clock.now())}
        body = seal(plain, target.keys, salt=salt, own=own)
        try:
            session = self.out.to(target.endpoint)
            async with session.post(target.endpoint, data=body, headers=headers, allow_redirects=False) as response:
                self.checkpoint("after_write")
                return self._answered(response)
        except FAILED as error:
            return _broken(error)

    def _answered(self, response: aiohttp.ClientResponse) -> Outcome:
        status = response.status
        if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
            place = one_line(response.headers.get("Location", ""), 200)
            return Outcome(OutcomeKind.ACCEPTED, reference=place or None, status=status)
        if status in GONE:
            return Outcome(OutcomeKind.REFUSED, "push_gone", status=status)
        if status in {TOO_MANY, UNAVAILABLE}:
            wait_s = self._wait_s(response.headers.get("Retry-After"))
            return Outcome(
                OutcomeKind.NOT_SENT, "push_busy", status=status, retry_after_s=wait_s, provider_failed=True
            )  # fmt: skip
        if 300 <= status < 500:  # noqa: PLR2004 - RFC 9110, 15.4 and 15.5
            return Outcome(OutcomeKind.REFUSED, f"push_http_{status}", status=status)
        return Outcome(OutcomeKind.UNKNOWN, f"push_http_{status}", status=status, provider_failed=True)

    def _wait_s(self, text: str | None) -> float | None:
        """Of ``Retry-After``: seconds, or a date (RFC 9110, section 10.2.3)."""
        if text is None or len(text) > 40:  # noqa: PLR2004 - longer than any date
            return None
        if text.strip().isascii() and text.strip().isdigit():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - self.clock.now()).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None


def _headers(message: Message) -> dict[str, str]:
    kind = KINDS.get(message.kind)
    urgent = kind is not None and kind.queue is Queue.URGENT
    return {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(int(min(validity_of(message.kind), LONGEST_TTL).total_seconds())),
        "Topic": message.notification_id.hex,  # 32 characters, the most that there may be
        "Urgency": "high" if urgent else "normal",
    }


def _plain(message: Message, text: str, root: str | None) -> bytes:
    """What the page's service worker shows; ``tag``: one that is shown already is replaced."""
    return msgspec.json.encode(
        {
            "id": str(message.delivery_id),
            "tag": str(message.notification_id),
            "kind": message.kind,
            "title": one_line(message.text.subject or message.sender, 150),
            "body": text,
            "url": root or "/",
        }
    )


def _broken(error: Exception) -> Outcome:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        refused = isinstance(getattr(error, "os_error", None), AddressRefused)
        if refused:
            return Outcome(OutcomeKind.REFUSED, "push_host_refused")
        return Outcome(OutcomeKind.NOT_SENT, "push_connect", provider_failed=True)
    if isinstance(error, ValueError):
        return Outcome(OutcomeKind.REFUSED, "push_bad_endpoint")
    return Outcome(OutcomeKind.UNKNOWN, "push_cut_off", provider_failed=True)
