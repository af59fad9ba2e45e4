"""Figures of an organisation's laybys, kept for a quarter of an hour or until something changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.analytics import domain, storage
from waypost.analytics.domain import Figures, Span, Step
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.principal import WATCHERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Database

LIFE_S = 15 * 60
MOST = 200  # spans an organisation, and all in a process
KIND: Kind[Figures] = Kind("layby-figures", Figures, LIFE_S, MOST)


@dataclass(frozen=True, slots=True)
class LaybyFigures:
    """Read through the caches: at their end one reader asks the database, and the others wait for what it hears."""

    database: Database
    clock: Clock
    rules: Rules
    cache: Cache
    kind: Kind[Figures] = KIND

    async def of(
        self, principal: Principal, first: date | None = None, last: date | None = None, step: Step | None = None
    ) -> Figures:
        """``first`` and ``last``: local days, both within; None: the last thirty. ``BadSpan``."""
        principal.require(WATCHERS)
        zone = zone_or_utc((await self.rules.of(principal.org_id)).time_zone)
        today = self.clock.now().astimezone(zone).date()
        span = domain.span_of(first, last, step, today, zone)
        key = f"{today}:{zone.key}:{span.first}:{span.last}:{span.step}"
        return await self.cache.get(principal.org_id, self.kind, key, lambda: self._read(principal.org_id, span, today))

    def forget(self, org_id: UUID) -> None:
        """Something changed: call it right after the transaction of the change."""
        self.cache.forget(org_id, self.kind)

    async def _read(self, org_id: UUID, span: Span, today: date) -> Figures:
        async with self.database.transaction(org_id, snapshot=True) as conn:
            at = self.clock.now()
            return domain.figures(await storage.figures(conn, org_id, span, today), span, at)
