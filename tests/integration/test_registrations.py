"""Providers are told our addresses: by a worker, as often as it takes, and payments come by them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org
from tests.mobile import Asker, Mobile, asker
from tests.tills import Shop
from waypost.app import build_app
from waypost.payments.providers.accounts import Registration, Secret, SignedConfig
from waypost.payments.registering import Registering
from waypost.payments.registration_domain import ALREADY
from waypost.platform.database import SYSTEM
from waypost.wiring import Services
from waypost.wiring_work import registering_over


@pytest.fixture
async def server(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> TestServer:
    return await aiohttp_server(build_app(services))


@pytest.fixture
async def worker(server: TestServer, org: Org) -> AsyncIterator[Asker]:
    async with asker(await Shop.of(org), server) as opened:
        yield opened


@pytest.fixture
def registering(worker: Asker) -> Registering:
    over = registering_over(worker.mobile.services, worker.asking.provider)  # type: ignore[arg-type]  # it is both
    return replace(over, public_url=worker.mobile.url)


async def ask(till: Mobile) -> None:
    await till.services.money.registrations.create(till.shop.owner, till.account.id)


async def told(till: Mobile, registering: Registering) -> Registration:
    """A worker's turn, whatever its time; how it stands then."""
    now = "c2b_due_at = c2b_due_at - interval '1 hour', c2b_lease_until = NULL"
    await till.query(f"UPDATE payment_providers SET {now} RETURNING id")
    await registering.tell(till.shop.org.org_id, till.account.id)
    found = (await till.services.money.providers.find(till.shop.owner, till.account.id)).registration
    assert found is not None
    return found


async def test_payments_come_by_the_addresses_that_a_worker_told(worker: Asker, registering: Registering):
    till = worker.mobile
    await ask(till)
    assert ((await told(till, registering)).state, [what for what, _ in worker.fake.calls]) == (
        "registered", ["token", "register"],
    )  # fmt: skip
    layby = await till.shop.layby()
    await till.services.money.providers.replace_token(till.shop.owner, till.account.id)
    await till.services.money.providers.replace_token(till.shop.owner, till.account.id)
    answers = await worker.fake.pay(layby.reference, "20.00", validate=True)
    assert [status for status, _ in answers] == [200, 200]
    await till.rest()
    assert (await till.shop.read(layby.id)).balance_minor == 5000


async def test_addresses_that_the_provider_has_already_are_a_success_said_in_words(
    worker: Asker, registering: Registering
):
    till = worker.mobile
    for text in (None, ALREADY):
        await ask(till)
        found = await told(till, registering)
        assert (found.state, found.text) == ("registered", text)
    first, second = (body["ConfirmationURL"] for what, body in worker.fake.calls if what == "register")
    assert first == second


async def test_a_busy_provider_is_told_again_and_a_refusal_is_kept_in_words(worker: Asker, registering: Registering):
    till = worker.mobile
    worker.fake.trouble.extend(["busy", "refuse"])
    await ask(till)
    assert (await told(till, registering)).state == "queued"
    found = await told(till, registering)
    assert (found.state, found.text) == ("failed", "400.002.02 Bad Request - Invalid PhoneNumber")
    await ask(till)
    assert (await told(till, registering)).state == "registered"


async def test_a_worker_that_died_leaves_it_to_the_next(worker: Asker, registering: Registering):
    till = worker.mobile
    await ask(till)
    await till.query("UPDATE payment_providers SET c2b_state = 'asking', c2b_attempt = 1 RETURNING id")
    assert (await told(till, registering)).state == "registered"


async def test_over_http_owners_ask_and_the_account_shows_how_it_stands(
    worker: Asker, registering: Registering, api: Any, org: Org
):
    till, call = worker.mobile, api.as_(await org.token())
    path = f"/api/v1/payment-providers/{till.account.id}"
    asked = await call("POST", f"{path}/register-urls")
    assert (asked.status, asked.json["registration"]["state"]) == (202, "queued")
    await told(till, registering)
    assert (await call("GET", path)).json["registration"]["state"] == "registered"
    config = SignedConfig((Secret("whsec_0123456789abcdef"),))
    signed, _ = await till.services.money.providers.add(org.owner, name="Card", config=config, currency="KES")
    refused = await call("POST", f"/api/v1/payment-providers/{signed.id}/register-urls")
    assert (refused.status, refused.json["code"]) == (409, "nothing-to-register")


async def test_without_an_address_of_ours_it_fails_and_says_so(worker: Asker, registering: Registering):
    await ask(worker.mobile)
    found = await told(worker.mobile, replace(registering, public_url=None))
    assert (found.state, "WAYPOST_PUBLIC_URL" in (found.text or "")) == ("failed", True)


async def test_the_relay_names_an_account_once_in_a_while(worker: Asker):
    till = worker.mobile
    await ask(till)
    async with till.services.database.transaction(SYSTEM) as conn:
        (wake,) = await till.services.money.registrations.due(conn, 10)
        assert await till.services.money.registrations.due(conn, 10) == []
        await till.services.money.registrations.untold(conn, [wake])
        assert await till.services.money.registrations.due(conn, 10) == [wake]
