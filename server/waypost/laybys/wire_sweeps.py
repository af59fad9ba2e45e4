"""Bodies of the sweeps."""

from __future__ import annotations

from typing import Literal

import msgspec

from waypost.laybys import storage_sweeps
from waypost.platform.codec import Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

SweepName = Literal["reminders", "overdue", "late-fees", "defaults", "completion-reminders", "collection-reminders"]


class SweepsQuery(PageQuery):
    """``name``: of one sweep alone."""

    name: SweepName | None = None


class SweepRun(msgspec.Struct, rename="camel", omit_defaults=True):
    """A run of a sweep: how many laybys it has looked at, and how much it did; without ``finishedAt`` it goes on."""

    name: SweepName
    due_at: Instant
    seen: int
    done: int
    started_at: Instant
    updated_at: Instant
    finished_at: Instant | None = None

    @classmethod
    def from_domain(cls, run: storage_sweeps.SweepRun) -> SweepRun:
        return cls(
            name=msgspec.convert(run.name, SweepName),
            due_at=instant(run.due_at),
            seen=run.seen,
            done=run.done,
            started_at=instant(run.started_at),
            updated_at=instant(run.updated_at),
            finished_at=instant_or_none(run.finished_at),
        )
