"""The Python client at a server: the example of its page, tokens, commands, one's own events, its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_http_tracking import location, ping
from tests.waiting import until
from waypost.client.client import WaypostClient
from waypost.client.commands import Ended
from waypost.client.link import Link, Road
from waypost.client.membership import Handlers
from waypost.realtime.service import user_room
from waypost.wiring import Services

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
Token = Callable[[str | None], Awaitable[str | None]]


def always(token: str) -> Token:
    async def newest(refused: str | None) -> str | None:
        return None if refused else token

    return newest


@asynccontextmanager
async def connected(api: Api, token: str | Token, **options: Any) -> AsyncIterator[WaypostClient]:
    newest = always(token) if isinstance(token, str) else token
    async with WaypostClient(Road((api.url,)), newest, **options) as client:
        async with asyncio.timeout(10):
            await client.online.wait()
        yield client


def link_of(client: WaypostClient) -> Link:
    assert client.link is not None
    return client.link


async def break_off(client: WaypostClient) -> None:
    """As when the network goes."""
    await link_of(client)._client.eio.ws.close()


async def token_for(services: Services, org: Org, life: timedelta) -> str:
    """An access token of the owner that ends so soon."""
    signed_in = await org.token()
    now = services.clock.now()
    claims = replace(services.identity.tokens.read(signed_in, now), expires_at=now + life)
    return services.identity.tokens.issue(claims, now)


async def test_the_example_of_the_page_shows_where_a_trip_is(api: Api, org: Org):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - it is our own document
    phone = await org.phone()
    assert phone.trip is not None
    await ping(api, phone, location(5, latitude=-17.5))
    shown: list[Any] = []
    enough = asyncio.Event()
    following = asyncio.create_task(names["follow"](api.url, await org.token(), str(phone.trip.id), shown, enough))
    await until(lambda: [each for each in shown if each["latitude"] == -17.5])
    await ping(api, phone, location(4, latitude=-17.50001))
    await until(lambda: [each for each in shown if each["latitude"] == -17.50001])
    enough.set()
    await following


async def test_a_token_that_runs_out_is_renewed_without_leaving(api: Api, org: Org, services: Services):
    phone, fresh = await org.phone(), await org.token()
    short, asked = await token_for(services, org, timedelta(seconds=8)), list[str | None]()
    end = services.clock.now() + timedelta(seconds=9)
    assert phone.trip is not None

    async def newest(refused: str | None) -> str:
        asked.append(refused)
        return short if refused is None else fresh

    places: list[Any] = []
    async with connected(api, newest) as client:
        client.join_trip(str(phone.trip.id), Handlers(position=places.append))
        first = link_of(client)
        await until(lambda: asked == [None, short])
        await until(lambda: services.clock.now() > end)
        await ping(api, phone, location(0))
        await until(lambda: places[-1:] != [None])
        assert link_of(client) is first


async def test_without_another_token_it_is_cut_told_why_and_stays_away(api: Api, org: Org, services: Services):
    cuts = list[Mapping[str, Any] | None]()
    short = await token_for(services, org, timedelta(seconds=2))
    client = WaypostClient(Road((api.url,)), always(short), on_cut=cuts.append)
    await asyncio.wait_for(client.run(), 15)
    with pytest.raises(Ended):
        await client.send("own:join", {})
    assert [cut and cut["code"] for cut in cuts] == ["token-expired"]


async def test_a_token_that_is_refused_at_the_door_is_replaced(api: Api, org: Org):
    good = await org.token()

    async def newest(refused: str | None) -> str:
        return "wrong" if refused is None else good

    async with connected(api, newest) as client:
        assert link_of(client).transport == "websocket"


async def test_a_command_is_sent_until_it_is_answered_and_counts_once(api: Api, org: Org):
    phone = await org.phone()
    stream = "0190f3f1-9a3b-7c00-8000-000000000001"
    batches = [{"stream": stream, "locations": [location(-n / 10, n=n)]} for n in range(6)]
    async with connected(api, phone.token) as client:
        sending = [asyncio.create_task(client.send("tracking:ping", batch)) for batch in batches]
        for _ in range(2):
            await asyncio.sleep(0.01)
            if client.link is not None:
                await break_off(client)
        answers = await asyncio.gather(*sending)
        assert [answer["ok"] for answer in answers] == [True] * 6
        assert sum(answer["accepted"] + answer["duplicates"] for answer in answers) == 6
        refused = await client.send("fleet:join", {})
        assert (refused["ok"], refused["error"]["code"]) == (False, "denied")
    assert phone.trip is not None
    track = await api.as_(await org.token())("GET", f"/api/v1/trips/{phone.trip.id}/locations?flagged=true")
    assert len(track.json["data"]) == 6


class Progress(msgspec.Struct, rename="camel"):
    """As of a job."""

    event_id: str
    done: int


async def test_what_a_person_is_told_comes_once_also_what_was_missed_while_away(api: Api, org: Org, services: Services):
    told: list[Any] = []
    stale: list[None] = []
    assert org.owner.user_id is not None
    room = user_room(org.org_id, org.owner.user_id)
    async with connected(api, await org.token(), on_stale=lambda: stale.append(None)) as client:
        client.on("job:progress", told.append)
        await until(lambda: stale)
        services.realtime.publish(room, "job:progress", Progress("a", 1))
        await until(lambda: len(told) == 1)
        before = client.link
        await break_off(client)
        await until(lambda: client.link is not before)  # gone; or back already, on another
        services.realtime.publish(room, "job:progress", Progress("a", 1))
        services.realtime.publish(room, "job:progress", Progress("b", 2))
        await until(lambda: len(told) == 2)
    assert [each["eventId"] for each in told] == ["a", "b"]
    assert len(stale) == 1  # nothing was missed for good


async def test_an_error_of_a_handler_ends_it_where_it_is_used(api: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    trip_id = str(phone.trip.id)

    def fail(event: object) -> None:
        raise ZeroDivisionError

    async def use() -> None:
        async with connected(api, await org.token()) as client:
            joined = asyncio.Event()
            client.join_trip(trip_id, Handlers(snapshot=lambda _: joined.set(), event=fail))
            await joined.wait()
            await ping(api, phone, location(0))
            await until(lambda: client.link is None)

    with pytest.raises(ZeroDivisionError):
        await use()
