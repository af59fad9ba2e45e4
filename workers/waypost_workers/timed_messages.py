"""Timed work that asks message providers: only a worker does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from uuid import UUID

from waypost.jobs.scheduler import Timed
from waypost.jobs.timetable import Daily
from waypost.notifications.comparing import ONE_DAY, Comparison


def timetable(comparison: Comparison) -> Sequence[Timed]:
    """At night, when the messages of the day before have come to their end."""

    async def compare(org_id: UUID, due_at: datetime) -> None:
        """Yesterday's, by the providers' day."""
        await comparison.run(org_id, due_at.astimezone(UTC).date() - ONE_DAY)

    return [Timed("compare-messages", Daily(time(5, 0)), compare, each_org=True, every_missed=True)]
