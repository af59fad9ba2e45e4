"""The staff hear that a webhook was switched off, once a time; and it is settled when it is on again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.notifications.alert_domain import WEBHOOK_OFF
from waypost.notifications.alerts import alert, over
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher
from waypost.webhooks.domain import OffReason, Webhook


@dataclass(frozen=True, slots=True)
class Alarms:
    """Both in the transaction of what they are about."""

    publisher: Publisher
    clock: Clock

    async def off(self, conn: Connection, webhook: Webhook, reason: OffReason, at: datetime) -> None:
        """It was switched off at that moment, by us."""
        since = webhook.health.failing_since
        facts = {
            "reference": webhook.name,
            "reason": str(reason),
            "failingSince": since.isoformat() if since is not None else "",
        }
        await alert(
            conn, self.publisher, self.clock, webhook.org_id, kind=WEBHOOK_OFF, key=_key(webhook, at),
            subject_kind="webhook", subject_id=webhook.id, facts=facts,
        )  # fmt: skip

    async def on_again(self, conn: Connection, webhook: Webhook, by: UUID | None) -> None:
        """``webhook``: as it was before."""
        if webhook.off_at is not None:
            key = _key(webhook, webhook.off_at)
            await over(
                conn, self.publisher, self.clock, webhook.org_id, key=key, by=by, resolution="It is on again."
            )  # fmt: skip


def _key(webhook: Webhook, off_at: datetime) -> str:
    return f"{WEBHOOK_OFF}:{webhook.id}:{off_at.isoformat()}"
