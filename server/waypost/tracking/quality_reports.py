"""What staff ask of data quality: who is silent and why, how good a device's data is, what of it was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from waypost.directory.domain import DeviceNotFound
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.platform.database import Connection, Database
from waypost.tracking import storage_quality, storage_rejections
from waypost.tracking.seen import DayQuality, Kept, Seen, Told
from waypost.tracking.silence import judge, sentence

GAP = timedelta(minutes=5)
GAP_M = 500.0


@dataclass(frozen=True, slots=True)
class QualityReports:
    """Read only. Days are those of UTC."""

    database: Database
    clock: Clock
    rules: Rules

    async def list(self, principal: Principal, limit: int, cursor: str | None, *, revoked: bool = False) -> Page[Told]:
        """Devices with their states, by id; ``revoked``: those whose token was withdrawn too."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        now = self.clock.now()
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_quality.list_seen(
                conn, principal.org_id, now.astimezone(UTC).date(), after, limit + 1, revoked=revoked
            )
        return page_of(await self._told(principal, rows, now), limit, lambda told: told.seen.device_id)

    async def of_device(self, principal: Principal, device_id: UUID, days: int) -> tuple[Told, Sequence[DayQuality]]:
        """A device and its last ``days``, today first. ``DeviceNotFound``."""
        principal.require(PLANNERS)
        now = self.clock.now()
        today = now.astimezone(UTC).date()
        async with self.database.transaction(principal.org_id) as conn:
            seen = await _found(conn, principal.org_id, today, device_id)
            known = await self._days(conn, principal.org_id, device_id, today, days)
        [told] = await self._told(principal, [seen], now)
        return told, known

    async def rejections(self, principal: Principal, device_id: UUID, limit: int, cursor: str | None) -> Page[Kept]:
        """What was refused of a device, the newest first. ``DeviceNotFound``."""
        principal.require(PLANNERS)
        before = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            await _found(conn, principal.org_id, self.clock.now().date(), device_id)
            rows = await storage_rejections.rejections(conn, principal.org_id, device_id, before, limit + 1)
        return page_of(rows, limit, lambda kept: kept.id)

    async def _days(
        self, conn: Connection, org_id: UUID, device_id: UUID, today: date, count: int
    ) -> Sequence[DayQuality]:
        dates = [today - timedelta(days=n) for n in range(count)]
        known = await storage_quality.days(conn, org_id, device_id, dates[-1])
        between = _midnight(dates[-1]), _midnight(today + timedelta(days=1))
        gaps = await storage_quality.gaps(conn, org_id, device_id, between, GAP, GAP_M)
        return [_with_gaps(known.get(day, DayQuality(day)), *gaps.get(day, (0, timedelta(0)))) for day in dates]

    async def _told(self, principal: Principal, rows: Sequence[Seen], now: datetime) -> Sequence[Told]:
        zone = zone_or_utc((await self.rules.of(principal.org_id)).time_zone)
        judged = [(seen, judge(seen.heard, now)) for seen in rows]
        return [Told(seen, verdict, sentence(verdict, now, zone)) for seen, verdict in judged]


async def _found(conn: Connection, org_id: UUID, today: date, device_id: UUID) -> Seen:
    seen = await storage_quality.find_seen(conn, org_id, today, device_id)
    if seen is None:
        raise DeviceNotFound
    return seen


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)


def _with_gaps(day: DayQuality, gaps: int, longest: timedelta) -> DayQuality:
    return replace(day, gaps=gaps, longest_gap=longest)
