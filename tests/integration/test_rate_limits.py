"""Rate limits: exact over nodes, told in headers, local when Redis is away, never for the wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.factories import Org
from tests.waiting import UNHURRIED_S
from waypost.app import build_app
from waypost.kernel.clock import SystemClock
from waypost.kernel.principal import Role
from waypost.platform.limits import Limit, Limiter, RateLimited, Share
from waypost.platform.redis import open_redis
from waypost.settings import Settings
from waypost.wiring import open_services

Start = Callable[..., Awaitable[TestServer]]
ME = "/api/v1/me"


@asynccontextmanager
async def nodes(start: Start, api: Api, environment: dict[str, str], count: int = 2) -> AsyncIterator[list[Api]]:
    """Servers with the settings of ``environment``."""
    if count == 0:
        yield []
        return
    async with (
        open_services(Settings.from_env(environment)) as services,
        nodes(start, api, environment, count - 1) as rest,
    ):
        services.limiter.answer_s = UNHURRIED_S
        yield [Api(await start(build_app(services)), api.described), *rest]


async def test_a_persons_limit_holds_over_all_nodes_together(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org
):
    token = await org.token()
    async with nodes(aiohttp_server, api, environment | {"WAYPOST_RATE_PERSON": "10"}) as both:
        answers = [await both[n % 2].as_(token)("GET", ME) for n in range(12)]
    assert [answer.status for answer in answers] == [200] * 10 + [429] * 2
    refused = answers[-1]
    assert refused.json["code"] == "rate-limited"
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("10", "0")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]


async def test_one_persons_flood_does_not_cost_another_their_share(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org
):
    _, phone = await org.person(Role.DISPATCHER)
    tokens = await org.token(), await org.token(phone)
    async with nodes(aiohttp_server, api, environment | {"WAYPOST_RATE_PERSON": "3"}, 1) as (node,):
        first = [(await node.as_(tokens[0])("GET", ME)).status for _ in range(5)]
        second = (await node.as_(tokens[1])("GET", ME)).status
    assert (first, second) == ([200] * 3 + [429] * 2, 200)


async def test_an_organisation_and_an_address_have_shares_too(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org
):
    token = await org.token()
    limits = {"WAYPOST_RATE_ORGANISATION": "2", "WAYPOST_RATE_ADDRESS": "2"}
    async with nodes(aiohttp_server, api, environment | limits, 1) as (node,):
        signed_in = [await node.as_(token)("GET", ME) for _ in range(3)]
        body = {"token": "nothing"}
        nobody = [await node("POST", "/api/v1/auth/invitations/look", body) for _ in range(3)]
    assert [(a.status, a.json.get("limit")) for a in signed_in][-1] == (429, "organisation")
    assert [(a.status, a.json.get("limit")) for a in nobody][-1] == (429, "address")


async def test_a_costly_route_has_a_small_share_of_its_own(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org
):
    token = await org.token()
    async with nodes(aiohttp_server, api, environment | {"WAYPOST_RATE_COSTLY": "2"}, 1) as (node,):
        body = {"kind": "trips", "format": "csv"}
        answers = [await node.as_(token)("POST", "/api/v1/exports", body) for _ in range(3)]
        assert (await node.as_(token)("GET", ME)).status == 200
    assert [answer.status for answer in answers] == [202, 202, 429]


async def test_a_role_that_no_limit_holds_passes_and_is_logged(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org, capsys: pytest.CaptureFixture[str]
):
    from waypost.platform.telemetry import configure_logs

    token = await org.token()
    limits = {"WAYPOST_RATE_PERSON": "1", "WAYPOST_RATE_FREE_ROLES": "owner"}
    configure_logs("INFO", "json")
    try:
        async with nodes(aiohttp_server, api, environment | limits, 1) as (node,):
            answers = [(await node.as_(token)("GET", ME)).status for _ in range(3)]
    finally:
        configure_logs("WARNING", "console")
    assert answers == [200] * 3
    assert capsys.readouterr().out.count("rate_limit_bypassed") == 3


async def test_while_redis_is_away_this_node_counts_alone_and_never_says_no_because_of_it():
    away = open_redis("unix:///nowhere/redis.sock")
    limiter = Limiter(away, SystemClock())
    share = [Share(Limit("person", 3), "somebody")]
    for _ in range(3):
        await limiter.spend(share)
    with pytest.raises(RateLimited):
        await limiter.spend(share)
    await away.aclose()


async def test_the_address_of_a_logo_is_not_to_be_guessed_at_for_ever(
    environment: dict[str, str], aiohttp_server: Start, api: Api
):
    async with nodes(aiohttp_server, api, environment | {"WAYPOST_RATE_ADDRESS": "3"}, 1) as (node,):
        asked = [await node("GET", f"/logos/{n:032}.png") for n in range(5)]
        assert (await node("GET", "/api/v1/nothing")).status == 404
    assert [answer.status for answer in asked] == [404] * 3 + [429] * 2
    assert asked[-1].headers["Cache-Control"] == "no-store"
    assert "Retry-After" in asked[-1].headers


async def test_tokens_that_are_not_good_are_counted_by_address_and_good_ones_pass_all_the_same(
    environment: dict[str, str], aiohttp_server: Start, api: Api, org: Org
):
    token = await org.token()
    async with nodes(aiohttp_server, api, environment | {"WAYPOST_RATE_ADDRESS": "5"}, 1) as (node,):
        refused = [await node.as_("nonsense")("GET", ME) for _ in range(7)]
        assert (await node.as_(token)("GET", ME)).status == 200
    assert [answer.status for answer in refused] == [401] * 5 + [429] * 2
    assert refused[-1].json["limit"] == "refused"
