"""What web push is made of. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from waypost.kernel.errors import NotFound

P256_BYTES: Final = 65  # an uncompressed point
AUTH_BYTES: Final = 16
MOST_EACH: Final = 20  # of one person; the oldest ends when there is another
LONGEST_AGENT: Final = 200


class PushSubscriptionNotFound(NotFound):
    """No such push subscription, or none of yours."""

    code = "push-subscription-not-found"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a browser wants its messages sealed with (RFC 8291): its public key and a secret that it shares."""

    p256dh: bytes
    auth: bytes

    def __repr__(self) -> str:
        return "Keys(...)"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser that may be pushed to, as its person sees it."""

    id: UUID
    agent: str
    created_at: datetime
    last_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Target:
    """The same as a worker needs it. ``endpoint`` is a secret: who knows it may try to push."""

    org_id: UUID
    id: UUID
    endpoint: str
    keys: Keys

    def __repr__(self) -> str:
        return f"Target({self.id})"


def unpadded(raw: bytes) -> str:
    """base64url as web push has it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def of_base64url(text: str) -> bytes:
    """``ValueError`` for what is none; padding may be there or not."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64url") from error
