"""The register of payment providers: secrets sealed and never shown, tokens shown once, addresses to paste."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from waypost.kernel.principal import Role
from waypost.payments.providers.accounts import DarajaConfig, SignedConfig
from waypost.payments.providers_register import ProviderRegister
from waypost.platform.database import SYSTEM
from waypost.platform.rotation import rotate
from waypost.platform.secretbox import SecretBox, new_key
from waypost.wiring import Services

PATH = "/api/v1/payment-providers"
FORBIDDEN = ("mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
DARAJA: dict[str, Any] = {
    "name": "Paybill 174379",
    "currency": "KES",
    "addresses": ["196.201.214.200", "196.201.213.0/24"],
    "checkAboveMinor": 10_000_00,
    "config": {
        "provider": "daraja",
        "consumerKey": "key-that-nobody-sees",
        "consumerSecret": "secret-that-nobody-sees",
        "passkey": "passkey-that-nobody-sees",
        "shortcode": "174379",
        "initiator": {"name": "clerk", "credential": "credential-that-nobody-sees"},
    },
}
SIGNED: dict[str, Any] = {
    "name": "Cards",
    "currency": "KES",
    "config": {"provider": "signed", "secret": "whsec_0123456789abcdef"},
}


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def test_an_account_is_added_with_the_addresses_for_its_callbacks_and_without_its_secrets(owner: Api):
    added = await owner("POST", PATH, DARAJA)
    assert added.status == 201
    assert "nobody-sees" not in str(added.json)
    assert added.json["config"] == {
        "provider": "daraja",
        "shortcode": "174379",
        "baseUrl": "https://api.safaricom.co.ke",
        "kind": "paybill",
        "initiator": "clerk",
    }
    assert added.json["addresses"] == ["196.201.214.200/32", "196.201.213.0/24"]
    assert "196.201.214.207/32" in added.json["suggestedAddresses"]
    callbacks = {each["road"]: each["url"] for each in added.json["callbacks"]}
    assert set(callbacks) == {"stk", "validation", "confirmation", "reversal"}
    for road, url in callbacks.items():
        path = url.removeprefix(owner.url)
        assert re.fullmatch(rf"/api/v1/callbacks/daraja/[0-9a-f]{{32}}/{road}", path)
        assert not [word for word in FORBIDDEN if word in path]
    shown = await owner("GET", f"{PATH}/{added.json['id']}")
    assert shown.status == 200
    assert "callbacks" not in shown.json
    assert "nobody-sees" not in str(shown.json)
    (listed,) = (await owner("GET", PATH)).json["data"]
    assert listed == shown.json


async def test_the_secrets_are_stored_sealed_and_of_the_token_only_the_hash(owner: Api, org: Org, services: Services):
    added = await owner("POST", PATH, DARAJA)
    token = added.json["callbacks"][0]["url"].split("/")[-2]
    async with services.database.transaction(org.org_id) as conn:
        row = await conn.fetchrow("SELECT * FROM payment_providers")
        account = await services.money.providers.of(conn, org.org_id, row["id"])
    assert "nobody-sees" not in str(dict(row))
    assert token not in str(dict(row))
    assert account is not None
    assert account.daraja.passkey == "passkey-that-nobody-sees"
    assert account.daraja.initiator is not None
    async with services.database.transaction(SYSTEM) as conn:
        assert await services.money.providers.find_by_token(conn, token) == account
        assert await services.money.providers.find_by_token(conn, "0" * 32) is None
    new, old = new_key(), services.settings.encryption_keys
    assert old is not None
    await rotate(services.database, SecretBox.of(f"{new},{old.get_secret_value()}"), lambda *_: None)
    register = replace(services.money.providers, box=SecretBox.of(new))
    async with services.database.transaction(org.org_id) as conn:
        assert await register.of(conn, org.org_id, account.id) == account


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no network": ({**DARAJA, "addresses": ["here"]}, "addresses[0]"),
    "a single IPv6 address": ({**DARAJA, "addresses": ["10.0.0.1", "2001:db8::1"]}, "addresses[1]"),
    "no currency": ({**DARAJA, "currency": "XXX"}, "currency"),
    "an address of our own house": (
        {**DARAJA, "config": {**DARAJA["config"], "baseUrl": "http://127.0.0.1:5432"}},
        "config.baseUrl",
    ),
    "no shortcode": ({**DARAJA, "config": {**DARAJA["config"], "shortcode": "17A"}}, "config.shortcode"),
    "no name": ({**DARAJA, "name": " "}, "name"),
    "an unknown provider": ({**DARAJA, "config": {"provider": "pigeon"}}, "config"),
    "a short secret": ({**SIGNED, "config": {"provider": "signed", "secret": "short"}}, "config.secret"),
    "less than nothing": ({**DARAJA, "checkAboveMinor": -1}, "checkAboveMinor"),
}


@pytest.mark.parametrize(("body", "field"), BAD.values(), ids=BAD.keys())
async def test_what_cannot_be_is_a_422_that_names_the_field(owner: Api, body: dict[str, Any], field: str):
    refused = await owner("POST", PATH, body)
    assert refused.status == 422
    assert field in refused.json["detail"]
    assert (await owner("GET", PATH)).json["data"] == []


async def test_a_root_that_the_operator_names_is_let_in(org: Org, services: Services):
    register = ProviderRegister(services.database, services.clock, services.box, {"http://127.0.0.1:9"})
    config = DarajaConfig("key", "secret", "passkey", "174379", base_url="http://127.0.0.1:9")
    account, _ = await register.add(org.owner, name="Fake", config=config, currency="KES")
    assert account.daraja.base_url == "http://127.0.0.1:9"


async def test_only_what_is_named_changes_and_what_others_have_changed_is_not_overwritten(owner: Api):
    added = (await owner("POST", PATH, DARAJA)).json
    one = f"{PATH}/{added['id']}"
    shown = await owner("GET", one)
    change = {
        "name": "Till",
        "config": {"provider": "daraja", "shortcode": "600000", "kind": "buygoods", "till": "5544"},
    }
    changed = await owner("PATCH", one, change, headers={"If-Match": shown.headers["ETag"]})
    assert changed.status == 200
    assert (changed.json["name"], changed.json["version"]) == ("Till", 2)
    assert (changed.json["config"]["shortcode"], changed.json["config"]["initiator"]) == ("600000", "clerk")
    assert changed.json["addresses"] == added["addresses"]
    stale = await owner("PATCH", one, {"name": "x"}, headers={"If-Match": shown.headers["ETag"]})
    assert stale.status == 412
    emptied = await owner("PATCH", one, {"checkAboveMinor": None, "addresses": []})
    assert "checkAboveMinor" not in emptied.json
    other = await owner("PATCH", one, {"config": {"provider": "signed", "secret": "whsec_0123456789abcdef"}})
    assert (other.status, other.json["errors"][0]["field"]) == (422, "config.provider")


async def test_a_new_signing_secret_stands_beside_the_old_one_for_a_day(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, SIGNED)).json
    assert added["config"]["secrets"] == [{"endsWith": "cdef"}]
    one = f"{PATH}/{added['id']}"
    for secret in ("whsec_second_0123456789", "whsec_second_0123456789", "whsec_third_0123456789"):
        changed = await owner("PATCH", one, {"config": {"provider": "signed", "secret": secret}})
    first, *before = changed.json["config"]["secrets"]
    assert "until" not in first
    assert [each["endsWith"] for each in before] == ["6789", "cdef"]
    assert all(each["until"] for each in before)
    async with services.database.transaction(org.org_id) as conn:
        account = await services.money.providers.of(conn, org.org_id, added["id"])
    assert account is not None
    assert isinstance(account.config, SignedConfig)
    assert len(account.config.good(services.clock.now())) == 3


async def test_a_new_token_leaves_the_old_one_a_day_and_the_one_before_none(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, SIGNED)).json
    tokens = [added["callbacks"][0]["url"].rpartition("/")[2]]
    for _ in range(2):
        answer = await owner("POST", f"{PATH}/{added['id']}/rotate-token")
        tokens.append(answer.json["callbacks"][0]["url"].rpartition("/")[2])
    async with services.database.transaction(SYSTEM) as conn:
        found = [await services.money.providers.find_by_token(conn, token) is not None for token in tokens]
        await conn.execute("UPDATE payment_providers SET old_token_until = now() - interval '1 second'")
        later = [await services.money.providers.find_by_token(conn, token) is not None for token in tokens]
    assert (found, later) == ([False, True, True], [False, False, True])


async def test_an_archived_account_is_listed_apart_and_changed_no_more(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, SIGNED)).json
    one = f"{PATH}/{added['id']}"
    for _ in range(2):
        assert (await owner("DELETE", one)).status == 204
    assert (await owner("GET", PATH)).json["data"] == []
    assert [each["id"] for each in (await owner("GET", f"{PATH}?archived=true")).json["data"]] == [added["id"]]
    for answer in (await owner("PATCH", one, {"name": "x"}), await owner("POST", f"{one}/rotate-token")):
        assert (answer.status, answer.json["code"]) == (409, "payment-provider-archived")
    token = added["callbacks"][0]["url"].rpartition("/")[2]
    async with services.database.transaction(SYSTEM) as conn:
        assert await services.money.providers.find_by_token(conn, token) is not None  # what it reports is money


async def test_the_owner_alone_changes_accounts_and_every_change_is_in_the_log(api: Api, org: Org, owner: Api):
    added = (await owner("POST", PATH, SIGNED)).json
    one = f"{PATH}/{added['id']}"
    for role in (Role.ACCOUNTANT, Role.DISPATCHER, Role.VIEWER, Role.DRIVER):
        _, phone = await org.person(role)
        other = api.as_(await org.token(phone))
        assert (await other("GET", one)).status == (200 if role is Role.ACCOUNTANT else 403)
        assert (await other("POST", PATH, SIGNED)).status == 403
        assert (await other("PATCH", one, {"name": "x"})).status == 403
        assert (await other("POST", f"{one}/rotate-token")).status == 403
    await owner("PATCH", one, {"name": "x"})
    await owner("POST", f"{one}/rotate-token")
    await owner("DELETE", one)
    entries = (await owner("GET", "/api/v1/audit")).json["data"]
    actions = [entry["action"] for entry in entries if entry["subjectKind"] == "payment-provider"]
    assert actions == [f"payment-provider.{what}" for what in ("archived", "token-replaced", "changed", "added")]


async def test_anothers_account_is_none(api: Api, owner: Api, services: Services):
    added = (await owner("POST", PATH, SIGNED)).json
    other = api.as_(await (await organisation(services, "Bulawayo Bulk")).token())
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-token")):
        body = {"name": "x"} if method == "PATCH" else None
        answer = await other(method, f"{PATH}/{added['id']}{path}", body)
        assert (answer.status, answer.json["code"]) == (404, "payment-provider-not-found")
