"""The register of message providers: secrets sealed and never shown, tokens shown once, used in the claim, tested."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from waypost.kernel.principal import Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.accounts import AfricasTalkingConfig, TwilioConfig
from waypost.notifications.providers_register import New
from waypost.platform.database import SYSTEM
from waypost.platform.rotation import rotate
from waypost.platform.secretbox import SecretBox, new_key
from waypost.wiring import Services

PATH = "/api/v1/message-providers"
SID = "AC" + "0" * 32
TWILIO: dict[str, Any] = {
    "name": "Twilio", "sender": "+15005550006", "price": "0.0075", "priceCurrency": "USD", "aMinute": 60,
    "config": {"provider": "twilio", "accountSid": SID, "authToken": "token-that-nobody-sees"},
}  # fmt: skip
TALKING: dict[str, Any] = {
    "name": "Africa's Talking", "sender": "JACARANDA", "weight": 0, "addresses": ["196.201.214.200"],
    "config": {"provider": "africastalking", "username": "jacaranda", "apiKey": "key-that-nobody-sees"},
}  # fmt: skip
GATEWAY: dict[str, Any] = {
    "name": "A gateway",
    "config": {
        "provider": "http", "url": "https://gw.example.com/send?key=in-the-query-nobody-sees",
        "headers": {"X-Key": "header-that-nobody-sees"}, "body": '{"to": "{{ to }}", "text": "{{ text }}"}',
        "idPath": "messages.0.id",
    },
}  # fmt: skip
SMTP: dict[str, Any] = {
    "name": "Our mail", "sender": "shop@jacaranda.example",
    "config": {"provider": "smtp", "host": "mail.example.com", "user": "shop", "password": "pass-that-nobody-sees"},
}  # fmt: skip


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def test_a_provider_is_added_with_where_it_reports_and_without_its_secrets(owner: Api):
    roads = {"Twilio": {"status", "inbound"}, "Our mail": {"bounces"}}
    for body in (TWILIO, TALKING, GATEWAY, SMTP):
        added = await owner("POST", PATH, body)
        assert added.status == 201, added.json
        assert "nobody-sees" not in str(added.json)
        callbacks = {each["road"]: each["url"] for each in added.json["callbacks"]}
        assert set(callbacks) == roads.get(body["name"], {"status", "inbound", "opt-out"})
        for road, url in callbacks.items():
            path = url.removeprefix(owner.url)
            assert re.fullmatch(rf"/api/v1/callbacks/messages/[0-9a-f]{{32}}/{road}", path)
        shown = await owner("GET", f"{PATH}/{added.json['id']}")
        assert "callbacks" not in shown.json
        assert "nobody-sees" not in str(shown.json)
    listed = (await owner("GET", PATH)).json["data"]
    assert [each["name"] for each in listed] == ["Twilio", "Africa's Talking", "A gateway", "Our mail"]
    assert [each["channel"] for each in listed] == ["sms", "sms", "sms", "email"]
    assert (listed[0]["price"], listed[0]["priceCurrency"], listed[0]["aMinute"]) == ("0.0075", "USD", 60)
    assert (listed[1]["weight"], listed[1]["addresses"]) == (0, ["196.201.214.200/32"])
    assert listed[2]["config"]["url"] == "https://gw.example.com/send"
    assert listed[2]["config"]["headers"] == ["X-Key"]


async def test_settings_are_stored_sealed_and_of_the_token_only_the_hash(owner: Api, org: Org, services: Services):
    added = await owner("POST", PATH, TWILIO)
    token = added.json["callbacks"][0]["url"].split("/")[-2]
    register = services.telling.providers
    async with services.database.transaction(SYSTEM) as conn:
        row = await conn.fetchrow("SELECT * FROM message_providers")
        (account,) = await register.of(conn, org.org_id, ChannelName.SMS)
        assert await register.find_by_token(conn, token) == account
        assert await register.find_by_token(conn, "0" * 32) is None
        assert await register.of(conn, org.org_id, ChannelName.EMAIL) == []
    assert "nobody-sees" not in str(dict(row)) + repr(account)
    assert token not in str(dict(row))
    assert account.config == TwilioConfig(SID, "token-that-nobody-sees")
    keys = services.settings.encryption_keys
    assert keys is not None
    box = SecretBox.of(f"{new_key()},{keys.get_secret_value()}")
    assert (await rotate(services.database, box, lambda *_: None)).renewed >= 1


async def test_a_change_leaves_what_it_does_not_name_and_is_what_the_next_claim_gets(
    owner: Api, org: Org, services: Services
):
    added = await owner("POST", PATH, TWILIO)
    one, seen = f"{PATH}/{added.json['id']}", added.headers["ETag"]
    changed = await owner(
        "PATCH", one, {"weight": 5, "price": None, "priceCurrency": None, "config": {"provider": "twilio",
        "authToken": "another"}}, headers={"If-Match": seen},
    )  # fmt: skip
    assert (changed.status, changed.json["weight"], changed.json["version"]) == (200, 5, 2)
    assert "price" not in changed.json
    async with services.database.transaction(SYSTEM) as conn:
        (account,) = await services.telling.providers.of(conn, org.org_id, ChannelName.SMS)
    assert account.config == TwilioConfig(SID, "another")
    assert (await owner("PATCH", one, {"weight": 6}, headers={"If-Match": seen})).status == 412
    other = await owner("PATCH", one, {"config": {"provider": "smtp", "host": "x.example.com"}})
    assert (other.status, other.json["errors"][0]["field"]) == (422, "config.provider")


async def test_a_new_token_stands_a_day_beside_the_old_one(owner: Api, services: Services):
    added = (await owner("POST", PATH, TWILIO)).json
    again = (await owner("POST", f"{PATH}/{added['id']}/rotate-token")).json
    old, new = (each["callbacks"][0]["url"].split("/")[-2] for each in (added, again))
    assert old != new
    async with services.database.transaction(SYSTEM) as conn:
        for token in (old, new):
            assert await services.telling.providers.find_by_token(conn, token) is not None
        await conn.execute("UPDATE message_providers SET old_token_until = now() - interval '1 second'")
        assert await services.telling.providers.find_by_token(conn, old) is None


async def test_an_archived_provider_sends_nothing_but_is_still_heard(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, TWILIO)).json
    token = added["callbacks"][0]["url"].split("/")[-2]
    for _ in range(2):
        assert (await owner("DELETE", f"{PATH}/{added['id']}")).status == 204
    register = services.telling.providers
    async with services.database.transaction(SYSTEM) as conn:
        assert await register.of(conn, org.org_id, ChannelName.SMS) == []
        assert await register.find_by_token(conn, token) is not None
    assert (await owner("GET", PATH)).json["data"] == []
    assert len((await owner("GET", PATH + "?archived=true")).json["data"]) == 1
    refused = await owner("PATCH", f"{PATH}/{added['id']}", {"weight": 1})
    assert (refused.status, refused.json["type"]) == (409, "/problems/message-provider-archived")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (TWILIO | {"sender": ""}, "sender"),
        (TWILIO | {"sender": "a name that is too long"}, "sender"),
        (TWILIO | {"priceCurrency": None}, "priceCurrency"),
        (TWILIO | {"priceCurrency": "XXY"}, "priceCurrency"),
        (TWILIO | {"addresses": ["all"]}, "addresses[0]"),
        (TWILIO | {"config": TWILIO["config"] | {"keySid": "SK" + "0" * 32}}, "config.keySecret"),
        (TWILIO | {"config": TWILIO["config"] | {"baseUrl": "http://169.254.169.254"}}, "config.baseUrl"),
        (TWILIO | {"config": TWILIO["config"] | {"baseUrl": "https://10.0.0.1"}}, "config.baseUrl"),
        (GATEWAY | {"config": GATEWAY["config"] | {"url": "https://{{ to }}.example.com"}}, "config.url"),
        (GATEWAY | {"config": GATEWAY["config"] | {"body": '{"to": {{ to }}}'}}, "config.body"),
        (SMTP | {"sender": "nobody"}, "sender"),
    ],
    ids=["no-sender", "sender", "price", "currency", "network", "key", "metadata", "private", "host", "body", "mail"],
)  # fmt: skip
async def test_what_cannot_work_is_refused_with_its_field(owner: Api, body: dict[str, Any], field: str):
    refused = await owner("POST", PATH, body)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, field)


async def test_another_organisations_provider_is_as_good_as_none(api: Api, owner: Api, services: Services):
    added = (await owner("POST", PATH, TWILIO)).json
    other = await organisation(services, "Kwekwe Kitchens")
    theirs = api.as_(await other.token())
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"weight": 1}), ("DELETE", "", None),
        ("POST", "/test", {"to": "+263771234567"}),
    ):  # fmt: skip
        answer = await theirs(method, f"{PATH}/{added['id']}{path}", body)
        assert (answer.status, answer.json["type"]) == (404, "/problems/message-provider-not-found")
    assert (await theirs("GET", PATH)).json["data"] == []


async def test_only_owners_see_and_change_them(api: Api, org: Org):
    for role in Role:
        if role is Role.OWNER:
            continue
        _, phone = await org.person(role)
        assert (await api.as_(await org.token(phone))("GET", PATH)).status == 403


async def test_all_that_is_done_to_a_provider_is_audited(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, TWILIO)).json
    one = f"{PATH}/{added['id']}"
    await owner("PATCH", one, {"config": {"provider": "twilio", "authToken": "new-that-nobody-sees"}})
    await owner("POST", one + "/rotate-token")
    await owner("POST", one + "/test", {"to": "+263771234567"})
    await owner("DELETE", one)
    async with services.database.transaction(org.org_id) as conn:
        rows = await conn.fetch(
            "SELECT action, detail FROM audit_log WHERE action LIKE 'message-provider.%' ORDER BY id"
        )
    assert [row["action"].split(".")[1] for row in rows] == ["added", "changed", "token-replaced", "tested", "archived"]
    assert "nobody-sees" not in str([dict(row) for row in rows])


async def test_a_test_message_is_a_delivery_to_that_address_alone(owner: Api, org: Org, services: Services):
    added = (await owner("POST", PATH, TALKING)).json
    sent = await owner("POST", f"{PATH}/{added['id']}/test", {"to": "+263 77 123 4567"})
    assert sent.status == 202
    async with services.database.transaction(org.org_id) as conn:
        row = await conn.fetchrow(
            "SELECT d.*, n.kind, n.facts, n.subject_id FROM deliveries d"
            " JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id"
        )
    assert str(row["id"]) == sent.json["deliveryId"]
    assert (row["channel"], row["address"], row["kind"], row["state"]) == (
        "sms", "+263771234567", "provider_test", "pending",
    )  # fmt: skip
    assert str(row["subject_id"]) == added["id"]
    for to in ("nobody", "chipo@example.com", None):
        refused = await owner("POST", f"{PATH}/{added['id']}/test", {"to": to} if to else {})
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, "to")


async def test_an_organisation_has_fifty_in_use_at_most(org: Org, services: Services, owner: Api):
    for number in range(50):
        new = New(f"No {number}", AfricasTalkingConfig("jacaranda", "k"), "JACARANDA")
        await services.telling.providers.add(org.owner, new)
    refused = await owner("POST", PATH, TALKING)
    assert (refused.status, refused.json["type"]) == (409, "/problems/too-many-message-providers")


async def test_a_national_number_of_a_customer_is_one_of_the_organisations_country(owner: Api):
    customer = {"name": "Chipo", "phone": "077 123 4567"}
    assert (await owner("POST", "/api/v1/customers", customer)).status == 422
    changed = await owner("PATCH", "/api/v1/org", {"selling": {"country": "ZW"}})
    assert changed.status == 200
    added = await owner("POST", "/api/v1/customers", customer)
    assert (added.status, added.json["phone"]) == (201, "+263771234567")
    abroad = await owner("POST", "/api/v1/customers", customer | {"phone": "+254 711 000000"})
    assert abroad.json["phone"] == "+254711000000"
