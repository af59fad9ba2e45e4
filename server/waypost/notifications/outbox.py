"""The door by which a feature promises to tell: one row, in the transaction of what is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications import storage_outbox
from waypost.notifications.domain import Promise
from waypost.platform.database import Connection
from waypost.platform.telemetry import request_id


async def add(conn: Connection, org_id: UUID, *, kind: str, key: str, payload: object, clock: Clock) -> None:
    """Promise it. ``key`` names the effect ("trip:…:started"): a second row with the same key is none.

    ``payload``: what msgspec can encode; for a kind of notice a ``Notice``. The relay is woken by the commit.
    """
    body = msgspec.json.encode(payload).decode()
    now, row_id = clock.now(), new_id(clock)
    await storage_outbox.add_outbox(
        conn, org_id, row_id, kind=kind, key=key, payload=body, request_id=request_id.get(), now=now
    )


async def add_all(conn: Connection, org_id: UUID, promises: Sequence[Promise], clock: Clock) -> None:
    """The same for many notices, in one statement; of two with one key one is kept."""
    if not promises:
        return
    bodies = [msgspec.json.encode(promise.notice).decode() for promise in promises]
    ids, now = [new_id(clock) for _ in promises], clock.now()
    kinds, keys = [promise.kind for promise in promises], [promise.key for promise in promises]
    await storage_outbox.add_many(
        conn, org_id, ids, kinds=kinds, keys=keys, payloads=bodies, request_id=request_id.get(), now=now
    )
