"""What jobs ask of others: the features' kinds of work, and the test's eye on a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from waypost.jobs.domain import Asked, Job, Plan, Step
from waypost.platform.database import Connection


class JobKind(Protocol):
    """One kind of export. A feature makes it, wiring registers it; jobs know no feature.

    Every method runs in the organisation's own transaction and may be called again.
    """

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        """What is to be done, fixed now; ``Invalid`` names what is not acceptable."""
        ...

    async def count(self, conn: Connection, org_id: UUID, plan: Plan) -> int | None:
        """About how many rows there will be; None: who knows."""
        ...

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        """The next chunk, a second's work at most; ``cursor`` None: the first, with what a file begins with."""
        ...


# Told that a job is done, in the transaction that says so; wiring fills it.
Done = Callable[[Connection, Job], Awaitable[None]]


async def nobody_told(_conn: Connection, _job: Job) -> None:
    """Nobody is told but whoever listens to the job."""


# Called with a name and how far the work is, at the points where a worker may die; the tests' programs die there.
Checkpoint = Callable[[str, float], None]


def pass_by(_name: str, _fraction: float) -> None:
    """The checkpoint of every worker of ours: nothing."""


@dataclass(frozen=True, slots=True)
class JobRules:
    """How jobs are run; the settings fill it."""

    lease: timedelta = timedelta(seconds=60)
    slice_s: float = 10.0  # then the job goes to the end of the queue, so that no organisation keeps a worker
    poke_again: timedelta = timedelta(seconds=5)
    at_once: int = 5  # queued and running jobs an organisation
    file_kept: timedelta = timedelta(days=7)
    row_kept: timedelta = timedelta(days=30)
