"""UUIDv7 (RFC 9562, section 5.7): ordered by time, so that new rows land at the end of their indexes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from waypost.kernel.clock import Clock

RANDOM_BITS = 74


def uuid7(now: datetime, randbits: int) -> UUID:
    """The id for the millisecond of ``now`` with 74 random bits (rand_a, then rand_b)."""
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    rand_a, rand_b = randbits >> 62 & 0xFFF, randbits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def new_id(clock: Clock, randbits: Callable[[int], int] = secrets.randbits) -> UUID:
    """A new id. An id is no secret: what opens something by itself is a random token."""
    return uuid7(clock.now(), randbits(RANDOM_BITS))
