"""Are workers and relays at work, and how far behind: for `/readyz`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.health import OK, Finding

BEATS_MISSED = 3
SLOW_BEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class AtWork:
    """Processes of one kind. ``lag``: seconds that the oldest piece of their work has waited; None: not counted."""

    database: Database
    kind: str
    heartbeat_s: float
    lag: Callable[[Connection], Awaitable[float]] | None = None

    async def ask(self) -> Finding:
        async with self.database.transaction(SYSTEM) as conn:
            beats = await heartbeats.ages(conn)
            lag_s = round(await self.lag(conn), 1) if self.lag is not None else None
        late_s = max(BEATS_MISSED * self.heartbeat_s, SLOW_BEAT_S)
        heard_of = [beat for beat in beats if beat.kind == self.kind and beat.age_s <= late_s]
        return Finding(OK if heard_of else "none is at work", lag_s)
