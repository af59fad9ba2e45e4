"""Digests: open alerts that could wait, joined into one e-mail to those who run the house."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications import outbox
from waypost.notifications import storage_alerts as storage
from waypost.notifications.alert_domain import about
from waypost.notifications.domain import Notice
from waypost.notifications.kinds import ALERT_DIGEST
from waypost.platform.database import SYSTEM, Database


@dataclass(frozen=True, slots=True)
class Digests:
    """Safe to repeat, and twice at once: an alert is in one digest, and a digest has a key."""

    database: Database
    clock: Clock
    rules: Rules

    async def send(self) -> int:
        """A digest to each organisation whose oldest unsaid alert has waited as long as it wishes; how many."""
        async with self.database.transaction(SYSTEM) as conn:
            waiting = await storage.undigested(conn)
        sent, now = 0, self.clock.now()
        for org_id, since in waiting:
            minutes = (await self.rules.of(org_id)).telling.digest_minutes
            if minutes and since <= now - timedelta(minutes=minutes):
                sent += await self._send(org_id)
        return sent

    async def _send(self, org_id: UUID) -> bool:
        async with self.database.transaction(SYSTEM) as conn:
            alerts = await storage.digest(conn, org_id, self.clock.now())
            if not alerts:
                return False
            first = alerts[0][0]
            notice = Notice(None, "alert", first, {"count": str(len(alerts)), "alerts": rows_of(alerts)})
            key = f"alert:{first}:digest"
            await outbox.add(conn, org_id, kind=ALERT_DIGEST, key=key, payload=notice, clock=self.clock)
            return True


def rows_of(alerts: Sequence[tuple[UUID, str, dict[str, str]]]) -> str:
    """JSON of a row for each kind: how many, and of a single one what it is about."""
    counts = Counter(kind for _, kind, _ in alerts)
    names = {kind: about(facts) for _, kind, facts in alerts}
    rows = [
        {"alert": kind, "about": names[kind] if count == 1 else "", "count": str(count)}
        for kind, count in counts.items()
    ]
    return msgspec.json.encode(rows).decode()
