"""`/metrics`: what it counts, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.factories import Org
from tests.waiting import until
from waypost.app import build_app
from waypost.realtime.figures import COUNTS
from waypost.settings import Settings
from waypost.wiring import Services, open_services

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|\+\d{9}|wpd_")


async def figures(api: Api) -> dict[str, float]:
    text = (await api("GET", "/metrics")).json.decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


async def test_requests_are_counted_by_the_routes_template_and_never_by_an_id(api: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    owner = api.as_(await org.token())
    await owner("GET", f"/api/v1/trips/{phone.trip.id}")
    await owner("GET", "/api/v1/nothing")
    await api("GET", "/api/v1/trips")
    found = await figures(api)
    count = 'waypost_request_seconds_count{{method="GET",route="{}",status="{}"}}'
    assert found[count.format("/api/v1/trips/{trip_id}", 200)] == 1
    assert found[count.format("/api/v1/trips", 401)] == 1
    assert found['waypost_request_seconds_count{method="other",route="other",status="404"}'] == 1
    assert not [name for name in found if ID.search(name)]


async def only_ours(api: Api, used: str) -> dict[str, float] | None:
    found = await figures(api)
    return found if found[used] == 1 else None


async def test_the_pools_used_idle_and_waiting_are_gauges(api: Api, services: Services):
    pool = services.database.pool
    used = 'waypost_pool_connections{pool="main",state="used"}'
    async with pool.acquire():
        found = await until(lambda: only_ours(api, used))  # what runs beside the requests uses one at times
    assert found['waypost_pool_connections{pool="main",state="most"}'] == pool.get_max_size()
    assert found["waypost_pool_waiting"] == 0


async def test_from_elsewhere_they_are_read_with_a_token_or_not_at_all(
    environment: dict[str, str], aiohttp_server: Callable[..., Awaitable[TestServer]], api: Api
):
    elsewhere = {"headers": {"X-Forwarded-For": "198.51.100.7"}}
    trusting = Settings.from_env(environment | {"WAYPOST_TRUSTED_PROXIES": "127.0.0.1"})
    async with open_services(trusting) as services:
        server = Api(await aiohttp_server(build_app(services)), api.described)
        assert (await server("GET", "/metrics", **elsewhere)).json["code"] == "metrics-denied"
    token = "a token of sixteen letters or more"
    async with open_services(Settings.from_env(environment | {"WAYPOST_METRICS_TOKEN": token})) as services:
        server = Api(await aiohttp_server(build_app(services)), api.described)
        assert (await server("GET", "/metrics")).status == 401
        for wrong in ("wrong", "\xff"):
            assert (await server.as_(wrong)("GET", "/metrics")).status == 403
        assert (await server.as_(token)("GET", "/metrics", **elsewhere)).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "process_resident_memory_bytes",
        "waypost_events_waiting",
        "waypost_events_dropped",
        "waypost_promised_events_waiting",
        "waypost_fan_out_waiting",
        *(name for name, _, _ in COUNTS),
    ],
)
async def test_the_process_and_its_queues_are_in_it(api: Api, name: str):
    assert name in await figures(api)
