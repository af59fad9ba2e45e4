"""Telling somebody the same once more: a new notification, with its own deliveries, from the same facts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import PLANNERS, Principal
from waypost.notifications import outbox, storage_seen
from waypost.notifications.domain import RESENT, NamedNobody, Notice, NotificationNotFound
from waypost.notifications.kinds import validity_of
from waypost.platform.database import Database


@dataclass(frozen=True, slots=True)
class Resending:
    """For who plans. What the guard of its kind wants no longer, as a reminder of what is paid, does not go out."""

    database: Database
    clock: Clock

    async def resend(self, principal: Principal, notification_id: UUID, why: str) -> UUID:
        """Promise it, to where they are reached now; what names the promise. The relay makes the notification.

        ``NamedNobody``: without a person it would go to all staff, or to nobody, and not to whom it was told.
        """
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            found = await storage_seen.find(conn, principal.org_id, notification_id)
            if found is None:
                raise NotificationNotFound
            if found.customer_id is None and found.user_id is None:
                raise NamedNobody
            facts = msgspec.json.decode(
                await storage_seen.facts_of(conn, principal.org_id, notification_id), type=dict[str, str]
            )
            notice = Notice(
                found.customer_id,
                found.subject_kind,
                found.subject_id,
                facts,
                self.clock.now() + validity_of(found.kind),
                found.user_id,
                resent_from=found.id,
            )
            resend_id = new_id(self.clock)
            await outbox.add(
                conn, principal.org_id, kind=found.kind, key=f"{RESENT}{resend_id}", payload=notice,
                clock=self.clock,
            )  # fmt: skip
            await audit.record(
                conn,
                principal,
                self.clock,
                action="notification.resent",
                subject_kind="notification",
                subject_id=notification_id,
                why=why,
                detail={"kind": found.kind},
            )
        return resend_id
