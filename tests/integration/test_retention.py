"""What timed runs do: retention, and the figures that plans need."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from tests.factories import Org, organisation
from tests.servers import Servers
from waypost.identity import audit
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.jobs.scheduler import HOUSE
from waypost.ledger.upkeep import MARGIN
from waypost.notifications import storage
from waypost.notifications.states import Event, State
from waypost.notifications.upkeep import NotificationUpkeep
from waypost.platform.database import SYSTEM
from waypost.tracking import storage_tracks
from waypost.tracking.upkeep import Upkeep
from waypost.wiring import Services
from waypost_workers.schedule import Work, scheduler_over, timetable


async def test_every_timed_run_can_be_done_twice_on_an_empty_and_on_a_used_house(services: Services, org: Org):
    await org.phone()
    due_at = services.clock.now() - MARGIN  # just after midnight yesterday's books are still open
    for timed in timetable(services):
        for _ in range(2):
            await timed.run(org.org_id if timed.each_org else HOUSE, due_at)
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


async def test_imported_fixes_that_a_trip_stands_for_go_when_their_time_has_come(services: Services, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    now = services.clock.now()
    await put_fixes(services, org.org_id, phone.trip.id, [60, 1])
    async with services.database.transaction(SYSTEM) as conn:
        await storage_tracks.widen_span(conn, org.org_id, phone.trip.id, now - timedelta(days=60), now)
    assert await Upkeep(services.database, services.clock).forget_fixes(org.org_id, timedelta(days=7)) == 1
    assert await ages(services, org.org_id) == [1]


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


async def test_nothing_is_deleted_for_an_organisation_whose_wishes_cannot_be_read(services: Services, org: Org):
    phone, other = await org.phone(), await organisation(services, "Mutare Movers")
    await put_fixes(services, org.org_id, phone.device_id, [800, 500, 1])
    await spoil(services, org.org_id)
    work = Work(services)
    await work.drop_weeks(HOUSE, services.clock.now())
    await work.forget_fixes(org.org_id, services.clock.now())
    assert await ages(services, org.org_id) == [800, 500, 1]
    await services.identity.save_settings(org.org_id, OrgSettings(tracking=TrackingLimits(retention_days=600)))
    await spoil(services, other.org_id)
    await work.drop_weeks(HOUSE, services.clock.now())
    assert await ages(services, org.org_id) == [800, 500, 1]  # whole weeks are of both
    await work.forget_fixes(org.org_id, services.clock.now())
    assert await ages(services, org.org_id) == [500, 1]


async def spoil(services: Services, org_id: UUID) -> None:
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            """UPDATE organisations SET settings = '{"tracking": {"retentionDays": "long"}}' WHERE org_id = $1""",
            org_id,
        )


async def test_to_gather_figures_looks_at_the_table_of_all_weeks_and_locks_none_of_them(services: Services, org: Org):
    phone = await org.phone()
    await put_fixes(services, org.org_id, phone.device_id, [20, 1])
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT waypost_analyse()")
        locked = await conn.fetch(
            "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND l.mode = 'ShareUpdateExclusiveLock' AND c.relkind IN ('r', 'p')"
            "   AND c.relname LIKE 'fixes%'"
        )
    assert [row["relname"] for row in locked] == ["fixes"]
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM pg_stats WHERE tablename = 'fixes' AND inherited") > 0


async def test_a_run_that_was_done_is_not_forgotten_while_it_could_be_due_once_more(services: Services):
    keep_a_day = replace(services, settings=services.settings.model_copy(update={"keep_jobs_days": 1}))
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "INSERT INTO scheduled_runs (org_id, name, due_at, outcome, finished_at)"
            " SELECT $1, 'x', now() - n * interval '1 day', 'done', now() - n * interval '1 day'"
            " FROM unnest(ARRAY[1.5, 3.5, 4.5]) n",
            HOUSE,
        )
    await Work(keep_a_day).forget_jobs(HOUSE, services.clock.now())
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM scheduled_runs") == 2


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


async def test_unsent_in_doubt_and_lately_given_up_is_kept_and_the_rest_forgotten_when_its_days_are_over(
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
        await conn.execute(
            "UPDATE notifications SET valid_until = now() - interval '31 days' WHERE id <> $1", UUID(int=99)
        )
    await Work(services).forget_notifications(HOUSE, now)
    async with services.database.transaction(SYSTEM) as conn:
        kept = {row["state"] for row in await conn.fetch("SELECT state FROM deliveries WHERE id <> $1", UUID(int=99))}
        assert kept == {"pending", "sending", "in_doubt"}  # what was given up so long ago nobody would send any more
        for table in ("notifications", "deliveries", "attempts"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 4
        assert await conn.fetchval("SELECT count(*) FROM outbox") == 2


async def test_what_a_person_sends_again_at_this_very_moment_is_not_forgotten(services: Services, org: Org):
    old, now = UUID(int=1), services.clock.now()
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(OLD_NOTICE, org.org_id, old, "failed", timedelta(days=31))
    upkeep = NotificationUpkeep(services.database, services.clock)
    async with services.database.transaction(org.org_id) as conn:
        delivery = await storage.lock(conn, org.org_id, old)
        assert delivery is not None
        await storage.send_again(conn, delivery, Event.REPLAY, "replayed", 8, now)
        forgetting = asyncio.create_task(upkeep.forget(timedelta(days=30)))
        await asyncio.wait({forgetting}, timeout=0.5)
    assert await forgetting == 0
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT state FROM deliveries") == "pending"


OLD_MESSAGES = """
INSERT INTO receipts (org_id, id, provider_id, road, body, body_hash, received_at, due_at, disposition)
SELECT $1, uuidv7(), $1, 'status', '', i::text::bytea, now() - make_interval(days => age), now(),
       CASE WHEN i < 4 THEN 'applied' END FROM (VALUES (1, 5), (2, 40), (3, 500), (4, 500)) v (i, age);
"""
OLD_THINGS = (
    (
        "INSERT INTO inbound_messages (org_id, id, provider_id, provider_ref, from_address, to_address, body,"
        " received_at) SELECT $1, uuidv7(), $1, a::text, '+1', '+2', 'x', now() - make_interval(days => a)"
        " FROM unnest($2::int[]) a"
    ),
    (
        "INSERT INTO bounces (org_id, id, channel, address, hard, at)"
        " SELECT $1, uuidv7(), 'email', a::text, true, now() - make_interval(days => a) FROM unnest($2::int[]) a"
    ),
    (
        "INSERT INTO suppressions (org_id, id, channel, address, reason, source, since, ended_at)"
        " SELECT $1, uuidv7(), 'sms', a::text, 'stop', 'x', now() - make_interval(days => 999),"
        " CASE WHEN a < 900 THEN now() - make_interval(days => a) END FROM unnest($2::int[]) a"
    ),
    (
        "INSERT INTO push_subscriptions (org_id, id, user_id, endpoint, endpoint_hash, keys, created_at, ended_at)"
        " SELECT $1, uuidv7(), $1, a::text, a::text::bytea, 'k', now(), CASE WHEN a < 900 THEN"
        " now() - make_interval(days => a) END FROM unnest($2::int[]) a"
    ),
    (
        "INSERT INTO message_spend (org_id, day, channel, provider_id, slot, messages, segments, cost)"
        " SELECT $1, current_date - a, 'sms', $1, 0, 1, 1, 1 FROM unnest($2::int[]) a"
    ),
)


async def test_what_came_back_of_messages_is_forgotten_each_in_its_time_and_nothing_that_stands(
    services: Services, org: Org
):
    tables = ("receipts", "inbound_messages", "bounces", "suppressions", "push_subscriptions", "message_spend")
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(OLD_MESSAGES, org.org_id)
        for statement in OLD_THINGS:
            await conn.execute(statement, org.org_id, [5, 40, 100, 500, 900])
    for _ in range(2):
        await Work(services).forget_heard(HOUSE, services.clock.now())
        async with services.database.transaction(SYSTEM) as conn:
            left = {table: await conn.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
        assert left == {
            "receipts": 2,  # the new one, and one that is still to be worked on
            "inbound_messages": 1,
            "bounces": 3,
            "suppressions": 4,  # one of them stands
            "push_subscriptions": 2,  # one of them is in use
            "message_spend": 3,
        }
