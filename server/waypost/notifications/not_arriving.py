"""How many of a day's SMS did not arrive: staff are told when it is more than usual (a filter, a carrier, a sender)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity.domain import Telling
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications import storage_not_arriving as storage
from waypost.notifications.alert_domain import UNDELIVERED_RATE
from waypost.notifications.alerts import alert
from waypost.notifications.spend import day_of
from waypost.platform.database import SYSTEM, Database
from waypost.realtime.service import Publisher

WITHIN: Final = timedelta(days=1)


def is_too_many(telling: Telling, undelivered: int, sent: int) -> bool:
    """More than the set share of what was sent, and not just a few."""
    return undelivered >= telling.undelivered_least and undelivered * 100 > telling.undelivered_percent * sent


@dataclass(frozen=True, slots=True)
class ArrivalWatch:
    """Safe to repeat, and twice at once: an alert has a key."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules

    async def look(self, org_id: UUID) -> bool:
        """At one organisation's SMS of the last day; True: its staff were alerted anew."""
        rules, now = await self.rules.of(org_id), self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage.arrived(conn, org_id, now - WITHIN)
            if not is_too_many(rules.telling, found.undelivered, found.sent):
                return False
            return await alert(
                conn, self.publisher, self.clock, org_id, kind=UNDELIVERED_RATE,
                key=f"{UNDELIVERED_RATE}:{day_of(rules, now)}", subject_kind="organisation", subject_id=org_id,
                facts={"undelivered": str(found.undelivered), "sent": str(found.sent), "reason": found.reason},
            )  # fmt: skip
