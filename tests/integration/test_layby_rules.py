"""The organisation's rules by trade: defaults, versions, the law's limits; and how it sells."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.laid_by import customer, layby
from waypost.kernel.errors import Invalid
from waypost.kernel.principal import Role
from waypost.laybys.rule_book import terms_for
from waypost.wiring import Services

RULES = "/api/v1/layby-rules"
CLOTHING: dict[str, Any] = {
    "depositMinBp": 1000,
    "depositMaxBp": 9000,
    "depositUsualBp": 2500,
    "rhythm": "monthly",
    "longestDays": 180,
    "lateFeeMinor": 250,
    "cancellationFeeBp": 100,
}


async def sells(call: Api, **selling: Any) -> None:
    answer = await call("PATCH", "/api/v1/org", {"selling": selling})
    assert answer.status == 200, answer.json


async def test_an_organisation_that_has_set_nothing_has_the_defaults_of_every_trade(api: Api, org: Org):
    answer = await api.as_(await org.token())("GET", RULES)
    assert (answer.status, answer.json["jurisdiction"]["code"]) == (200, "NONE")
    trades = {rules["trade"]: rules for rules in answer.json["rules"]}
    assert list(trades) == ["clothing", "hardware", "grocery", "restaurant", "construction", "other"]
    assert {rules["version"] for rules in trades.values()} == {0}
    assert (trades["hardware"]["adminFeeMinor"], trades["hardware"]["currency"]) == (500, "USD")
    assert (await api.as_(await org.token())("GET", RULES + "/hardware")).json["rules"] == trades["hardware"]


async def test_a_changed_rule_is_a_new_version_and_the_answer_says_the_law(api: Api, org: Org, services: Services):
    call = api.as_(await org.token())
    await sells(call, currency="ZAR", jurisdiction="ZA")
    first = await call("PUT", RULES + "/clothing", CLOTHING)
    assert (first.status, first.json["rules"]["version"], first.json["rules"]["currency"]) == (200, 1, "ZAR")
    assert first.json["jurisdiction"]["ceilingBp"] == 100
    second = await call("PUT", RULES + "/clothing", CLOTHING | {"lateFeeMinor": 0})
    assert (second.json["rules"]["version"], second.json["rules"]["lateFeeMinor"]) == (2, 0)
    assert (await call("GET", RULES + "/clothing")).json == second.json
    assert (await call("GET", RULES + "/grocery")).json["rules"]["version"] == 0
    audit = (await call("GET", "/api/v1/audit?action=layby_rules.changed")).json["data"]
    assert [entry["detail"] for entry in audit] == [{"trade": "clothing", "version": n} for n in (2, 1)]


@pytest.mark.parametrize(
    ("selling", "change", "field", "law"),
    [
        ({"jurisdiction": "ZA"}, {"cancellationFeeBp": 101}, "cancellationFeeBp", "South Africa"),
        ({"jurisdiction": "ZA"}, {"refundPolicy": "keep_deposit"}, "refundPolicy", "Consumer Protection Act 68"),
        ({"jurisdiction": "AU"}, {}, "cancellationFeeBp", "Australian Consumer Law"),
        ({"jurisdiction": "NZ"}, {"refundPolicy": "none"}, "refundPolicy", "New Zealand"),
        ({}, {"depositMaxBp": 10_001}, "depositMaxBp", ""),
        ({}, {"depositMinBp": 2600}, "depositUsualBp", ""),
        ({}, {"lateFeeMinor": -1}, "lateFeeMinor", ""),
        ({}, {"lateFeeMinor": 2.5}, "lateFeeMinor", ""),
        ({}, {"rhythm": "custom"}, "rhythm", ""),
        ({}, {"rhythm": "daily"}, "rhythm", ""),
        ({}, {"longestDays": 0}, "longestDays", ""),
        ({}, {"statedCostMinor": 100}, "statedCostText", ""),
        ({}, {"version": 7}, "version", ""),
        ({}, {"currency": "USD"}, "currency", ""),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_by_its_field_and_the_law_that_forbids_it(
    api: Api, org: Org, selling: dict[str, Any], change: dict[str, Any], field: str, law: str
):
    call = api.as_(await org.token())
    await sells(call, **selling)
    answer = await call("PUT", RULES + "/clothing", CLOTHING | change)
    assert answer.status == 422
    assert field in [error["field"] for error in answer.json["errors"]]
    assert law in answer.json["detail"]
    assert (await call("GET", RULES + "/clothing")).json["rules"]["version"] == 0


async def test_what_costs_are_stated_may_be_asked_for_where_only_costs_are_allowed(api: Api, org: Org):
    call = api.as_(await org.token())
    await sells(call, jurisdiction="AU", currency="AUD")
    stated = {"statedCostMinor": 1500, "statedCostText": "storage and restocking"}
    answer = await call("PUT", RULES + "/clothing", CLOTHING | stated)
    assert (answer.status, answer.json["rules"]["statedCostMinor"]) == (200, 1500)


async def test_a_trade_that_there_is_not_is_a_404(api: Api, org: Org):
    call = api.as_(await org.token())
    for answer in (await call("GET", RULES + "/fishing"), await call("PUT", RULES + "/fishing", CLOTHING)):
        assert (answer.status, answer.json["code"]) == (404, "trade-not-found")


async def test_only_an_owner_changes_rules_and_every_watcher_reads_them(api: Api, org: Org):
    for role, read in ((Role.ACCOUNTANT, 200), (Role.VIEWER, 200), (Role.DRIVER, 403)):
        call = api.as_(await org.token((await org.person(role))[1]))
        assert (await call("GET", RULES)).status == read
        assert (await call("GET", RULES + "/clothing")).status == read
        assert (await call("PUT", RULES + "/clothing", CLOTHING)).status == 403


async def test_of_two_owners_who_change_a_rule_at_once_nobodys_change_is_lost_unseen(api: Api, org: Org):
    call = api.as_(await org.token())
    etag = (await call("GET", RULES + "/clothing")).headers["ETag"]
    sent = [
        call("PUT", RULES + "/clothing", CLOTHING | {"lateFeeMinor": n}, headers={"If-Match": etag}) for n in range(5)
    ]
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412]
    assert (await call("GET", RULES + "/clothing")).json["rules"]["version"] == 1


async def test_rules_are_the_organisations_own(api: Api, org: Org, services: Services):
    await api.as_(await org.token())("PUT", RULES + "/clothing", CLOTHING)
    other = await organisation(services, "Bulawayo Bricks")
    assert (await api.as_(await other.token())("GET", RULES + "/clothing")).json["rules"]["version"] == 0


async def test_rules_that_a_move_to_another_country_made_unlawful_are_brought_within_its_law(
    api: Api, org: Org, services: Services
):
    call = api.as_(await org.token())
    hard = CLOTHING | {"cancellationFeeBp": 5000, "refundPolicy": "keep_deposit", "lateFeeMinor": 777}
    assert (await call("PUT", RULES + "/clothing", hard)).status == 200
    await sells(call, jurisdiction="ZA", currency="ZAR")
    shown = (await call("GET", RULES + "/clothing")).json["rules"]
    assert (shown["cancellationFeeBp"], shown["refundPolicy"]) == (100, "paid_less_fee")
    assert (shown["currency"], shown["lateFeeMinor"]) == ("ZAR", 0)  # 7.77 USD are not 7.77 ZAR
    selling = (await services.rules.of(org.org_id)).selling
    selling_at_home = msgspec.structs.replace(selling, jurisdiction="NONE")
    async with services.database.transaction(org.org_id) as conn:
        at_home = await terms_for(conn, org.org_id, selling_at_home, "clothing", "USD")
    assert (at_home.rules.cancellation_fee_bp, at_home.rules.late_fee_minor) == (5000, 777)


async def test_a_limit_of_the_total_is_not_got_around_by_another_currency(api: Api, org: Org):
    call, somebody = api.as_(await org.token()), await customer(org)
    assert (await call("PUT", RULES + "/clothing", CLOTHING | {"mostTotalMinor": 50_00})).status == 200
    for currency, field in (("USD", "items"), ("KES", "currency")):
        with pytest.raises(Invalid) as refused:
            await layby(org, customer_id=somebody, currency=currency)
        assert field in [error["field"] for error in refused.value.extra["errors"]]  # type: ignore[attr-defined]
    await sells(call, currency="ZAR")
    assert (await call("GET", RULES + "/clothing")).json["rules"]["currency"] == "ZAR"


async def test_how_an_organisation_sells_is_kept_part_by_part(api: Api, org: Org):
    call = api.as_(await org.token())
    before = (await call("GET", "/api/v1/org")).json["selling"]
    assert (before["currency"], before["trade"], before["jurisdiction"], before["locale"]) == (
        "USD", "other", "NONE", "en",
    )  # fmt: skip
    await sells(call, currency="KES", shopName="Mama Mboga", shopPhone="+254 700 000 000", colour="#aa3300")
    await sells(call, locale="sw-KE", country="KE", shopPhone=None)
    after = (await call("GET", "/api/v1/org")).json["selling"]
    assert after == before | {
        "currency": "KES", "shopName": "Mama Mboga", "colour": "#aa3300", "locale": "sw-KE", "country": "KE",
    }  # fmt: skip
    audit = (await call("GET", "/api/v1/audit?action=organisation.changed")).json["data"]
    assert [sorted(entry["detail"]["selling"]) for entry in audit] == [
        ["country", "locale", "shop_phone"],
        ["colour", "currency", "shop_name", "shop_phone"],
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "XXX"),
        ("currency", "usd"),
        ("trade", "fishing"),
        ("jurisdiction", "XX"),
        ("locale", "english!"),
        ("country", "Zimbabwe"),
        ("colour", "red"),
        ("colour", "#fff"),
        ("shopEmail", "nobody"),
        ("shopName", " "),
        ("shopAddress", "a\0b"),
        ("footer", "x" * 1001),
        ("unknown", "x"),
    ],
)
async def test_a_way_to_sell_that_cannot_be_is_refused_by_its_field(api: Api, org: Org, field: str, value: str):
    answer = await api.as_(await org.token())("PATCH", "/api/v1/org", {"selling": {field: value}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, f"selling.{field}")
