"""The real scheduler with one sweep of laybys: ``python -m tests.e2e.mortal_sweeps SWEEP POINT N MOMENT``.

It kills itself (SIGKILL) at the N-th chunk: in its transaction (``sweeping``), or after it (``swept``); ``never``: not
at all. The sweep goes by a clock that stands at MOMENT, so that the hour of the test does not matter; the scheduler's
own, by which runs are due and leases end, is the real one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from tests.fakes.clock import FakeClock
from waypost.jobs.scheduler import Scheduler, SchedulerRules, Timed
from waypost.jobs.timetable import Every
from waypost.notifications.ports import Checkpoint
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost.wiring import open_services
from waypost_workers.schedule import Whereabouts

POINTS = ("sweeping", "swept")


def dying_at(wanted: str, nth: int) -> Checkpoint:
    """Killed as by ``kill -9`` when it comes there for the N-th time."""
    times = count(1)

    def checkpoint(point: str) -> None:
        if point.startswith(f"{wanted} ") and next(times) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


async def main(sweep: str, point: str, nth: int, moment: datetime) -> None:
    configure_logs("INFO", "json")
    async with open_services(Settings.from_env(os.environ)) as services:
        sweeps = replace(services.money.sweeps, clock=FakeClock(moment), checkpoint=dying_at(point, nth))
        timed = Timed(sweep, Every(timedelta(hours=12)), getattr(sweeps, sweep), each_org=True)
        rules = SchedulerRules(lease=timedelta(seconds=1), poll_s=0.1)
        await Scheduler(services.database, services.clock, Whereabouts(services).places, [timed], rules).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), datetime.fromisoformat(sys.argv[4])))
