"""What ``doctor`` asks a running installation: who is at work, what waits too long, what was given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from waypost.commands import probes
from waypost.commands.findings import Finding, asked
from waypost.jobs.upkeep import JobUpkeep, Trouble
from waypost.kernel.clock import SystemClock
from waypost.kernel.errors import AppError
from waypost.notifications.upkeep import NotificationUpkeep
from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM, Database
from waypost.realtime import outbox
from waypost.realtime.leftovers import GRACE
from waypost.settings import Settings
from waypost.wiring import job_rules

OUTBOX_WAITS_S = 60.0
RUNS_EACH = timedelta(hours=2)  # some timed run is due every hour
A_DAY = timedelta(days=1)


async def house(settings: Settings) -> AsyncIterator[Finding]:
    """Everything that the database tells, from top to bottom; ends early where the rest cannot be asked."""
    cure = "check WAYPOST_DATABASE_URL and the server"
    try:
        async with probes.opened(settings) as database:
            yield await asked("PostgreSQL", lambda: probes.version(database), cure)
            yield await probes.roles(database, second_login=settings.database_system_url is not None)
            migrated = await probes.migrated(database)
            yield migrated
            if migrated.cure is None:
                now = SystemClock().now()
                yield await probes.clocks(database, now.timestamp())
                async for finding in _work(database, settings, now):
                    yield finding
    except AppError as error:
        yield Finding("PostgreSQL", error.detail, cure)


async def _work(database: Database, settings: Settings, now: datetime) -> AsyncIterator[Finding]:
    async with database.transaction(SYSTEM) as conn:
        beats = await heartbeats.at_work(conn, settings.heartbeat_s)
    for kind, command in (("worker", "waypost-worker"), ("relay", "waypost relay")):
        at_work = [beat for beat in beats if beat.kind == kind]
        hosts = ", ".join(sorted({beat.host for beat in at_work}))
        found = f"{len(at_work)} at work on {hosts}" if at_work else "none is at work"
        yield Finding(f"{kind}s", found, None if at_work else f"start `{command}`; `waypost up` does it by itself")
    async for finding in _told(NotificationUpkeep(database, SystemClock())):
        yield finding
    yield await _events(database)
    trouble = await JobUpkeep(database, SystemClock(), job_rules(settings)).trouble(now - A_DAY)
    async for finding in _done(trouble, now, has_worker=any(beat.kind == "worker" for beat in beats)):
        yield finding


async def _told(notifications: NotificationUpkeep) -> AsyncIterator[Finding]:
    found = await notifications.trouble()
    waits = f"the oldest has waited {found.outbox_s:.0f} s" if found.outbox_s else "nothing waits"
    cure = "is a relay at work?" if found.outbox_s > OUTBOX_WAITS_S else None
    if found.put_off:
        waits = f"{waits}, {found.put_off} could not be kept so far"
        cure = "the relay's log says why: `outbox_row_put_off`"
    yield Finding("outbox", waits, cure)
    left = f"{found.in_doubt} in doubt, {found.dead} given up"
    cure = "look at each: GET /api/v1/notifications; resolve or send it again" if found.in_doubt or found.dead else None
    yield Finding("deliveries", left, cure)


async def _events(database: Database) -> Finding:
    async with database.transaction(SYSTEM) as conn:
        found = await outbox.waiting(conn, GRACE)
    if not found.events:
        return Finding("live events", "nothing waits")
    return Finding(
        "live events",
        f"{found.events} wait to be published, the oldest for {found.oldest_s:.0f} s",
        "is Redis there, and a relay at work?" if found.oldest_s > OUTBOX_WAITS_S else None,
    )


async def _done(trouble: Trouble, now: datetime, *, has_worker: bool) -> AsyncIterator[Finding]:
    cure = "GET /api/v1/jobs?state=failed says why; ask for them again" if trouble.jobs else None
    yield Finding("jobs", f"{trouble.jobs} failed within a day", cure)
    last = trouble.last_run
    if trouble.runs:
        cure = "the log says why: `timed_run_failed`"
        yield Finding("timed runs", f"given up: {', '.join(sorted(trouble.runs))}", cure)
    elif has_worker and (last is None or now - last > RUNS_EACH):
        yield Finding("timed runs", f"none was done since {last or 'ever'}", "look at the worker's log")
    else:
        yield Finding("timed runs", f"the last was done {last:%Y-%m-%d %H:%M} UTC" if last else "none yet")
