"""Jobs with a real database: claims, chunks, cancelling, what a failure leaves; the export of trips."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.factories import Org, organisation
from tests.servers import Servers, database_away
from tests.waiting import until
from waypost.identity.domain import OrgSettings
from waypost.jobs import storage
from waypost.jobs.domain import (
    MAX_TRIES,
    Asked,
    Job,
    JobFileExpired,
    JobNotDone,
    JobNotFound,
    JobOver,
    Plan,
    State,
    Step,
    TooManyJobs,
)
from waypost.jobs.ports import JobRules
from waypost.jobs.runner import Runner
from waypost.jobs.service import Jobs
from waypost.jobs.storage import Chunk, Wake
from waypost.jobs.upkeep import JobUpkeep
from waypost.kernel.errors import Denied, Invalid, Unavailable
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM, Connection
from waypost.trips.domain import Move
from waypost.trips.export import ROWS_A_STEP
from waypost.trips.service import NewTrip
from waypost.wiring import JOB_KINDS, Services, job_rules
from waypost.wiring_work import job_runner_over
from waypost_workers.functions.jobs import run_job

NUMBERS = 10


@dataclass
class Numbers:
    """A kind of job for these tests: the numbers from 0 up to 10, one a chunk; fails where it is told to."""

    fails: Mapping[int, list[Exception]] = field(default_factory=dict)

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        return Plan({}, "numbers.txt", "text/plain")

    async def count(self, conn: Connection, org_id: UUID, plan: Plan) -> int:
        return NUMBERS

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        number = int(str(cursor or 0))
        if errors := self.fails.get(number):
            raise errors.pop()
        return Step(f"{number}\n".encode(), 1, number + 1 if number + 1 < NUMBERS else None)


@dataclass
class World:
    """Jobs of an organisation, and workers made on demand."""

    services: Services
    org: Org
    kind: Numbers
    rules: JobRules

    @property
    def jobs(self) -> Jobs:
        services = self.services
        return Jobs(services.database, services.clock, services.realtime, {"export.numbers": self.kind}, self.rules)

    def worker(self, **rules: object) -> Runner:
        services = self.services
        kinds = {"export.numbers": self.kind}
        rules_now = replace(self.rules, **rules)  # type: ignore[arg-type]
        return Runner(services.database, services.clock, services.realtime, kinds, rules_now)

    async def ask(self) -> Job:
        return await self.jobs.export(self.org.owner, Asked("numbers"))

    async def look(self, job: Job) -> Job:
        return await self.jobs.find(self.org.owner, job.id)

    async def due(self) -> list[Wake]:
        async with self.services.database.transaction(SYSTEM) as conn:
            return list(await self.jobs.due_jobs(conn, 100))

    async def text(self, job: Job) -> str:
        _, parts = await self.jobs.file(self.org.owner, job.id)
        return b"".join([part async for part in parts]).decode()

    async def chunks(self, job: Job) -> int:
        async with self.services.database.transaction(SYSTEM) as conn:
            return int(await conn.fetchval("SELECT count(*) FROM job_chunks WHERE job_id = $1", job.id))

    async def forget_lease(self, job: Job) -> None:
        """As when the time of a lease has passed."""
        async with self.services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE jobs SET lease_until = now() WHERE id = $1 AND lease_until > now()", job.id)


ALL_NUMBERS = "".join(f"{n}\n" for n in range(NUMBERS))


@pytest.fixture
async def world(services: Services, org: Org) -> World:
    return World(services, org, Numbers(), JobRules())


async def test_a_job_is_done_chunk_by_chunk_and_its_file_is_the_whole(world: World):
    job = await world.ask()
    assert (job.state, job.rows_done) == (State.QUEUED, 0)
    await world.worker().run(job.org_id, job.id)
    done = await world.look(job)
    assert (done.state, done.rows_done, done.rows_total, done.next_chunk) == (State.DONE, NUMBERS, NUMBERS, NUMBERS)
    assert await world.text(job) == ALL_NUMBERS
    assert done.file_size == len(ALL_NUMBERS)
    assert done.file_sha256 == hashlib.sha256(ALL_NUMBERS.encode()).digest()
    assert done.expires_at is not None
    assert timedelta(days=6) < done.expires_at - world.services.clock.now() < timedelta(days=8)


async def test_of_many_workers_one_gets_the_job_and_a_second_run_does_nothing(world: World):
    job = await world.ask()
    await asyncio.gather(*(world.worker().run(job.org_id, job.id) for _ in range(5)))
    await world.worker().run(job.org_id, job.id)
    done = await world.look(job)
    assert (done.state, done.attempt) == (State.DONE, 1)
    assert await world.text(job) == ALL_NUMBERS


async def test_a_job_goes_to_the_end_of_the_queue_after_its_slice_and_goes_on_where_it_was(world: World):
    job = await world.ask()
    for n in range(1, NUMBERS):
        await world.worker(slice_s=0).run(job.org_id, job.id)
        part = await world.look(job)
        assert (part.state, part.rows_done, part.attempt, part.tries) == (State.RUNNING, n, n, 0)
        assert [wake.attempt for wake in await world.due()] == [n]
    await world.worker(slice_s=0).run(job.org_id, job.id)
    assert await world.text(job) == ALL_NUMBERS


async def test_a_worker_that_lost_its_lease_writes_nothing_more(world: World):
    job = await world.ask()
    first = world.worker()
    late: list[asyncio.Task[None]] = []

    class Slow(Numbers):
        async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
            if cursor == NUMBERS // 2 and not late:
                late.append(asyncio.ensure_future(asyncio.sleep(0)))
                await world.forget_lease(job)
                await world.worker().run(job.org_id, job.id)  # another takes it over and ends it
            return await super().step(conn, org_id, plan, cursor)

    await replace(first, kinds={"export.numbers": Slow()}).run(job.org_id, job.id)
    assert late
    done = await world.look(job)
    assert (done.state, done.attempt, done.next_chunk) == (State.DONE, 2, NUMBERS)
    assert await world.text(job) == ALL_NUMBERS


async def test_a_worker_that_was_overtaken_keeps_no_chunk_though_the_other_has_kept_none_yet(world: World):
    job = await world.ask()
    claimed, go_on = asyncio.Event(), asyncio.Event()
    others: list[asyncio.Task[None]] = []

    class Waiting(Numbers):
        async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
            claimed.set()
            await go_on.wait()
            return await super().step(conn, org_id, plan, cursor)

    class Overtaken(Numbers):
        async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
            if cursor == NUMBERS // 2 and not others:
                await world.forget_lease(job)
                other = replace(world.worker(), kinds={"export.numbers": Waiting()})
                others.append(asyncio.create_task(other.run(job.org_id, job.id)))
                await claimed.wait()
            return await super().step(conn, org_id, plan, cursor)

    try:
        await replace(world.worker(), kinds={"export.numbers": Overtaken()}).run(job.org_id, job.id)
        held = await world.look(job)
        assert (held.state, held.attempt, held.rows_done, await world.chunks(job)) == (State.RUNNING, 2, 5, 5)
    finally:
        go_on.set()
        await asyncio.gather(*others)
    assert await world.text(job) == ALL_NUMBERS


async def test_nothing_that_a_worker_writes_counts_once_another_has_claimed_its_job(world: World):
    job = await world.ask()
    database, now, lease = world.services.database, world.services.clock.now(), timedelta(seconds=60)
    async with database.transaction(job.org_id) as conn:
        first = await storage.claim(conn, job.org_id, job.id, ["export.numbers"], lease, now)
    await world.forget_lease(job)
    async with database.transaction(job.org_id) as conn:
        second = await storage.claim(conn, job.org_id, job.id, ["export.numbers"], lease, now)
        assert first is not None
        assert second is not None
        assert not await storage.keep_step(conn, replace(first, cursor=1), Chunk(0, 1, b"x"), 1, lease)
        assert not await storage.hold(conn, first, lease)
        assert not await storage.finish(conn, first, b"x", now, now)
        assert not await storage.give_up(conn, first, State.FAILED, now, error="x")
        await storage.let_go(conn, first, None)
        assert await storage.finish(conn, second, b"x", now, now)  # it was still the second's


async def test_a_job_of_a_kind_that_only_a_newer_version_knows_is_left_to_a_newer_worker(world: World):
    job = await world.ask()
    for _ in range(MAX_TRIES + 1):
        await replace(world.worker(), kinds={"export.others": Numbers()}).run(job.org_id, job.id)
    left = await world.look(job)
    assert (left.state, left.attempt, left.tries) == (State.QUEUED, 0, 0)
    await world.worker().run(job.org_id, job.id)
    assert await world.text(job) == ALL_NUMBERS


async def test_being_stopped_in_the_middle_is_no_failure_of_the_job(world: World):
    job = await world.ask()
    for n in range(MAX_TRIES + 2):
        asked = asyncio.Event()

        class Endless(Numbers):
            async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
                self.asked.set()
                await asyncio.Event().wait()
                raise AssertionError

            def __init__(self, asked: asyncio.Event) -> None:
                super().__init__()
                self.asked = asked

        working = asyncio.create_task(
            replace(world.worker(), kinds={"export.numbers": Endless(asked)}).run(job.org_id, job.id)
        )
        await asked.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert ((await world.look(job)).attempt, (await world.look(job)).tries) == (n + 1, 0)
    await world.worker().run(job.org_id, job.id)
    assert await world.text(job) == ALL_NUMBERS


async def test_a_call_of_the_queue_ends_quietly_while_the_database_is_away(world: World, servers: Servers):
    job = await world.ask()
    async with database_away(servers):
        await run_job({"job_runner": world.worker()}, str(job.org_id), str(job.id))

    async def is_queued() -> bool:
        try:
            return (await world.look(job)).state is State.QUEUED
        except Unavailable:  # it comes back behind a pooler only when that tries again
            return False

    await until(is_queued, within_s=30)


async def test_a_job_that_fails_waits_and_goes_on_from_its_last_chunk(world: World):
    job = await world.ask()
    world.kind.fails = {4: [RuntimeError("once")]}
    await world.worker().run(job.org_id, job.id)
    waiting = await world.look(job)
    assert (waiting.state, waiting.rows_done) == (State.RUNNING, 4)
    assert await world.due() == []
    await world.forget_lease(job)
    assert [wake.job_id for wake in await world.due()] == [job.id]
    await world.worker().run(job.org_id, job.id)
    assert await world.text(job) == ALL_NUMBERS


async def test_a_job_that_keeps_failing_is_given_up_and_leaves_no_half_file(world: World):
    job = await world.ask()
    world.kind.fails = {4: [RuntimeError("again") for _ in range(MAX_TRIES + 1)]}
    for _ in range(1 + MAX_TRIES):  # the first claim kept four chunks, the others none
        assert (await world.look(job)).state in {State.QUEUED, State.RUNNING}
        await world.worker().run(job.org_id, job.id)
        await world.forget_lease(job)
    failed = await world.look(job)
    assert (failed.state, failed.error) == (State.FAILED, "job-kept-failing")
    assert await world.chunks(job) == 0
    assert await world.due() == []


async def test_a_job_that_kills_its_workers_is_given_up_too(world: World):
    job = await world.ask()
    for _ in range(MAX_TRIES):
        async with world.services.database.transaction(SYSTEM) as conn:  # a claim of which nothing was heard again
            await conn.execute("UPDATE jobs SET state = 'running', attempt = attempt + 1, tries = tries + 1")
    await world.worker().run(job.org_id, job.id)
    failed = await world.look(job)
    assert (failed.state, failed.error) == (State.FAILED, "job-kept-failing")


async def test_a_refusal_ends_the_job_at_once_with_its_code(world: World):
    job = await world.ask()
    world.kind.fails = {0: [Invalid("no")]}
    await world.worker().run(job.org_id, job.id)
    assert ((await world.look(job)).state, (await world.look(job)).error) == (State.FAILED, "invalid")


# Cancelling


async def test_a_queued_job_is_cancelled_at_once_and_twice_is_no_mistake(world: World):
    job = await world.ask()
    for _ in range(2):
        assert (await world.jobs.cancel(world.org.owner, job.id)).state is State.CANCELLED
    await world.worker().run(job.org_id, job.id)
    assert (await world.look(job)).state is State.CANCELLED
    with pytest.raises(JobNotDone):
        await world.text(job)


async def test_a_running_job_stops_before_its_next_chunk_and_leaves_no_half_file(world: World):
    job = await world.ask()

    class Asked5(Numbers):
        async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
            if cursor == 5:
                assert (await world.jobs.cancel(world.org.owner, job.id)).state is State.RUNNING
            assert cursor != 6
            return await super().step(conn, org_id, plan, cursor)

    await replace(world.worker(), kinds={"export.numbers": Asked5()}).run(job.org_id, job.id)
    assert (await world.look(job)).state is State.CANCELLED
    assert await world.chunks(job) == 0


async def test_a_job_whose_worker_died_is_cancelled_without_one(world: World):
    job = await world.ask()
    await world.worker(slice_s=0).run(job.org_id, job.id)
    assert await world.chunks(job) == 1
    assert (await world.jobs.cancel(world.org.owner, job.id)).state is State.CANCELLED
    assert await world.chunks(job) == 0


async def test_what_has_ended_cannot_be_cancelled(world: World):
    job = await world.ask()
    await world.worker().run(job.org_id, job.id)
    with pytest.raises(JobOver, match="done"):
        await world.jobs.cancel(world.org.owner, job.id)


# Who may, and how many


async def test_jobs_are_their_askers_and_the_owners_and_no_other_organisations(world: World):
    dispatcher, _ = await world.org.person(Role.DISPATCHER)
    accountant, _ = await world.org.person(Role.ACCOUNTANT)
    viewer, _ = await world.org.person(Role.VIEWER)
    stranger = await organisation(world.services, "Mutare Movers")
    job = await world.jobs.export(dispatcher, Asked("numbers"))
    assert [j.id for j in (await world.jobs.list(dispatcher, None, 50, None)).data] == [job.id]
    assert [j.id for j in (await world.jobs.list(world.org.owner, None, 50, None)).data] == [job.id]
    assert (await world.jobs.list(accountant, None, 50, None)).data == []
    for other in (accountant, stranger.owner):
        for call in (world.jobs.find, world.jobs.cancel, world.jobs.file):
            with pytest.raises(JobNotFound):
                await call(other, job.id)
    with pytest.raises(Denied):
        await world.jobs.export(viewer, Asked("numbers"))


async def test_a_worker_that_is_given_the_wrong_organisation_finds_no_job(world: World):
    job = await world.ask()
    stranger = await organisation(world.services, "Mutare Movers")
    await world.worker().run(stranger.org_id, job.id)
    assert ((await world.look(job)).state, (await world.look(job)).attempt) == (State.QUEUED, 0)


async def test_an_organisation_has_so_many_jobs_at_once_and_not_one_more_however_many_ask(world: World):
    world.rules = replace(world.rules, at_once=3)
    asked = await asyncio.gather(*(world.ask() for _ in range(8)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in asked) == ["Job"] * 3 + ["TooManyJobs"] * 5
    other = await organisation(world.services, "Mutare Movers")
    assert (await world.jobs.export(other.owner, Asked("numbers"))).state is State.QUEUED
    await world.jobs.cancel(world.org.owner, next(job.id for job in asked if isinstance(job, Job)))
    await world.ask()
    with pytest.raises(TooManyJobs):
        await world.ask()


async def test_who_asked_took_and_cancelled_is_in_the_audit_log(world: World):
    job = await world.jobs.export(world.org.owner, Asked("numbers"), "the auditors want it")
    await world.worker().run(job.org_id, job.id)
    await world.text(job)
    other = await world.ask()
    await world.jobs.cancel(world.org.owner, other.id)
    async with world.services.database.transaction(world.org.org_id) as conn:
        rows = await conn.fetch("SELECT action, why, actor_id FROM audit_log WHERE subject_kind = 'job' ORDER BY id")
    actions = [(row["action"], row["why"]) for row in rows]
    why = "the auditors want it"
    assert actions == [("job.asked", why), ("job.file-taken", why), ("job.asked", None), ("job.cancelled", None)]
    assert {row["actor_id"] for row in rows} == {world.org.owner.user_id}


# The relay's port, and the sweeps


async def test_a_due_job_is_named_once_in_a_while_by_however_many_relays(world: World):
    job = await world.ask()
    named = await asyncio.gather(*(world.due() for _ in range(5)))
    assert [(wake.org_id, wake.job_id, wake.attempt) for wakes in named for wake in wakes] == [(job.org_id, job.id, 0)]
    world.rules = replace(world.rules, poke_again=timedelta(0))
    (again,) = await world.due()  # whatever became of the first wake-up
    world.rules = replace(world.rules, poke_again=timedelta(hours=1))
    assert await world.due() == []
    async with world.services.database.transaction(SYSTEM) as conn:
        await world.jobs.untold(conn, [again])
    assert len(await world.due()) == 1


async def test_a_file_is_deleted_when_its_days_are_over_and_the_job_later(world: World):
    world.rules = replace(world.rules, file_kept=timedelta(0), row_kept=timedelta(0))
    job = await world.ask()
    await world.worker().run(job.org_id, job.id)
    with pytest.raises(JobFileExpired):
        await world.text(job)
    upkeep = JobUpkeep(world.services.database, world.services.clock, world.rules)
    assert (await upkeep.drop_files(), await upkeep.drop_files()) == (1, 0)
    assert await world.chunks(job) == 0
    assert (await world.look(job)).file_gone
    assert (await upkeep.forget_jobs(), await upkeep.forget_jobs()) == (1, 0)


async def test_neither_a_job_under_way_nor_a_file_that_is_kept_is_swept(world: World):
    done, running = await world.ask(), await world.ask()
    await world.worker().run(done.org_id, done.id)
    await world.worker(slice_s=0).run(running.org_id, running.id)
    upkeep = JobUpkeep(world.services.database, world.services.clock, replace(world.rules, row_kept=timedelta(0)))
    assert (await upkeep.drop_files(), await upkeep.forget_jobs()) == (0, 0)


async def test_a_file_that_lacks_a_piece_is_no_file(world: World):
    job = await world.ask()
    world.kind.fails = {NUMBERS - 1: [RuntimeError("stop here")]}
    await world.worker().run(job.org_id, job.id)
    async with world.services.database.transaction(SYSTEM) as conn:
        await conn.execute("DELETE FROM job_chunks WHERE n = 3")
    for _ in range(MAX_TRIES + 1):
        await world.forget_lease(job)
        await world.worker().run(job.org_id, job.id)
    assert ((await world.look(job)).state, (await world.look(job)).error) == (State.FAILED, "job-kept-failing")


# The export of trips


async def exported(services: Services, org: Org, asked: Asked) -> tuple[Job, str]:
    job = await services.jobs.export(org.owner, asked)
    await job_runner_over(services).run(job.org_id, job.id)
    job, parts = await services.jobs.file(org.owner, job.id)
    return job, b"".join([part async for part in parts]).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


async def test_trips_are_exported_in_the_order_they_were_made_with_local_times_and_harmless_cells(
    services: Services, org: Org
):
    await services.identity.save_settings(org.org_id, OrgSettings(time_zone="Africa/Harare"))
    phone = await org.phone()
    assert phone.trip
    odd = await services.trips.create(
        org.owner,
        NewTrip(
            reference="=1+1", origin='Shop "A", Harare', planned_start_at=datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
        ),
    )
    job, text = await exported(services, org, Asked("trips", bom=True))
    assert text.startswith("\ufeffid,reference,status,direction,driver,")
    assert text.count("\r\n") == text.count("\n") == 3
    first, second = rows_of(text)
    assert (first["id"], first["status"], first["direction"]) == (str(phone.trip.id), "started", "own")
    assert first["driver"] == phone.trip.driver_name
    assert first["startedAt"].endswith("+02:00")
    assert datetime.fromisoformat(first["startedAt"]) - phone.trip.started_at < timedelta(milliseconds=1)  # type: ignore[operator]
    assert (second["id"], second["reference"], second["origin"]) == (str(odd.id), "'=1+1", 'Shop "A", Harare')
    assert second["plannedStartAt"] == "2026-11-23T00:30:00.000+02:00"
    assert (job.rows_done, job.rows_total, job.file_name) == (2, 2, job.file_name)


async def test_received_trips_come_without_the_senders_people(services: Services, org: Org):
    other = await organisation(services, "Mutare Movers")
    phone = await other.phone(to=org.org_id, in_truck=True)
    await other.phone()  # theirs alone
    assert phone.trip
    _, text = await exported(services, org, Asked("trips"))
    (row,) = rows_of(text)
    assert (row["id"], row["direction"]) == (str(phone.trip.id), "received")
    assert (row["driver"], row["truck"], row["customer"]) == ("", "", "")
    assert phone.trip.driver_name
    assert phone.trip.driver_name not in text


async def test_an_export_takes_a_span_and_a_status(services: Services, org: Org):
    trips = [await services.trips.create(org.owner, NewTrip(reference=f"T{n}")) for n in range(4)]
    await services.trips.move(org.owner, trips[1].id, Move.CANCEL)
    ids = [str(trip.id) for trip in trips]

    async def found(**wanted: object) -> list[int]:
        _, text = await exported(services, org, Asked("trips", **wanted))  # type: ignore[arg-type]
        return [ids.index(row["id"]) for row in rows_of(text)]

    assert await found() == [0, 1, 2, 3]
    assert await found(status="cancelled") == [1]
    assert await found(status="planned", since=trips[2].created_at) == [2, 3]
    assert await found(since=trips[1].created_at, until=trips[3].created_at) == [1, 2]
    assert await found(until=datetime(1990, 1, 1, tzinfo=UTC)) == []
    assert await found(since=datetime(1970, 1, 1, tzinfo=UTC)) == [0, 1, 2, 3]
    with pytest.raises(Invalid, match="status"):
        await services.jobs.export(org.owner, Asked("trips", status="lost"))
    with pytest.raises(Invalid, match="trips"):
        await services.jobs.export(org.owner, Asked("planets"))


MANY_TRIPS = """
INSERT INTO trips (org_id, id, reference, created_at, updated_at, destination_org_id)
SELECT CASE WHEN n % 3 = 0 THEN $2::uuid ELSE $1::uuid END,
       (lpad(to_hex((extract(epoch FROM $4::timestamptz) * 1000)::bigint + n), 12, '0') || '7000' || '8000' ||
        lpad(to_hex(n), 12, '0'))::uuid,
       'T-' || n, $4 + n * interval '1 ms', $4, CASE WHEN n % 3 = 0 THEN $1::uuid END
  FROM generate_series(1, $3::int) n
"""


async def seed(services: Services, org_id: UUID, other: UUID, count: int) -> None:
    """So many trips of the last days, every third of them received from another organisation."""
    began = services.clock.now() - timedelta(days=2)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(MANY_TRIPS, org_id, other, count, began, timeout=300)


async def test_an_export_of_several_chunks_has_every_trip_once_and_in_order(services: Services, org: Org):
    other = await organisation(services, "Mutare Movers")
    count = 3 * ROWS_A_STEP
    await seed(services, org.org_id, other.org_id, count)
    job, text = await exported(services, org, Asked("trips"))
    assert [row["reference"] for row in rows_of(text)] == [f"T-{n}" for n in range(1, count + 1)]
    assert (job.rows_done, job.rows_total, job.next_chunk) == (count, count, 3)
    async with services.database.transaction(SYSTEM) as conn:
        stored = await conn.fetch("SELECT bytes FROM job_chunks WHERE job_id = $1 ORDER BY n", job.id)
    assert b"".join(zlib.decompress(row["bytes"]) for row in stored).decode() == text


def test_wiring_registers_the_kinds_and_fills_the_rules_from_the_settings(services: Services):
    assert set(JOB_KINDS) == {"export.trips"} | {
        f"report.{name}" for name in ("outstanding", "overdue", "expected-income", "payments-by-day")
    }
    rules = job_rules(services.settings)
    assert (rules.lease, rules.at_once, rules.file_kept) == (timedelta(seconds=60), 5, timedelta(days=7))
