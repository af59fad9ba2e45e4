"""A scheduler with one run, due each second: ``python -m tests.e2e.mortal_schedule before|after|never N POLL_S``.

The run notes that it began and then, in another transaction, its effect, once for each moment: like every run of the
product it may be repeated. The process kills itself (SIGKILL) at its N-th run, or one beside it, before or after the
effect. It looks every POLL_S: who looks rarely leaves most runs to the others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from waypost.jobs.scheduler import Place, Scheduler, SchedulerRules, Timed
from waypost.jobs.timetable import Every
from waypost.platform.database import SYSTEM
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost.wiring import Services, open_services

BEGAN = "INSERT INTO run_began (due_at, pid) VALUES ($1, $2)"
EFFECT = """
INSERT INTO run_effects (due_at) SELECT $1 WHERE NOT EXISTS (SELECT FROM run_effects WHERE due_at = $1)
"""


class Run:
    """What is done each second."""

    def __init__(self, services: Services, death: str, at: int) -> None:
        self.services, self.death, self.at, self.count = services, death, at, 0

    async def __call__(self, _org_id: UUID, due_at: datetime) -> None:
        self.count += 1
        async with self.services.database.transaction(SYSTEM) as conn:
            await conn.execute(BEGAN, due_at, os.getpid())
        self.die_if("before")
        async with self.services.database.transaction(SYSTEM) as conn:
            await conn.execute(EFFECT, due_at)

    def die_if(self, moment: str) -> None:
        if self.death == moment and self.count >= self.at:
            os.kill(os.getpid(), signal.SIGKILL)


async def nowhere() -> Sequence[Place]:
    return ()


async def main(death: str, at: int, poll_s: float) -> None:
    configure_logs("INFO", "json")
    async with open_services(Settings.from_env(os.environ)) as services:
        run = Run(services, death, at)
        timed = Timed("each-second", Every(timedelta(seconds=1)), run, every_missed=True, window=timedelta(seconds=10))
        rules = SchedulerRules(lease=timedelta(seconds=1), poll_s=poll_s)
        scheduler = Scheduler(services.database, services.clock, nowhere, [timed], rules)
        await replace(scheduler, checkpoint=lambda _name, _done: run.die_if("after")).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
