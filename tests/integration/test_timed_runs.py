"""Timed runs with a real database: once each, whoever looks; what is missed, killed, failing; the retention they do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.clock import FakeClock
from tests.waiting import until
from waypost.jobs.scheduler import HOUSE, MAX_ATTEMPTS, Place, Scheduler, SchedulerRules, Timed
from waypost.jobs.timetable import Daily, Every
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

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


async def test_the_late_word_of_a_run_that_was_overtaken_does_not_end_what_is_at_work(house: House):
    slow, other = Log(hold=asyncio.Event()), Log(hold=asyncio.Event())
    assert slow.hold is not None
    assert other.hold is not None
    first = asyncio.create_task(house.scheduler(Timed("sweep", Daily(time(3)), slow)).look())
    await until(lambda: slow.ran)
    await house.leases_run_out()
    second = asyncio.create_task(house.scheduler(Timed("sweep", Daily(time(3)), other)).look())
    await until(lambda: other.ran)
    slow.hold.set()
    await first
    assert await house.rows() == [("sweep", at(3, 21), None)]
    other.hold.set()
    await second
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


async def test_being_stopped_often_is_no_failure_of_the_run(house: House):
    for _ in range(MAX_ATTEMPTS + 1):
        log = Log(hold=asyncio.Event())
        serving = asyncio.create_task(house.scheduler(Timed("sweep", Daily(time(3)), log)).serve())
        await until(lambda log=log: log.ran)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    await house.scheduler(Timed("sweep", Daily(time(3)), Log())).look()
    assert await house.rows() == [("sweep", at(3, 21), "done")]


async def test_a_look_that_fails_whatever_it_runs_into_is_not_the_last(house: House):
    log, looks = Log(), 0

    async def places() -> Sequence[Place]:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise ValueError("settings that nobody can read")
        return [Place(UUID(int=1), UTC, at(0, 1))]

    timed = Timed("night", Daily(time(3)), log, each_org=True)
    serving = asyncio.create_task(Scheduler(house.services.database, house.clock, places, [timed], RULES).serve())

    async def ran() -> bool:
        await house.clock.advance(RULES.poll_s)
        return bool(log.ran)

    try:
        await until(ran)
        assert not serving.done()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
