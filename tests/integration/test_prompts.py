"""Prompts: one open one a layby, asked by a worker, never twice; what becomes of them when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org
from tests.fakes.daraja import Fake
from tests.fakes.daraja_shapes import Play, Say
from tests.mobile import PHONE, Asker, Mobile, asker
from tests.tills import Shop
from tests.waiting import until
from waypost.app import build_app
from waypost.kernel.principal import Role
from waypost.laybys.domain import Layby, LaybyMoveRefused
from waypost.payments.prompt_domain import Prompt, PromptState
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

NEVER = (Say(after_s=3600),)


@pytest.fixture
async def server(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> TestServer:
    return await aiohttp_server(build_app(services))


@pytest.fixture
async def worker(server: TestServer, org: Org) -> AsyncIterator[Asker]:
    async with asker(await Shop.of(org), server) as opened:
        yield opened


@pytest.fixture
async def till(worker: Asker) -> Mobile:
    return worker.mobile


@pytest.fixture
async def fake(worker: Asker) -> Fake:
    return worker.fake


@pytest.fixture
async def layby(till: Mobile) -> Layby:
    """Of 100.00, with 30.00 paid; two instalments of 35.00."""
    return await till.shop.layby()


async def settled(worker: Asker) -> None:
    """The provider has called back, and we have answered and worked; what met a lock, the sweep has done."""
    await worker.fake.settled()
    await worker.mobile.rest()
    await worker.mobile.sweep()


async def failures(till: Mobile) -> list[str | None]:
    return [facts.get("reason") for kind, facts in await till.shop.told() if kind == "payment_failed"]


async def test_a_prompt_is_asked_paid_and_booked(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    prompt = await till.prompt(layby)
    assert (prompt.state, prompt.amount_minor) == (PromptState.QUEUED, 3500)
    asked = await worker.turn(prompt)
    (push,) = fake.pushes
    assert (push["Amount"], push["AccountReference"], push["PhoneNumber"]) == (35, layby.reference, int(PHONE[1:]))
    assert asked.state in {PromptState.ASKED, PromptState.PAID}
    await settled(worker)
    read = await till.read(prompt)
    assert (read.state, read.due_at) == (PromptState.PAID, None)
    assert read.request_id is not None
    assert (await till.shop.read(layby.id)).balance_minor == 3500
    await till.shop.check()


DRESSES = ["plain", "int", "text", "balance", "shuffled"]


@pytest.mark.parametrize("dress", DRESSES)
async def test_whatever_its_types_a_callback_is_the_same_payment(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby, dress: Any
):
    fake.plays.append(Play(says=(Say(dress=dress, at_once=2),)))
    prompt = await till.prompt(layby)
    await worker.turn(prompt)
    await settled(worker)
    assert sorted(map(str, await till.became())) == ["applied", "duplicate"]
    assert (await till.read(prompt)).state is PromptState.PAID
    await till.shop.check()


async def test_a_callback_that_comes_before_our_own_answer_is_booked(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    fake.plays.append(Play(before=True))
    prompt = await worker.turn(await till.prompt(layby))
    await settled(worker)
    assert (await till.read(prompt)).state is PromptState.PAID
    assert (await till.became()) == ["applied"]


async def test_failure_then_success_ends_paid(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    fake.plays.append(Play(says=(Say(code=1032), Say())))
    prompt = await till.prompt(layby)
    await worker.turn(prompt)
    await settled(worker)
    # Both were at work at once: the failure may have come to its turn after the success.
    assert await till.became() in (["failed", "applied"], ["ignored", "applied"])
    assert (await till.read(prompt)).state is PromptState.PAID


async def test_one_open_prompt_a_layby_and_another_once_it_has_ended(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby, api: Any, org: Org
):
    call = api.as_(await org.token())
    wish = {"laybyId": str(layby.id), "phone": PHONE}
    first = await call("POST", "/api/v1/payments/prompts", wish)
    assert (first.status, first.json["state"], first.json["phone"]) == (202, "queued", "…149")
    second = await call("POST", "/api/v1/payments/prompts", wish)
    assert (second.status, second.json["code"], second.json["promptId"]) == (409, "prompt-open", first.json["id"])
    fake.plays.append(Play(says=(Say(code=1032),)))
    (row,) = (await till.services.money.prompts.list(org.owner, _all(), 10, None)).data
    await worker.turn(row)
    await settled(worker)
    assert (await call("GET", f"/api/v1/payments/prompts/{row.id}")).json["state"] == "failed"
    assert (await call("POST", "/api/v1/payments/prompts", wish)).status == 202
    listed = (await call("GET", f"/api/v1/payments/prompts?laybyId={layby.id}&state=failed")).json["data"]
    assert [each["id"] for each in listed] == [str(row.id)]


def _all() -> Any:
    from waypost.payments.prompt_domain import PromptFilter

    return PromptFilter()


async def test_many_prompts_at_once_are_one(till: Mobile, layby: Layby, worker: Asker):
    made = await asyncio.gather(*(till.prompt(layby) for _ in range(8)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["Prompt", *["PromptOpen"] * 7]


REFUSED = {
    "too much": ({"amountMinor": 7001}, 422, "amount-too-large"),
    "nothing": ({"amountMinor": 0}, 422, "invalid"),
    "a float": ({"amountMinor": 10.5}, 422, "invalid"),
    "no phone number": ({"phone": "0708374149"}, 422, "invalid"),
    "an unknown layby": ({"laybyId": "00000000-0000-0000-0000-000000000001"}, 404, "layby-not-found"),
}


@pytest.mark.parametrize(("wish", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_asked_for_is_refused(
    layby: Layby, api: Any, org: Org, wish: dict[str, Any], status: int, code: str
):
    call = api.as_(await org.token())
    answer = await call("POST", "/api/v1/payments/prompts", {"laybyId": str(layby.id), "phone": PHONE} | wish)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_without_a_phone_of_the_customers_one_must_be_given(layby: Layby, api: Any, org: Org):
    answer = await api.as_(await org.token())("POST", "/api/v1/payments/prompts", {"laybyId": str(layby.id)})
    assert (answer.status, answer.json["code"]) == (422, "no-phone")


async def test_without_an_account_that_asks_phones_nobody_is_asked(services: Services, api: Any, org: Org):
    layby = await (await Shop.of(org)).layby()
    wish = {"laybyId": str(layby.id), "phone": PHONE}
    answer = await api.as_(await org.token())("POST", "/api/v1/payments/prompts", wish)
    assert (answer.status, answer.json["code"]) == (409, "no-prompt-provider")


async def test_a_layby_that_has_ended_is_not_asked_for(till: Mobile, layby: Layby, api: Any, org: Org):
    await till.shop.cancel(layby.id)
    wish = {"laybyId": str(layby.id), "phone": PHONE}
    answer = await api.as_(await org.token())("POST", "/api/v1/payments/prompts", wish)
    assert (answer.status, answer.json["code"], answer.json["laybyStatus"]) == (409, "layby-status", "cancelled")


async def test_a_balance_with_cents_is_asked_for_rounded_up_and_the_rest_is_credit(worker: Asker, till: Mobile):
    layby = await till.shop.layby(price=50_50, deposit=15_15)
    prompt = await till.prompt(layby, layby.balance_minor)
    assert (layby.balance_minor, prompt.amount_minor) == (3535, 3600)
    await worker.turn(prompt)
    await settled(worker)
    assert await till.became() == ["overpaid"]
    assert (await till.shop.read(layby.id)).status == "completed"
    await till.shop.check()


@pytest.mark.parametrize("answer", ["busy", "spike"])
async def test_a_provider_that_is_busy_is_asked_again(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby, answer: Any
):
    fake.plays.extend([Play(answer=answer), Play(answer=answer), Play()])
    prompt = await worker.turn(await till.prompt(layby))
    assert (prompt.state, prompt.tries, fake.pushes) == (PromptState.QUEUED, 1, [])
    await worker.turn(prompt, due=True)
    await worker.turn(prompt, due=True)
    await settled(worker)
    assert (await till.read(prompt)).state is PromptState.PAID
    assert len(fake.pushes) == 1


async def test_a_provider_that_stays_busy_is_given_up(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    fake.plays.extend([Play(answer="busy")] * 20)
    prompt = await till.prompt(layby)
    while prompt.state is PromptState.QUEUED:
        prompt = await worker.turn(prompt, due=True)
    assert (prompt.state, prompt.tries, prompt.result_code) == (PromptState.FAILED, 8, "500.003.02")
    assert await failures(till) == []  # the customer's phone was never asked


async def test_a_token_that_ran_out_is_fetched_anew_within_the_same_try(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    fake.plays.extend([Play(), Play(answer="expired"), Play()])
    await worker.turn(await till.prompt(layby, 1000))
    await settled(worker)
    await worker.turn(await till.prompt(layby, 1000))
    await settled(worker)
    assert [what for what, _ in fake.calls if what in {"token", "push"}] == ["token", "push", "push", "token", "push"]
    assert await till.became() == ["applied", "applied"]


@pytest.mark.parametrize(
    ("answer", "code"), [("refuse", "400.002.02"), ("open", "500.001.1001")], ids=["refused", "open already"]
)
async def test_a_refusal_ends_the_prompt_with_the_providers_words(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby, answer: Any, code: str
):
    fake.plays.append(Play(answer=answer))
    prompt = await worker.turn(await till.prompt(layby))
    assert (prompt.state, prompt.result_code) == (PromptState.FAILED, code)
    assert await failures(till) == []


async def test_a_push_without_an_answer_is_in_doubt_and_never_sent_again(server: TestServer, org: Org):
    async with asker(await Shop.of(org), server, timeout_s=1.0) as worker:
        till, fake = worker.mobile, worker.fake
        fake.plays.append(Play(answer="silent", says=NEVER))
        layby = await till.shop.layby()
        prompt = await worker.turn(await till.prompt(layby))
        assert (prompt.state, prompt.request_id) == (PromptState.IN_DOUBT, None)
        assert (await worker.turn(prompt)).state is PromptState.IN_DOUBT  # it is not due
        await age(till, prompt, minutes=31)
        ended = await worker.turn(prompt, due=True)
        assert (ended.state, len(fake.pushes)) == (PromptState.REVIEW, 1)
        assert await till.shop.alerts() == ["payment_review"]
        assert [(row["road"], row["disposition"]) for row in await till.rows()] == [("query", "review")]


async def test_a_push_without_an_answer_whose_callback_comes_is_paid(server: TestServer, org: Org):
    async with asker(await Shop.of(org), server, timeout_s=1.0) as worker:
        till = worker.mobile
        worker.fake.plays.append(Play(answer="silent", says=(Say(after_s=1.0),)))
        prompt = await worker.turn(await till.prompt(await till.shop.layby()))
        assert prompt.state in {PromptState.IN_DOUBT, PromptState.PAID}
        await settled(worker)
        assert (await till.read(prompt)).state is PromptState.PAID


async def test_a_gateways_page_is_a_doubt_too(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    fake.plays.append(Play(answer="page"))
    assert (await worker.turn(await till.prompt(layby))).state is PromptState.IN_DOUBT


async def test_who_cannot_be_reached_was_asked_nothing(worker: Asker, till: Mobile, layby: Layby):
    prompt = await till.prompt(layby)
    away = "http://127.0.0.1:1"
    register = replace(till.services.money.providers, roots=frozenset({away}))
    await register.change(till.shop.owner, till.account.id, {"config": {"base_url": away}})
    asked = await worker.turn(prompt)
    assert (asked.state, asked.tries) == (PromptState.QUEUED, 1)


async def test_a_worker_that_died_while_it_asked_leaves_a_doubt_and_no_second_prompt(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    prompt = await till.prompt(layby)
    dead = "state = 'asking', asked_at = now(), attempt = 1, lease_until = now() - interval '1 second'"
    await till.query(f"UPDATE prompts SET {dead} WHERE id = $1 RETURNING id", prompt.id)
    found = await worker.turn(prompt)
    assert (found.state, fake.pushes) == (PromptState.IN_DOUBT, [])
    assert found.due_at is not None
    assert found.due_at > found.updated_at + timedelta(minutes=29)


async def test_a_silent_prompt_is_asked_about_four_times_and_then_a_persons(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    fake.plays.append(Play(says=NEVER))
    prompt = await worker.turn(await till.prompt(layby))
    waits = []
    for _ in range(4):
        assert prompt.due_at is not None
        waits.append(round((prompt.due_at - prompt.updated_at) / timedelta(minutes=1)))
        prompt = await worker.turn(prompt, due=True)
    assert waits == [1, 2, 7, 20]  # after 1, 3, 10 and 30 minutes
    assert (prompt.state, prompt.due_at) == (PromptState.REVIEW, None)
    assert [what for what, _ in fake.calls].count("query") == 4
    (row,) = await till.rows()
    assert (row["road"], row["disposition"], b"being processed" in row["body"]) == ("query", "review", True)
    assert await till.shop.alerts() == ["payment_review"]
    assert await failures(till) == []


async def test_a_status_that_says_failed_ends_it_and_the_customer_hears_once(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    fake.plays.append(Play(says=NEVER, status="1032"))
    prompt = await worker.turn(await till.prompt(layby))
    ended = await worker.turn(prompt, due=True)
    assert (ended.state, ended.result_code) == (PromptState.FAILED, "1032")
    assert await failures(till) == ["cancelled"]


async def test_after_a_failure_that_may_not_be_the_last_word_the_status_decides(
    worker: Asker, till: Mobile, fake: Fake, layby: Layby
):
    fake.plays.append(Play(says=(Say(code=1037),), status="1037"))
    prompt = await worker.turn(await till.prompt(layby))
    await settled(worker)
    assert (await till.read(prompt)).state is PromptState.ASKED
    assert await failures(till) == []
    assert (await worker.turn(prompt, due=True)).state is PromptState.FAILED
    assert await failures(till) == ["no_answer"]


async def test_a_status_that_says_paid_waits_for_the_receipt(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    fake.plays.append(Play(says=(Say(code=1037), *NEVER), status="0"))
    prompt = await worker.turn(await till.prompt(layby))
    await until(lambda: fake.answers)
    await till.rest()
    for _ in range(4):
        assert (await till.read(prompt)).state is PromptState.ASKED
        prompt = await worker.turn(prompt, due=True)
    assert prompt.state is PromptState.REVIEW
    assert "paid" in (prompt.result_text or "")
    await till.confirm(layby.reference, "35.00")  # at last, by the other road
    assert (await till.shop.read(layby.id)).balance_minor == 3500


async def test_above_the_limit_the_provider_is_asked_before_it_is_booked(server: TestServer, org: Org):
    async with asker(await Shop.of(org), server, check_above_minor=1000) as worker:
        till = worker.mobile
        worker.fake.plays.append(Play(status="0"))
        layby = await till.shop.layby()
        prompt = await worker.turn(await till.prompt(layby))
        await settled(worker)
        assert await till.became() == [None]
        assert (await worker.turn(prompt, due=True)).state is PromptState.PAID
        assert await till.became() == ["applied"]


async def test_above_the_limit_a_forged_success_is_not_booked(server: TestServer, org: Org):
    async with asker(await Shop.of(org), server, check_above_minor=1000) as worker:
        till = worker.mobile
        worker.fake.plays.append(Play(status="1032"))
        layby = await till.shop.layby()
        prompt = await worker.turn(await till.prompt(layby))
        await settled(worker)
        assert (await worker.turn(prompt, due=True)).state is PromptState.REVIEW
        assert await till.became() == ["review"]
        assert (await till.shop.read(layby.id)).balance_minor == 7000


async def test_two_workers_ask_once(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    prompt = await till.prompt(layby)
    await asyncio.gather(*(worker.turn(prompt) for _ in range(5)))
    assert len(fake.pushes) == 1


async def test_the_relay_names_a_due_prompt_once_in_a_while(till: Mobile, layby: Layby):
    prompts = till.services.money.prompts
    prompt = await till.prompt(layby)

    async def named() -> list[Any]:
        async with till.services.database.transaction(SYSTEM) as conn:
            return list(await prompts.due_prompts(conn, 10))

    (wake,) = await named()
    assert (wake.prompt_id, wake.attempt) == (prompt.id, 0)
    assert await named() == []
    async with till.services.database.transaction(SYSTEM) as conn:
        await prompts.untold(conn, [wake])
    assert await named() == [wake]


async def test_nobody_is_asked_for_money_that_would_pay_nothing(till: Mobile, layby: Layby):
    """Defaulted, and too late for the way back: it would only become credit."""
    late = "status = 'defaulted', defaulted_at = now(), reinstate_until = current_date - 2"
    await till.query(f"UPDATE laybys SET {late} WHERE id = $1 RETURNING id", layby.id)
    with pytest.raises(LaybyMoveRefused) as refused:
        await till.prompt(layby)
    assert refused.value.extra["laybyStatus"] == "defaulted"
    await till.query(
        "UPDATE laybys SET reinstate_until = current_date + 2 WHERE id = $1 RETURNING id",
        layby.id,
    )
    assert (await till.prompt(layby)).state is PromptState.QUEUED


async def test_without_a_public_address_nobody_is_asked(worker: Asker, till: Mobile, fake: Fake, layby: Layby):
    prompt = await till.prompt(layby)
    await replace(worker.asking, public_url=None).ask(prompt.org_id, prompt.id)
    read = await till.read(prompt)
    assert (read.state, read.result_code, fake.calls) == (PromptState.FAILED, "no-public-url", [])


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.DRIVER, 403), (Role.ACCOUNTANT, 202)])
async def test_who_runs_laybys_may_ask_and_who_watches_may_look(
    layby: Layby, api: Any, org: Org, role: Role, status: int
):
    _, phone = await org.person(role)
    call = api.as_(await org.token(phone))
    wish = {"laybyId": str(layby.id), "phone": PHONE}
    assert (await call("POST", "/api/v1/payments/prompts", wish)).status == status
    assert (await call("GET", "/api/v1/payments/prompts")).status == (403 if role is Role.DRIVER else 200)


async def age(till: Mobile, prompt: Prompt, *, minutes: int) -> None:
    """As if it had been asked so long ago."""
    ago = timedelta(minutes=minutes)
    await till.query("UPDATE prompts SET asked_at = now() - $2::interval WHERE id = $1 RETURNING id", prompt.id, ago)
