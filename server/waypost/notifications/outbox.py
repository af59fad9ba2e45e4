"""The door by which a feature promises to tell: one row, in the transaction of what is to be told."""

from __future__ import annotations

from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications import storage_outbox
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
