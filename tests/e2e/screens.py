"""``make screens``: every page at both sizes, light and dark, into build/screens."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from tests.e2e.browser import SIZES, browser, chromium, sign_in

READY_MS = 60_000
SETTLE_MS = 6_000  # let vehicles move: this is a picture, not a test


@asynccontextmanager
async def demo(traces: Path | None) -> AsyncIterator[dict[str, Any]]:
    """A demo on a free port with data of its own; its info."""
    with tempfile.TemporaryDirectory(prefix="waypost-screens-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - the servers' account passes through
        info = Path(folder) / "info.json"
        options = ["--data", f"{folder}/data", "--port", "0", "--info", str(info)]
        options += ["--traces", str(traces)] if traces else []
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "waypost.cli", "up", "--demo", *options)
        try:
            async with asyncio.timeout(60):
                while not info.exists():  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.1)
            await asyncio.sleep(25)  # until most vehicles have been heard of
            yield json.loads(info.read_text())
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def take(chrome: Browser, info: dict[str, Any], out: Path, size: str, theme: str) -> None:
    width, height = SIZES[size]
    context = await chrome.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(READY_MS)
    await page.goto(info["url"])
    await page.get_by_test_id("sign-in-form").wait_for()
    await page.screenshot(path=out / f"{size}-{theme}-sign-in.png")
    await sign_in(page, info["url"], info["phone"], info["password"])
    await page.wait_for_selector('body[data-ready="1"]')
    await page.wait_for_timeout(SETTLE_MS)
    await page.screenshot(path=out / f"{size}-{theme}-map.png", timeout=READY_MS)
    row = page.get_by_test_id("vehicle-row").first
    if not await row.is_visible():
        await page.get_by_role("tab", name="List").or_(page.get_by_role("button", name="List")).first.click()
        await page.screenshot(path=out / f"{size}-{theme}-list.png", timeout=READY_MS)
    await row.click()
    await page.get_by_test_id("trip-panel").wait_for()
    await page.wait_for_timeout(SETTLE_MS)
    await page.screenshot(path=out / f"{size}-{theme}-trip.png", timeout=READY_MS)
    await context.close()


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, help="recorded traces (default: what the demo finds)")
    parser.add_argument("--out", type=Path, default=Path("build/screens"))
    options = parser.parse_args()
    if chromium() is None:
        sys.stderr.write("there is no Chromium on this machine\n")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    async with demo(options.traces) as info, browser() as chrome:
        for size in SIZES:
            for theme in ("light", "dark"):
                await take(chrome, info, options.out, size, theme)
                sys.stdout.write(f"{size} {theme}\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
