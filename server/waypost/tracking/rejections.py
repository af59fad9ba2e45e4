"""Rejected locations, kept for staff: what was sent, why it was not taken."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from waypost.kernel.ids import RANDOM_BITS, uuid7
from waypost.platform.database import Connection
from waypost.tracking import storage_rejections as storage

MAX_RECORD_BYTES = 1024
MAX_DETAIL = 300
MAX_NAME = 64
MAX_A_BATCH = 50  # of one device, beside the first of each reason
COLUMNS = ("org_id", "device_id", "received_at", "source", "reason", "detail", "record", "more")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One location that was not stored. ``record``: as it was sent, perhaps no text at all; ``more``: so many others
    of its batch had the same reason, and are only counted.
    """

    org_id: UUID
    device_id: UUID
    received_at: datetime
    source: str
    reason: str
    detail: str
    record: bytes
    more: int = 0


async def add(conn: Connection, rejections: Sequence[Rejection]) -> None:
    """Keep what is worth keeping of these, in the caller's transaction (the system scope), with one statement.

    Any number of devices and batches at once; of each device's the first 50, and the first of every reason.
    """
    kept = worth_keeping(rejections)
    if kept:
        tail = secrets.randbits(RANDOM_BITS - 1)  # a bit is left for counting on: rows keep the order of their batch
        ids = [uuid7(rejection.received_at, tail + n) for n, rejection in enumerate(kept)]
        columns = [[getattr(rejection, name) for rejection in kept] for name in COLUMNS]
        await storage.add(conn, [*columns[:2], ids, *columns[2:]])


def worth_keeping(rejections: Iterable[Rejection]) -> list[Rejection]:
    """Of each device and moment the first 50 and the first of every reason, in their order and cut to what a row
    holds; the last of each reason says how many more there were.
    """
    kept: list[Rejection] = []
    last: dict[tuple[UUID, UUID, datetime, str], int] = {}
    more: Counter[int] = Counter()
    of_batch: Counter[tuple[UUID, UUID, datetime]] = Counter()
    for rejection in rejections:
        batch = (rejection.org_id, rejection.device_id, rejection.received_at)
        key = (*batch, rejection.reason)
        if of_batch[batch] >= MAX_A_BATCH and key in last:
            more[last[key]] += 1
            continue
        of_batch[batch] += 1
        last[key] = len(kept)
        kept.append(_cut(rejection))
    for place, count in more.items():
        kept[place] = replace(kept[place], more=kept[place].more + count)
    return kept


def _cut(rejection: Rejection) -> Rejection:
    return replace(
        rejection,
        source=storable(rejection.source, MAX_NAME),
        reason=storable(rejection.reason, MAX_NAME),
        detail=storable(rejection.detail, MAX_DETAIL),
        record=rejection.record[:MAX_RECORD_BYTES],
    )


def storable(text: str, length: int) -> str:
    """Text that PostgreSQL can keep, however it came: no NUL, no half of a surrogate pair, not longer than that."""
    return text[:length].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
