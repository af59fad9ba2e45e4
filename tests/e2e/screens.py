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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from tests.e2e.browser import SIZES, THEMES, browser, chromium, sign_in
from tests.e2e.dashboard import ENDED, person, stored

READY_MS = 60_000
STILL_MS = 300  # a dialog is in its place, a theme has taken hold
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


@dataclass(frozen=True, slots=True)
class Camera:
    """Takes pictures of one browser at one size in one theme."""

    page: Page
    info: dict[str, Any]
    out: Path
    prefix: str

    async def take(self, name: str) -> None:
        await self.page.wait_for_timeout(STILL_MS)
        await self.page.screenshot(path=self.out / f"{self.prefix}-{name}.png", timeout=READY_MS)

    async def go(self, place: str) -> None:
        await self.page.goto(f"{self.info['url']}/{place}")


async def entry(camera: Camera) -> None:
    await camera.go("")
    await camera.page.get_by_test_id("sign-in-form").wait_for()
    await camera.take("sign-in")
    await sign_in(camera.page, camera.info["url"], camera.info["phone"], "not the password")
    await camera.page.get_by_test_id("sign-in-error").wait_for()
    await camera.take("sign-in-refused")
    await sign_in(camera.page, camera.info["url"], camera.info["phone"], camera.info["password"])


async def live_map(camera: Camera) -> None:
    page = camera.page
    await page.wait_for_selector('body[data-ready="1"]')
    await page.wait_for_timeout(SETTLE_MS)
    await camera.take("map")
    row = page.get_by_test_id("vehicle-row").first
    if not await row.is_visible():
        await page.get_by_role("tab", name="List").or_(page.get_by_role("button", name="List")).first.click()
        await camera.take("list")
    await row.click()
    await page.get_by_test_id("trip-panel").wait_for()
    await page.wait_for_timeout(SETTLE_MS)
    await camera.take("trip")


async def members(camera: Camera) -> str:
    """The members' pages; an invitation's link."""
    page = camera.page
    await camera.go("#/members")
    await page.get_by_test_id("member-row").first.wait_for()
    await page.get_by_test_id("invite").click()
    await page.get_by_role("button", name="Invite", exact=True).click()
    await camera.take("invite-dialog-errors")
    await page.get_by_label("Name", exact=True).fill("Farai Dube")
    await page.get_by_label("Phone or e-mail").fill("farai@example.com")
    await camera.take("invite-dialog")
    await page.get_by_role("button", name="Invite", exact=True).click()
    link = await page.get_by_test_id("invitation-link").input_value()
    await camera.take("invitation-link")
    await page.get_by_role("button", name="Done").click()
    await page.get_by_test_id("invitation-row").wait_for()
    await camera.take("members")
    for button, name in (("Change role", "role-dialog"), ("Remove", "remove-dialog")):
        await page.get_by_test_id("member-row").get_by_role("button", name=button).first.click()
        await camera.take(name)
        await page.keyboard.press("Escape")
    return link


async def devices(camera: Camera) -> None:
    page = camera.page
    await camera.go("#/devices")
    await page.get_by_test_id("device-row").first.wait_for()
    await camera.take("devices")
    await page.get_by_test_id("device-row").first.get_by_role("link").click()
    await page.get_by_test_id("day-table").or_(page.get_by_test_id("no-days")).wait_for()
    await camera.take("device")
    await page.go_back()
    await page.get_by_test_id("give-device").click()
    await page.get_by_label("Name of the device").fill("Blue phone")
    await page.get_by_role("combobox", name="Driver").click()
    await page.get_by_role("option").first.wait_for()
    await camera.take("give-dialog")
    await page.get_by_role("option").first.click()
    await page.get_by_role("button", name="Give the device").click()
    await page.get_by_test_id("token-dialog").wait_for()
    await camera.take("token-dialog")
    await page.get_by_role("button", name="Done").click()
    row = page.get_by_test_id("device-row").filter(has_text="Blue phone")
    await row.get_by_role("button", name="Move").click()
    await page.get_by_role("button", name="Move", exact=True).wait_for()
    await camera.take("move-dialog")
    await page.keyboard.press("Escape")
    await row.get_by_role("button", name="Withdraw").click()
    await camera.take("withdraw-dialog")
    await page.get_by_test_id("confirm").get_by_role("button", name="Withdraw").click()
    await row.wait_for(state="detached")
    await camera.go("#/devices?state=revoked")
    await row.first.wait_for()
    await camera.take("devices-withdrawn")


async def ends(camera: Camera, invitation: str) -> None:
    """An invitation's page, one that is over, the notices, and a session that ends."""
    page = camera.page
    await page.goto(invitation)
    await page.get_by_test_id("accept-form").wait_for()
    await camera.take("invitation")
    await camera.go("#/invite/used-long-ago")
    await page.get_by_test_id("invitation-gone").wait_for()
    await camera.take("invitation-over")
    await camera.go("dev/outbox")
    await camera.take("outbox")
    await camera.go("#/members")
    await page.get_by_test_id("member-row").first.wait_for()
    token = await stored(page, "accessToken")
    await page.request.post(
        f"{camera.info['url']}/api/v1/auth/logout", headers={"Authorization": f"Bearer {token}"}, data={}
    )
    await page.get_by_text(ENDED).wait_for()
    await camera.take("session-ended")


async def take(chrome: Browser, info: dict[str, Any], out: Path, size: str, theme: str) -> None:
    async with person(chrome, size, theme) as context:
        page = await context.new_page()
        page.set_default_timeout(READY_MS)
        camera = Camera(page, info, out, f"{size}-{theme}")
        await entry(camera)
        await live_map(camera)
        invitation = await members(camera)
        await devices(camera)
        await ends(camera, invitation)


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
            for theme in THEMES:
                await take(chrome, info, options.out, size, theme)
                sys.stdout.write(f"{size} {theme}\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
