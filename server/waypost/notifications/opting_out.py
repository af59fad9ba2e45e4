"""How many of those who were told opted out within a day: staff are told when it is more than usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity.domain import Telling
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications import storage_opting_out as storage
from waypost.notifications.alert_domain import OPT_OUT_RATE
from waypost.notifications.alerts import alert
from waypost.notifications.consent.domain import THEIRS
from waypost.notifications.spend import day_of
from waypost.platform.database import SYSTEM, Database
from waypost.realtime.service import Publisher

WITHIN: Final = timedelta(days=1)


def is_too_many(telling: Telling, opted_out: int, told: int) -> bool:
    """More than the set share of those who were told, and not just a few."""
    return opted_out >= telling.opt_outs_least and opted_out * 100 > telling.opt_out_percent * told


@dataclass(frozen=True, slots=True)
class OptOutWatch:
    """Safe to repeat, and twice at once: an alert has a key."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules

    async def look(self) -> int:
        """At each organisation from which somebody opted out within a day; how many were alerted anew."""
        since = self.clock.now() - WITHIN
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage.opted_out(conn, since, sorted(THEIRS))
        return sum([await self._judge(org_id, opted_out) for org_id, opted_out in found])

    async def _judge(self, org_id: UUID, opted_out: int) -> bool:
        rules, now = await self.rules.of(org_id), self.clock.now()
        if opted_out < rules.telling.opt_outs_least:
            return False
        async with self.database.transaction(SYSTEM) as conn:
            told = await storage.told(conn, org_id, now - WITHIN)
            if not is_too_many(rules.telling, opted_out, told):
                return False
            return await alert(
                conn, self.publisher, self.clock, org_id, kind=OPT_OUT_RATE,
                key=f"{OPT_OUT_RATE}:{day_of(rules, now)}", subject_kind="organisation", subject_id=org_id,
                facts={"optedOut": str(opted_out), "told": str(told)},
            )  # fmt: skip
