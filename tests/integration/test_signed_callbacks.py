"""Signed events over HTTP: let in by their signature alone, kept, booked once; or refused, and nothing kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Answer, Api
from tests.factories import Org, organisation
from tests.statements import daraja
from tests.tills import CURRENCY, Shop
from waypost.payments.providers.accounts import ProviderAccount, Secret, SignedConfig
from waypost.payments.providers.signed import sign_standard, sign_stripe

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class Cards:
    """A provider that signs, and the address that a shop gave to it."""

    shop: Shop
    account: ProviderAccount
    token: str
    api: Api
    secret: str = SECRET

    @classmethod
    async def of(cls, shop: Shop, api: Api, **fields: Any) -> Cards:
        account, token = await shop.services.money.providers.add(
            shop.owner, name="Cards", config=SignedConfig((Secret(SECRET),)), currency=CURRENCY, **fields
        )
        return cls(shop, account, token, api)

    @property
    def path(self) -> str:
        return f"/api/v1/callbacks/signed/{self.token}"

    @property
    def now(self) -> int:
        return int(self.shop.services.clock.now().timestamp())

    async def send(self, body: bytes, headers: Mapping[str, str] | None = None, path: str | None = None) -> Answer:
        signed = headers if headers is not None else {"Stripe-Signature": sign_stripe(self.secret, body, self.now)}
        return await self.api(
            "POST", path or self.path, data=body, headers={"Content-Type": "application/json", **signed}
        )

    async def event(self, event_id: str, kind: str, **thing: Any) -> str | None:
        """What became of an event."""
        data = {"object": {"currency": CURRENCY.lower()} | thing}
        body = json.dumps({"id": event_id, "type": kind, "created": self.now, "data": data}).encode()
        answer = await self.send(body)
        assert (answer.status, answer.json["received"]) == (200, True), answer
        disposition: str | None = answer.json.get("disposition")
        return disposition or await self.ended(event_id)

    async def ended(self, event_id: str) -> str | None:
        """Of one that was only kept: once the server is at rest, or by the sweep."""
        await self.rest()
        async with self.shop.services.database.transaction(self.shop.org.org_id) as conn:
            row = await conn.fetchrow("SELECT id, disposition FROM callbacks WHERE event_id = $1", event_id)
        if row["disposition"] is None:
            await self.shop.services.money.callback_work.finish(self.shop.org.org_id, row["id"])
            async with self.shop.services.database.transaction(self.shop.org.org_id) as conn:
                row = await conn.fetchrow("SELECT id, disposition FROM callbacks WHERE event_id = $1", event_id)
        disposition: str | None = row["disposition"]
        return disposition

    async def rest(self) -> None:
        """Until the server, which is in this process, has nothing at work any more."""
        while tasks := self.shop.services.money.callbacks.tasks:
            await asyncio.wait(set(tasks))

    async def kept(self) -> int:
        await self.rest()
        async with self.shop.services.database.transaction(self.shop.org.org_id) as conn:
            return int(await conn.fetchval("SELECT count(*) FROM callbacks"))


@pytest.fixture
async def cards(org: Org, api: Api) -> Cards:
    return await Cards.of(await Shop.of(org), api)


async def test_a_payment_is_booked_once_and_its_repeat_changes_nothing(cards: Cards):
    layby = await cards.shop.layby()
    paid = {"id": "pi_1", "amount": 25_00, "metadata": {"reference": layby.reference}}
    assert await cards.event("evt_1", "payment.succeeded", **paid) == "applied"
    assert await cards.event("evt_1", "payment.succeeded", **paid) == "duplicate"  # the same event
    assert await cards.event("evt_2", "payment_intent.succeeded", **paid) == "duplicate"  # another of the same money
    (row,) = await cards.shop.rows(provider=cards.account.key)
    assert (row.receipt, row.applied_minor, row.layby_id) == ("pi_1", 25_00, layby.id)
    assert (await cards.shop.balances())["clearing"] == 25_00
    assert await cards.kept() == 2
    await cards.shop.check()


async def test_one_event_many_times_at_once_is_booked_once(cards: Cards):
    layby = await cards.shop.layby()
    paid = {"id": "pi_1", "amount": 25_00, "metadata": {"reference": layby.reference}}
    ended = await asyncio.gather(*(cards.event(f"evt_{n % 3}", "payment.succeeded", **paid) for n in range(12)))
    assert set(ended) <= {"applied", "duplicate"}
    assert len(await cards.shop.rows(provider=cards.account.key)) == 1
    assert (await cards.shop.read(layby.id)).paid_minor == 55_00
    await cards.shop.check()


async def test_standard_webhooks_are_let_in_on_the_same_address(cards: Cards):
    data = {"object": {"id": "pi_9", "amount": 100, "metadata": {"reference": "nobody"}}}
    body = json.dumps({"type": "payment.succeeded", "data": data}).encode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(cards.now),
        "webhook-signature": sign_standard(SECRET, "msg_1", body, cards.now),
    }
    assert (await cards.send(body, headers)).json["received"] is True
    assert await cards.ended("payment.succeeded:pi_9") == "unmatched"
    assert (await cards.send(body, headers)).json == {"received": True, "disposition": "duplicate"}


async def test_what_is_not_signed_rightly_is_401_and_nothing_is_kept(cards: Cards):
    body = b'{"id":"evt_1","type":"payment.succeeded","data":{"object":{"id":"pi_1","amount":100}}}'
    good = sign_stripe(SECRET, body, cards.now)
    wrong: list[dict[str, str]] = [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": sign_stripe("whsec_other", body, cards.now)},
        {"Stripe-Signature": sign_stripe(SECRET, body, cards.now - 400)},
        {"Stripe-Signature": sign_stripe(SECRET, body, cards.now + 400)},
        {"Stripe-Signature": good.replace("v1", "v0")},
    ]
    for headers in wrong:
        refused = await cards.send(body, headers)
        assert (refused.status, refused.json["code"]) == (401, "signature-invalid")
    changed = await cards.send(body + b" ", {"Stripe-Signature": good})
    assert changed.status == 401
    assert await cards.kept() == 0
    assert (await cards.send(body, {"Stripe-Signature": good})).status == 200


async def test_who_is_not_expected_there_is_refused_and_nothing_is_kept(cards: Cards, api: Api):
    body = b'{"id":"evt_1","type":"x","data":{"object":{}}}'
    for token in ("0" * 32, "x", "'"):
        answer = await cards.send(body, path=f"/api/v1/callbacks/signed/{token}")
        assert (answer.status, answer.json["code"]) == (404, "callback-unknown")
    _, daraja_token = await cards.shop.services.money.providers.replace_token(
        cards.shop.owner, (await daraja(cards.shop)).id
    )
    assert (await cards.send(body, path=f"/api/v1/callbacks/signed/{daraja_token}")).status == 404
    elsewhere = await Cards.of(cards.shop, api, addresses=["196.201.214.200"])
    assert (await elsewhere.send(body)).status == 403
    forwarded = {"X-Forwarded-For": "196.201.214.200", "Stripe-Signature": sign_stripe(SECRET, body, cards.now)}
    assert (await elsewhere.send(body, forwarded)).status == 403  # nobody trusts that proxy
    assert (await cards.send(b"x" * (64 * 1024 + 1))).status == 413
    assert await cards.kept() == 0


async def test_a_failure_after_the_success_is_ignored_and_a_success_after_the_failure_counts(cards: Cards):
    layby = await cards.shop.layby()
    one = {"id": "pi_1", "amount": 5_00, "metadata": {"reference": layby.reference}}
    assert await cards.event("evt_1", "payment.failed", **one) == "failed"
    assert await cards.event("evt_2", "payment.succeeded", **one) == "applied"
    assert await cards.event("evt_3", "payment.failed", **one) == "ignored"
    assert await cards.event("evt_4", "customer.created", id="cus_1") == "ignored"
    assert (await cards.shop.read(layby.id)).paid_minor == 35_00


async def test_refunds_bit_by_bit_and_disputes_are_each_their_own(cards: Cards):
    layby = await cards.shop.layby()
    await cards.event("evt_1", "payment.succeeded", id="pi_1", amount=9_00, metadata={"reference": layby.reference})
    refund = {"payment": "pi_1", "amount": 2_00}
    assert await cards.event("evt_2", "payment.refunded", id="re_1", **refund) == "reversed"
    assert await cards.event("evt_3", "payment.refunded", id="re_1", **refund) == "duplicate"
    assert await cards.event("evt_4", "payment.refunded", id="re_2", **refund) == "reversed"
    assert await cards.event("evt_5", "payment.refunded", id="re_3", payment="pi_1", amount=6_00) == "review"
    dispute = {"id": "dp_1", "payment_intent": "pi_1", "amount": 9_00}
    assert await cards.event("evt_6", "charge.dispute.created", **dispute) == "review"
    assert await cards.event("evt_6", "charge.dispute.created", **dispute) == "duplicate"
    assert (await cards.shop.read(layby.id)).paid_minor == 30_00 + 5_00
    assert (await cards.shop.alerts()).count("payment_review") == 2
    await cards.shop.check()


async def test_the_token_decides_whose_money_it_is_and_receipts_are_the_accounts_own(cards: Cards, api: Api):
    other_shop = await Shop.of(await organisation(cards.shop.services, "Bulawayo Bulk"))
    other, third = await Cards.of(other_shop, api), await Cards.of(cards.shop, api)
    layby = await cards.shop.layby()
    paid = {"id": "pi_1", "amount": 1_00, "metadata": {"reference": layby.reference}}
    assert await other.event("evt_1", "payment.succeeded", **paid) == "unmatched"
    assert await cards.event("evt_1", "payment.succeeded", **paid) == "applied"
    assert await third.event("evt_9", "payment.succeeded", **paid) == "applied"  # an account of its own
    assert (await cards.shop.read(layby.id)).paid_minor == 32_00
    await other_shop.check()


async def test_what_is_signed_but_no_event_is_kept_for_a_person(cards: Cards):
    for body in (b"", b"{}", b"\x00\xff", b"[" * 5000):
        answer = await cards.send(body)
        assert answer.status == 200
    await cards.rest()
    async with cards.shop.services.database.transaction(cards.shop.org.org_id) as conn:
        open_rows = [row["id"] for row in await conn.fetch("SELECT id FROM callbacks WHERE disposition IS NULL")]
    for callback_id in open_rows:
        await cards.shop.services.money.callback_work.finish(cards.shop.org.org_id, callback_id)
    assert await cards.shop.alerts() == ["callback_quarantined"] * 4
    assert await cards.shop.rows() == []
