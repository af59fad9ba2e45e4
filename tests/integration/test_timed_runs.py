"""Timed runs with a real database: once each, whoever looks; what is missed, killed, failing; the retention they do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.factories import Org, organisation
from tests.fakes.clock import FakeClock
from tests.servers import Servers
from tests.waiting import until
from waypost.identity import audit
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.jobs.scheduler import HOUSE, MAX_ATTEMPTS, Place, Scheduler, SchedulerRules, Timed
from waypost.jobs.timetable import Daily, Every
from waypost.notifications.states import State
from waypost.platform.database import SYSTEM
from waypost.tracking.upkeep import Upkeep
from waypost.wiring import Services
from waypost_workers.schedule import Work, scheduler_over, timetable

EARLY = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
RULES = SchedulerRules(lease=timedelta(seconds=60), poll_s=1)


@dataclass
class Log:
    """What ran, when it was due; fails or waits where it is told to."""

    ran: list[tuple[UUID, datetime]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def __call__(self, org_id: UUID, due_at: datetime) -> None:
        self.ran.append((org_id, due_at))
        if self.hold is not None:
            await self.hold.wait()
        if self.errors:
            raise self.errors.pop()


@dataclass
class House:
    """Schedulers over one database, and a clock that all of them go by."""

    services: Services
    clock: FakeClock
    places: list[Place] = field(default_factory=list)

    def scheduler(self, *runs: Timed) -> Scheduler:
        async def places() -> Sequence[Place]:
            return self.places

        return Scheduler(self.services.database, self.clock, places, runs, RULES)

    async def rows(self) -> list[tuple[str, datetime, str | None]]:
        async with self.services.database.transaction(SYSTEM) as conn:
            found = await conn.fetch("SELECT name, due_at, outcome FROM scheduled_runs ORDER BY name, due_at")
        return [(row["name"], row["due_at"], row["outcome"]) for row in found]

    async def leases_run_out(self) -> None:
        async with self.services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE scheduled_runs SET lease_until = now() WHERE lease_until > now()")


@pytest.fixture
async def house(services: Services) -> House:
    return House(services, FakeClock(EARLY))


def at(hour: int, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


async def test_a_run_is_done_once_however_many_look_at_once(house: House):
    log = Log()
    timed = Timed("report", Every(timedelta(hours=1)), log, every_missed=True, window=timedelta(hours=6))
    await asyncio.gather(*(house.scheduler(timed).look() for _ in range(5)))
    assert sorted(due for _, due in log.ran) == [at(hour, 21) for hour in range(19, 24)] + [EARLY]
    await house.scheduler(timed).look()
    assert len(log.ran) == 6
    await house.clock.advance(3600)
    await asyncio.gather(*(house.scheduler(timed).look() for _ in range(5)))
    assert log.ran[6:] == [(HOUSE, at(1))]


async def test_of_the_missed_runs_of_a_sweep_only_the_newest_is_done(house: House):
    log = Log()
    scheduler = house.scheduler(Timed("sweep", Daily(time(3)), log))
    await scheduler.look()
    assert log.ran == [(HOUSE, at(3, 21))]
    await house.clock.advance(86400 * 2.5)  # nobody was alive meanwhile
    await house.scheduler(Timed("sweep", Daily(time(3)), log)).look()
    assert log.ran[1:] == [(HOUSE, at(3, 24))]


async def test_a_run_that_was_begun_and_is_overtaken_is_skipped(house: House):
    log = Log(errors=[RuntimeError("no")])
    timed = Timed("sweep", Daily(time(3)), log)
    await house.scheduler(timed).look()
    await house.clock.advance(86400)
    await house.leases_run_out()
    await house.scheduler(timed).look()
    assert [(due, outcome) for _, due, outcome in await house.rows()] == [(at(3, 21), "skipped"), (at(3), "done")]


async def test_each_organisation_has_its_run_by_its_own_clock_and_not_from_before_its_time(house: House):
    harare, auckland, new = UUID(int=1), UUID(int=2), UUID(int=3)
    house.places = [
        Place(harare, ZoneInfo("Africa/Harare"), at(0, 1)),
        Place(auckland, ZoneInfo("Pacific/Auckland"), at(0, 1)),
        Place(new, ZoneInfo("UTC"), EARLY - timedelta(minutes=1)),
    ]
    log = Log()
    scheduler = house.scheduler(Timed("night", Daily(time(3, 30)), log, each_org=True, window=timedelta(hours=23)))
    await scheduler.look()
    half = timedelta(minutes=30)
    assert sorted(log.ran) == [(harare, at(1, 21) + half), (auckland, at(14, 21) + half)]
    await house.clock.advance(3600 * 4)
    await scheduler.look()
    assert sorted(log.ran[2:]) == [(harare, at(1) + half), (new, at(3) + half)]


async def test_a_run_whose_holder_died_is_done_by_another_when_its_lease_is_over(house: House):
    log = Log(hold=asyncio.Event())
    timed = Timed("sweep", Daily(time(3)), log)
    first = asyncio.create_task(house.scheduler(timed).look())
    await until(lambda: log.ran)
    await house.scheduler(timed).look()
    assert len(log.ran) == 1  # it is held
    await house.leases_run_out()
    log.hold, hold = None, log.hold
    await house.scheduler(timed).look()
    assert len(log.ran) == 2
    assert hold is not None
    hold.set()
    await first  # it was only slow: its word comes too late and changes nothing
    assert await house.rows() == [("sweep", at(3, 21), "done")]


async def test_a_run_that_is_at_work_keeps_its_lease_and_stops_when_it_has_lost_it(house: House):
    log = Log(hold=asyncio.Event())
    scheduler = house.scheduler(Timed("sweep", Daily(time(3)), log))
    looking = asyncio.create_task(scheduler.look())
    await until(lambda: log.ran)
    await house.leases_run_out()

    async def held() -> bool:
        await house.clock.advance(RULES.lease.total_seconds() / 4)
        async with house.services.database.transaction(SYSTEM) as conn:
            return bool(await conn.fetchval("SELECT lease_until > now() FROM scheduled_runs"))

    await until(held)
    async with house.services.database.transaction(SYSTEM) as conn:  # as when another had claimed it
        await conn.execute("UPDATE scheduled_runs SET attempt = attempt + 1")

    async def stopped() -> bool:
        await house.clock.advance(RULES.lease.total_seconds() / 4)
        return looking.done()

    await until(stopped)
    await looking
    assert await house.rows() == [("sweep", at(3, 21), None)]


async def test_a_run_that_fails_is_tried_again_and_at_last_given_up(house: House):
    log = Log(errors=[RuntimeError("no") for _ in range(MAX_ATTEMPTS)])
    timed = Timed("sweep", Daily(time(3)), log)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        await house.scheduler(timed).look()
        await house.scheduler(timed).look()  # not before its wait is over
        assert len(log.ran) == attempt
        await house.leases_run_out()
    await house.scheduler(timed).look()
    assert len(log.ran) == MAX_ATTEMPTS
    assert await house.rows() == [("sweep", at(3, 21), "failed")]


async def test_a_long_run_holds_up_no_other(house: House):
    slow, quick = Log(hold=asyncio.Event()), Log()
    scheduler = house.scheduler(Timed("slow", Daily(time(3)), slow), Timed("quick", Every(timedelta(minutes=1)), quick))
    serving = asyncio.create_task(scheduler.serve())

    async def quick_went_on() -> bool:
        await house.clock.advance(60)
        return len(quick.ran) >= 3

    try:
        await until(lambda: slow.ran)
        await until(quick_went_on)
        assert len(slow.ran) == 1
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_scheduler_that_is_stopped_lets_its_runs_go_at_once(house: House):
    log = Log(hold=asyncio.Event())
    timed = Timed("sweep", Daily(time(3)), log)
    serving = asyncio.create_task(house.scheduler(timed).serve())
    await until(lambda: log.ran)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    log.hold = None
    await house.scheduler(timed).look()
    assert await house.rows() == [("sweep", at(3, 21), "done")]


# What they do


async def test_every_timed_run_can_be_done_twice_on_an_empty_and_on_a_used_house(services: Services, org: Org):
    await org.phone()
    now = services.clock.now()
    for timed in timetable(services):
        for _ in range(2):
            await timed.run(org.org_id if timed.each_org else HOUSE, now)
    names = [timed.name for timed in timetable(services)]
    assert len(names) == len(set(names))


async def test_the_workers_scheduler_does_all_that_was_missed_at_its_first_look(services: Services, org: Org):
    scheduler = scheduler_over(services)
    await scheduler.look()
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch("SELECT name, outcome FROM scheduled_runs")
    assert {row["outcome"] for row in rows} == {"done"}
    assert {row["name"] for row in rows} == {timed.name for timed in timetable(services) if not timed.each_org}


ADD_FIX = """
INSERT INTO fixes (org_id, device_id, vehicle_id, raw_at, recorded_at, received_at, latitude_e7, longitude_e7)
SELECT $1, $2, $2, at, at, now(), n, 0
  FROM unnest($3::timestamptz[]) WITH ORDINALITY AS given (at, n)
"""


async def put_fixes(services: Services, org_id: UUID, device_id: UUID, days_ago: Sequence[float]) -> None:
    moments = [services.clock.now() - timedelta(days=days) for days in days_ago]
    async with services.database.transaction(SYSTEM) as conn:
        for moment in moments:
            await conn.execute("SELECT waypost_make_fix_partition($1)", moment)
        await conn.execute(ADD_FIX, org_id, device_id, moments)


async def ages(services: Services, org_id: UUID) -> list[int]:
    """How many days old the fixes of an organisation are."""
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch("SELECT recorded_at FROM fixes WHERE org_id = $1 ORDER BY 1", org_id)
    return [(services.clock.now() - row["recorded_at"]).days for row in rows]


async def test_an_organisation_loses_its_own_old_fixes_only_and_in_batches(services: Services, org: Org):
    other = await organisation(services, "Mutare Movers")
    await services.identity.save_settings(org.org_id, OrgSettings(tracking=TrackingLimits(retention_days=30)))
    mine, theirs = await org.phone(), await other.phone()
    await put_fixes(services, org.org_id, mine.device_id, [*[40 + n / 1000 for n in range(4500)], 31, 10, 1])
    await put_fixes(services, other.org_id, theirs.device_id, [40, 10])
    await Work(services).forget_fixes(org.org_id, services.clock.now())
    assert await ages(services, org.org_id) == [31, 10, 1]  # 31: a repaired clock may be two days off
    assert await ages(services, other.org_id) == [40, 10]


async def test_many_fixes_of_one_very_moment_do_not_stop_the_forgetting(services: Services, org: Org):
    phone = await org.phone()
    await put_fixes(services, org.org_id, phone.device_id, [400.0] * 4500)
    assert await Upkeep(services.database, services.clock).forget_fixes(org.org_id, timedelta(days=30)) == 4500


async def test_weeks_that_no_organisation_keeps_are_dropped_whole_and_made_again_on_demand(
    services: Services, org: Org
):
    phone = await org.phone()
    await put_fixes(services, org.org_id, phone.device_id, [800, 500, 390, 300, 1])
    await Work(services).drop_weeks(HOUSE, services.clock.now())
    assert await ages(services, org.org_id) == [300, 1]
    other = await organisation(services, "Mutare Movers")
    await services.identity.save_settings(other.org_id, OrgSettings(tracking=TrackingLimits(retention_days=1000)))
    await put_fixes(services, org.org_id, phone.device_id, [800])
    await Work(services).drop_weeks(HOUSE, services.clock.now())
    assert await ages(services, org.org_id) == [800, 300, 1]


async def test_audit_entries_answers_and_runs_are_forgotten_when_their_days_are_over(
    services: Services, org: Org, servers: Servers
):
    async with services.database.transaction(org.org_id) as conn:
        for action in ("old.deed", "new.deed"):
            await audit.record(
                conn, org.owner, services.clock, action=action, subject_kind="trip", subject_id=UUID(int=1)
            )
    async with services.database.transaction(SYSTEM) as conn:
        name = str(await conn.fetchval("SELECT current_database()"))
    superuser = await servers.stack.postgres.connect(name)
    try:
        await superuser.execute("UPDATE audit_log SET at = now() - interval '91 days' WHERE action = 'old.deed'")
    finally:
        await superuser.close()
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "INSERT INTO idempotency_keys (org_id, caller_id, key, mark, status, answer, created_at)"
            " SELECT $1, $1, n::text, '', 200, '', now() - n * interval '20 hours' FROM generate_series(0, 2) n",
            org.org_id,
        )
        await conn.execute(
            "INSERT INTO scheduled_runs (org_id, name, due_at, outcome, finished_at)"
            " SELECT $1, 'x', now() - n * interval '25 days', 'done', now() - n * interval '25 days'"
            " FROM generate_series(0, 2) n",
            HOUSE,
        )
    work, now = Work(services), services.clock.now()
    for run in (work.forget_audit, work.forget_answers, work.forget_jobs):
        await run(HOUSE, now)
    async with services.database.transaction(SYSTEM) as conn:
        deeds = await conn.fetch("SELECT action FROM audit_log WHERE action LIKE '%.deed'")
        assert [row["action"] for row in deeds] == ["new.deed"]
        assert await conn.fetchval("SELECT count(*) FROM idempotency_keys") == 2
        assert await conn.fetchval("SELECT count(*) FROM scheduled_runs") == 2


OLD_NOTICE = """
WITH n AS (
    INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, recipient, locale, subject_kind, subject_id,
                               facts, valid_until, created_at)
    VALUES ($1, $2, 'trip.started', $2::uuid::text, $2, 'Rudo', 'en', 'trip', $2, '{}', now(), now() - $4::interval)),
d AS (
    INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, attempt, budget, due_at,
                            lease_until, created_at, updated_at)
    VALUES ($1, $2, $2, 'email', 'rudo@example.com', 'bulk', $3, 1, 8, now() + interval '1 day',
            CASE WHEN $3 = 'sending' THEN now() + interval '1 day' END, now(), now()))
INSERT INTO attempts (org_id, delivery_id, attempt, provider, started_at) VALUES ($1, $2, 1, 'smtp', now())
"""
OLD_PROMISE = """
INSERT INTO outbox (org_id, id, kind, key, payload, created_at, due_at, processed_at)
VALUES ($1, $2, 'trip.started', $2::uuid::text, '{}', now() - interval '40 days', now() + interval '1 day', $3)
"""


async def test_what_is_unsent_in_doubt_or_given_up_is_never_forgotten_and_the_rest_is_when_its_days_are_over(
    services: Services, org: Org
):
    states = list(State)
    now = services.clock.now()
    async with services.database.transaction(SYSTEM) as conn:
        for number, state in enumerate(states):
            await conn.execute(OLD_NOTICE, org.org_id, UUID(int=number + 1), str(state), timedelta(days=31))
        await conn.execute(OLD_NOTICE, org.org_id, UUID(int=99), "sent", timedelta(days=29))
        for number, processed_at in enumerate((None, now - timedelta(days=31), now - timedelta(days=29))):
            await conn.execute(OLD_PROMISE, org.org_id, UUID(int=200 + number), processed_at)
    await Work(services).forget_notifications(HOUSE, now)
    async with services.database.transaction(SYSTEM) as conn:
        kept = {row["state"] for row in await conn.fetch("SELECT state FROM deliveries WHERE id <> $1", UUID(int=99))}
        assert kept == {"pending", "sending", "in_doubt", "dead"}
        for table in ("notifications", "deliveries", "attempts"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 5
        assert await conn.fetchval("SELECT count(*) FROM outbox") == 2
