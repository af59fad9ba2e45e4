"""A person at the dashboard: what the browser tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.browser import SIZES, chromium, sign_in
from tests.factories import PASSWORD
from waypost.platform.pages import WEB

NEEDS = [
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: browser tests are skipped"),
    pytest.mark.skipif(not (WEB / "index.html").is_file(), reason="the dashboard is not built (make web)"),
]
SLOW_MS = 30_000  # software GL on shared cores
ENDED = "Your session has ended. Sign in again."


@asynccontextmanager
async def person(chrome: Browser, size: str = "desk", theme: str = "light") -> AsyncIterator[BrowserContext]:
    """A browser of somebody's own: with its own storage, shared by its tabs."""
    width, height = SIZES[size]
    context = await chrome.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    context.set_default_timeout(SLOW_MS)
    try:
        yield context
    finally:
        await context.close()


async def signed_in(context: BrowserContext, url: str, phone: str, page_name: str = "") -> Page:
    """A new tab on ``#/page_name``, after signing in there."""
    page = await context.new_page()
    await sign_in(page, f"{url}/#/{page_name}", phone, PASSWORD)
    await expect(page.get_by_test_id("sign-out")).to_be_visible(timeout=SLOW_MS)
    return page


def heading(page: Page) -> Locator:
    return page.locator("main h1:visible")


async def stored(page: Page, key: str) -> str:
    """A part of the session as the browser keeps it: ``accessToken``, ``refreshToken``."""
    return str(await page.evaluate(f"() => JSON.parse(localStorage.getItem('waypost.session') ?? '{{}}').{key} ?? ''"))
