"""The common suite: what is true of money holds whichever provider reports it. A new provider adds its `Till` here."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.mobile import paybill, reversal
from tests.statements import daraja
from tests.tills import CURRENCY, Shop
from waypost.payments.providers.accounts import ProviderAccount, Secret, SignedConfig
from waypost.payments.providers.signed import sign_stripe

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_events = count(1)


class Till(Protocol):
    """A provider, and how it says things. ``amount``: in minor units."""

    shop: Shop
    account: ProviderAccount

    async def paid(self, receipt: str, amount: int, reference: str) -> None: ...

    async def took_back(self, original: str, receipt: str, amount: int) -> None: ...

    async def babbled(self) -> None: ...

    async def said_an_odd_amount(self, receipt: str, reference: str) -> None: ...


@dataclass
class DarajaTill:
    """By its paybill, and its results of reversals."""

    shop: Shop
    account: ProviderAccount
    root: str

    async def paid(self, receipt: str, amount: int, reference: str) -> None:
        await self._call("confirmation", paybill(reference, f"{amount // 100}.{amount % 100:02}", receipt))

    async def took_back(self, original: str, receipt: str, amount: int) -> None:
        await self._call("reversal", reversal(original, receipt, f"{amount // 100}.{amount % 100:02}"))

    async def babbled(self) -> None:
        await self._call("confirmation", ["what?"])

    async def said_an_odd_amount(self, receipt: str, reference: str) -> None:
        await self._call("confirmation", paybill(reference, "1e2", receipt))

    async def _call(self, road: str, body: object) -> None:
        await _post(f"{self.root}/{road}", json.dumps(body).encode(), {})
        await rest(self.shop)


@dataclass
class SignedTill:
    """By its events."""

    shop: Shop
    account: ProviderAccount
    root: str

    async def paid(self, receipt: str, amount: int, reference: str) -> None:
        await self._event("payment.succeeded", id=receipt, amount=amount, metadata={"reference": reference})

    async def took_back(self, original: str, receipt: str, amount: int) -> None:
        await self._event("payment.refunded", id=receipt, payment=original, amount=amount)

    async def babbled(self) -> None:
        await self._send(b'["what?"]')

    async def said_an_odd_amount(self, receipt: str, reference: str) -> None:
        await self._event("payment.succeeded", id=receipt, amount="1e2", metadata={"reference": reference})

    async def _event(self, kind: str, **thing: Any) -> None:
        event = {"id": f"evt_{next(_events)}", "type": kind, "data": {"object": thing}}
        await self._send(json.dumps(event).encode())

    async def _send(self, body: bytes) -> None:
        at = int(self.shop.services.clock.now().timestamp())
        await _post(self.root, body, {"Stripe-Signature": sign_stripe(SECRET, body, at)})
        await rest(self.shop)


async def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        assert response.status == 200, await response.text()


async def daraja_till(shop: Shop, url: str) -> Till:
    account = await daraja(shop)
    _, token = await shop.services.money.providers.replace_token(shop.owner, account.id)
    return DarajaTill(shop, account, f"{url}/api/v1/callbacks/daraja/{token}")


async def signed_till(shop: Shop, url: str) -> Till:
    config = SignedConfig((Secret(SECRET),))
    account, token = await shop.services.money.providers.add(shop.owner, name="Cards", config=config, currency=CURRENCY)
    return SignedTill(shop, account, f"{url}/api/v1/callbacks/signed/{token}")


@pytest.fixture(params=[daraja_till, signed_till], ids=["daraja", "signed"])
async def till(request: pytest.FixtureRequest, org: Org, api: Api) -> Till:
    made: Till = await request.param(await Shop.of(org), api.url)
    return made


async def rest(shop: Shop) -> None:
    """Until the server, which is in this process, has nothing at work any more."""
    while tasks := shop.services.money.callbacks.tasks:
        await asyncio.wait(set(tasks))


async def became(till: Till) -> list[str]:
    """What became of the callbacks, in order; what was only kept is worked on first, as the sweep does."""
    shop = till.shop
    await rest(shop)
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        rows = await conn.fetch("SELECT id FROM callbacks WHERE disposition IS NULL ORDER BY id")
        # What it belongs to will not come any more.
        await conn.execute(
            "UPDATE callbacks SET received_at = received_at - interval '2 minutes', due_at = received_at"
        )
    for row in rows:
        await shop.services.money.callback_work.finish(shop.org.org_id, row["id"])
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        return [row["disposition"] for row in await conn.fetch("SELECT disposition FROM callbacks ORDER BY id")]


async def test_money_for_a_layby_is_applied_and_its_repeat_is_a_duplicate(till: Till):
    layby = await till.shop.layby()
    for _ in range(3):
        await till.paid("R1", 25_00, layby.reference)
    assert await became(till) == ["applied", "duplicate", "duplicate"]
    (row,) = await till.shop.rows(provider=till.account.key)
    assert (row.receipt, row.amount_minor, row.applied_minor, row.currency) == ("R1", 25_00, 25_00, CURRENCY)
    assert (await till.shop.read(layby.id)).paid_minor == 55_00
    assert (await till.shop.balances())["clearing"] == 25_00
    assert [kind for kind, _ in await till.shop.told()].count("payment_received") == 1
    await till.shop.check()


async def test_a_reference_is_understood_however_it_was_typed(till: Till):
    layby = await till.shop.layby()
    await till.paid("R1", 1_00, f" {layby.reference[:3].lower()}-{layby.reference[3:].lower()} ")
    assert await became(till) == ["applied"]


async def test_more_than_is_owed_completes_the_layby_and_the_rest_is_credit(till: Till):
    layby = await till.shop.layby()
    await till.paid("R1", 75_00, layby.reference)
    assert await became(till) == ["overpaid"]
    after = await till.shop.read(layby.id)
    assert (str(after.status), after.balance_minor) == ("completed", 0)
    (row,) = await till.shop.rows(provider=till.account.key)
    assert (row.applied_minor, row.credit_minor) == (70_00, 5_00)
    await till.shop.check()


async def test_money_for_a_layby_that_has_ended_is_credit(till: Till):
    layby = await till.shop.layby()
    await till.shop.cancel(layby.id)
    await till.paid("R1", 5_00, layby.reference)
    assert await became(till) == ["credit"]
    await till.shop.check()


async def test_money_without_a_known_reference_waits_for_a_person(till: Till):
    await till.paid("R1", 5_00, "nobody")
    await till.paid("R2", 5_00, "")
    assert await became(till) == ["unmatched", "unmatched"]
    assert (await till.shop.balances())["suspense"] == -10_00
    assert await till.shop.alerts() == ["payment_unmatched", "payment_unmatched"]
    await till.shop.check()


async def test_what_is_taken_back_is_undone_once_in_parts_and_never_beyond_what_came(till: Till):
    layby = await till.shop.layby()
    await till.paid("R1", 10_00, layby.reference)
    await till.took_back("R1", "B1", 4_00)
    await till.took_back("R1", "B1", 4_00)
    await till.took_back("R1", "B2", 6_00)
    await till.took_back("R1", "B3", 1)
    await till.took_back("R0", "B4", 1_00)
    assert await became(till) == ["applied", "reversed", "duplicate", "reversed", "review", "review"]
    assert (await till.shop.read(layby.id)).paid_minor == 30_00
    assert (await till.shop.balances()).get("clearing", 0) == 0
    await till.shop.check()


async def test_a_reversal_opens_a_completed_layby_again(till: Till):
    layby = await till.shop.layby()
    await till.paid("R1", 75_00, layby.reference)
    await till.took_back("R1", "B1", 75_00)
    assert await became(till) == ["overpaid", "reversed"]
    after = await till.shop.read(layby.id)
    assert (str(after.status), after.paid_minor) == ("active", 30_00)
    await till.shop.check()


async def test_an_amount_that_is_none_is_a_question_and_nothing_is_booked(till: Till):
    layby = await till.shop.layby()
    await till.said_an_odd_amount("R1", layby.reference)
    assert await became(till) == ["review"]
    assert await till.shop.rows(provider=till.account.key) == []
    assert await till.shop.alerts() == ["payment_review"]
    await till.paid("R1", 5_00, layby.reference)  # said again, rightly
    assert (await became(till))[-1] == "applied"


async def test_what_is_not_understood_is_kept_for_a_person(till: Till):
    await till.babbled()
    assert await became(till) == ["quarantined"]
    assert await till.shop.alerts() == ["callback_quarantined"]
    async with till.shop.services.database.transaction(till.shop.org.org_id) as conn:
        assert await conn.fetchval("SELECT body FROM callbacks") == b'["what?"]'
