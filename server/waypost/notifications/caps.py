"""A raised cap on a day's SMS: what it held has its turn now, and not when the next day begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from waypost.identity.domain import OrgSettings, Telling
from waypost.kernel.clock import Clock
from waypost.notifications import storage_spend as storage
from waypost.notifications.spend import CAP, amount
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

SEEN_S: Final = 2.0  # by then every worker has the new settings: one with the old ones would hold it until tomorrow
SPREAD: Final = timedelta(seconds=10)  # those that waited do not all come in one moment


def is_raised(before: Telling, after: Telling) -> bool:
    """Does either cap allow more than it did?"""
    parts = _more(before.sms_parts_a_day, after.sms_parts_a_day)
    return parts or _more(amount(before.sms_spend_a_day), amount(after.sms_spend_a_day))


def _more(before: Decimal | float | None, after: Decimal | float | None) -> bool:
    return before is not None and (after is None or after > before)


@dataclass(frozen=True, slots=True)
class Caps:
    """Hears of settings that change."""

    clock: Clock

    async def changed(self, conn: Connection, org_id: UUID, before: OrgSettings, after: OrgSettings) -> None:
        """In the transaction that changes the settings. Each is asked again as its turn comes: what exceeds the new cap
        is held anew.
        """
        if not is_raised(before.telling, after.telling):
            return
        due_at = self.clock.now() + timedelta(seconds=SEEN_S)
        if woken := await storage.wake(conn, org_id, CAP, due_at, SPREAD):
            log.info("held_by_cap_woken", org_id=str(org_id), count=woken)
