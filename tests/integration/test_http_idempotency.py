"""`Idempotency-Key`: sent again, with another body, while the first runs, after a crash."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.waiting import until
from waypost.kernel.principal import Role
from waypost.wiring import Services

TRIPS = "/api/v1/trips"
BLOCKED = "SELECT pid FROM pg_locks WHERE NOT granted"


def keyed(key: object) -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": str(key)}}


async def trips_of(org: Org) -> int:
    async with org.services.database.transaction(org.org_id) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM trips"))


async def test_a_post_that_comes_again_has_one_effect_and_the_very_same_answer(api: Api, org: Org):
    owner, key = api.as_(await org.token()), uuid4()
    first = await owner("POST", TRIPS, {"reference": "A"}, **keyed(key))
    again = await owner("POST", TRIPS, {"reference": "A"}, **keyed(key))
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert await trips_of(org) == 1


async def test_the_same_key_with_another_body_or_route_is_refused(api: Api, org: Org):
    owner, key = api.as_(await org.token()), uuid4()
    await owner("POST", TRIPS, {"reference": "A"}, **keyed(key))
    other = await owner("POST", TRIPS, {"reference": "B"}, **keyed(key))
    elsewhere = await owner("POST", "/api/v1/drivers", {"name": "A"}, **keyed(key))
    assert [(a.status, a.json["code"]) for a in (other, elsewhere)] == [(422, "idempotency-key-reused")] * 2
    assert await trips_of(org) == 1


async def test_keys_of_two_people_and_of_two_organisations_are_different_keys(api: Api, org: Org, services: Services):
    _, phone = await org.person(Role.DISPATCHER)
    other = await organisation(services, "Bulawayo Bulk")
    tokens = [await org.token(), await org.token(phone), await other.token()]
    answers = [await api.as_(token)("POST", TRIPS, {"reference": "A"}, **keyed("one")) for token in tokens]
    assert len({answer.json["id"] for answer in answers}) == 3


async def test_while_the_first_runs_a_second_is_told_so(api: Api, org: Org, services: Services):
    owner = api.as_(await org.token())
    driver = (await owner("POST", "/api/v1/drivers", {"name": "A"})).json["id"]
    key = uuid4()
    async with services.database.transaction(org.org_id) as conn:
        # The trip refers to its driver: locked here, the first request waits inside its transaction.
        await conn.execute("SELECT FROM drivers WHERE id = $1 FOR UPDATE", UUID(driver))
        first = asyncio.create_task(owner("POST", TRIPS, {"driverId": driver}, **keyed(key)))
        await until(lambda: conn.fetchval(BLOCKED))
        second = await owner("POST", TRIPS, {"driverId": driver}, **keyed(key))
        assert (second.status, second.json["code"]) == (409, "idempotency-running")
        assert "Retry-After" in second.headers
    assert (await first).status == 201
    third = await owner("POST", TRIPS, {"driverId": driver}, **keyed(key))
    assert third.json == (await first).json


async def test_a_hundred_at_once_have_one_effect(api: Api, org: Org):
    owner, key = api.as_(await org.token()), uuid4()
    answers = await asyncio.gather(*(owner("POST", TRIPS, {"reference": "A"}, **keyed(key)) for _ in range(30)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    assert await trips_of(org) == 1


async def test_after_a_crash_inside_neither_effect_nor_key_is_left(api: Api, org: Org, services: Services):
    owner, key = api.as_(await org.token()), uuid4()
    driver = (await owner("POST", "/api/v1/drivers", {"name": "A"})).json["id"]
    async with services.database.transaction(org.org_id) as conn:
        await conn.execute("SELECT FROM drivers WHERE id = $1 FOR UPDATE", UUID(driver))
        first = asyncio.create_task(owner("POST", TRIPS, {"driverId": driver}, **keyed(key)))
        pid = await until(lambda: conn.fetchval(BLOCKED))
        await conn.execute("RESET ROLE")
        assert await conn.fetchval("SELECT pg_terminate_backend($1)", pid)  # the server's own connection dies
    assert (await first).status == 503
    assert await trips_of(org) == 0
    again = await owner("POST", TRIPS, {"driverId": driver}, **keyed(key))
    assert (again.status, again.headers.get("Idempotent-Replayed")) == (201, None)
    assert await trips_of(org) == 1


async def test_a_refusal_is_not_kept_so_that_the_mended_world_may_be_tried_again(
    api: Api, org: Org, services: Services
):
    owner, key = api.as_(await org.token()), uuid4()
    body = {"destinationOrgId": str(uuid4())}
    refused = await owner("POST", TRIPS, body, **keyed(key))
    assert refused.status == 404
    fine = await owner("POST", TRIPS, {"reference": "A"}, **keyed(key))
    assert fine.status == 201


async def test_a_kept_answer_that_holds_a_token_is_not_readable_in_the_database(api: Api, org: Org, services: Services):
    owner, key = api.as_(await org.token()), uuid4()
    driver = (await owner("POST", "/api/v1/drivers", {"name": "A"})).json["id"]
    first = await owner("POST", "/api/v1/devices", {"name": "P", "driverId": driver}, **keyed(key))
    again = await owner("POST", "/api/v1/devices", {"name": "P", "driverId": driver}, **keyed(key))
    assert again.json["token"] == first.json["token"]
    async with services.database.transaction(org.org_id) as conn:
        kept = await conn.fetchval("SELECT answer FROM idempotency_keys WHERE key = $1", str(key))
    assert first.json["token"] not in kept


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(api: Api, org: Org, key: str):
    answer = await api.as_(await org.token())("POST", TRIPS, {}, **keyed(key))
    assert (answer.status, answer.json["code"]) == (400, "bad-idempotency-key")
