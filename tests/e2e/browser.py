"""The machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


def chromium() -> str | None:
    """The program, or None where there is no Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield launched
        finally:
            await launched.close()


class Watch:
    """What a page must not do: ask anyone else, break its policy, throw, complain."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.outside: list[str] = []
        self.complaints: list[str] = []
        context.on("request", self._request)
        context.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        context.on("weberror", lambda e: self.complaints.append(str(e.error)))

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.outside.append(request.url)


async def sign_in(page: Page, url: str, phone: str, password: str) -> None:
    """As a person does it."""
    await page.goto(url)
    form = page.get_by_test_id("sign-in-form")
    await form.locator("input").first.fill(phone)
    await form.locator("input[type=password]").fill(password)
    await form.locator("button[type=submit]").click()
