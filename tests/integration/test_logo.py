"""The organisation's logo: who sets it, who sees it, and on what it stands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from io import BytesIO

import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.notices import telling
from tests.papers import an_agreement
from tests.pictures import LOGO, drawn, encoded
from tests.waiting import until
from waypost.identity.domain import Selling
from waypost.identity.letterhead import letterhead
from waypost.identity.logos import AT_ONCE, WAITING, PicturesBusy
from waypost.kernel.principal import Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.render import renderer
from waypost.notifications.words.samples import Sample, sample
from waypost.notifications.words.service import Words
from waypost.platform.papers.page import page_of
from waypost.platform.papers.press import Press, pdf_of
from waypost.wiring import Services

PATH = "/api/v1/org/logo"
PUBLIC = "https://waypost.example/"
MADE_AT = datetime(2026, 11, 22, tzinfo=UTC)


async def put(api: Api, data: bytes = LOGO) -> str:
    """Where it is shown."""
    answer = await api("PUT", PATH, data=data, headers={"Content-Type": "image/png"})
    assert answer.status == 200, answer
    return str(answer.json["selling"]["logo"]["path"])


async def test_anybody_who_has_its_address_sees_it_and_keeps_it_for_ever(api: Api, org: Org):
    owner = api.as_(await org.token())
    path = await put(owner)
    seen = await api("GET", path)
    assert (seen.status, seen.headers["Content-Type"], seen.json[:4]) == (200, "image/png", b"\x89PNG")
    assert seen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    again = await api("GET", path, headers={"If-None-Match": seen.headers["ETag"]})
    assert (again.status, again.json) == (304, b"")
    assert (await owner("GET", "/api/v1/org")).json["selling"]["logo"]["path"] == path


async def test_another_logo_has_another_address_and_the_former_is_still_shown_in_old_e_mails(api: Api, org: Org):
    owner = api.as_(await org.token())
    first, second = await put(owner), await put(owner, encoded(drawn(ink="red")))
    assert first != second
    assert [(await api("GET", path)).status for path in (first, second)] == [200, 200]


async def test_too_many_former_ones_go_the_oldest_first(api: Api, org: Org, services: Services):
    logos, who = services.logos, org.owner
    paths = [(await logos.put(who, encoded(drawn(ink=f"#{n:02x}0000")))).settings.selling.logo for n in range(11)]
    kept = [await logos.png(logo.key) is not None for logo in paths if logo is not None]
    assert kept.count(True) == 10
    assert kept[-1]


async def test_removed_it_is_shown_nowhere(api: Api, org: Org):
    owner = api.as_(await org.token())
    first, second = await put(owner), await put(owner)
    assert (await owner("DELETE", PATH)).status == 204
    assert [(await api("GET", path)).status for path in (first, second)] == [404, 404]
    assert (await owner("GET", "/api/v1/org")).json["selling"]["logo"] is None
    assert (await owner("DELETE", PATH)).status == 204
    actions = [row["action"] for row in (await owner("GET", "/api/v1/audit")).json["data"]]
    assert actions[:3] == ["organisation.logo_removed", "organisation.logo_changed", "organisation.logo_changed"]


async def test_what_is_no_picture_and_what_is_too_large_changes_nothing(api: Api, org: Org):
    owner = api.as_(await org.token())
    path = await put(owner)
    refused = await owner("PUT", PATH, data=b"<svg/>", headers={"Content-Type": "image/png"})
    assert (refused.status, refused.json["code"]) == (422, "picture-unreadable")
    large = await owner("PUT", PATH, data=BytesIO(bytes(2 * 1024 * 1024 + 1)), headers={"Content-Type": "image/png"})
    assert (large.status, large.json["code"]) == (413, "body-too-large")
    assert (await owner("GET", "/api/v1/org")).json["selling"]["logo"]["path"] == path


async def test_who_comes_when_many_wait_is_sent_away_and_comes_back(org: Org, services: Services):
    async with services.logos.at_once:  # one is being read
        waiting = [asyncio.create_task(services.logos.put(org.owner, LOGO)) for _ in range(AT_ONCE + WAITING)]
        await until(services.logos.inside.locked)
        with pytest.raises(PicturesBusy):
            await services.logos.put(org.owner, LOGO)
    await asyncio.gather(*waiting)
    await services.logos.put(org.owner, LOGO)


async def test_only_an_owner_sets_it_and_nobody_by_way_of_the_other_settings(api: Api, org: Org):
    _, phone = await org.person(Role.DISPATCHER)
    dispatcher = api.as_(await org.token(phone))
    assert (await dispatcher("PUT", PATH, data=LOGO, headers={"Content-Type": "image/png"})).status == 403
    owner = api.as_(await org.token())
    forged = await owner(
        "PATCH", "/api/v1/org", {"selling": {"logo": {"path": "//evil.example", "width": 1, "height": 1}}}
    )
    assert forged.status == 422
    path = await put(owner)
    await owner("PATCH", "/api/v1/org", {"selling": {"footer": "Ours"}})
    assert (await owner("GET", "/api/v1/org")).json["selling"]["logo"]["path"] == path


async def test_one_organisation_does_not_remove_anothers(api: Api, org: Org, services: Services):
    path = await put(api.as_(await org.token()))
    other = await organisation(services, "Other")
    assert (await api.as_(await other.token())("DELETE", PATH)).status == 204
    assert (await api("GET", path)).status == 200


async def said(services: Services, org: Org, *, public_url: str | None = PUBLIC, kind: str = "payment_received") -> str:
    words, facts = Words(renderer(), public_url), sample(kind, Sample.ORDINARY)
    selling = (await services.rules.of(org.org_id)).selling
    async with services.database.transaction(org.org_id) as conn:
        text = await words.text(conn, org.org_id, kind, ChannelName.EMAIL, "en", facts, selling=selling)
    return text.html


async def test_an_e_mail_shows_it_by_its_public_address_with_the_name_for_who_sees_no_pictures(
    api: Api, org: Org, services: Services
):
    assert "<img" not in await said(services, org)
    path = await put(api.as_(await org.token()))
    html = await said(services, org)
    assert f'src="https://waypost.example{path}" width="200" height="60" alt="Jacaranda Stores"' in html
    assert "<img" not in await said(services, org, public_url=None)  # where nobody outside could fetch it


async def test_an_invoice_of_another_organisation_does_not_carry_our_logo(api: Api, org: Org, services: Services):
    await put(api.as_(await org.token()))
    assert "<img" not in await said(services, org, kind="invoice_issued")


async def test_a_paper_carries_it_in_both_forms(api: Api, org: Org, services: Services):
    await put(api.as_(await org.token()))
    selling = (await services.rules.of(org.org_id)).selling
    plain = an_agreement()
    paper = msgspec.structs.replace(plain, shop=letterhead("Shop", selling, lambda *_, **__: ""))
    illustrated = await Press(pictures=services.logos.png).illustrated(paper)
    assert '<img class="logo" src="data:image/png;base64,iVBOR' in page_of(illustrated).html
    assert b"/Subtype/Image" in pdf_of(illustrated, MADE_AT)
    assert b"/Subtype/Image" not in pdf_of(paper, MADE_AT)


async def test_a_paper_of_a_shop_whose_logo_is_gone_is_made_without(services: Services):
    shop = letterhead("Shop", Selling(), lambda *_, **__: "")
    paper = msgspec.structs.replace(an_agreement(), shop=msgspec.structs.replace(shop, logo="gone"))
    assert await Press(pictures=services.logos.png).illustrated(paper) == paper


async def test_an_e_mail_that_is_sent_has_it_from_then_on(environment: dict[str, str]):
    async with telling(environment, WAYPOST_PUBLIC_URL="https://waypost.example") as world:
        await world.attempt(await world.told())
        await world.services.logos.put(world.org.owner, LOGO)
        delivery = await world.told()
        await world.attempt(delivery)
        logo = (await world.services.rules.of(world.org.org_id)).selling.logo
        assert logo is not None
        assert f'src="https://waypost.example{logo.path}"' in (await world.row(delivery))["html"]
        sent = [str(row["html"]).count("<img") for row in await world.rows()]
        assert sent == [0, 1]
