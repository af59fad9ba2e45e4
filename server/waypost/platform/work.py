"""Are workers and relays at work, and how far behind: for `/readyz`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.health import OK, Finding


@dataclass(frozen=True, slots=True)
class AtWork:
    """Processes of one kind. ``lag``: seconds that the oldest piece of their work has waited; None: not counted."""

    database: Database
    kind: str
    heartbeat_s: float
    lag: Callable[[Connection], Awaitable[float]] | None = None

    async def ask(self) -> Finding:
        async with self.database.transaction(SYSTEM) as conn:
            beats = await heartbeats.at_work(conn, self.heartbeat_s)
            lag_s = round(await self.lag(conn), 1) if self.lag is not None else None
        found = any(beat.kind == self.kind for beat in beats)
        return Finding(OK if found else "none is at work", lag_s)
