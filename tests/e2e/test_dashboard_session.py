"""Signing in and out at the dashboard, and sessions that end by themselves, in a real browser.

The server gives access tokens for ten seconds, so that each of these sessions is renewed while it is looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import Api
from tests.e2e.browser import Watch, browser, sign_in, wrongs
from tests.e2e.dashboard import ENDED, NEEDS, SLOW_MS, heading, person, signed_in, stored
from tests.factories import PASSWORD, Org, organisation
from tests.waiting import until
from waypost.kernel.principal import Role
from waypost.wiring import Services

pytestmark = NEEDS
ACCESS_TOKEN_S = 10
WITHIN_MS = 5_000  # of the end of a session, on every node


@pytest.fixture
async def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "WAYPOST_ACCESS_TOKEN_S": str(ACCESS_TOKEN_S), "WAYPOST_SIGN_INS_PER_ACCOUNT": "3"}


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


async def test_signing_out_in_one_tab_signs_out_the_others_and_ends_the_session(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as browser_of_dana:
        first = await signed_in(browser_of_dana, api.url, org.owner_phone)
        second = await browser_of_dana.new_page()
        await second.goto(f"{api.url}/#/members")
        await expect(heading(second)).to_have_text("Members")
        refresh_token = await stored(second, "refreshToken")
        access_token = await stored(second, "accessToken")

        await first.get_by_test_id("sign-out").click()
        await expect(first.get_by_test_id("sign-in-form")).to_be_visible()
        await expect(first.get_by_test_id("sign-in-error")).to_have_count(0)
        await expect(second.get_by_test_id("sign-in-form")).to_be_visible()
        await expect(second.get_by_text(ENDED)).to_be_visible()
        await second.reload()
        await expect(second.get_by_test_id("sign-in-form")).to_be_visible()

    async def is_refused() -> bool:
        return (await api.as_(access_token)("GET", "/api/v1/me")).status == 401

    await until(is_refused)
    assert (await api("POST", "/api/v1/auth/refresh", {"refreshToken": refresh_token})).status == 401


async def test_two_tabs_go_on_for_longer_than_a_token_lasts_and_share_each_renewal(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as browser_of_dana:
        watch = Watch(browser_of_dana, api.url)
        sent: list[str | None] = []
        browser_of_dana.on("request", lambda r: sent.append(r.post_data) if r.url.endswith("/auth/refresh") else None)
        first = await signed_in(browser_of_dana, api.url, org.owner_phone, "members")
        second = await browser_of_dana.new_page()
        await second.goto(f"{api.url}/#/devices")
        seen = {await stored(first, "accessToken")}

        async def was_renewed_twice() -> bool:
            seen.add(await stored(first, "accessToken"))
            return len(seen) == 3

        await until(was_renewed_twice, within_s=4 * ACCESS_TOKEN_S)
        assert len(sent) >= 2
        # A tab may once be told late of what the other stored; the server then answers both the same.
        assert len(sent) - len(set(sent)) <= 1, "two tabs have sent one token: each renewed for itself"
        for page, link, title in ((first, "nav-devices", "Devices"), (second, "nav-members", "Members")):
            await page.get_by_test_id(link).click()
            await expect(heading(page)).to_have_text(title)
            await expect(page.get_by_test_id("connection")).to_contain_text("Live")
        await expect(second.get_by_test_id("member-row")).to_have_count(1)
        assert watch.complaints == []


async def test_a_session_that_was_ended_elsewhere_leads_to_the_sign_in_and_back_to_the_same_page(
    api: Api, org: Org, chrome: Browser
):
    async with person(chrome) as browser_of_dana:
        page = await signed_in(browser_of_dana, api.url, org.owner_phone, "devices?state=revoked")
        await expect(heading(page)).to_have_text("Devices")
        other = api.as_(await org.token())
        assert (await other("POST", "/api/v1/auth/logout", {"everywhere": True})).status == 204

        await expect(page.get_by_test_id("sign-in-error")).to_have_text(ENDED, timeout=WITHIN_MS)
        assert await wrongs(page) == []
        form = page.get_by_test_id("sign-in-form")
        await form.get_by_label("Phone or e-mail").fill(org.owner_phone)
        await form.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(heading(page)).to_have_text("Devices")
        await expect(heading(page)).to_be_focused()
        await expect(page.get_by_test_id("devices-revoked")).to_have_attribute("aria-current", "true")


async def test_who_cannot_be_let_in_is_told_for_how_long(api: Api, org: Org, chrome: Browser):
    async with person(chrome) as browser_of_dana:
        page = await browser_of_dana.new_page()
        for _ in range(3):
            await sign_in(page, api.url, org.owner_phone, "not the password")
            await expect(page.get_by_test_id("sign-in-error")).to_contain_text("do not match")
        await sign_in(page, api.url, org.owner_phone, "not the password")
        await expect(page.get_by_test_id("sign-in-error")).to_contain_text("Too many attempts. Try again in")
        await expect(page.get_by_role("button", name="Try again in")).to_be_disabled()
        assert await wrongs(page) == []


async def test_who_belongs_to_two_organisations_chooses_one_of_them(
    api: Api, org: Org, chrome: Browser, services: Services
):
    other = await organisation(services, "Bulawayo Bricks")
    staff = api.as_(await other.token())
    invited = await staff("POST", "/api/v1/invitations", {"name": "D", "phone": org.owner_phone, "role": "viewer"})
    accepted = {"token": invited.json["token"], "password": PASSWORD}
    assert (await api("POST", "/api/v1/auth/invitations/accept", accepted)).status == 200

    async with person(chrome) as browser_of_dana:
        page = await browser_of_dana.new_page()
        await sign_in(page, api.url, org.owner_phone, PASSWORD)
        await expect(page.get_by_test_id("organisations").get_by_role("button")).to_have_count(2)
        assert await wrongs(page) == []
        await page.get_by_role("button", name="Bulawayo Bricks").click()
        await expect(page.locator(".who-org")).to_have_text("Bulawayo Bricks")
        await expect(page.get_by_test_id("nav-members")).to_have_count(0)  # a viewer there


async def test_another_role_shows_without_signing_in_again(api: Api, org: Org, chrome: Browser):
    member, phone = await org.person(Role.DISPATCHER)
    async with person(chrome) as browser_of_tendai:
        page = await signed_in(browser_of_tendai, api.url, phone, "members")
        await expect(page.get_by_test_id("member-row")).to_have_count(2)
        staff = api.as_(await org.token())
        path = f"/api/v1/members/{member.user_id}"
        assert (await staff("PATCH", path, {"role": "viewer"})).status == 200
        await expect(page.get_by_test_id("nav-members")).to_have_count(0, timeout=WITHIN_MS)
        await expect(page.get_by_text("Your role does not show the members")).to_be_visible()
        await page.goto(f"{api.url}/#/")
        await expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=SLOW_MS)
        assert (await staff("PATCH", path, {"role": "driver"})).status == 200
        await expect(page.get_by_test_id("driver-page")).to_be_visible(timeout=WITHIN_MS)
