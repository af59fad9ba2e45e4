"""Who is silent and why, and how good a device's data is, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import Api
from tests.e2e.browser import SIZES, THEMES, Watch, browser, wrongs
from tests.e2e.dashboard import NEEDS, heading, person, signed_in
from tests.factories import Org, Phone
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.tracking.domain import Flag, Reason
from waypost.tracking.quality import Noted
from waypost.tracking.rejections import Rejection
from waypost.tracking.silence import Signal

pytestmark = NEEDS
NASTY = b'{"lat": "<img src=x onerror=alert(1)>", "key": "\x00\xff", "long": "' + b"x" * 900 + b'"}'
POSITION = """
INSERT INTO positions (org_id, device_id, vehicle_id, recorded_at, received_at, receipt, latitude_e7, longitude_e7,
                       speed_mps)
VALUES ($1, $2, $3, $4, $4, 1, -178252000, 310335000, 13)
"""


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def drove(org: Org, phone: Phone, ago: timedelta, **what: object) -> None:
    """Its last good fix came so long ago."""
    at = datetime.now(UTC) - ago
    noted = Noted(org.org_id, phone.device_id, at, "osmand", accepted=1, newest_at=at, oldest_at=at)
    for name, value in what.items():
        setattr(noted, name, value)
    org.services.quality.note(noted)
    async with org.services.database.transaction(SYSTEM) as conn:
        await conn.execute(POSITION, org.org_id, phone.device_id, phone.principal.vehicle_id, at)


async def world(org: Org) -> tuple[Phone, Phone]:
    """A phone with trouble of every kind, whose battery is low; and one that has never been heard of."""
    weak, never = await org.phone(in_truck=True), await org.phone(running=False)
    now = datetime.now(UTC)
    flags = [int(Flag.MOCK), int(Flag.POOR_ACCURACY)]
    await drove(
        org, weak, timedelta(minutes=20), accepted=1200, duplicates=1, late=3, flags=flags, battery_pct=4.0,
        accuracy_sum_m=14_400.0, accuracy_n=1200, clock_offset_ms=-1_200_000, delay_sum_s=3600.0,
    )  # fmt: skip
    refused = [
        Rejection(org.org_id, weak.device_id, now - timedelta(hours=1), "osmand", Reason.FUTURE, "far ahead", NASTY)
        for _ in range(52)
    ]
    await org.services.quality.refuse(refused)
    await org.services.quality.flush()
    return weak, never


async def test_a_silent_phone_says_since_when_and_why_in_the_list_on_its_page_and_on_the_map(
    api: Api, org: Org, chrome: Browser
):
    weak, _ = await world(org)
    async with person(chrome) as owners:
        watch = Watch(owners, api.url)
        page = await signed_in(owners, api.url, org.owner_phone, "devices")
        row = page.get_by_test_id("device-row").filter(has_text="Silent")
        await expect(row).to_contain_text("battery 4 %")
        await expect(row).to_contain_text("since")
        await expect(page.get_by_test_id("device-row").filter(has_text="Never heard")).to_have_count(1)

        await row.get_by_role("link").click()
        await expect(page).to_have_title("Device · Waypost")
        assert page.url.endswith(f"#/devices/{weak.device_id}")
        await expect(page.get_by_test_id("because")).to_have_text("Battery 4 % when it was last heard of.")
        day = page.get_by_test_id("day-row").first
        await expect(day).to_contain_text("1,200")
        await expect(day).to_contain_text("1 duplicate")
        await expect(day).to_contain_text("1 poor accuracy")
        await expect(page.get_by_text("20 min behind").first).to_be_visible()

        rejections = page.get_by_test_id("rejection-row")
        await expect(rejections).to_have_count(50)
        await expect(rejections.first).to_contain_text("and 2 others in the same batch")
        await expect(rejections.first.get_by_label("Record as it was sent")).to_contain_text(r"\x00\xff")
        assert await page.locator("main img").count() == 0
        assert await wrongs(page) == []

        await page.get_by_test_id("nav-map").click()
        await page.wait_for_selector('body[data-ready="1"]')
        vehicle = page.get_by_test_id("vehicle-row").filter(has_text="since")
        await expect(vehicle).to_contain_text("battery 4 %")
        await vehicle.click()
        await expect(page.get_by_test_id("trip-panel")).to_contain_text("battery 4 %")
        assert watch.outside == []
        assert watch.complaints == []


async def test_the_page_follows_what_comes_without_a_reload(api: Api, org: Org, chrome: Browser):
    phone = await org.phone()
    await drove(org, phone, timedelta(seconds=1))
    await org.services.quality.flush()
    async with person(chrome) as owners:
        await owners.add_init_script("const set = setInterval; setInterval = (f, ms) => set(f, Math.min(ms, 500))")
        page = await signed_in(owners, api.url, org.owner_phone, f"devices/{phone.device_id}")
        now = page.get_by_test_id("device-now")
        await expect(now).to_contain_text("Live")
        await expect(page.get_by_test_id("no-rejections")).to_be_visible()
        org.services.quality.heard(org.org_id, phone.device_id, datetime.now(UTC), signal=Signal.LOST)
        await org.services.quality.flush()
        await expect(now).to_contain_text("Silent")
        await expect(page.get_by_test_id("because")).to_contain_text("was stopped or lost its connection")


async def test_a_phone_that_is_nobodys_and_a_role_that_may_not_are_told_so(api: Api, org: Org, chrome: Browser):
    phone = await org.phone()
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone, f"devices/{org.org_id}")
        await expect(page.get_by_role("alert")).to_contain_text("No such device")
    _, number = await org.person(Role.VIEWER)
    async with person(chrome) as viewers:
        page = await signed_in(viewers, api.url, number, f"devices/{phone.device_id}")
        await expect(page.get_by_text("Your role does not show")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
async def test_nothing_on_these_pages_bars_anybody(api: Api, org: Org, chrome: Browser, size: str, theme: str):
    _, never = await world(org)
    async with person(chrome, size, theme) as owners:
        watch = Watch(owners, api.url)
        page = await signed_in(owners, api.url, org.owner_phone, "devices")
        await expect(page.get_by_test_id("device-row").filter(has_text="Silent")).to_have_count(1)
        assert await wrongs(page) == []
        await page.get_by_test_id("device-row").filter(has_text="Silent").get_by_role("link").click()
        await expect(page.get_by_test_id("rejection-row")).to_have_count(50)
        await expect(heading(page)).to_be_focused()
        assert await wrongs(page) == []
        await page.goto(f"{api.url}/#/devices/{never.device_id}")
        await expect(page.get_by_test_id("no-days")).to_be_visible()
        await expect(page.get_by_test_id("no-rejections")).to_be_visible()
        assert await wrongs(page) == []
        assert watch.outside == []
        assert watch.complaints == []
