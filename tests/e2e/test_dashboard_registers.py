"""The dashboard's pages of members and devices, in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, Page, expect

from tests.conftest import Api
from tests.e2e.browser import SIZES, THEMES, Watch, browser, wrongs
from tests.e2e.dashboard import ENDED, NEEDS, heading, person, signed_in
from tests.factories import PASSWORD, Org
from waypost.kernel.principal import Role

pytestmark = NEEDS
WITHIN_MS = 5_000  # of the removal, on every node


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def invite(page: Page, name: str, contact: str, role: str) -> str:
    """By the dialog; where the link leads on this server."""
    await page.get_by_test_id("invite").click()
    dialog = page.get_by_test_id("invite-dialog")
    await dialog.get_by_label("Name", exact=True).fill(name)
    await dialog.get_by_label("Phone or e-mail").fill(contact)
    await dialog.get_by_label(role).check()
    await dialog.get_by_role("button", name="Invite", exact=True).dblclick()  # two clicks, one invitation
    link = await page.get_by_test_id("invitation-link").input_value()
    await page.get_by_role("button", name="Done").click()
    return link


async def test_a_member_is_invited_joins_gets_another_role_and_is_removed(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as owners, person(chrome) as tendais:
        watch = Watch(tendais, api.url)
        owner = await signed_in(owners, api.url, org.owner_phone, "members")
        await expect(owner.get_by_test_id("no-invitations")).to_be_visible()
        link = await invite(owner, "Tendai Moyo", "tendai@example.com", "Dispatcher")
        assert link.startswith(f"{api.url}/#/invite/")
        await expect(owner.get_by_test_id("invitation-row")).to_have_count(1)

        tendai = await tendais.new_page()
        await tendai.goto(link)
        await expect(tendai.get_by_role("heading", name="Join Harare Haulage")).to_be_visible()
        assert await wrongs(tendai) == []
        await tendai.get_by_label("Password", exact=True).fill(PASSWORD)
        await tendai.get_by_role("button", name="Accept and sign in").click()
        await expect(tendai.get_by_test_id("sign-out")).to_be_visible()
        assert link.split("/")[-1] not in tendai.url
        await tendai.get_by_test_id("nav-members").click()
        await expect(tendai.get_by_test_id("member-row")).to_have_count(2)
        await expect(tendai.get_by_role("button", name="Remove")).to_have_count(0)
        await tendai.goto(link)
        await expect(tendai.get_by_test_id("invitation-gone")).to_be_visible()
        await tendai.goto(f"{api.url}/#/members")

        await owner.reload()
        await expect(owner.get_by_test_id("no-invitations")).to_be_visible()
        row = owner.get_by_test_id("member-row").filter(has_text="Tendai Moyo")
        await row.get_by_role("button", name="Change role").click()
        await owner.get_by_test_id("role-dialog").get_by_label("Viewer").check()
        await owner.get_by_role("button", name="Save").click()
        await expect(row).to_contain_text("Viewer")
        await expect(tendai.get_by_test_id("nav-members")).to_have_count(0, timeout=WITHIN_MS)

        await row.get_by_role("button", name="Remove").click()
        await owner.get_by_test_id("confirm").get_by_role("button", name="Remove Tendai Moyo").click()
        await expect(tendai.get_by_text(ENDED)).to_be_visible(timeout=WITHIN_MS)
        await expect(row).to_have_count(0)
        await expect(heading(owner)).to_be_focused()
        assert watch.outside == []


async def test_what_somebody_else_changed_meanwhile_is_shown_instead_of_overwritten(
    api: Api, org: Org, chrome: Browser
):
    member, _ = await org.person(Role.VIEWER)
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone, "members")
        row = page.get_by_test_id("member-row").filter(has_text="Viewer")
        await row.get_by_role("button", name="Change role").click()
        dialog = page.get_by_test_id("role-dialog")
        await expect(dialog.get_by_role("button", name="Save")).to_be_visible()  # it has read the member by now
        path = f"/api/v1/members/{member.user_id}"
        assert (await api.as_(await org.token())("PATCH", path, {"role": "accountant"})).status == 200
        await dialog.get_by_label("Dispatcher").check()
        await dialog.get_by_role("button", name="Save").click()

        await expect(page.get_by_test_id("changed-by-other")).to_contain_text("the role is Accountant now")
        await expect(dialog.get_by_label("Accountant")).to_be_checked()
        assert (await api.as_(await org.token())("GET", path)).json["role"] == "accountant"
        await dialog.get_by_label("Dispatcher").check()
        await dialog.get_by_role("button", name="Save").click()
        await expect(page.get_by_test_id("member-row").filter(has_text="Dispatcher")).to_have_count(1)


async def test_a_device_that_somebody_else_moved_meanwhile_is_shown_where_it_is_now(
    api: Api, org: Org, chrome: Browser
):
    phone = await org.phone(running=False, in_truck=True)
    other = await org.services.directory.add_driver(org.owner, name="Farai Dube")
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone, "devices")
        await page.get_by_test_id("device-row").get_by_role("button", name="Move").click()
        await page.get_by_role("button", name="Move", exact=True).wait_for()
        path = f"/api/v1/devices/{phone.device_id}"
        change = {"driverId": str(other.id), "truckId": None}
        assert (await api.as_(await org.token())("PATCH", path, change)).status == 200
        await page.get_by_role("button", name="Move", exact=True).click()

        await expect(page.get_by_test_id("changed-by-other")).to_be_visible()
        await expect(page.get_by_role("combobox", name="Driver")).to_have_value("Farai Dube")
        await expect(page.get_by_role("combobox", name="Truck")).to_have_value("")
        await expect(page.get_by_test_id("device-row")).to_contain_text("Farai Dube")


async def test_the_only_owner_is_told_why_they_cannot_leave(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone, "members")
        await page.get_by_test_id("member-row").get_by_role("button", name="Remove").click()
        await page.get_by_test_id("confirm").get_by_role("button", name="Leave").click()
        await expect(page.get_by_test_id("form-error")).to_contain_text("the only owner")


async def choose(page: Page, label: str, text: str, option: str) -> None:
    """In a combobox, as with a keyboard."""
    field = page.get_by_role("combobox", name=label)
    await field.fill(text)
    await expect(page.get_by_role("option", name=option)).to_be_visible()
    while await page.locator("[role=option][data-active=true]", has_text=option).count() == 0:
        await field.press("ArrowDown")
    await field.press("Enter")
    await expect(field).to_have_attribute("aria-expanded", "false")


async def test_a_device_is_given_moved_and_withdrawn(api: Api, org: Org, chrome: Browser):
    driver = await org.services.directory.add_driver(org.owner, name="Farai Dube")
    await org.services.directory.add_truck(org.owner, name="AEF 4471")
    async with person(chrome) as owners:
        watch = Watch(owners, api.url)
        page = await signed_in(owners, api.url, org.owner_phone, "devices")
        await expect(page.get_by_test_id("no-devices")).to_be_visible()
        await page.get_by_test_id("give-device").click()
        await page.get_by_label("Name of the device").fill("Blue phone")
        await choose(page, "Driver", "Tendai Moyo", "Add the driver")  # nobody of that name: made here
        await page.get_by_role("button", name="Give the device").dblclick()
        token = await page.get_by_test_id("device-token").input_value()
        assert token in await page.get_by_test_id("device-setup").input_value()
        await page.keyboard.press("Escape")  # what is shown once does not go by a slip
        await expect(page.get_by_test_id("token-dialog")).to_be_visible()
        await page.get_by_role("button", name="Done").click()

        row = page.get_by_test_id("device-row")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("Tendai Moyo")
        await expect(row).to_contain_text("never")
        assert await reports(api, token)
        await expect(row).to_contain_text(re.compile(r"just now|\d s ago"))  # without a reload

        await row.get_by_role("button", name="Move").click()
        await choose(page, "Driver", "Farai", "Farai Dube")
        await page.get_by_role("combobox", name="Truck").fill("AEF")
        await page.get_by_role("button", name="Move", exact=True).click()
        await expect(page.get_by_text("Choose a truck from the list")).to_be_visible()  # not taken for "no truck"
        await choose(page, "Truck", "AEF", "AEF 4471")
        await page.get_by_role("button", name="Move", exact=True).click()
        await expect(row).to_contain_text("Farai Dube")
        await expect(row).to_contain_text("AEF 4471")
        devices = (await api.as_(await org.token())("GET", f"/api/v1/devices?driverId={driver.id}")).json["data"]
        assert [device["name"] for device in devices] == ["Blue phone"]

        await row.get_by_role("button", name="New token").click()
        await page.get_by_role("button", name="Make a new token").click()
        await expect(page.get_by_test_id("device-token")).not_to_have_value(token)
        token = await page.get_by_test_id("device-token").input_value()
        await page.get_by_role("button", name="Done").click()
        assert await reports(api, token)

        await row.get_by_role("button", name="Withdraw").click()
        await page.get_by_test_id("confirm").get_by_role("button", name="Withdraw Blue phone").click()
        await expect(page.get_by_test_id("no-devices")).to_be_visible()
        await page.get_by_test_id("devices-revoked").click()
        await expect(row).to_contain_text("Withdrawn")
        await expect(row.get_by_role("button")).to_have_count(0)
        assert watch.outside == []
        assert watch.complaints == []


async def reports(api: Api, token: str) -> bool:
    """Is a fix taken from whoever has this token?"""
    location = {"latitude": -17.8, "longitude": 31.0, "timestamp": datetime.now(UTC).isoformat()}
    answer = await api.as_(token)("POST", "/api/v1/tracking/ping", {"locations": [location]})
    return answer.status == 200


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
async def test_nothing_on_these_pages_bars_anybody(api: Api, org: Org, chrome: Browser, size: str, theme: str):
    await org.person(Role.DISPATCHER)
    await org.phone(running=False, in_truck=True)
    async with person(chrome, size, theme) as owners:
        watch = Watch(owners, api.url)
        page = await signed_in(owners, api.url, org.owner_phone, "members")
        await expect(page.get_by_test_id("member-row")).to_have_count(2)
        assert await wrongs(page) == []
        await page.get_by_test_id("invite").click()
        await page.get_by_role("button", name="Invite", exact=True).click()
        await expect(page.get_by_text("Enter a name.")).to_be_visible()
        assert await wrongs(page) == []
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("invite")).to_be_focused()

        await page.get_by_test_id("nav-devices").click()
        await expect(page.get_by_test_id("device-row")).to_have_count(1)
        await expect(heading(page)).to_be_focused()
        await expect(page).to_have_title("Devices · Waypost")
        assert await wrongs(page) == []
        await page.get_by_test_id("give-device").click()
        await page.get_by_role("combobox", name="Driver").fill("D")
        await expect(page.get_by_role("option", name="Driver", exact=False).first).to_be_visible()
        assert await wrongs(page) == []
        assert watch.outside == []
        assert watch.complaints == []


async def test_the_map_is_as_it_was_when_one_comes_back_to_it(api: Api, org: Org, chrome: Browser):
    phone = await org.phone(in_truck=True)
    assert await reports(api, phone.token)
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone)
        await page.wait_for_selector('body[data-ready="1"]')
        await page.get_by_test_id("vehicle-row").click()
        await expect(page.get_by_test_id("trip-panel")).to_be_visible()
        await page.get_by_role("button", name="Zoom out").click()
        canvas = await page.query_selector("canvas.maplibregl-canvas")
        await page.get_by_test_id("nav-members").click()
        await expect(page.get_by_test_id("member-row")).to_have_count(1)
        await expect(page.get_by_test_id("trip-panel")).to_be_hidden()
        await page.keyboard.press("Escape")  # is for the page that is shown
        await page.go_back()
        await expect(page.get_by_test_id("trip-panel")).to_be_visible()
        assert canvas is not None
        assert await canvas.is_visible()  # the very same map


async def test_the_keyboard_alone_goes_everywhere(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as owners:
        page = await signed_in(owners, api.url, org.owner_phone, "members")
        await expect(page.get_by_test_id("member-row")).to_have_count(1)
        await page.reload()
        await expect(page.get_by_test_id("member-row")).to_have_count(1)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(heading(page)).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("invite-dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("invite-dialog")).to_have_count(0)
