"""The demo's page of customers' notices, in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e import commands
from tests.e2e.browser import SIZES, THEMES, Watch, browser, wrongs
from tests.e2e.dashboard import NEEDS, SLOW_MS, person
from tests.servers import folder
from tests.waiting import until

pytestmark = NEEDS[:1]  # the page is the server's own: it needs no built dashboard


@pytest.fixture
def place() -> Iterator[Path]:
    with folder() as path:
        yield path


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def running_trip(url: str, info: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """One of the demo's trips that has a customer, and an access token."""
    token = (await commands.sign_in(url, info["password"], phone=info["phone"]))["accessToken"]
    _, page = await commands.get(f"{url}/api/v1/trips?status=started", token)
    trip = next(trip for trip in page["data"] if trip.get("customerName"))
    return trip, token


async def complete(url: str, trip_id: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/api/v1/trips/{trip_id}/complete") as response,
    ):
        assert response.status == 200, await response.text()


async def looked_again(page: Page, text: str, count: int) -> None:
    """Look until so many notices with that text are there."""
    notices = page.get_by_role("article").filter(has_text=text)

    async def look() -> bool:
        await page.get_by_role("link", name="Look again").click()
        await page.get_by_role("heading", name="Outbox").wait_for()
        return await notices.count() >= count

    await until(look, within_s=SLOW_MS / 1000)


async def test_a_customer_of_the_demo_is_told_that_the_trip_started_and_that_it_arrived(place: Path, chrome: Browser):
    info_file = place / "info.json"
    async with commands.up(place / "data", "--demo", "--info", info_file, "--vehicles", 3, cwd=place) as command:
        await until(info_file.exists)
        trip, token = await running_trip(command.url, json.loads(info_file.read_text()))
        async with person(chrome) as developers:
            watch = Watch(developers, command.url)
            page = await developers.new_page()
            await page.goto(f"{command.url}/dev/outbox")
            await looked_again(page, trip["reference"], 2)
            notice = page.get_by_role("article").filter(has_text=trip["reference"])
            await expect(notice).to_have_count(2)  # as an SMS and as an e-mail
            for form in ("SMS to", "e-mail to"):
                await expect(notice.filter(has_text=form)).to_contain_text("on its way")
                await expect(notice.filter(has_text=form)).to_contain_text(trip["customerName"])

            await complete(command.url, trip["id"], token)
            await looked_again(page, trip["reference"], 4)
            await expect(notice).to_have_count(4)
            await expect(notice.first).to_contain_text("arrived")  # the newest first
            assert watch.outside == []
            assert watch.complaints == []
        for size in SIZES:
            for theme in THEMES:
                async with person(chrome, size, theme) as developers:
                    page = await developers.new_page()
                    await page.goto(f"{command.url}/dev/outbox")
                    assert await wrongs(page) == []
