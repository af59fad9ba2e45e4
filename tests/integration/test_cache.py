"""The two caches: named by organisation, bounded, one read for many, changes seen on the other node, Redis away."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from tests.fakes.clock import FakeClock
from tests.waiting import until
from waypost.platform.cache import Cache, Kind, name_of
from waypost.platform.redis import open_redis
from waypost.wiring import Services

RULES = Kind("rules", dict[str, int], life_s=3600, most=3)


@dataclass
class Table:
    """What stands for the database: values, and how often it was read."""

    values: dict[UUID, int] = field(default_factory=dict)
    reads: Counter[UUID] = field(default_factory=Counter)

    async def read(self, org_id: UUID) -> dict[str, int]:
        self.reads[org_id] += 1
        await asyncio.sleep(0)
        return {"value": self.values.get(org_id, 0)}


@dataclass
class Node:
    """A process with its cache."""

    cache: Cache
    table: Table
    seen: Counter[str]

    async def read(self, org_id: UUID, key: object = "it", kind: Kind[dict[str, int]] = RULES) -> int:
        found = await self.cache.get(org_id, kind, key, lambda: self.table.read(org_id))
        return found["value"]


def node(services: Services, table: Table, clock: FakeClock | None = None) -> Node:
    seen: Counter[str] = Counter()
    cache = Cache(services.redis, clock or FakeClock(), lambda _kind, where: seen.update([where]), jitter=lambda: 0.0)
    return Node(cache, table, seen)


async def test_a_thousand_misses_at_once_are_one_query(services: Services):
    one, org_id = node(services, Table()), uuid4()
    assert await asyncio.gather(*(one.read(org_id) for _ in range(1000))) == [0] * 1000
    assert one.table.reads[org_id] == 1


async def test_the_other_node_takes_it_from_redis_and_then_from_its_memory(services: Services):
    table, org_id = Table(), uuid4()
    one, two = node(services, table), node(services, table)
    await one.read(org_id)
    await two.read(org_id)
    await two.read(org_id)
    assert table.reads[org_id] == 1
    assert (dict(one.seen), dict(two.seen)) == ({"database": 1}, {"redis": 1, "memory": 1})


async def test_a_change_is_seen_at_once_here_and_within_a_second_on_the_other_node(services: Services):
    table, org_id, clock = Table(), uuid4(), FakeClock()
    one, two = node(services, table), node(services, table, clock)
    assert [await each.read(org_id) for each in (one, two)] == [0, 0]
    table.values[org_id] = 1
    one.cache.forget(org_id, RULES)
    assert await one.read(org_id) == 1
    await until(lambda: not one.cache.unsaid)
    await clock.advance(1.0)
    assert await two.read(org_id) == 1


async def test_what_was_read_before_a_change_is_never_kept_after_it(services: Services):
    table, org_id = Table(), uuid4()
    one, go_on, reading = node(services, table), asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, int]:
        old = await table.read(org_id)
        reading.set()
        await go_on.wait()
        return old

    late = asyncio.create_task(one.cache.get(org_id, RULES, "it", slow))
    await reading.wait()
    table.values[org_id] = 1
    one.cache.forget(org_id, RULES)
    await until(lambda: not one.cache.unsaid)
    go_on.set()
    assert (await late)["value"] == 0  # it began before the change
    assert await one.read(org_id) == 1
    assert await node(services, table).read(org_id) == 1


async def test_a_change_that_is_undone_forgets_nothing(services: Services):
    from tests.factories import organisation

    org_id = (await organisation(services)).org_id
    one = node(services, Table())
    await one.read(org_id)

    async def fail() -> None:
        async with services.database.unit(org_id):
            one.cache.forget(org_id, RULES)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await one.read(org_id)
    assert one.table.reads[org_id] == 1


async def test_two_organisations_never_share_a_value(services: Services):
    ours, theirs = uuid4(), uuid4()
    one = node(services, Table({ours: 1, theirs: 2}))
    assert [await one.read(org_id) for org_id in (ours, theirs, ours, theirs)] == [1, 2, 1, 2]
    assert one.table.reads == {ours: 1, theirs: 1}


async def test_nothing_is_kept_without_an_organisation(services: Services):
    with pytest.raises(TypeError):
        name_of(None, RULES, "it", 0)  # type: ignore[arg-type]  # that is the point
    assert name_of(UUID(int=7), RULES, "it", 3) == "{00000000-0000-0000-0000-000000000007}:rules:it:v3"


async def test_memory_and_redis_hold_so_many_of_a_kind_and_the_oldest_goes_first(services: Services):
    org_id, clock = uuid4(), FakeClock()
    one = node(services, Table(), clock)
    for key in range(5):
        await one.read(org_id, key)
        await clock.advance(0.01)
    assert [name.split(":")[2] for name in one.cache.memory["rules"]] == ["2", "3", "4"]
    kept = await services.redis.zrange(f"waypost:cache:{{{org_id}}}:rules:index", 0, -1)
    assert [name.decode().split(":")[-2] for name in kept] == ["2", "3", "4"]
    assert await services.redis.exists(*kept) == 3
    assert len(await services.redis.keys(f"waypost:cache:*{org_id}*")) == 3 + 2  # the values, their index, the count


async def test_after_redis_was_emptied_no_old_value_comes_back_from_memory(services: Services):
    org_id, clock = uuid4(), FakeClock()
    table = Table()
    one = node(services, table, clock)
    await one.read(org_id)
    await services.redis.flushall()
    table.values[org_id] = 1
    node(services, table).cache.forget(org_id, RULES)
    await clock.advance(1)
    assert await one.read(org_id) == 1


async def test_a_value_lives_no_longer_than_its_kind(services: Services):
    clock, org_id = FakeClock(), uuid4()
    one = node(services, Table(), clock)
    brief = Kind("brief", dict[str, int], life_s=10, most=3)
    await one.read(org_id, kind=brief)
    (name,) = await services.redis.zrange(f"waypost:cache:{{{org_id}}}:brief:index", 0, -1)
    assert 0 < await services.redis.pttl(name) <= 10_000
    await services.redis.delete(name)  # as Redis itself does at the end of its life
    await clock.advance(10)
    await one.read(org_id, kind=brief)
    assert one.table.reads[org_id] == 2


async def test_while_redis_is_away_the_database_answers_and_a_change_is_told_later(services: Services):
    org_id, clock, table = uuid4(), FakeClock(), Table()
    away = open_redis("unix:///nowhere/redis.sock")
    one = Node(Cache(away, clock), table, Counter())
    assert [await one.read(org_id) for _ in range(2)] == [0, 0]
    assert table.reads[org_id] == 2
    other = node(services, table)
    await other.read(org_id)
    table.values[org_id] = 1
    one.cache.forget(org_id, RULES)
    assert await one.read(org_id) == 1
    one.cache.redis = services.redis  # it is back
    await until(lambda: clock.sleepers)
    await clock.advance(2)
    await until(lambda: not one.cache.unsaid)
    assert await node(services, table).read(org_id) == 1
    await one.cache.close()
    await away.aclose()


async def test_an_unreadable_value_is_read_anew(services: Services):
    org_id, one = uuid4(), node(services, Table())
    await one.read(org_id)
    (name,) = await services.redis.zrange(f"waypost:cache:{{{org_id}}}:rules:index", 0, -1)
    await services.redis.set(name, b"\xc1 nonsense")
    other = node(services, one.table)
    assert await other.read(org_id) == 0
    assert one.table.reads[org_id] == 2


async def test_a_reader_that_gives_up_does_not_take_the_others_with_it(services: Services):
    org_id, one, go_on = uuid4(), node(services, Table()), asyncio.Event()

    async def slow() -> dict[str, int]:
        await go_on.wait()
        return {"value": 7}

    readers = [asyncio.create_task(one.cache.get(org_id, RULES, "it", slow)) for _ in range(3)]
    await until(lambda: one.cache.loading)
    readers[0].cancel()
    go_on.set()
    assert [await reader for reader in readers[1:]] == [{"value": 7}] * 2


async def test_changed_settings_and_a_changed_customer_are_seen_on_the_other_node_within_a_second(
    services: Services, environment: dict[str, str]
):
    from tests.factories import organisation
    from waypost.settings import Settings
    from waypost.wiring import open_services

    org = await organisation(services)
    customer = await services.directory.add_customer(org.owner, name="Chipo", email="old@example.com")
    async with open_services(Settings.from_env(environment)) as other:

        async def told() -> tuple[str, str | None, str]:
            contact = await other.book.find(org.org_id, customer)
            assert contact is not None
            return (await other.rules.of(org.org_id)).time_zone, contact.email, contact.business

        assert await told() == ("UTC", "old@example.com", "Harare Haulage")
        await services.organisations.change(org.owner, name="HH", time_zone="Africa/Harare", tracking={})
        await services.directory.customers.change(org.owner, customer, {"email": "new@example.com"})

        async def is_new() -> bool:
            return await told() == ("Africa/Harare", "new@example.com", "HH")

        await until(is_new, within_s=1.0)
