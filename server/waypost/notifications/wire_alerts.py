"""Bodies and events of alerts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.notifications import alert_domain as domain
from waypost.notifications.alert_domain import AlertState
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery


class AlertsQuery(PageQuery):
    """Which alerts a list shows."""

    state: AlertState = AlertState.OPEN
    kind: Annotated[str, Meta(min_length=1, max_length=60, pattern=NO_NUL)] | None = None


class AlertResolution(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What was found, and what was done about it."""

    resolution: Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]


class Alert(msgspec.Struct, rename="camel", omit_defaults=True):
    """Something that staff must look at. ``facts``: what was known when it was raised."""

    id: UUID
    kind: str
    subject_kind: str
    facts: dict[str, str]
    created_at: Instant
    subject_id: UUID | None = None
    resolved_at: Instant | None = None
    resolved_by_name: str | None = None
    resolution: str | None = None

    @classmethod
    def from_domain(cls, a: domain.Alert) -> Alert:
        return cls(
            a.id, a.kind, a.subject_kind, dict(a.facts), instant(a.created_at), a.subject_id,
            instant_or_none(a.resolved_at), a.resolved_by_name, a.resolution,
        )  # fmt: skip


class AlertMessage(msgspec.Struct, rename="camel"):
    """`alert`: one was raised, or resolved."""

    event_id: UUID
    alert: Alert
