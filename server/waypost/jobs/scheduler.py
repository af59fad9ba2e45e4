"""Timed runs: each that is due is done once, whoever is alive to do it.

A due run is a row, keyed by organisation, name and the moment it was due. Any number of processes may look: the row is
made once, claimed by a lease, and claimed again by another when its holder dies. So a run may begin twice, after a
death in the middle, and must be safe to repeat; it is never done twice at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

from waypost.jobs import storage_runs as storage
from waypost.jobs.ports import Checkpoint, pass_by
from waypost.jobs.storage_runs import Run
from waypost.jobs.timetable import Schedule, due_runs
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Database
from waypost.platform.telemetry import log

HOUSE = UUID(int=0)  # the organisation of runs that are of no organisation
AT_ONCE = 3  # a long run must not hold up the others
MAX_ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
WINDOW = timedelta(days=2)
OPEN_AT_A_TIME = 1000
PLACES_A_TURN = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Whose clock a run goes by; nothing was due there before ``since``."""

    org_id: UUID
    zone: tzinfo
    since: datetime


@dataclass(frozen=True, slots=True)
class Timed:
    """Something to do at set times. ``run`` gets the organisation and the moment it was due; may be repeated.

    ``each_org``: in every organisation by its own clock, else once for the house by UTC. ``every_missed``: those missed
    within the window are all done, else the newest stands for all.
    """

    name: str
    schedule: Schedule
    run: Callable[[UUID, datetime], Awaitable[object]]
    each_org: bool = False
    every_missed: bool = False
    window: timedelta = WINDOW


@dataclass(frozen=True, slots=True)
class SchedulerRules:
    """How timed runs are done; the settings fill it."""

    lease: timedelta = timedelta(seconds=60)
    poll_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Looks what is due and does it, for as long as the process lives."""

    database: Database
    clock: Clock
    places: Callable[[], Awaitable[Sequence[Place]]]
    runs: Sequence[Timed]
    rules: SchedulerRules
    checkpoint: Checkpoint = pass_by
    opened: dict[tuple[UUID, str], datetime] = field(default_factory=dict)  # the newest due moment that has its row

    async def serve(self) -> None:
        """For ever; a database that is away is waited for."""
        await self._patiently(self._note)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again_and_again(self._note))
            for _ in range(AT_ONCE):
                tasks.create_task(self._again_and_again(self._drain, first=True))

    async def look(self) -> None:
        """Once: note what is due now, and do all that is nobody's."""
        await self._note()
        await self._drain()

    async def _again_and_again(self, what: Callable[[], Awaitable[None]], *, first: bool = False) -> None:
        if first:
            await self._patiently(what)
        while True:
            await self.clock.sleep(self.rules.poll_s)
            await self._patiently(what)

    async def _patiently(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
        except Unavailable as error:
            log.warning("timed_runs_wait", reason=error.code)
        except Exception:  # noqa: BLE001 - whatever one look runs into, the next begins afresh
            log.exception("timed_runs_failed")

    async def _note(self) -> None:
        """Make the rows of what is due now."""
        await self._open(self.clock.now())

    async def _open(self, now: datetime) -> None:
        due: list[tuple[UUID, str, datetime]] = []
        house = Place(HOUSE, UTC, datetime.min.replace(tzinfo=UTC))
        places = await self.places() if any(timed.each_org for timed in self.runs) else ()
        for number, place in enumerate([house, *places]):
            for timed in self.runs:
                if timed.each_org == (place is not house):
                    due.extend((place.org_id, timed.name, moment) for moment in self._due(timed, place, now))
            if number % PLACES_A_TURN == 0:
                await asyncio.sleep(0)  # others on this loop want their turn
        for first in range(0, len(due), OPEN_AT_A_TIME):
            async with self.database.transaction(SYSTEM) as conn:
                await storage.open_runs(conn, due[first : first + OPEN_AT_A_TIME])
        if due:
            async with self.database.transaction(SYSTEM) as conn:
                await storage.skip_older(conn, [t.name for t in self.runs if not t.every_missed], now)
        self.opened.update({(org_id, name): moment for org_id, name, moment in due})

    def _due(self, timed: Timed, place: Place, now: datetime) -> Iterator[datetime]:
        last = max(now - timed.window, place.since, self.opened.get((place.org_id, timed.name), place.since))
        moments = list(due_runs(timed.schedule, place.zone, last, now))
        return iter(moments if timed.every_missed else moments[-1:])

    async def _drain(self) -> None:
        names = [timed.name for timed in self.runs]
        while True:
            async with self.database.transaction(SYSTEM) as conn:
                run = await storage.claim_run(conn, names, self.rules.lease, self.clock.now())
            if run is None:
                return
            await self._do(run, next(timed for timed in self.runs if timed.name == run.name))

    async def _do(self, run: Run, timed: Timed) -> None:
        if run.tries > MAX_ATTEMPTS:  # whoever took it before died of it
            return await self._finish(run, "failed", "kept failing")
        try:
            done = await self._held(run, timed)
        except asyncio.CancelledError:
            await asyncio.shield(self._put_off(run, timedelta(0), "stopped", tried=False))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a run runs into is its own
            await self._after_failure(run, error)
        else:
            if done:
                self.checkpoint(f"did {run.name}", 1.0)
                await self._finish(run, "done", None)
                log.info("timed_run_done", name=run.name, org_id=str(run.org_id), due_at=run.due_at.isoformat())

    async def _held(self, run: Run, timed: Timed) -> bool:
        """Do it while the lease is kept alive; False when it was lost, and the work stopped."""
        work = asyncio.ensure_future(timed.run(run.org_id, run.due_at))
        beat = asyncio.create_task(self._beat(run))
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            log.warning("timed_run_lost", name=run.name, org_id=str(run.org_id))
            return False
        finally:
            for task in (work, beat):
                task.cancel()
            await asyncio.gather(work, beat, return_exceptions=True)

    async def _beat(self, run: Run) -> None:
        """Lengthen the lease for as long as it is ours."""
        while True:
            await self.clock.sleep(self.rules.lease.total_seconds() / 4)
            try:
                async with self.database.transaction(SYSTEM) as conn:
                    if not await storage.hold_run(conn, run, self.rules.lease):
                        return
            except Unavailable:
                continue  # the work will find out by itself
            except Exception:  # noqa: BLE001 - the lease ran out, or it did not: the next beat sees
                log.exception("timed_run_not_held", name=run.name)

    async def _after_failure(self, run: Run, error: Exception) -> None:
        log.error("timed_run_failed", name=run.name, org_id=str(run.org_id), tries=run.tries, exc_info=error)
        reason = type(error).__name__
        if run.tries >= MAX_ATTEMPTS:
            await self._finish(run, "failed", reason)
        else:
            await self._put_off(run, min(FIRST_WAIT * 2 ** (run.tries - 1), LONGEST_WAIT), reason)

    async def _finish(self, run: Run, outcome: str, detail: str | None) -> None:
        async with self.database.transaction(SYSTEM) as conn:
            await storage.finish_run(conn, run, outcome, detail, self.clock.now())

    async def _put_off(self, run: Run, wait: timedelta, reason: str, *, tried: bool = True) -> None:
        async with self.database.transaction(SYSTEM) as conn:
            await storage.put_off_run(conn, run, wait, reason, tried=tried)
