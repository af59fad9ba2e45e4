"""The relay: what was promised is kept once, whoever relays, and nothing that is away stops it for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from arq.constants import job_key_prefix

from tests.notices import World, telling
from tests.servers import Servers
from tests.waiting import until
from waypost.notifications import outbox
from waypost.notifications.addresses import Contact
from waypost.notifications.relay import POKES_AT_ONCE
from waypost.notifications.service import outbox_waits_s
from waypost.notifications.upkeep import NotificationUpkeep
from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring_work import relay_over
from waypost_workers.process import beside
from waypost_workers.queues import QueueName, close_queues, decode, open_queues
from waypost_workers.relay import RelayLoop, listen_url, run

LONG = {"WAYPOST_RELAY_REPOKE_S": "600"}


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


@asynccontextmanager
async def relay_loop(world: World, redis_url: str | None = None, poll_s: float = 0.05) -> AsyncIterator[RelayLoop]:
    settings = world.services.settings
    assert settings.redis_url is not None
    queues = open_queues(redis_url or settings.redis_url.get_secret_value())
    try:
        yield RelayLoop(relay_over(world.services), queues, world.services.clock, poll_s)
    finally:
        await close_queues(queues)


async def waiting_jobs(world: World, queue: QueueName = QueueName.URGENT) -> list[str]:
    return [job.decode() for job in await world.services.redis.zrange(queue.key, 0, -1)]


async def test_ten_relays_at_once_make_one_notification_of_each_row(world: World):
    for _ in range(30):
        await world.trip(await world.customer())
    relays = [relay_over(world.services) for _ in range(10)]
    kept = await asyncio.gather(*(relay.expand() for relay in relays))
    assert sum(kept) + await world.relay.expand() == 30
    assert len(await world.rows()) == len(await world.query("SELECT FROM notifications")) == 30


async def test_a_row_that_is_expanded_again_makes_nothing_new(world: World):
    await world.told()
    await world.query("UPDATE outbox SET processed_at = NULL")
    assert await world.relay.expand() == 1
    assert len(await world.rows()) == 1
    assert await world.query("SELECT FROM outbox WHERE processed_at IS NULL") == []


async def test_the_same_key_promised_twice_is_one_row(world: World):
    async with world.services.database.transaction(world.org.org_id) as conn:
        for _ in range(2):
            await outbox.add(
                conn,
                world.org.org_id,
                kind="trip_started",
                key="trip:x:started",
                payload={},
                clock=world.services.clock,
            )
    assert len(await world.query("SELECT FROM outbox")) == 1


async def test_a_row_that_cannot_be_kept_is_put_off_and_holds_up_no_other(world: World):
    clock, org_id = world.services.clock, world.org.org_id
    async with world.services.database.transaction(org_id) as conn:
        await outbox.add(conn, org_id, kind="of a newer version", key="a", payload={}, clock=clock)
        await outbox.add(conn, org_id, kind="trip_started", key="b", payload={"customer_id": 7}, clock=clock)
    await world.told()
    troubled = await world.query("SELECT * FROM outbox WHERE processed_at IS NULL ORDER BY key")
    assert [(row["trouble"], row["tries"]) for row in troubled] == [("UnknownKind", 1), ("ValidationError", 1)]
    assert await world.relay.expand() == 0  # they wait
    await world.query("UPDATE outbox SET due_at = '-infinity'")
    assert await world.relay.expand() == 2
    assert [row["tries"] for row in await world.query("SELECT tries FROM outbox WHERE processed_at IS NULL")] == [2, 2]


async def test_a_row_that_fails_in_the_database_is_put_off_and_holds_up_no_other(world: World, servers: Servers):
    (name,) = await world.query("SELECT current_database() AS name")
    superuser = await servers.stack.postgres.connect(name["name"])
    try:
        await superuser.execute("ALTER TABLE notifications ADD CHECK (recipient <> 'Nobody')")
    finally:
        await superuser.close()
    for who in ("Chipo", "Nobody", "Rudo"):
        await world.trip(await world.customer(who))
    assert await world.relay.expand() == 3
    told = await world.query("SELECT recipient FROM notifications ORDER BY recipient")
    assert [row["recipient"] for row in told] == ["Chipo", "Rudo"]
    (left,) = await world.query("SELECT trouble, tries FROM outbox WHERE processed_at IS NULL")
    assert (left["trouble"], left["tries"]) == ("CheckViolationError", 1)


async def test_a_promise_that_cannot_be_kept_is_counted_and_ages_though_it_is_put_off(world: World):
    clock, org_id = world.services.clock, world.org.org_id
    async with world.services.database.transaction(org_id) as conn:
        await outbox.add(conn, org_id, kind="of a newer version", key="a", payload={}, clock=clock)
    await world.relay.expand()
    await world.query("UPDATE outbox SET created_at = now() - interval '10 minutes'")
    trouble = await NotificationUpkeep(world.services.database, clock).trouble()
    assert (trouble.put_off, trouble.outbox_s > 590) == (1, True)
    async with world.services.database.transaction(SYSTEM) as conn:
        assert await outbox_waits_s(conn) > 590


async def test_customers_are_looked_up_while_no_transaction_is_open(world: World):
    """Who looks them up may ask Redis; a Redis that hangs must not hold the database's connections and locks."""
    open_now: list[int] = []

    class Book:
        async def customers(self, wanted: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Contact]:
            (row,) = await world.query(
                "SELECT count(*) AS n FROM pg_stat_activity"
                " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
            )
            open_now.append(row["n"])
            return await world.services.book.customers(wanted)

        async def staff(self, wanted: Collection[tuple[UUID, UUID | None]]) -> dict[tuple[UUID, UUID], Contact]:
            return await world.services.book.staff(wanted)

    await world.trip(await world.customer())
    assert await replace(world.relay, contacts=Book()).expand() == 1
    assert open_now == [0]
    assert [row["state"] for row in await world.rows()] == ["pending"]


async def test_a_job_carries_ids_and_nothing_else(world: World):
    async with relay_loop(world) as loop:
        delivery = await world.told()
        await loop.pass_once()
    (job,) = await waiting_jobs(world)
    assert job == f"d:{delivery}:1"
    raw = await world.services.redis.get(job_key_prefix + job)
    assert b"chipo" not in raw
    assert decode(raw)["a"] == [str(world.org.org_id), str(delivery), None]


async def test_what_is_due_is_given_out_though_what_ended_cannot_be_seen_to(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    delivery = await world.told()
    async with relay_loop(world) as loop:
        monkeypatch.setattr("waypost.notifications.storage_follow.LOOK_AT_ENDED", "SELECT $1::int / 0 LIMIT $2")
        await loop.pass_once()
    assert await waiting_jobs(world) == [f"d:{delivery}:1"]


async def test_a_delivery_is_given_out_once_until_its_time_is_up_or_redis_was_emptied(environment: dict[str, str]):
    async with telling(environment, **LONG) as world, relay_loop(world) as loop:
        await world.told()
        for _ in range(3):
            await loop.pass_once()
        assert len(await waiting_jobs(world)) == 1
        await world.services.redis.flushall()
        await loop.pass_once()
        assert await waiting_jobs(world) == []  # it was told of a moment ago
        await world.query("UPDATE deliveries SET poked_at = now() - interval '11 minutes'")
        await loop.pass_once()
        assert len(await waiting_jobs(world)) == 1


async def test_what_redis_did_not_take_is_given_out_when_it_is_back(environment: dict[str, str]):
    async with telling(environment, **LONG) as world:
        await world.told()
        async with relay_loop(world, "redis://127.0.0.1:1/0") as loop:
            assert await loop._try() == 0  # it has waited already
        assert (await world.rows())[0]["poked_at"] is None
        async with relay_loop(world) as loop:
            await loop._try()
        assert len(await waiting_jobs(world)) == 1


async def test_urgent_deliveries_go_out_before_bulk_ones_that_waited_longer(world: World):
    for _ in range(3):
        await world.told()
    rows = await world.rows()
    await world.query(
        "UPDATE deliveries SET queue = 'bulk', due_at = now() - interval '1 day' WHERE id <> $1", rows[2]["id"]
    )
    pokes = await world.relay.due()
    assert pokes[0].id == rows[2]["id"]
    assert [str(poke.queue) for poke in pokes] == ["urgent", "bulk", "bulk"]


async def test_bulk_deliveries_get_their_share_however_many_urgent_ones_are_due(world: World):
    first = await world.told()
    await world.query(MANY, 600)
    await world.query("UPDATE deliveries SET queue = 'bulk', due_at = now() WHERE id = $1", first)
    pokes = await world.relay.due()
    assert len(pokes) == POKES_AT_ONCE
    assert [poke.id for poke in pokes if poke.queue == "bulk"] == [first]


MANY = """
WITH n AS (
    INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, recipient, locale, subject_kind, subject_id,
                               facts, valid_until, created_at)
    SELECT org_id, gen_random_uuid(), kind, i::text, customer_id, '', 'en', 'trip', subject_id, '{}', now(), now()
      FROM notifications, generate_series(1, $1) i RETURNING org_id, id)
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, budget, due_at, created_at,
                        updated_at)
SELECT org_id, gen_random_uuid(), id, 'email', 'x@example.com', 'urgent', 'pending', 8, now() - interval '1 hour',
       now(), now() FROM n
"""


async def test_a_commit_wakes_the_relay_long_before_it_would_look_by_itself(world: World, servers: Servers):
    url = listen_url(world.services.settings)
    async with relay_loop(world, poll_s=60) as loop:
        stop = asyncio.Event()
        running = asyncio.create_task(run(loop, stop, url))
        await until(lambda: listens(world, servers))
        await world.trip(await world.customer())
        await until(lambda: waiting_jobs(world))
        stop.set()
        await running


EARS = """
SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1
"""


async def listens(world: World, servers: Servers, *, cut: bool = False) -> bool:
    """Does a connection LISTEN? (Who watches must be a superuser: others do not see its query.)"""
    (name,) = await world.query("SELECT current_database() AS name")
    conn = await servers.stack.postgres.connect("postgres")
    try:
        pids = [row["pid"] for row in await conn.fetch(EARS, name["name"])]
        for pid in pids if cut else []:
            await conn.execute("SELECT pg_terminate_backend($1)", pid)
    finally:
        await conn.close()
    return bool(pids)


async def test_a_relay_whose_ear_is_cut_polls_and_hears_again(world: World, servers: Servers):
    async with relay_loop(world) as loop:
        stop = asyncio.Event()
        running = asyncio.create_task(run(loop, stop, listen_url(world.services.settings)))
        await until(lambda: listens(world, servers))
        await listens(world, servers, cut=True)
        await world.trip(await world.customer())
        await until(lambda: waiting_jobs(world))
        await until(lambda: listens(world, servers))
        stop.set()
        await running


def test_behind_a_pooler_the_relay_listens_past_it_or_not_at_all():
    def hears(**env: str) -> str | None:
        return listen_url(Settings.from_env({"WAYPOST_DATABASE_URL": "pg://pool", **env}))

    assert hears() == "pg://pool"
    assert hears(WAYPOST_DATABASE_POOLER="true") is None
    assert hears(WAYPOST_DATABASE_POOLER="true", WAYPOST_DATABASE_LISTEN_URL="pg://itself") == "pg://itself"


async def test_a_relay_waits_while_the_database_is_away_and_goes_on_afterwards(world: World, servers: Servers):
    await world.trip(await world.customer())
    conn = await servers.stack.postgres.connect("postgres")
    async with relay_loop(world) as loop:
        await conn.execute("ALTER ROLE waypost NOLOGIN")
        try:
            await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waypost'")
            working = asyncio.create_task(loop.work())
            looks = 0

            def passes() -> bool:
                nonlocal looks
                looks += 1
                return looks > 20

            await until(passes)
            assert not working.done()
        finally:
            await conn.execute("ALTER ROLE waypost LOGIN")
            await conn.close()
        await until(lambda: waiting_jobs(world), 40)  # a pooler tries again after 15 s
        loop.stopping = True
        loop.wake.set()
        await working


async def test_one_request_id_leads_from_the_request_to_its_deliveries(world: World):
    from waypost.platform.telemetry import request_id

    token = request_id.set("0123456789abcdef")
    try:
        await world.trip(await world.customer())
    finally:
        request_id.reset(token)
    async with relay_loop(world) as loop:
        await loop.pass_once()
    (job,) = await waiting_jobs(world)
    assert decode(await world.services.redis.get(job_key_prefix + job))["a"][2] == "0123456789abcdef"
    (row,) = await world.query("SELECT n.request_id AS a, d.request_id AS b FROM notifications n, deliveries d")
    assert (row["a"], row["b"]) == ("0123456789abcdef", "0123456789abcdef")


async def test_a_heartbeat_that_fails_whatever_it_runs_into_neither_ends_the_process_nor_stays_away(
    environment: dict[str, str],
):
    beats = 0

    def detail() -> dict[str, object]:
        nonlocal beats
        beats += 1
        if beats < 3:
            raise ValueError("no")
        return {}

    async with telling(environment, WAYPOST_HEARTBEAT_S="0.1") as world:
        async with beside(world.services, heartbeats.heart("worker", world.services.clock, detail)):
            await until(lambda: world.query("SELECT FROM heartbeats"))
        assert await world.query("SELECT FROM heartbeats") == []


async def test_a_heartbeat_has_an_age_and_is_forgotten_after_a_day(world: World):
    heart = heartbeats.heart("worker", world.services.clock, lambda: {"queues": ["urgent"]})
    async with world.services.database.transaction(SYSTEM) as conn:
        await heartbeats.beat(conn, heart)
        await heartbeats.beat(conn, heart)
        (one,) = await heartbeats.ages(conn)
        assert (one.kind, one.name, one.detail) == ("worker", heart.name, {"queues": ["urgent"]})
        assert 0 <= one.age_s < 5
        await conn.execute("UPDATE heartbeats SET beat_at = now() - interval '25 hours'")
        assert await heartbeats.ages(conn) == []
        await heartbeats.forget(conn, "another")
        assert await conn.fetchval("SELECT count(*) FROM heartbeats") == 0
