"""Timed work: what is done when. Each run may be repeated, and does no harm when two workers are at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID

from waypost.identity.upkeep import IdentityUpkeep
from waypost.jobs.ports import Checkpoint, pass_by
from waypost.jobs.scheduler import WINDOW, Place, Scheduler, SchedulerRules, Timed
from waypost.jobs.timetable import Daily, Every
from waypost.jobs.upkeep import JobUpkeep
from waypost.kernel.errors import AppError
from waypost.kernel.zones import zone_or_utc
from waypost.notifications.comparing import Comparison
from waypost.notifications.upkeep import NotificationUpkeep
from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM
from waypost.platform.telemetry import log
from waypost.tracking.quality_upkeep import QualityUpkeep
from waypost.tracking.street_map import StreetUpkeep
from waypost.tracking.upkeep import Upkeep
from waypost.webhooks.upkeep import WebhookUpkeep
from waypost.wiring import Services, job_rules
from waypost_workers import retention, timed_messages, timed_money

WEEKS_AHEAD = 3
KEYS_KEPT = timedelta(days=14)  # a phone's backlog with the client's own keys; the place key holds for ever
ANSWERS_KEPT = timedelta(days=1)  # of requests with an Idempotency-Key
SIGN_INS_KEPT = timedelta(days=30)
SIGN_INS_A_BATCH = 2_000
NIGHT = time(3, 30)


def scheduler_over(
    services: Services, checkpoint: Checkpoint = pass_by, comparison: Comparison | None = None
) -> Scheduler:
    """What looks for due runs in this process. ``comparison``: for one that may ask providers."""
    settings = services.settings
    return Scheduler(
        services.database,
        services.clock,
        Whereabouts(services).places,
        [*timetable(services), *(timed_messages.timetable(comparison) if comparison else [])],
        SchedulerRules(timedelta(seconds=settings.job_lease_s), settings.schedule_poll_s),
        checkpoint,
    )


class Whereabouts:
    """Whose clocks there are."""

    def __init__(self, services: Services) -> None:
        self._identity = IdentityUpkeep(services.database, services.clock)

    async def places(self) -> Sequence[Place]:
        """Every organisation with its time zone."""
        return [
            Place(org.id, zone_or_utc(org.settings.time_zone), org.created_at)
            for org in await self._identity.organisations()
        ]


def timetable(services: Services) -> Sequence[Timed]:
    """Every timed run. The house's go by UTC, an organisation's by its own clock, at night there."""
    work = Work(services)
    hourly, twice_a_day = Every(timedelta(hours=1)), Every(timedelta(hours=12))
    return [
        Timed("learn-streets", Every(timedelta(minutes=5)), work.learn_streets),
        Timed("send-digests", Every(timedelta(minutes=5)), work.send_digests),
        Timed("watch-opt-outs", hourly, work.watch_opt_outs),
        Timed("watch-arrivals", hourly, work.watch_arrivals),
        Timed("partitions-ahead", twice_a_day, work.partitions_ahead),
        Timed("forget-keys", Daily(time(3, 20)), work.forget_keys),
        Timed("drop-weeks", Daily(time(3, 40)), work.drop_weeks),
        Timed("forget-fixes", Daily(NIGHT), work.forget_fixes, each_org=True),
        Timed("forget-notifications", Daily(time(3, 50)), work.forget_notifications),
        Timed("forget-heard", Daily(time(3, 52)), work.forget_heard),
        Timed("forget-webhooks", Daily(time(3, 55)), work.forget_webhooks),
        Timed("drop-job-files", hourly, work.drop_job_files),
        Timed("forget-jobs", Daily(time(4, 0)), work.forget_jobs),
        Timed("forget-answers", hourly, work.forget_answers),
        Timed("drop-events", hourly, work.drop_events),
        Timed("forget-sign-ins", Daily(time(4, 10)), work.forget_sign_ins),
        Timed("forget-audit", Daily(time(4, 20)), work.forget_audit),
        Timed("forget-quality", Daily(time(4, 25)), work.forget_quality),
        Timed("forget-heartbeats", Daily(time(4, 30)), work.forget_heartbeats),
        Timed("analyse", Daily(time(4, 40)), work.analyse),
        *timed_money.timetable(services),
    ]


class Work:
    """What the timed runs do; each gets the organisation and the moment it was due."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        ground = services.database, services.clock
        self._tracking, self._notifications = Upkeep(*ground), NotificationUpkeep(*ground)
        self._streets = StreetUpkeep(*ground)
        self._webhooks = WebhookUpkeep(*ground)
        self._quality = QualityUpkeep(*ground)
        self._identity, self._jobs = IdentityUpkeep(*ground), JobUpkeep(*ground, job_rules(services.settings))

    async def learn_streets(self, _org_id: UUID, _due_at: datetime) -> None:
        """Count the cells that vehicles drove through since the last time."""
        if fixes := await self._streets.learn():
            log.info("streets_learned", fixes=fixes)

    async def send_digests(self, _org_id: UUID, _due_at: datetime) -> None:
        """Open alerts, joined into one e-mail, to the staff of each organisation where they waited long enough."""
        if sent := await self._services.telling.digests.send():
            log.info("digests_sent", count=sent)

    async def watch_opt_outs(self, _org_id: UUID, _due_at: datetime) -> None:
        """Tell the staff of organisations from which unusually many people opted out within a day."""
        await self._services.telling.opt_outs.look()

    async def watch_arrivals(self, _org_id: UUID, _due_at: datetime) -> None:
        """Tell the staff of organisations of whose SMS unusually many did not arrive within a day."""
        for org in await self._identity.organisations():
            try:
                await self._services.telling.arrivals.look(org.id)
            except AppError as error:  # of one organisation: the others' turn comes all the same
                log.warning("arrivals_not_looked_at", org_id=str(org.id), reason=error.code)

    async def partitions_ahead(self, _org_id: UUID, _due_at: datetime) -> None:
        """Make the coming weeks' partitions, so that no phone's batch has to."""
        await self._tracking.make_partitions(WEEKS_AHEAD)

    async def forget_keys(self, _org_id: UUID, _due_at: datetime) -> None:
        """Drop the clients' own keys of fixes that nobody will send again."""
        _say("keys", await self._tracking.forget_keys(KEYS_KEPT))

    async def drop_weeks(self, _org_id: UUID, _due_at: datetime) -> None:
        """Drop the weeks of fixes that are older than any organisation keeps them, whole; none while one's wish is
        unreadable.
        """
        kept = await retention.days(self._services.database)
        if unread := [org_id for org_id, days in kept.items() if days is None]:
            log.error("weeks_not_dropped", why="settings unreadable", org_ids=[str(org_id) for org_id in unread])
        elif kept:
            longest = max(days for days in kept.values() if days is not None)
            _say("weeks of fixes", len(await self._tracking.drop_weeks(timedelta(days=longest))))

    async def forget_fixes(self, org_id: UUID, _due_at: datetime) -> None:
        """Delete what one organisation keeps no longer, where its weeks are still there for others; nothing where it
        cannot be read how long that is.
        """
        days = (await retention.days(self._services.database, org_id)).get(org_id)
        if days is None:
            log.error("fixes_not_forgotten", why="settings unreadable", org_id=str(org_id))
            return
        _say("fixes", await self._tracking.forget_fixes(org_id, timedelta(days=days)), org_id)
        _say("street cells", await self._streets.forget(org_id, timedelta(days=days)), org_id)

    async def forget_notifications(self, _org_id: UUID, _due_at: datetime) -> None:
        _say("notifications", await self._notifications.forget(timedelta(days=self._settings.keep_notifications_days)))

    async def forget_heard(self, _org_id: UUID, _due_at: datetime) -> None:
        """Receipts, answers, bounces, and what has ended of suppressions and browsers."""
        kept = timedelta(days=self._settings.keep_notifications_days)
        for what, count in (await self._notifications.forget_heard(kept)).items():
            _say(what, count)

    async def forget_webhooks(self, _org_id: UUID, _due_at: datetime) -> None:
        _say("webhook events", await self._webhooks.forget(timedelta(days=self._settings.keep_notifications_days)))

    async def drop_job_files(self, _org_id: UUID, _due_at: datetime) -> None:
        _say("job files", await self._jobs.drop_files())

    async def forget_jobs(self, _org_id: UUID, _due_at: datetime) -> None:
        """Old jobs, and the rows of old timed runs."""
        _say("jobs", await self._jobs.forget_jobs())
        kept = max(timedelta(days=self._settings.keep_jobs_days), 2 * WINDOW)  # else they would be due once more
        _say("timed runs", await self._jobs.forget_runs(kept))

    async def forget_answers(self, _org_id: UUID, _due_at: datetime) -> None:
        _say("answers", await self._identity.forget_answers(ANSWERS_KEPT))

    async def drop_events(self, _org_id: UUID, _due_at: datetime) -> None:
        """Promised events that nobody could publish for a day: whoever watches has joined anew since."""
        if dropped := await self._services.leftovers.drop_old():
            log.error("promised_events_dropped", count=dropped)

    async def forget_sign_ins(self, _org_id: UUID, _due_at: datetime) -> None:
        """Sessions that are over, refresh tokens and invitations that have run out."""
        total = 0
        while gone := await self._services.sessions.forget_old(SIGN_INS_KEPT, SIGN_INS_A_BATCH):
            total += gone
        _say("sign-ins", total)

    async def forget_audit(self, _org_id: UUID, _due_at: datetime) -> None:
        _say("audit entries", await self._identity.forget_audit(timedelta(days=self._settings.keep_audit_days)))

    async def forget_quality(self, _org_id: UUID, _due_at: datetime) -> None:
        """Locations that were refused, and devices' daily counters."""
        settings = self._settings
        _say("rejections", await self._quality.forget_rejections(timedelta(days=settings.keep_rejections_days)))
        _say("days of devices", await self._quality.forget_days(timedelta(days=settings.keep_quality_days)))

    async def forget_heartbeats(self, _org_id: UUID, _due_at: datetime) -> None:
        """Of processes of which nothing was heard for a day."""
        async with self._services.database.transaction(SYSTEM) as conn:
            await heartbeats.forget(conn, "")

    async def analyse(self, _org_id: UUID, _due_at: datetime) -> None:
        await self._jobs.analyse()


def _say(what: str, count: int, org_id: UUID | None = None) -> None:
    if count:
        log.info("forgotten", what=what, count=count, org_id=str(org_id) if org_id else None)
