"""The map asks for the organisation's own streets, as who is signed in, and for nothing elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Response

from tests.conftest import Api
from tests.e2e.browser import Watch, browser, sign_in
from tests.e2e.dashboard import NEEDS, SLOW_MS, person
from tests.factories import PASSWORD, Org
from tests.tracks import drive, now_ms, store
from tests.vector_tiles import points
from tests.waiting import until
from waypost.tracking.street_map import StreetUpkeep
from waypost.trips.service import NewTrip

pytestmark = NEEDS
TILES = "/api/v1/tracking/streets/"


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def test_the_map_shows_the_streets_that_were_driven_twice(api: Api, org: Org, chrome: Browser):
    services, phone = org.services, await org.phone()
    fixes = drive(100, begin=now_ms() - timedelta(hours=2))
    for _ in range(2):
        trip = await services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))
        await store(services, phone, fixes, trip_id=trip.id)
        fixes = drive(100, begin=now_ms() - timedelta(hours=1))
    await StreetUpkeep(services.database, services.clock, settles_s=0.01).learn()
    here = {"latitude": -17.79, "longitude": 31.05, "timestamp": now_ms().isoformat(), "speed": 8}
    reported = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": [here]})
    assert reported.json["accepted"] == 1

    async with person(chrome) as context:
        watch, page, tiles = Watch(context, api.url), await context.new_page(), list[Response]()
        page.on("response", lambda response: tiles.append(response) if TILES in response.url else None)
        await sign_in(page, api.url, org.owner_phone, PASSWORD)
        await page.wait_for_selector('body[data-ready="1"]', timeout=SLOW_MS)
        await until(lambda: bool(tiles), within_s=30)
        assert {response.status for response in tiles} == {200}
        shown = [places for response in tiles for places in points(await response.body())["streets"].values()]
        assert sum(map(len, shown)) > 20
        assert watch.outside == []
        assert watch.complaints == []
