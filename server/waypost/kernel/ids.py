"""UUIDv7 (RFC 9562, section 5.7): ordered by time, so that new rows land at the end of their indexes.

Those of one millisecond and one process are ordered too (section 6.2, method 2): what one request writes twice, such
as two entries of the audit log, is read back in the order in which it was written.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from waypost.kernel.clock import Clock

RANDOM_BITS = 74


STEP_BITS = 32  # of the random step to the next id of the same millisecond


def uuid7(now: datetime, randbits: int) -> UUID:
    """The id for the millisecond of ``now`` with 74 random bits (rand_a, then rand_b)."""
    return _assemble(_milliseconds(now), randbits)


def new_id(clock: Clock, randbits: Callable[[int], int] = secrets.randbits) -> UUID:
    """A new id, greater than this process's last of the same millisecond.

    An id is no secret: what opens something by itself is a random token.
    """
    return _LAST.next(_milliseconds(clock.now()), randbits)


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000) & (1 << 48) - 1


def _assemble(milliseconds: int, randbits: int) -> UUID:
    rand_a, rand_b = randbits >> 62 & 0xFFF, randbits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


@dataclass(slots=True)
class _Last:
    """The last id of this process."""

    milliseconds: int = -1
    tail: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, milliseconds: int, randbits: Callable[[int], int]) -> UUID:
        with self.lock:
            tail = self.tail + 1 + randbits(STEP_BITS) if milliseconds == self.milliseconds else randbits(RANDOM_BITS)
            if tail >> RANDOM_BITS:  # past the end of its millisecond, one time in billions: another random one
                tail = randbits(RANDOM_BITS)
            self.milliseconds, self.tail = milliseconds, tail
            return _assemble(milliseconds, tail)


_LAST = _Last()
