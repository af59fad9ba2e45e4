"""Requests for a reversal: one open one a payment, asked by a worker, never twice; what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org
from tests.fakes.daraja import Fake
from tests.fakes.daraja_shapes import Undo
from tests.mobile import Asker, Mobile, asker
from tests.tills import Shop
from waypost.app import build_app
from waypost.laybys.domain import Layby
from waypost.payments.domain import Kind, Method, Payment
from waypost.payments.providers.accounts import Initiator
from waypost.payments.reversal_domain import ReversalOpen, ReversalRequest, ReversalState
from waypost.payments.reversing import Reversing
from waypost.payments.ways import Way
from waypost.platform.database import SYSTEM
from waypost.wiring import Services
from waypost.wiring_work import reversing_over

INITIATOR = Initiator("shop-api", "c2VhbGVk")


class Died(BaseException):
    """The worker's process is gone."""


@dataclass(slots=True)
class Undoer:
    """A worker's turns at requests, against a fake provider."""

    mobile: Mobile
    fake: Fake
    reversing: Reversing

    async def ask(self, payment: Payment) -> ReversalRequest:
        return await self.mobile.services.money.reversals.create(self.mobile.shop.owner, payment.id, "paid twice")

    async def read(self, payment: Payment) -> ReversalRequest:
        return await self.mobile.services.money.reversals.find(self.mobile.shop.owner, payment.id)

    async def turn(self, request: ReversalRequest, *, due: bool = False, minutes: int = 0) -> ReversalRequest:
        """One turn; ``due``: whatever its time, and as if it had been asked so long ago."""
        if due:
            sets = "due_at = now() - interval '1 hour', lease_until = NULL"
            sets += f", asked_at = asked_at - interval '{minutes} minutes'"
            await self.mobile.query(f"UPDATE reversal_requests SET {sets} WHERE id = $1 RETURNING id", request.id)
        await self.reversing.ask(request.org_id, request.id)
        return await self.mobile.services.money.reversals.find(self.mobile.shop.owner, request.payment_id)

    async def settled(self) -> None:
        """The provider has called back, and we have answered and worked."""
        await self.fake.settled()
        await self.mobile.rest()
        await self.mobile.sweep()

    async def money_back(self, payment: Payment) -> list[int]:
        """The rows by which a payment was undone."""
        found = await self.mobile.query(
            "SELECT amount_minor FROM payments WHERE root_id = $1 AND kind = 'reversal'", payment.id
        )
        return [row["amount_minor"] for row in found]


def undoer_of(worker: Asker) -> Undoer:
    reversing = reversing_over(worker.mobile.services, worker.asking.provider)  # type: ignore[arg-type]  # it is both
    return Undoer(worker.mobile, worker.fake, replace(reversing, public_url=worker.mobile.url))


@pytest.fixture
async def server(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]]) -> TestServer:
    return await aiohttp_server(build_app(services))


async def with_initiator(mobile: Mobile) -> None:
    register, owner = mobile.services.money.providers, mobile.shop.owner
    mobile.account = await register.change(owner, mobile.account.id, {"config": {"initiator": INITIATOR}})


@pytest.fixture
async def worker(server: TestServer, org: Org) -> AsyncIterator[Undoer]:
    async with asker(await Shop.of(org), server) as opened:
        await with_initiator(opened.mobile)
        yield undoer_of(opened)


@pytest.fixture
async def layby(worker: Undoer) -> Layby:
    return await worker.mobile.shop.layby()


@pytest.fixture
async def payment(worker: Undoer, layby: Layby) -> Payment:
    """Of 20.00, by the shop's number."""
    return await paid(worker, layby)


async def paid(worker: Undoer, layby: Layby, amount: str = "20.00") -> Payment:
    receipt = await worker.mobile.confirm(layby.reference, amount)
    (row,) = await worker.mobile.query("SELECT id FROM payments WHERE receipt = $1", receipt)
    found = await worker.mobile.services.money.payments.find(worker.mobile.shop.owner, row["id"])
    return found.payment


async def test_a_payment_is_taken_back_once_and_its_layby_owes_again(worker: Undoer, layby: Layby, payment: Payment):
    worker.fake.undos.append(Undo(results=(0, 0)))
    request = await worker.ask(payment)
    assert (request.state, request.amount_minor) == (ReversalState.QUEUED, 2000)
    await worker.turn(request)
    await worker.settled()
    (asked,) = worker.fake.reversals
    assert (asked["Initiator"], asked["SecurityCredential"]) == ("shop-api", "c2VhbGVk")
    assert (asked["TransactionID"], asked["Amount"], asked["Remarks"]) == (payment.receipt, 20, "paid twice")
    read = await worker.read(payment)
    assert (read.state, read.due_at) == (ReversalState.REVERSED, None)
    assert read.reversal_id is not None
    assert await worker.money_back(payment) == [-2000]
    assert (await worker.mobile.shop.read(layby.id)).balance_minor == 7000
    assert sorted(map(str, await worker.mobile.became())) == ["applied", "duplicate", "reversed"]
    await worker.mobile.shop.check()


async def test_a_result_that_comes_before_our_own_answer_ends_it(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(before=True))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    read = await worker.read(payment)
    assert (read.state, read.due_at) == (ReversalState.REVERSED, None)
    assert read.conversation_id is not None
    assert await worker.money_back(payment) == [-2000]


async def test_a_refused_result_keeps_the_providers_words_and_alerts_staff(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=("R000002", "R000002"), text="The OriginalTransactionID is invalid."))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    read = await worker.read(payment)
    assert (read.state, read.result_code) == (ReversalState.FAILED, "R000002")
    assert read.result_text == "The OriginalTransactionID is invalid."
    assert await worker.mobile.shop.open_alerts() == ["reversal_failed"]
    assert await worker.money_back(payment) == []
    assert (await worker.ask(payment)).state is ReversalState.QUEUED  # it may be asked anew


async def test_success_after_a_failure_counts_and_ends_the_alert(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=(11, 0), after_s=0.1))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.money_back(payment) == [-2000]
    assert await worker.mobile.shop.open_alerts() == []


async def test_failure_after_a_success_changes_nothing(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=(0, 11), after_s=0.1))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.mobile.shop.open_alerts() == []


@pytest.mark.parametrize(("answer", "code"), [("refuse", "400.002.02"), ("open", "500.001.1001")])
async def test_a_call_that_is_refused_ends_it_with_the_providers_words(
    worker: Undoer, payment: Payment, answer: Any, code: str
):
    worker.fake.undos.append(Undo(answer=answer))
    ended = await worker.turn(await worker.ask(payment))
    assert (ended.state, ended.result_code) == (ReversalState.FAILED, code)
    assert await worker.mobile.shop.open_alerts() == ["reversal_failed"]


async def test_a_provider_that_is_busy_is_asked_again_and_given_up(worker: Undoer, payment: Payment):
    worker.fake.undos.extend([Undo(answer="busy")] * 20)
    request = await worker.ask(payment)
    while request.state is ReversalState.QUEUED:
        request = await worker.turn(request, due=True)
    assert (request.state, request.tries, worker.fake.reversals) == (ReversalState.FAILED, 8, [])


async def test_a_call_without_an_answer_is_a_persons_in_the_end_and_never_made_again(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(answer="page"))
    request = await worker.turn(await worker.ask(payment))
    assert request.state is ReversalState.IN_DOUBT
    assert (await worker.turn(request)).state is ReversalState.IN_DOUBT  # it is not due
    ended = await worker.turn(request, due=True, minutes=31)
    assert ended.state is ReversalState.REVIEW
    assert await worker.mobile.shop.open_alerts() == ["payment_review"]
    with pytest.raises(ReversalOpen):  # as long as nobody has found out
        await worker.ask(payment)
    assert [what for what, _ in worker.fake.calls].count("reversal") == 1


async def test_a_person_settles_one_that_nobody_knows_of(worker: Undoer, payment: Payment, api: Any, org: Org):
    call = api.as_(await org.token())
    for said, state, rows in (({"dismiss": True}, "failed", []), ({"receipt": "RKV0000009"}, "reversed", [-2000])):
        worker.fake.undos.append(Undo(results=()))
        request = await worker.turn(await worker.ask(payment))
        await worker.turn(request, due=True, minutes=31)
        question = await worker.mobile.row()
        answer = await call("POST", f"/api/v1/callbacks/{question['id']}/settle", {"reason": "I asked them"} | said)
        assert answer.status == 200
        assert (await worker.read(payment)).state == state
        assert await worker.money_back(payment) == rows
    assert await worker.mobile.shop.open_alerts() == []


async def test_a_result_that_comes_after_all_answers_the_question(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=()))
    request = await worker.turn(await worker.ask(payment))
    await worker.turn(request, due=True, minutes=31)
    await worker.fake.reverse(worker.fake.reversals[0]["ResultURL"], "RKV0000001", payment.receipt, "20.00")
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.mobile.shop.open_alerts() == []
    assert all(row["settled_at"] for row in await worker.mobile.rows() if row["disposition"] == "review")


async def test_the_queues_time_out_ends_nothing(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(timeout=True, results=()))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    read = await worker.read(payment)
    assert read.state.is_open
    assert read.result_text == "the provider's queue timed out"
    assert await worker.mobile.became() == ["applied", "ignored"]


async def test_a_result_that_names_another_payment_is_a_persons(worker: Undoer, layby: Layby, payment: Payment):
    other = await paid(worker, layby, "10.00")
    worker.fake.undos.append(Undo(original=other.receipt))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVIEW
    assert await worker.money_back(other) == []


async def test_a_reversal_that_comes_by_the_accounts_own_address_ends_the_request(worker: Undoer, payment: Payment):
    request = await worker.ask(payment)
    await worker.fake.reverse(worker.mobile.address("reversal"), "RKV0000001", payment.receipt, "20.00")
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    await worker.turn(request)
    assert worker.fake.reversals == []  # nobody asks for what has happened


DEATHS = {"before_claim": (1, ReversalState.REVERSED), "after_claim": (0, ReversalState.REVIEW),
          "after_answer": (1, ReversalState.REVERSED)}  # fmt: skip


@pytest.mark.parametrize(("where", "expected"), DEATHS.items(), ids=DEATHS)
async def test_wherever_a_worker_dies_the_provider_is_asked_once_at_most(
    worker: Undoer, payment: Payment, where: str, expected: tuple[int, ReversalState]
):
    def die(name: str) -> None:
        if name == where:
            raise Died

    request = await worker.ask(payment)
    with pytest.raises(Died):
        await replace(worker.reversing, checkpoint=die).ask(request.org_id, request.id)
    await worker.settled()
    await worker.turn(request, due=True)
    await worker.settled()
    ended = await worker.turn(request, due=(await worker.read(payment)).state.is_open, minutes=31)
    assert (len(worker.fake.reversals), ended.state) == expected
    await worker.mobile.shop.check()


async def test_two_workers_ask_once(worker: Undoer, payment: Payment):
    request = await worker.ask(payment)
    await asyncio.gather(*(worker.turn(request) for _ in range(5)))
    assert len(worker.fake.reversals) == 1


async def test_many_who_ask_at_once_are_one_request(worker: Undoer, payment: Payment):
    made = await asyncio.gather(*(worker.ask(payment) for _ in range(8)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["ReversalOpen"] * 7 + ["ReversalRequest"]


@pytest.mark.parametrize("turn", range(4))
async def test_a_refund_and_a_reversal_of_the_same_money_exclude_each_other(
    worker: Undoer, payment: Payment, turn: int
):
    refunds, owner = worker.mobile.services.money.refunds, worker.mobile.shop.owner
    way = Way(Method.MOBILE, "sent back", None)
    calls = [worker.ask(payment), refunds.of_payment(owner, payment.id, 2000, way)]
    made = await asyncio.gather(*(calls if turn % 2 else reversed(calls)), return_exceptions=True)
    assert sum(isinstance(each, Exception) for each in made) == 1
    await worker.mobile.shop.check()


async def test_a_refund_waits_while_the_provider_is_asked(worker: Undoer, layby: Layby, payment: Payment):
    await worker.ask(payment)
    refunds, owner = worker.mobile.services.money.refunds, worker.mobile.shop.owner
    with pytest.raises(ReversalOpen):
        await refunds.of_payment(owner, payment.id, 100, Way(Method.CASH, "changed their mind", None))


async def test_over_http_it_is_asked_for_and_read(worker: Undoer, payment: Payment, api: Any, org: Org):
    call, path = api.as_(await org.token()), f"/api/v1/payments/{payment.id}/reversal"
    assert (await call("GET", path)).json["code"] == "reversal-not-found"
    first = await call("POST", path, {"reason": "paid twice"})
    assert (first.status, first.json["state"], first.json["paymentId"]) == (202, "queued", str(payment.id))
    second = await call("POST", path, {"reason": "paid twice"})
    assert (second.status, second.json["code"], second.json["reversalId"]) == (409, "reversal-open", first.json["id"])
    await worker.turn(await worker.read(payment))
    await worker.settled()
    assert (await call("GET", path)).json["state"] == "reversed"
    again = await call("POST", path, {"reason": "paid twice"})
    assert (again.status, again.json["code"]) == (409, "payment-not-reversible")
    log = await worker.mobile.query("SELECT action FROM audit_log WHERE action = 'payment.reversal-asked'")
    assert len(log) == 1


async def test_what_the_provider_cannot_take_back_is_refused(worker: Undoer, layby: Layby, api: Any, org: Org):
    call = api.as_(await org.token())
    (deposit,) = await worker.mobile.query("SELECT id FROM payments WHERE kind = $1", Kind.PAYMENT)
    cents = await paid(worker, layby, "10.50")

    async def refused(payment_id: UUID) -> tuple[int, str]:
        answer = await call("POST", f"/api/v1/payments/{payment_id}/reversal", {"reason": "a mistake"})
        return answer.status, answer.json["code"]

    assert await refused(deposit["id"]) == (409, "payment-not-reversible")
    assert await refused(cents.id) == (422, "amount-not-whole")
    assert await refused(UUID(int=1)) == (404, "payment-not-found")
    mobile = worker.mobile
    await mobile.services.money.providers.change(mobile.shop.owner, mobile.account.id, {"config": {"initiator": None}})
    whole = await paid(worker, layby, "10.00")
    answer = await call("POST", f"/api/v1/payments/{whole.id}/reversal", {"reason": "a mistake"})
    assert (answer.status, answer.json["code"], answer.json["setting"]) == (
        409, "reversal-not-set-up", "config.initiator",
    )  # fmt: skip


async def test_the_relay_names_a_due_request_once_in_a_while(worker: Undoer, payment: Payment):
    reversals, database = worker.mobile.services.money.reversals, worker.mobile.services.database
    request = await worker.ask(payment)
    async with database.transaction(SYSTEM) as conn:
        (wake,) = await reversals.due(conn, 10)
        assert (wake.id, wake.attempt) == (request.id, 0)
        assert await reversals.due(conn, 10) == []
        await reversals.untold(conn, [wake])
        assert await reversals.due(conn, 10) == [wake]
