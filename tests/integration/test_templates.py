"""An organisation's own words: checked, tried, kept in versions, used when it tells, and taken back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from waypost.kernel.clock import SystemClock
from waypost.kernel.errors import Denied
from waypost.kernel.principal import Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Text
from waypost.notifications.kinds import KINDS
from waypost.notifications.providers.accounts import AfricasTalkingConfig, ProviderAccount, ProviderName
from waypost.notifications.render import renderer
from waypost.notifications.words import desk as desk_module
from waypost.notifications.words import storage
from waypost.notifications.words.desk import Draft, TemplateDesk, Which
from waypost.notifications.words.domain import Form, OwnWords, TooManyTemplates
from waypost.notifications.words.samples import Sample, sample
from waypost.notifications.words.service import Words
from waypost.platform.database import SYSTEM

PATH = "/api/v1/templates"
SMS = f"{PATH}/payment_received/sms/en"
OWN = "{{ business }}: got {{ amountMinor | money(currency) }}, ta!"
FACTS = sample("payment_received", Sample.ORDINARY)


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def said(org: Org, kind: str = "payment_received", locale: str = "en", **more: Any) -> Text:
    """What a notice says now."""
    words, channel = Words(renderer()), more.pop("channel", ChannelName.SMS)
    facts = more.pop("facts", sample(kind, Sample.ORDINARY))
    async with org.services.database.transaction(SYSTEM) as conn:
        return await words.text(conn, org.org_id, kind, channel, locale, facts, **more)


async def test_every_kind_is_listed_with_the_facts_that_its_words_may_use(owner: Api):
    answer = await owner("GET", PATH)
    kinds = {row["kind"]: row for row in answer.json["data"]}
    assert kinds.keys() == KINDS.keys()
    fields = {field["name"]: field for field in kinds["payment_failed"]["fields"]}
    assert fields["amountMinor"] == {"name": "amountMinor", "sort": "money", "example": "25000"}
    assert "no_funds" in fields["reason"]["codes"]
    assert kinds["payment_failed"]["languages"] == ["en", "es", "fr", "pt"]
    assert kinds["payment_failed"]["own"] == []
    assert "money" in answer.json["filters"]


async def test_words_of_ones_own_are_used_from_when_they_are_saved_until_they_are_taken_back(owner: Api, org: Org):
    before = await owner("GET", SMS)
    assert (before.json["language"], before.json["versions"], "version" in before.json) == ("en", 0, False)
    assert "ta!" not in (await said(org)).body

    saved = await owner("PUT", SMS, {"body": OWN, "note": "shorter"})
    assert (saved.status, saved.json["version"], saved.json["body"], saved.json["note"]) == (200, 1, OWN, "shorter")
    text = await said(org)
    assert (text.template, text.body) == ("own/en/payment_received.sms@1", "Jacaranda Stores: got KES 250.00, ta!")

    back = await owner("POST", f"{SMS}/use", {"version": None})
    assert "version" not in back.json
    assert back.json["versions"] == 1
    assert (await said(org)).template.startswith("en/payment_received.sms.txt@")


async def test_a_version_is_never_changed_and_an_older_one_can_be_used_again(owner: Api, org: Org):
    for word in ("one", "two", "three"):
        await owner("PUT", SMS, {"body": f"{{{{ business }}}} {word}"})
    page = await owner("GET", f"{SMS}/versions?limit=2")
    assert [(row["version"], row["body"]) for row in page.json["data"]] == [
        (3, "{{ business }} three"),
        (2, "{{ business }} two"),
    ]
    rest = await owner("GET", f"{SMS}/versions?limit=2&cursor={page.json['nextCursor']}")
    assert [row["version"] for row in rest.json["data"]] == [1]
    used = await owner("POST", f"{SMS}/use", {"version": 1})
    assert (used.json["version"], used.json["versions"]) == (1, 3)
    assert (await said(org)).body == "Jacaranda Stores one"
    assert (await owner("POST", f"{SMS}/use", {"version": 9})).status == 404


async def test_saving_what_is_used_already_makes_no_version(owner: Api):
    answers = [await owner("PUT", SMS, {"body": OWN}) for _ in range(3)]
    assert [answer.json["versions"] for answer in answers] == [1, 1, 1]


async def test_who_has_seen_an_older_version_changes_nothing(owner: Api):
    first = await owner("GET", SMS)
    await owner("PUT", SMS, {"body": OWN}, headers={"If-Match": first.headers["ETag"]})
    late = await owner("PUT", SMS, {"body": OWN + "!"}, headers={"If-Match": first.headers["ETag"]})
    assert (late.status, late.json["code"]) == (412, "stale")
    late = await owner("POST", f"{SMS}/use", {"version": None}, headers={"If-Match": first.headers["ETag"]})
    assert late.status == 412


async def test_who_save_at_once_make_a_version_each(org: Org):
    templates, which = org.services.telling.templates, Which.of("trip_near", "sms", "en")
    drafts = [Draft(f"{{{{ business }}}} {n}") for n in range(3)]
    await asyncio.gather(*(templates.save(org.owner, which, draft) for draft in drafts))
    page = await templates.versions(org.owner, which, 50, None)
    assert [words.version for words in page.data] == [3, 2, 1]


async def test_words_that_cannot_be_said_are_refused_with_what_is_wrong(owner: Api):
    words = {"body": "{{ business }} {{ amountMinr }}", "subject": ""}
    put = await owner("PUT", SMS, words)
    tried = await owner("POST", f"{PATH}/preview", {"kind": "payment_received", "form": "sms", **words})
    for answer in (put, tried):
        assert (answer.status, answer.json["code"]) == (422, "invalid")
        (error,) = answer.json["errors"]
        assert error["field"] == "body"
        assert "amountMinr" in error["detail"]
        assert "near: amountMinor" in error["detail"]
    assert (await owner("GET", f"{SMS}/versions")).json["data"] == []


async def test_words_for_what_is_not_are_not_found(owner: Api):
    for path in ("no_such/sms/en", "payment_received/fax/en", "payment_received/sms/no+language"):
        assert (await owner("GET", f"{PATH}/{path}")).json["code"] == "template-not-found"
        assert (await owner("PUT", f"{PATH}/{path}", {"body": "x"})).json["code"] == "template-not-found"


async def test_our_own_words_can_be_saved_as_they_are_and_say_the_same(org: Org):
    templates = org.services.telling.templates
    for kind, form, locale in (("layby_created", Form.EMAIL, "pt"), ("trip_delayed", Form.SMS, "es")):
        which = Which.of(kind, form, locale)
        ours = await templates.find(org.owner, which)
        await templates.save(org.owner, which, Draft(ours.body, ours.subject))
        text = await said(org, kind, locale, channel=ChannelName(form))
        assert text.template == f"own/{locale}/{kind}.{form}@1"
        plain = renderer().render(kind, locale, sample(kind, Sample.ORDINARY), form)
        assert (text.subject, text.body, text.html) == (plain.subject, plain.body, plain.html)


async def test_words_of_another_organisation_are_not_used_and_not_seen(owner: Api, org: Org, api: Api):
    await owner("PUT", SMS, {"body": OWN})
    other = await organisation(org.services, "Bulawayo Bulk")
    assert (await said(other)).template.startswith("en/")
    theirs = await api.as_(await other.token())("GET", SMS)
    assert theirs.json["versions"] == 0


async def test_own_words_that_a_notices_facts_do_not_fit_give_way_to_ours(owner: Api, org: Org):
    await owner("PUT", SMS, {"body": "{{ business }} {{ receipt }}"})
    facts = {name: value for name, value in FACTS.items() if name != "receipt"}
    with pytest.raises(Exception, match="receipt"):
        await said(org, facts=facts)  # ours need it as well
    async with org.services.database.transaction(org.org_id) as conn:
        broken = OwnWords("payment_received", Form.SMS, "en", 2, "", "{{ business }} {{ of_a_newer_version }}")
        await storage.add(conn, org.org_id, replace(broken, created_at=org.services.clock.now()))
    await owner("POST", f"{SMS}/use", {"version": 2})
    assert (await said(org)).template.startswith("en/payment_received.sms.txt@")


async def test_the_console_shows_what_would_go_to_the_address(org: Org):
    shown = [await said(org, channel=ChannelName.CONSOLE, address=to) for to in ("+254700000001", "chipo@example.com")]
    assert [(text.subject != "", "sms" in text.template) for text in shown] == [(False, True), (True, False)]


async def test_a_preview_counts_the_parts_of_an_sms_and_offers_plainer_letters(owner: Api):
    body = "{{ business }}: “déjà vu” — ça coûte " + "x" * 100
    answer = await owner(
        "POST", f"{PATH}/preview", {"kind": "payment_received", "form": "sms", "body": body, "samples": ["ordinary"]}
    )
    (shown,) = answer.json["data"]
    assert shown["parts"] == {"encoding": "ucs2", "parts": 3, "units": 139, "room": 201}
    assert shown["body"].startswith('Jacaranda Stores: "déjà vu" - ça coûte')  # as it is sent
    assert shown["plainer"]["body"].startswith('Jacaranda Stores: "déjà vu" - ca coute')
    assert shown["plainer"]["parts"] == {"encoding": "gsm7", "parts": 1, "units": 139, "room": 160}
    assert "cost" not in shown


async def test_a_preview_shows_the_words_in_use_a_version_and_a_draft(owner: Api):
    await owner("PUT", SMS, {"body": "{{ business }} one"})
    await owner("PUT", SMS, {"body": "{{ business }} two"})

    async def shown(**of: Any) -> list[tuple[str, str]]:
        answer = await owner("POST", f"{PATH}/preview", {"kind": "payment_received", "form": "sms", **of})
        return [(row["sample"], row["body"]) for row in answer.json["data"]]

    assert await shown(samples=["ordinary"]) == [("ordinary", "Jacaranda Stores two")]
    assert await shown(samples=["bare"], version=1) == [("bare", "Jacaranda Stores one")]
    assert await shown(samples=["ordinary"], body="{{ name }}") == [("ordinary", "Chipo Dube")]
    three = await shown(locale="fr")
    assert [name for name, _ in three] == ["ordinary", "bare", "longest"]
    assert all("encaissé" in body for _, body in three)


async def test_a_preview_of_an_e_mail_has_both_its_forms(owner: Api):
    answer = await owner("POST", f"{PATH}/preview", {"kind": "layby_created", "form": "email", "samples": ["longest"]})
    (shown,) = answer.json["data"]
    assert shown["subject"].startswith("Jacaranda Stores and Household Goods")
    assert "<html" in shown["html"]
    assert shown["body"].count("charcoal") == 12
    assert "parts" not in shown


async def test_a_preview_costs_what_the_organisations_provider_takes_for_a_part(org: Org):
    account = await an_account(org)
    templates = TemplateDesk(org.services.database, org.services.clock, renderer(), account)
    which = Which.of("payment_failed", "sms", "en")
    (shown,) = await templates.preview(org.owner, which, None, None, [Sample.ORDINARY])
    assert shown.segments is not None
    assert (shown.segments.parts, shown.cost, shown.currency) == (2, Decimal("1.6000"), "KES")


async def an_account(org: Org) -> desk_module.Accounts:
    """Two ways out of which the heavier one counts."""

    async def of(_conn: object, org_id: UUID, channel: ChannelName) -> list[ProviderAccount]:
        config = AfricasTalkingConfig("shop", "key")
        now = SystemClock().now()
        light, heavy = (
            ProviderAccount(
                org_id, UUID(int=n), channel, ProviderName.AFRICASTALKING, "AT", config, "SHOP", weight, price, "KES",
                None, (), now, 1,
            )
            for n, weight, price in ((1, 1, Decimal("9")), (2, 100, Decimal("0.8000")))
        )  # fmt: skip
        return [light, heavy]

    return of


async def test_only_owners_change_words_and_it_is_written_down_who(owner: Api, org: Org, api: Api):
    await owner("PUT", SMS, {"body": OWN})
    await owner("POST", f"{SMS}/use", {"version": None})
    entries = (await owner("GET", "/api/v1/audit?action=template.changed")).json["data"]
    assert [entry["detail"] for entry in entries] == [
        {"kind": "payment_received", "form": "sms", "locale": "en", "version": None},
        {"kind": "payment_received", "form": "sms", "locale": "en", "version": 1},
    ]
    viewer, _ = await org.person(Role.VIEWER)
    with pytest.raises(Denied):
        await org.services.telling.templates.use(viewer, Which.of("payment_received", "sms", "en"), None)


async def test_an_organisation_keeps_so_many_versions_and_no_more(org: Org, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "MOST_VERSIONS", 1)
    templates, which = org.services.telling.templates, Which.of("payment_received", "sms", "en")
    await templates.save(org.owner, which, Draft("{{ business }}"))
    with pytest.raises(TooManyTemplates):
        await templates.save(org.owner, which, Draft("{{ business }}!"))
