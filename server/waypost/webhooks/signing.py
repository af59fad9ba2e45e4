"""Standard Webhooks' secrets and signatures, as we make them. Pure.

Read in standard-webhooks/standard-webhooks, ``spec/standard-webhooks.md``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from waypost.webhooks.domain import Secret

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32  # the specification: 24 to 64
OLD_SECRET_LIFE: Final = timedelta(days=1)
MOST_SECRETS: Final = 3
AGENT: Final = "Waypost-Webhooks/1"


def secret_of(key: bytes) -> str:
    """Random bytes as a secret is shown."""
    return PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for."""
    return base64.b64decode(secret.removeprefix(PREFIX))


def sign(secret: str, message_id: str, at: int, body: bytes) -> str:
    """One signature: ``v1,`` and the HMAC-SHA256 of id, seconds since 1970 and body, in base64."""
    digest = hmac.digest(key_of(secret), f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def headers(secrets: Sequence[Secret], message_id: str, now: datetime, body: bytes) -> Mapping[str, str]:
    """Of one try: signed by every secret that is still good, the newest first."""
    at = int(now.timestamp())
    signatures = [sign(each.secret, message_id, at, body) for each in secrets if each.is_good(now)]
    return {
        "content-type": "application/json",
        "user-agent": AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signatures),
    }


def with_new(secrets: Sequence[Secret], new: str, now: datetime) -> tuple[Secret, ...]:
    """``new`` signs from now on; those before sign beside it for a day at most."""
    until = now + OLD_SECRET_LIFE
    old = [Secret(each.secret, min(each.until or until, until)) for each in secrets if each.is_good(now)]
    return (Secret(new), *old[: MOST_SECRETS - 1])
