"""Two dispatchers with the same trip open see each other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.conftest import Api
from tests.e2e.browser import browser, wrongs
from tests.e2e.dashboard import NEEDS, SLOW_MS, person, signed_in
from tests.factories import Org, Phone
from tests.waiting import listening
from waypost.kernel.principal import Role

pytestmark = NEEDS


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def open_trip(page: Page, phone: Phone, size: str) -> None:
    assert phone.trip is not None
    rows = page.get_by_test_id("vehicle-row")
    if size == "phone":  # there the list is behind its tab
        await page.get_by_role("tab", name="List").or_(page.get_by_role("button", name="List")).first.click()
    await rows.filter(has_text=phone.trip.reference).click()
    await expect(page.get_by_test_id("trip-panel")).to_contain_text(phone.trip.reference, timeout=SLOW_MS)


@pytest.mark.parametrize(("size", "theme"), [("desk", "light"), ("phone", "dark")])
async def test_who_else_has_the_trip_open_is_shown_as_they_come_and_go(
    api: Api, org: Org, chrome: Browser, size: str, theme: str
):
    phone = await org.phone(in_truck=True)
    _, address = await org.person(Role.VIEWER)
    async with person(chrome, size, theme) as me:
        page = await signed_in(me, api.url, org.owner_phone)
        await open_trip(page, phone, size)
        others = page.get_by_test_id("watchers")
        async with listening(api.url, await org.token()) as own_tab, listening(api.url, await org.token(address)) as it:
            assert phone.trip is not None
            await own_tab.join(phone.trip.id)
            await it.join(phone.trip.id)
            await expect(others.get_by_role("listitem")).to_have_count(1, timeout=SLOW_MS)
            await expect(others).to_contain_text(f"viewer {address[-3:]}")
            assert await wrongs(page) == []
        await expect(others).to_have_count(0, timeout=SLOW_MS)
