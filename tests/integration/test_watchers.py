"""Who watches a trip, as people ask and are told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.integration.test_sockets import node, trip_id
from tests.waiting import Listener, listening, until
from waypost.kernel.principal import Role
from waypost.platform.redis import open_bus_redis
from waypost.realtime.shards import Shards
from waypost.wiring import Services


@pytest.fixture
async def far(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A second node."""
    async with node(environment) as second:
        yield second


async def asked(api: Api, token: str, phone: Phone) -> list[str]:
    """Whom the route names."""
    answer = await api.as_(token)("GET", f"/api/v1/trips/{trip_id(phone)}/watchers")
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json["data"]]


def told(socket: Listener) -> list[str]:
    """Whom the socket was told of last."""
    events = socket.all("trip:watchers")
    return [each["name"] for each in events[-1]["watchers"]] if events else []


async def viewer(org: Org) -> tuple[str, str]:
    """The token and the name of one more."""
    principal, phone = await org.person(Role.VIEWER)
    assert principal.user_id is not None
    return await org.token(phone), f"viewer {phone[-3:]}"


async def test_watchers_on_two_nodes_are_told_of_each_other_and_named_by_either(api: Api, far: Api, org: Org):
    phone, owner = await org.phone(), await org.token()
    token, name = await viewer(org)
    async with listening(api.url, owner) as near:
        await near.join(trip_id(phone))
        await until(lambda: told(near) == ["Owner"])
        async with listening(far.url, token) as other:
            await other.join(trip_id(phone))
            both = ["Owner", name]
            await until(lambda: told(near) == told(other) == both)
            assert sorted(await asked(api, owner, phone)) == sorted(await asked(far, token, phone)) == both
            event = near.all("trip:watchers")[-1]
            assert event.keys() == {"tripId", "watchers"}
            assert event["tripId"] == trip_id(phone)
        await until(lambda: told(near) == ["Owner"])
        assert await asked(far, token, phone) == ["Owner"]


async def test_it_takes_no_number_of_the_room(api: Api, org: Org):
    phone, owner = await org.phone(), await org.token()
    token, name = await viewer(org)
    async with listening(api.url, owner) as first, listening(api.url, token) as second:
        before = await first.join(trip_id(phone))
        await second.join(trip_id(phone))
        await until(lambda: told(first) == ["Owner", name])
        again = await first.join(trip_id(phone))
    assert (again["epoch"], again["seq"]) == (before["epoch"], before["seq"])


async def test_who_leaves_the_trip_watches_it_no_longer(api: Api, org: Org):
    phone, owner = await org.phone(), await org.token()
    token, name = await viewer(org)
    async with listening(api.url, owner) as stays, listening(api.url, token) as leaves:
        await stays.join(trip_id(phone))
        await leaves.join(trip_id(phone))
        await until(lambda: told(stays) == ["Owner", name])
        await leaves.call("trip:leave", {"tripId": trip_id(phone)})
        await until(lambda: told(stays) == ["Owner"])
        assert told(leaves) == ["Owner", name]


async def test_the_phone_of_a_trip_and_its_driver_are_no_watchers(api: Api, org: Org):
    phone, owner = await org.phone(), await org.token()
    driver, address = await org.person(Role.DRIVER)
    link = {"userId": str(driver.user_id)}
    assert (await api.as_(owner)("PATCH", f"/api/v1/drivers/{phone.driver_id}", link)).status == 200
    async with (
        listening(api.url, phone.token) as device,
        listening(api.url, await org.token(address)) as driving,
        listening(api.url, owner) as watching,
    ):
        for socket in (device, driving, watching):
            await socket.join(trip_id(phone))
        await until(lambda: told(watching) == ["Owner"])
        assert await asked(api, owner, phone) == ["Owner"]
        await watching.call("trip:leave", {"tripId": trip_id(phone)})
        await until(lambda: is_empty(api, owner, phone))
        assert device.all("trip:watchers") == driving.all("trip:watchers") == []


async def is_empty(api: Api, token: str, phone: Phone) -> bool:
    return await asked(api, token, phone) == []


async def test_the_sending_and_the_receiving_organisation_see_their_own_people_only(
    api: Api, org: Org, services: Services
):
    receiver = await organisation(services, "Bulawayo Bakers")
    phone = await org.phone(to=receiver.org_id)
    token, name = await viewer(receiver)
    async with listening(api.url, await org.token()) as sends, listening(api.url, token) as receives:
        await sends.join(trip_id(phone))
        await receives.join(trip_id(phone))
        await until(lambda: told(sends) == ["Owner"] and told(receives) == [name])
        assert await asked(api, await receiver.token(), phone) == [name]
        assert await asked(api, await org.token(), phone) == ["Owner"]


async def test_who_may_not_see_the_trip_may_not_ask(api: Api, org: Org, services: Services):
    phone, (_, driver) = await org.phone(), await org.person(Role.DRIVER)
    stranger = await organisation(services, "Mutare Movers")
    path = f"/api/v1/trips/{trip_id(phone)}/watchers"
    assert (await api.as_(await org.token(driver))("GET", path)).status == 403
    assert (await api.as_(phone.token)("GET", path)).status == 403
    answer = await api.as_(await stranger.token())("GET", path)
    assert (answer.status, answer.json["code"]) == (404, "trip-not-found")


async def test_the_list_comes_in_pages(api: Api, org: Org):
    phone, owner = await org.phone(), await org.token()
    token, _ = await viewer(org)
    async with listening(api.url, owner) as one, listening(api.url, token) as two:
        await one.join(trip_id(phone))
        await two.join(trip_id(phone))
        await until(lambda: len(told(one)) == 2)
        ids: list[Any] = []
        cursor = ""
        while len(ids) < 5:
            path = f"/api/v1/trips/{trip_id(phone)}/watchers?limit=1&fields=userId{cursor}"
            page = (await api.as_(owner)("GET", path)).json
            ids += [each["userId"] for each in page["data"]]
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
    assert ids == sorted(set(ids))
    assert len(ids) == 2


async def test_while_redis_does_not_answer_the_route_says_so(api: Api, org: Org, services: Services):
    phone, owner = await org.phone(), api.as_(await org.token())
    away = open_bus_redis("redis://127.0.0.1:1")
    services.presence.store.shards = Shards(away)
    answer = await owner("GET", f"/api/v1/trips/{trip_id(phone)}/watchers")
    assert (answer.status, answer.json["code"]) == (503, "realtime-away")
    await away.aclose()
