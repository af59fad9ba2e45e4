"""Bodies of web push."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import invalid_field
from waypost.notifications.push import domain
from waypost.notifications.push.domain import AUTH_BYTES, P256_BYTES, of_base64url
from waypost.platform.codec import Instant, instant, instant_or_none

Endpoint = Annotated[str, Meta(min_length=10, max_length=2000, pattern=r"^https?://[\x21-\x7e]+\Z")]
Base64Url = Annotated[str, Meta(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+={0,2}\Z")]


class PushKey(msgspec.Struct, rename="camel"):
    """``public_key``: what a browser subscribes with, as ``applicationServerKey`` (base64url)."""

    public_key: str


class SubscriptionKeys(msgspec.Struct, forbid_unknown_fields=True):
    """As the browser's own ``PushSubscription.toJSON()`` has them."""

    p256dh: Base64Url
    auth: Base64Url

    def to_domain(self) -> domain.Keys:
        return domain.Keys(_bytes("p256dh", self.p256dh, P256_BYTES), _bytes("auth", self.auth, AUTH_BYTES))


class NewPushSubscription(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The browser's ``PushSubscription.toJSON()``. ``expiration_time`` is its guess, and not used: a subscription ends
    when the push service says so.
    """

    endpoint: Endpoint
    keys: SubscriptionKeys
    expiration_time: float | None = None


class PushSubscription(msgspec.Struct, rename="camel", omit_defaults=True):
    """A browser that is pushed to. ``agent``: as it called itself."""

    id: UUID
    agent: str
    created_at: Instant
    last_sent_at: Instant | None = None

    @classmethod
    def from_domain(cls, known: domain.Subscription) -> PushSubscription:
        return cls(known.id, known.agent, instant(known.created_at), instant_or_none(known.last_sent_at))


def _bytes(name: str, text: str, length: int) -> bytes:
    try:
        raw = of_base64url(text)
    except ValueError as error:
        raise invalid_field(f"keys.{name}", str(error)) from error
    if len(raw) != length:
        raise invalid_field(f"keys.{name}", f"{length} bytes in base64url")
    return raw
