"""What mail providers say of mails that bounced: whatever they call it, and whenever it comes."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.consent_world import MAIL, Shop
from tests.factories import Org
from tests.integration.test_receipts import HOOK, bounce, mailed
from tests.unit.test_mail_reports import DELIVERY, GENERIC, MAILGUN, POSTMARK, SENDGRID, SES
from waypost.notifications import storage
from waypost.notifications.states import Event, State
from waypost.platform.database import SYSTEM
from waypost.wiring_work import relay_over

IN_DOUBT = """
INSERT INTO attempts (org_id, delivery_id, attempt, provider, started_at, finished_at, outcome)
VALUES ($1, $2, 1, 'smtp', now(), now(), 'unknown')
"""


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org, MAIL, "shop@example.com")


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        pytest.param(POSTMARK, "2.0.0 Ok: queued as 883953f4-6105", id="postmark"),
        pytest.param([SENDGRID], "Ok: queued as 14c5d75ce93", id="sendgrid"),
        pytest.param(SES, "Ok 00000137860315fd", id="ses"),
        pytest.param(
            {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(SES)}, "Ok 00000137860315fd", id="sns"
        ),
        pytest.param(MAILGUN, "Great success", id="mailgun"),
        pytest.param({**GENERIC, "id": "77"}, "2.0.0 Ok: queued as 4XyZ12", id="generic"),
    ],
)
async def test_a_bounce_settles_what_was_sent_though_the_mail_server_called_it_something_else(
    api: Api, shop: Shop, hook: Any, answer: str
) -> None:
    """``answer``: the server's words when it took the mail, as they are kept."""
    delivery, other = await mailed(shop, ref=answer), await mailed(shop, ref=answer)
    await bounce(api, shop, json.loads(json.dumps(hook).replace(str(DELIVERY), str(delivery))))
    assert (await shop.state(delivery), await shop.state(other)) == (State.UNDELIVERED, State.SENT)
    (row,) = await shop.rows("SELECT error, provider_ref FROM deliveries WHERE id = $1", delivery)
    assert (row["error"], row["provider_ref"]) == ("bounced", answer)
    assert await shop.suppressed() == [("chipo@example.com", "", "hard_bounce")]


async def in_doubt(shop: Shop) -> UUID:
    """Nobody knows what became of its one try."""
    delivery = await mailed(shop, state=State.IN_DOUBT)
    await shop.rows(IN_DOUBT, shop.org.org_id, delivery)
    return delivery


async def test_a_bounce_of_a_try_in_doubt_settles_what_waits_to_be_repeated(api: Api, shop: Shop) -> None:
    delivery = await in_doubt(shop)
    await relay_over(shop.org.services).sweep()
    assert await shop.state(delivery) is State.PENDING
    await bounce(api, shop, {**HOOK, "deliveryId": str(delivery)})
    assert await shop.state(delivery) is State.UNDELIVERED


@pytest.mark.parametrize("since", ["proved absent", "sent again by a person"])
async def test_a_bounce_of_an_earlier_try_does_not_settle_what_is_to_go_out_anew(
    api: Api, shop: Shop, since: str
) -> None:
    delivery, services = await in_doubt(shop), shop.org.services
    if since == "proved absent":
        async with services.database.transaction(SYSTEM) as conn:
            now = services.clock.now()
            await storage.report(conn, shop.org.org_id, delivery, Event.ABSENT, reason="not_found", now=now)
    else:
        await services.stuck.resolve(shop.org.owner, delivery, "They have not got it", send_again=True)
    await bounce(api, shop, {**HOOK, "deliveryId": str(delivery), "type": "soft"})
    assert await shop.state(delivery) is State.PENDING


async def test_a_bounce_of_what_was_never_tried_settles_nothing(api: Api, shop: Shop) -> None:
    delivery = await mailed(shop, state=State.PENDING)
    await bounce(api, shop, {**HOOK, "deliveryId": str(delivery)})
    assert await shop.state(delivery) is State.PENDING
