"""A payment account whose key is gone: what was to be asked of its provider ends in words, what it reports is money."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.daraja_shapes import KEY, PASSKEY, SECRET, SHORTCODE, Undo
from tests.integration.test_reversals import INITIATOR, Undoer, layby, payment, server, worker
from tests.integration.test_unreadable_secrets import lose
from waypost.laybys.domain import Layby
from waypost.payments.domain import Payment
from waypost.payments.prompt_domain import PromptState
from waypost.payments.reversal_domain import ReversalState
from waypost.wiring_work import asking_over, registering_over

__all__ = ["layby", "payment", "server", "worker"]  # the fixtures


async def lose_account(worker: Undoer) -> None:
    await lose(worker.mobile.services, "payment_providers", worker.mobile.account.id)


async def give_anew(worker: Undoer) -> None:
    mobile = worker.mobile
    config = {
        "consumer_key": KEY, "consumer_secret": SECRET, "passkey": PASSKEY, "shortcode": SHORTCODE,
        "base_url": worker.fake.url, "initiator": INITIATOR,
    }  # fmt: skip
    await mobile.services.money.providers.change(mobile.shop.owner, mobile.account.id, {"config": config})


async def test_a_reversal_that_was_asked_for_fails_in_words_and_may_be_asked_for_anew(worker: Undoer, payment: Payment):
    request = await worker.ask(payment)
    await lose_account(worker)
    ended = await worker.turn(request)
    assert (ended.state, ended.result_code, ended.due_at) == (ReversalState.FAILED, "secret-unreadable", None)
    assert ended.result_text is not None
    assert "give them anew" in ended.result_text
    assert await worker.mobile.shop.open_alerts() == ["reversal_failed"]
    assert worker.fake.reversals == []
    await give_anew(worker)
    worker.fake.undos.append(Undo(results=(0, 0)))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.money_back(payment) == [-2000]


async def test_a_reversal_that_the_provider_has_is_still_a_persons_after_a_silence(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=()))
    request = await worker.ask(payment)
    await worker.turn(request)
    await lose_account(worker)
    ended = await worker.turn(request, due=True, minutes=40)
    assert ended.state is ReversalState.REVIEW
    assert await worker.mobile.shop.open_alerts() == ["payment_review"]


async def test_a_reversal_whose_own_address_cannot_be_read_was_never_asked_and_fails(worker: Undoer, payment: Payment):
    request = await worker.ask(payment)
    sets = "token = (SELECT config FROM payment_providers WHERE id = $2)"
    before = worker.mobile.account.id
    await lose_account(worker)
    await worker.mobile.query(f"UPDATE reversal_requests SET {sets} WHERE id = $1 RETURNING id", request.id, before)
    await give_anew(worker)
    ended = await worker.turn(request)
    assert (ended.state, ended.result_code) == (ReversalState.FAILED, "secret-unreadable")
    assert worker.fake.reversals == []


async def test_a_prompt_and_the_telling_of_addresses_fail_in_words(worker: Undoer, layby: Layby):
    mobile = worker.mobile
    prompt = await mobile.prompt(layby)
    await mobile.services.money.registrations.create(mobile.shop.owner, mobile.account.id)
    await lose_account(worker)
    provider = worker.reversing.provider
    asking = replace(asking_over(mobile.services, provider), public_url=mobile.url)  # type: ignore[arg-type]  # it is both
    registering = replace(registering_over(mobile.services, provider), public_url=mobile.url)  # type: ignore[arg-type]  # it too
    await asking.ask(prompt.org_id, prompt.id)
    await registering.tell(prompt.org_id, mobile.account.id)
    ended = await mobile.read(prompt)
    assert (ended.state, ended.result_code) == (PromptState.FAILED, "secret-unreadable")
    told = (await mobile.services.money.providers.find(mobile.shop.owner, mobile.account.id)).registration
    assert told is not None
    assert told.state == "failed"
    assert worker.fake.calls == []


async def test_what_is_paid_meanwhile_is_booked(worker: Undoer, layby: Layby):
    await lose_account(worker)
    await worker.mobile.confirm(layby.reference, "20.00")
    await worker.mobile.sweep()
    assert await worker.mobile.became() == ["applied"]
    assert (await worker.mobile.shop.read(layby.id)).balance_minor == 5000
