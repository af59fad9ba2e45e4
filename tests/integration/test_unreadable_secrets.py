"""A secret whose key is gone costs what it is for and nothing else, is seen, and is healed by a new one."""

from __future__ import annotations

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from tests.conftest import Api
from tests.factories import Org
from tests.integration import test_message_providers as messages
from tests.integration import test_payment_providers as payments
from tests.integration.test_sending import ALL_DUE, Shop, held, shop
from waypost.notifications.providers.accounts import SmtpConfig
from waypost.notifications.providers_register import MessageProviders
from waypost.platform.database import SYSTEM
from waypost.platform.secretbox import SecretBox, Unreadable, new_key
from waypost.wiring import Services

__all__ = ["shop"]  # the fixture

MAIL = SmtpConfig("mail.example.com")
TWILIO_ANEW = {"provider": "twilio", "accountSid": messages.SID, "authToken": "another"}


async def lose(services: Services, table: str, thing_id: UUID | str, column: str = "config") -> str:
    """Its secret as if it had been sealed with a key that is gone; what is stored then."""
    sealed = SecretBox.of(new_key()).seal(b"{}")
    await _execute(services, f"UPDATE {table} SET {column} = $2, version = version + 1 WHERE id = $1", thing_id, sealed)
    return sealed


async def _execute(services: Services, statement: str, *arguments: object) -> None:
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(statement, *arguments)


async def stored(services: Services, table: str, thing_id: UUID | str, column: str = "config") -> str:
    async with services.database.transaction(SYSTEM) as conn:
        return str(await conn.fetchval(f"SELECT {column} FROM {table} WHERE id = $1", thing_id))


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


def register_of(shop: Shop) -> MessageProviders:
    return shop.world.services.telling.providers


async def test_one_account_that_cannot_be_read_leaves_the_others_of_its_channel_at_work(shop: Shop):
    lost = await shop.account("a")
    await shop.account("b", weight=0)
    await lose(shop.world.services, "message_providers", lost.id)
    with capture_logs() as logs:
        for _ in range(3):
            assert held(await shop.tell()) == ("sent", None, 1)
    assert shop.channel.by == ["b", "b", "b"]
    (said,) = [each for each in logs if each["event"] == "message_provider_unreadable"]
    assert said == {
        "event": "message_provider_unreadable", "log_level": "error", "provider_id": str(lost.id), "channel": "sms",
    }  # fmt: skip
    (alert,) = await shop.alerts("provider_down")
    assert (alert["subject_id"], alert["resolved_at"]) == (lost.id, None)
    assert "secret-unreadable" in alert["facts"]


async def test_the_only_account_holds_its_messages_until_its_settings_are_given_anew(shop: Shop):
    lost = await shop.account("a")
    await lose(shop.world.services, "message_providers", lost.id)
    delivery = await shop.due()
    assert held(await shop.again(delivery)) == ("pending", "held_provider_unreadable", 0)
    config = {"account_sid": "ACa", "auth_token": "another"}
    healed = await register_of(shop).change(shop.world.org.owner, lost.id, {"config": config})
    assert healed.account.is_readable
    await shop.world.query(ALL_DUE)
    assert held(await shop.again(delivery)) == ("sent", None, 1)
    (alert,) = await shop.alerts("provider_down")
    assert (alert["resolution"], alert["resolved_by"]) == ("its settings were given anew", shop.world.org.owner.user_id)


async def test_mail_of_an_account_that_cannot_be_read_does_not_go_by_the_houses_own_server(shop: Shop):
    lost = await shop.account("m", config=MAIL, sender="shop@jacaranda.example")
    await lose(shop.world.services, "message_providers", lost.id)
    row = await shop.tell(phone=None, email="rudo@example.com")
    assert held(row) == ("pending", "held_provider_unreadable", 0)
    assert shop.channel.asked == []


async def test_the_register_shows_what_cannot_be_read_and_takes_it_anew(owner: Api, services: Services):
    lost, other = [(await owner("POST", messages.PATH, body)).json for body in (messages.TWILIO, messages.TALKING)]
    one = f"{messages.PATH}/{lost['id']}"
    sealed = await lose(services, "message_providers", lost["id"])
    shown = {each["id"]: each for each in (await owner("GET", messages.PATH)).json["data"]}
    assert shown[lost["id"]]["config"] is None
    assert shown[lost["id"]]["provider"] == "twilio"
    assert shown[lost["id"]]["health"] == {"state": "open", "reason": "secret-unreadable"}
    assert "health" not in shown[other["id"]]
    named = await owner("PATCH", one, {"name": "The old one"})
    assert (named.status, named.json["name"], named.json["config"]) == (200, "The old one", None)
    assert await stored(services, "message_providers", lost["id"]) == sealed  # the key may come back
    partly = await owner("PATCH", one, {"config": {"provider": "twilio", "authToken": "another"}})
    assert (partly.status, partly.json["errors"][0]["field"]) == (422, "config.accountSid")
    tried = await owner("POST", f"{one}/test", {"to": "+263771000200"})
    assert (tried.status, tried.json["type"]) == (503, "/problems/secret-unreadable")
    whole = await owner("PATCH", one, {"config": TWILIO_ANEW})
    assert (whole.status, whole.json["config"]["accountSid"]) == (200, messages.SID)
    assert "health" not in whole.json


async def test_an_account_that_cannot_be_read_can_be_put_away(owner: Api, services: Services):
    lost = (await owner("POST", messages.PATH, messages.TWILIO)).json
    await lose(services, "message_providers", lost["id"])
    assert (await owner("DELETE", f"{messages.PATH}/{lost['id']}")).status == 204


async def test_reports_of_an_account_that_cannot_be_read_are_not_taken_unchecked(owner: Api, services: Services):
    added = (await owner("POST", messages.PATH, messages.TWILIO)).json
    await lose(services, "message_providers", added["id"])
    token = added["callbacks"][0]["url"].split("/")[-2]
    async with services.database.transaction(SYSTEM) as conn:
        with pytest.raises(Unreadable):
            await services.telling.providers.find_by_token(conn, token)


@pytest.mark.parametrize(
    ("body", "needs"), [(payments.DARAJA, "config.consumerKey"), (payments.SIGNED, "config.secret")]
)
async def test_a_payment_account_that_cannot_be_read_is_shown_and_taken_anew(
    owner: Api, services: Services, body: dict[str, object], needs: str
):
    lost, other = [(await owner("POST", payments.PATH, each)).json for each in (body, payments.SIGNED)]
    one = f"{payments.PATH}/{lost['id']}"
    sealed = await lose(services, "payment_providers", lost["id"])
    shown = {each["id"]: each for each in (await owner("GET", payments.PATH)).json["data"]}
    assert (shown[lost["id"]]["config"], shown[lost["id"]]["problem"]) == (None, "secret-unreadable")
    assert shown[lost["id"]]["provider"] == lost["provider"]
    assert "problem" not in shown[other["id"]]
    named = await owner("PATCH", one, {"name": "The old one"})
    assert (named.status, named.json["name"], named.json["problem"]) == (200, "The old one", "secret-unreadable")
    assert await stored(services, "payment_providers", lost["id"]) == sealed  # the key may come back
    partly = await owner("PATCH", one, {"config": {"provider": lost["provider"]}})
    assert (partly.status, partly.json["errors"][0]["field"]) == (422, needs)
    whole = await owner("PATCH", one, {"config": body["config"]})
    assert whole.status == 200
    assert "problem" not in whole.json
    assert whole.json["config"]["provider"] == lost["provider"]
