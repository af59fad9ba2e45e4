"""The machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

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
THEMES = ("light", "dark")
AXE = Path(__file__).resolve().parents[2] / "dashboard/node_modules/axe-core/axe.min.js"

# What a finger must hit, unless a label around it can be hit as well or it stands in running text (WCAG 2.2, 2.5.8).
SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, input, select, textarea, [role=option]')]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest('label, p'))
  .map((each) => ({ text: each.outerHTML.slice(0, 120), box: each.getBoundingClientRect() }))
  .filter(({ box }) => box.width < 24 || box.height < 24)
  .map(({ text, box }) => `${text} ${box.width} x ${box.height}`)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
RUN_AXE = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  const place = ({ html, any }) => `${html.slice(0, 120)} ${any[0]?.message ?? ''}`;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(place).join('; ')}`);
}"""


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


async def wrongs(page: Page) -> list[str]:
    """What bars somebody from what the page shows now: sideways scrolling, tiny targets, what axe finds."""
    overflow = await page.evaluate(OVERFLOW)
    found = [f"{overflow} px wider than the screen"] if overflow > 0 else []
    found += [f"small: {each}" for each in await page.evaluate(SMALL_TARGETS)]
    if AXE.is_file():
        await page.evaluate(AXE.read_text())
        violations: list[Any] = await page.evaluate(RUN_AXE)
        found += [str(each) for each in violations]
    return found
