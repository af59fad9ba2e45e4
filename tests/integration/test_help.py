"""HELP by SMS: one answer, in the asker's language, however much they have stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.conftest import Answer, Api
from tests.consent_world import OURS, THEIRS, Shop, signed
from tests.factories import Org
from waypost.identity.domain import OrgSettings, Selling
from waypost.wiring import Services
from waypost.wiring_work import deliveries_over


@pytest.fixture
async def shop(org: Org) -> Shop:
    selling = Selling(shop_name="Jacaranda Stores", shop_phone="+254 700 000 001", locale="fr-CD", country="ZW")
    await org.services.identity.save_settings(org.org_id, OrgSettings(selling=selling))
    return await Shop.of(org)


async def write(api: Api, shop: Shop, text: str, number: int = 1, sender: str = THEIRS, **more: str) -> Answer:
    path = f"/api/v1/callbacks/messages/{shop.token}/inbound"
    form = {"MessageSid": f"SM{number:032}", "From": sender, "To": OURS, "Body": text, "NumMedia": "0", **more}
    answer = await api("POST", path, **signed(f"{api.url}{path}", form))
    await shop.settled()
    return answer


async def answers(shop: Shop) -> Sequence[Mapping[str, Any]]:
    return await shop.rows(
        "SELECT d.*, n.locale FROM deliveries d JOIN notifications n ON n.id = d.notification_id"
        " WHERE n.kind = 'help_answer' ORDER BY d.id"
    )


async def send(shop: Shop) -> Mapping[str, Any]:
    """The answer after its turn came, in test mode: nothing leaves the house."""
    services: Services = shop.org.services
    before = await services.rules.of(shop.org.org_id)
    telling = msgspec.structs.replace(before.telling, test_mode=True)
    await services.identity.save_settings(shop.org.org_id, msgspec.structs.replace(before, telling=telling))
    (due,) = await answers(shop)
    await deliveries_over(services, {}).attempt(shop.org.org_id, due["id"])
    (sent,) = await answers(shop)
    return sent


@pytest.mark.parametrize(
    ("text", "locale"),
    [("HELP", "fr-CD"), ("info", "fr-CD"), (" Aide! ", "fr-CD"), ("AYUDA", "es"), ("ajuda", "pt")],
)
async def test_who_asks_for_help_is_answered_in_the_language_of_the_word(api: Api, shop: Shop, text: str, locale: str):
    await write(api, shop, text)
    (answer,) = await answers(shop)
    assert (answer["channel"], answer["address"], answer["state"]) == ("sms", THEIRS, "pending")
    assert answer["locale"] == locale
    assert await shop.rows("SELECT FROM alerts") == []


async def test_it_names_the_organisation_a_contact_and_how_to_stop(api: Api, shop: Shop):
    await write(api, shop, "HELP")
    sent = await send(shop)
    assert sent["body"] == (
        "Jacaranda Stores : pour toute aide, contactez-nous : +254 700 000 001. "
        "Répondez STOP pour ne plus recevoir de SMS de ce numéro, START pour en recevoir de nouveau."
    )


async def test_two_machines_cannot_talk_for_ever_a_number_is_answered_once_a_day(api: Api, shop: Shop):
    for number in range(1, 4):
        await write(api, shop, "HELP", number)
    assert len(await answers(shop)) == 1
    await write(api, shop, "HELP", 4, sender="+263771239999")
    assert [row["address"] for row in await answers(shop)] == [THEIRS, "+263771239999"]


async def test_what_the_provider_has_answered_itself_is_not_answered_again(api: Api, shop: Shop):
    await write(api, shop, "HELP", OptOutType="HELP")
    assert await answers(shop) == []
    assert await shop.rows("SELECT FROM alerts") == []
    assert len(await shop.rows("SELECT FROM inbound_messages")) == 1


@pytest.mark.parametrize("sender", ["SHOP", "40404"])
async def test_what_is_no_number_is_not_answered_but_shown_to_staff(api: Api, shop: Shop, sender: str):
    await write(api, shop, "HELP", sender=sender)
    assert await answers(shop) == []
    assert len(await shop.rows("SELECT FROM alerts WHERE kind = 'message_received'")) == 1


async def test_who_has_stopped_everything_is_answered_all_the_same_and_stays_stopped(api: Api, shop: Shop):
    await write(api, shop, "STOP", 1)
    await write(api, shop, "HELP", 2)
    assert (await send(shop))["state"] != "suppressed"
    assert await shop.suppressed() == [(THEIRS, OURS, "stop")]


async def test_a_number_that_does_not_exist_is_not_answered(api: Api, shop: Shop):
    owner = api.as_(await shop.org.token())
    body = {"channel": "sms", "address": THEIRS, "why": "wrong number"}
    assert (await owner("POST", "/api/v1/suppressions", body)).status == 201
    await write(api, shop, "HELP")
    sent = await send(shop)
    assert (sent["state"], sent["reason"]) == ("suppressed", "suppressed_staff")


async def test_an_organisations_own_words_are_said_where_it_has_some(api: Api, shop: Shop):
    owner = api.as_(await shop.org.token())
    words = {"body": "{{ business }} : écrivez STOP. Aide : {{ contact }}"}
    assert (await owner("PUT", "/api/v1/templates/help_answer/sms/fr", words)).status in (200, 201)
    await write(api, shop, "AIDE")
    assert (await send(shop))["body"] == "Jacaranda Stores : écrivez STOP. Aide : +254 700 000 001"
