"""`/readyz` says which part is missing since when, within a second, also when what it asks hangs."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from tests.conftest import Api
from tests.factories import Org, things
from tests.fakes.clock import FakeClock
from waypost.kernel.errors import Unavailable
from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM
from waypost.platform.health import Finding, Health, Probe
from waypost.wiring import Services

LATE = "UPDATE outbox SET processed_at = NULL, created_at = now() - interval '90 s', due_at = now() - interval '90 s'"


async def hang() -> Finding:
    await asyncio.Event().wait()
    return Finding("ok")


async def fine() -> Finding:
    return Finding("ok")


async def broken() -> Finding:
    raise Unavailable


async def odd() -> Finding:
    raise ZeroDivisionError


async def test_the_answer_does_not_wait_for_what_hangs_however_many_ask(caplog: pytest.LogCaptureFixture):
    health = Health(FakeClock(), (Probe("one", hang), Probe("two", hang), Probe("three", fine)))
    began = asyncio.get_running_loop().time()
    looks = await asyncio.gather(*(health.look() for _ in range(50)))
    assert asyncio.get_running_loop().time() - began < 1.0  # the promise itself, not a figure
    assert {name: part.state for name, part in looks[0].items()} == {
        "one": "does not answer", "two": "does not answer", "three": "ok",
    }  # fmt: skip
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("probe")]) == 2
    await health.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("probe")]


async def test_it_says_since_when_and_forgets_once_it_is_well_again():
    clock, states = FakeClock(), ["ok", "away", "away", "ok"]

    async def ask() -> Finding:
        return Finding(states.pop(0))

    health = Health(clock, (Probe("it", ask),))
    since = []
    for _ in range(4):
        since.append((await health.look())["it"].since)
        await clock.advance(10)
    assert since[0] is None
    assert since[1] == since[2]
    assert since[1] is not None
    assert since[3] is None


@pytest.mark.parametrize(("ask", "state"), [(broken, "unavailable"), (odd, "probe-failed")])
async def test_a_probe_that_fails_is_an_answer(ask, state: str):  # type: ignore[no-untyped-def]
    assert (await Health(FakeClock(), (Probe("it", ask),)).look())["it"].state == state


async def test_a_server_whose_parts_are_well_is_ready(api: Api):
    answer = await api("GET", "/readyz")
    assert (answer.status, answer.json["status"]) == (200, "ready")
    assert answer.json["parts"]["database"]["state"] == answer.json["parts"]["redis"]["state"] == "ok"


async def test_a_server_without_connections_to_spare_answers_in_time_and_is_not_ready(api: Api, services: Services):
    pool = services.database.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    try:
        began = monotonic()
        answer = await api("GET", "/readyz")
        assert monotonic() - began < 1.5  # a second, and the way there
        assert (answer.status, answer.json["parts"]["database"]["state"]) == (503, "does not answer")
        refused = await api("POST", "/api/v1/auth/login", {"phone": "+263771000000", "password": "x" * 10})
        assert (refused.status, refused.json["code"]) == (503, "database-busy")
        assert "Retry-After" in refused.headers
    finally:
        for connection in held:
            await pool.release(connection)
    assert (await api("GET", "/livez")).status == 200


async def test_it_says_whether_workers_and_relays_are_at_work_and_how_far_the_relay_is_behind(
    api: Api, services: Services, org: Org
):
    parts = (await api("GET", "/readyz")).json["parts"]
    assert (parts["workers"]["state"], parts["relays"]["state"]) == ("none is at work",) * 2
    assert parts["workers"]["needed"] is False
    async with services.database.transaction(SYSTEM) as conn:
        for kind in ("worker", "relay"):
            await heartbeats.beat(conn, heartbeats.heart(kind, services.clock))
    await things(org)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(LATE)
    parts = (await api("GET", "/readyz")).json["parts"]
    assert (parts["workers"]["state"], parts["relays"]["state"]) == ("ok", "ok")
    assert parts["relays"]["lagS"] >= 90
