"""A dispatcher at the dashboard, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import Api
from tests.e2e.browser import SIZES, THEMES, Watch, browser, chromium, sign_in, wrongs
from tests.factories import PASSWORD, Org, Phone
from waypost.platform.pages import WEB

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: browser tests are skipped"),
    pytest.mark.skipif(not (WEB / "index.html").is_file(), reason="the dashboard is not built (make web)"),
]
SLOW_MS = 30_000  # software GL on shared cores


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def report(api: Api, phone: Phone, latitude: float, **fields: object) -> None:
    at = datetime.now(UTC).isoformat()
    location = {"latitude": latitude, "longitude": 31.0, "timestamp": at, "speed": 8.0, "heading": 45, **fields}
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": [location]})
    assert answer.json["accepted"] == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
async def test_a_dispatcher_signs_in_sees_vehicles_move_and_opens_a_trip(
    api: Api, org: Org, chrome: Browser, size: str, theme: str
):
    phones = [await org.phone(in_truck=True) for _ in range(3)]
    for number, phone in enumerate(phones):
        await report(api, phone, -17.80 - number / 100)
    width, height = SIZES[size]
    context = await chrome.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    watch = Watch(context, api.url)
    page = await context.new_page()
    page.set_default_timeout(SLOW_MS)

    await sign_in(page, api.url, org.owner_phone, PASSWORD)
    await page.wait_for_selector('body[data-ready="1"]')
    await expect(page.get_by_test_id("figure-vehicles")).to_contain_text("3", timeout=SLOW_MS)
    await expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=SLOW_MS)

    trip = phones[0].trip
    assert trip is not None
    rows = page.get_by_test_id("vehicle-row")
    if not await rows.first.is_visible():  # on a phone the list is behind its tab
        await page.get_by_role("tab", name="List").or_(page.get_by_role("button", name="List")).first.click()
    await expect(rows).to_have_count(3)
    await rows.filter(has_text=trip.reference).click()
    panel = page.get_by_test_id("trip-panel")
    await expect(panel).to_contain_text(trip.reference)
    await expect(page.get_by_test_id("event-list")).to_contain_text("started")

    await report(api, phones[0], -17.8003, speed=20.0)
    await expect(panel).to_contain_text("72", timeout=SLOW_MS)  # 20 m/s, without a reload
    staff = api.as_(await org.token())
    assert (await staff("POST", f"/api/v1/trips/{trip.id}/complete")).status == 200
    await expect(page.get_by_test_id("event-list")).to_contain_text("completed", timeout=SLOW_MS)

    assert await wrongs(page) == []
    assert watch.outside == []
    assert watch.complaints == []
    await context.close()


async def test_a_wrong_password_is_told_in_words_and_no_map_code_is_loaded(api: Api, org: Org, chrome: Browser):
    page = await chrome.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await sign_in(page, api.url, org.owner_phone, "not the password")
    await expect(page.get_by_test_id("sign-in-error")).to_be_visible()
    assert not [url for url in asked if "maplibre" in url.lower() or "worker" in url.lower()]


async def test_the_page_keeps_its_policy_and_its_cache_rules(api: Api):
    page = await api("GET", "/")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert page.headers["Cache-Control"] == "no-cache"
    asset = next(path for path in sorted((WEB / "assets").glob("*.js")))
    served = await api("GET", f"/assets/{asset.name}", headers={"Accept-Encoding": "gzip"})
    assert "immutable" in served.headers["Cache-Control"]
    assert served.headers["Content-Encoding"] == "gzip"
    assert (await api("GET", "/assets/..%2findex.html")).status == 404
