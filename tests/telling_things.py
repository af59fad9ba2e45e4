"""One of everything that has to do with telling, for tests that are generated from the route table."""

from __future__ import annotations

from typing import Any

from tests.factories import Org
from tests.fakes.faces.africastalking import API_KEY, SENDER, USERNAME
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.accounts import AfricasTalkingConfig
from waypost.notifications.providers_register import New
from waypost.notifications.push.domain import Keys
from waypost.notifications.push.sealing import key_of, point_of


async def telling_things(org: Org) -> dict[str, Any]:
    """By the name that its id (or token) has in a path."""
    telling = org.services.telling
    config = AfricasTalkingConfig(USERNAME, API_KEY)
    provider, _token = await telling.providers.add(org.owner, New("Africa's Talking", config, SENDER))
    keys = Keys(point_of(key_of(b"x" * 32).public_key()), b"y" * 16)
    browser = await telling.push.subscribe(org.owner, "https://push.example/send/1", keys, "Firefox")
    webhook = await telling.webhooks.add(org.owner, name="shop", url="https://shop.example/hooks", events=["*"])
    logged = await telling.webhook_log.test(org.owner, webhook.id, "trip.started")
    suppression = await telling.suppressions.add(
        org.owner, channel=ChannelName.SMS, address="+263771234567", sender="", why="They asked at the counter"
    )
    return {
        "suppression_id": suppression.id,
        "push_subscription_id": browser.id,
        "message_provider_id": provider.account.id,
        "webhook_id": webhook.id,
        "webhook_delivery_id": logged.delivery.id,
        "kind": "payment_reminder",
        "form": "sms",
        "locale": "en",
    }
