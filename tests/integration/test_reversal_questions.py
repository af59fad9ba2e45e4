"""Questions that requests for a reversal leave, and what answers them: only the receipt of that very reversal does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.factories import Org
from tests.fakes.daraja_shapes import Undo
from tests.integration.test_reversals import Undoer, paid, undoer_of, with_initiator
from tests.mobile import asker
from tests.tills import Shop
from waypost.app import build_app
from waypost.laybys.domain import Layby
from waypost.payments.domain import Payment
from waypost.payments.reversal_domain import ReversalState
from waypost.wiring import Services


@pytest.fixture
async def worker(
    services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]], org: Org
) -> AsyncIterator[Undoer]:
    async with asker(await Shop.of(org), await aiohttp_server(build_app(services))) as opened:
        await with_initiator(opened.mobile)
        yield undoer_of(opened)


@pytest.fixture
async def layby(worker: Undoer) -> Layby:
    return await worker.mobile.shop.layby()


@pytest.fixture
async def payment(worker: Undoer, layby: Layby) -> Payment:
    """Of 20.00, by the shop's number."""
    return await paid(worker, layby)


async def silent(worker: Undoer, payment: Payment) -> Any:
    """Nothing is heard of it; the question that is left."""
    worker.fake.undos.append(Undo(results=()))
    request = await worker.turn(await worker.ask(payment))
    await worker.turn(request, due=True, minutes=31)
    return await worker.mobile.row()


async def test_the_payments_own_receipt_is_not_that_of_its_reversal(
    worker: Undoer, payment: Payment, api: Api, org: Org
):
    question = await silent(worker, payment)
    call = api.as_(await org.token())
    path = f"/api/v1/callbacks/{question['id']}/settle"
    answer = await call("POST", path, {"reason": "they did it", "receipt": payment.receipt})
    assert (answer.status, await worker.money_back(payment)) == (422, [])
    assert (await worker.read(payment)).state is ReversalState.REVIEW


async def test_another_payments_receipt_is_not_that_of_its_reversal(
    worker: Undoer, layby: Layby, payment: Payment, api: Api, org: Org
):
    other = await paid(worker, layby, "10.00")
    question = await silent(worker, payment)
    path = f"/api/v1/callbacks/{question['id']}/settle"
    answer = await api.as_(await org.token())("POST", path, {"reason": "they did it", "receipt": other.receipt})
    assert answer.status == 422
    assert (await worker.read(payment)).state is ReversalState.REVIEW


async def test_a_result_under_the_payments_own_receipt_is_a_persons(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=()))
    await worker.turn(await worker.ask(payment))
    await worker.fake.reverse(worker.fake.reversals[0]["ResultURL"], payment.receipt, payment.receipt, "20.00")
    await worker.settled()
    assert await worker.money_back(payment) == []
    assert (await worker.read(payment)).state is ReversalState.REVIEW
    assert await worker.mobile.shop.open_alerts() == ["payment_review"]


async def test_a_result_that_does_not_say_what_it_undoes_can_be_settled(
    worker: Undoer, payment: Payment, api: Api, org: Org
):
    worker.fake.undos.append(Undo(results=()))
    request = await worker.turn(await worker.ask(payment))
    token = worker.mobile.services.box.open(request.sealed).decode()
    result = {"ResultType": 0, "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
              "OriginatorConversationID": "o", "ConversationID": "c", "TransactionID": "RKV0000007"}  # fmt: skip
    await worker.mobile.call("reversal", {"Result": result}, token=token)
    await worker.settled()
    assert (await worker.read(payment)).state is ReversalState.REVIEW
    question = await worker.mobile.row()
    path = f"/api/v1/callbacks/{question['id']}/settle"
    assert (await api.as_(await org.token())("POST", path, {"reason": "they did it"})).status == 200
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.money_back(payment) == [-2000]


async def test_what_is_reversed_by_another_road_after_a_failure_ends_its_alert(worker: Undoer, payment: Payment):
    worker.fake.undos.append(Undo(results=(11,)))
    await worker.turn(await worker.ask(payment))
    await worker.settled()
    assert await worker.mobile.shop.open_alerts() == ["reversal_failed"]
    await worker.fake.reverse(worker.mobile.address("reversal"), "RKV0000001", payment.receipt, "20.00")
    await worker.settled()
    assert await worker.money_back(payment) == [-2000]
    assert (await worker.read(payment)).state is ReversalState.REVERSED
    assert await worker.mobile.shop.open_alerts() == []
