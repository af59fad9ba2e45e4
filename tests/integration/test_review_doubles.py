"""What a person settles by hand is not booked a second time; lines of statements are among what they have to settle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.factories import Org
from tests.fakes.daraja_shapes import Play
from tests.mobile import Asker, Mobile, asker
from tests.statements import daraja, import_, line
from tests.tills import Shop
from waypost.app import build_app
from waypost.laybys.domain import Layby
from waypost.payments.callback_domain import Callback, Filter, PerhapsBooked
from waypost.payments.domain import Disposition, PaymentNotFound
from waypost.payments.prompt_domain import Prompt, PromptState
from waypost.payments.reviews import Settlement
from waypost.wiring import Services


@pytest.fixture
async def worker(
    services: Services, org: Org, aiohttp_server: Callable[..., Awaitable[TestServer]]
) -> AsyncIterator[Asker]:
    async with asker(await Shop.of(org), await aiohttp_server(build_app(services))) as opened:
        yield opened


@pytest.fixture
async def layby(worker: Asker) -> Layby:
    return await worker.mobile.shop.layby()


async def silent(worker: Asker, layby: Layby) -> tuple[Prompt, Callback]:
    """A prompt of which nothing is heard, and the question that it leaves."""
    till = worker.mobile
    worker.fake.plays.append(Play(says=()))
    prompt = await worker.turn(await till.prompt(layby))
    for _ in range(4):
        prompt = await worker.turn(prompt, due=True)
    assert prompt.state is PromptState.REVIEW
    return prompt, (await to_settle(till.shop))[0]


async def to_settle(shop: Shop) -> list[Callback]:
    return list((await shop.services.money.reviews.list(shop.owner, Filter(to_settle=True), 10, None)).data)


async def settle(shop: Shop, row: Callback, **said: object) -> Callback:
    return await shop.services.money.reviews.settle(shop.owner, row.id, Settlement("seen in the portal", **said))  # type: ignore[arg-type]  # its fields


async def paid(till: Mobile, layby: Layby) -> int:
    return (await till.shop.read(layby.id)).paid_minor


async def test_money_that_came_by_another_road_meanwhile_is_not_booked_again_under_a_receipt_that_was_typed(
    worker: Asker, layby: Layby
):
    till = worker.mobile
    prompt, row = await silent(worker, layby)
    came = await till.shop.pay(layby, prompt.amount_minor, "RKTC2B0001")
    with pytest.raises(PerhapsBooked) as refused:
        await settle(till.shop, row, receipt="RKTC2BOOO1")
    assert refused.value.extra == {"receipt": "RKTC2B0001", "paymentId": str(came.id)}
    assert await paid(till, layby) == 30_00 + prompt.amount_minor
    done = await settle(till.shop, row, receipt="RKTC2B0001")
    assert (done.payment_id, await paid(till, layby)) == (came.id, 30_00 + prompt.amount_minor)
    assert (await till.read(prompt)).payment_id == came.id
    assert await till.shop.open_alerts() == []


async def test_money_that_staff_typed_in_at_the_counter_or_assigned_counts_as_well(worker: Asker, layby: Layby):
    till = worker.mobile
    prompt, row = await silent(worker, layby)
    lost = await till.shop.pay("no such thing", prompt.amount_minor, "RKTLOST001")
    await till.services.money.unmatched.assign(till.shop.owner, lost.id, layby_id=layby.id)
    with pytest.raises(PerhapsBooked):
        await settle(till.shop, row, receipt="RKTOTHER01")


async def test_a_person_may_know_that_it_is_other_money(worker: Asker, layby: Layby):
    till = worker.mobile
    prompt, row = await silent(worker, layby)
    await till.shop.pay(layby, prompt.amount_minor, "RKTC2B0001")
    await settle(till.shop, row, receipt="RKTC2B0002", another=True)
    rows = [each.receipt for each in await till.shop.rows() if each.receipt.startswith("RKTC2B")]
    assert rows == ["RKTC2B0001", "RKTC2B0002"]


@pytest.mark.parametrize(
    ("amount", "days"), [(-1, 0), (0, 2), (0, -1)], ids=["another amount", "long after", "long before"]
)
async def test_what_cannot_be_that_money_does_not_stand_in_the_way(worker: Asker, layby: Layby, amount: int, days: int):
    till = worker.mobile
    prompt, row = await silent(worker, layby)
    at = prompt.created_at + timedelta(days=days)
    await till.shop.pay(layby, prompt.amount_minor + amount, "RKTC2B0001", paid_at=at)
    assert (await settle(till.shop, row, receipt="RKTC2B0002")).payment_id is not None


async def test_a_line_of_a_statement_that_a_person_must_look_at_is_in_the_list_of_reviews(api: Api, org: Org):
    shop = await Shop.of(org)
    account, noon = await daraja(shop), shop.services.clock.now().replace(microsecond=0) - timedelta(hours=2)
    layby = await shop.layby()
    known = await shop.pay(layby, 6_00, "DIFFERS")
    lines = [
        line("DIFFERS", noon, paid_in="6.01", account=layby.reference),
        line("TAKEN", noon, withdrawn="5.00", linked="NOBODYS"),
    ]
    await import_(shop, account, lines)
    await import_(shop, account, [*lines, line("NEW", noon, paid_in="1.00")])  # said once
    owner = api.as_(await org.token())
    listed = (await owner("GET", "/api/v1/callbacks?toSettle=true")).json["data"]
    by_receipt = {each["receipt"]: each for each in listed}
    assert len(listed) == 2
    assert {name: by_receipt["DIFFERS"][name] for name in ("road", "amountMinor", "detail", "paymentId")} == {
        "road": "statement",
        "amountMinor": 6_01,
        "detail": "here it is 600 KES",
        "paymentId": str(known.id),
    }
    assert (by_receipt["TAKEN"]["amountMinor"], by_receipt["TAKEN"]["accountRef"]) == (-5_00, "NOBODYS")
    assert (await shop.alerts()).count("payment_review") == 2

    differs, taken = sorted(await to_settle(shop), key=lambda row: row.receipt or "")
    assert (await settle(shop, differs)).payment_id == known.id  # it is there: nothing is booked
    with pytest.raises(PaymentNotFound):
        await settle(shop, taken)
    await settle(shop, taken, dismiss=True)
    assert await to_settle(shop) == []
    assert [kind for kind in await shop.open_alerts() if kind == "payment_review"] == []
    await shop.check()


async def test_money_that_a_statement_takes_back_goes_back_by_hand_once_its_payment_is_there(org: Org):
    shop = await Shop.of(org)
    account, noon = await daraja(shop), shop.services.clock.now().replace(microsecond=0) - timedelta(hours=2)
    layby = await shop.layby()
    await import_(shop, account, [line("TAKEN", noon, withdrawn="5.00", linked="LATER")])
    await shop.pay(layby, 6_00, "LATER")
    (row,) = await to_settle(shop)
    await settle(shop, row)
    rows = {each.receipt: each for each in await shop.rows()}
    assert (rows["TAKEN"].disposition, rows["TAKEN"].amount_minor) == (Disposition.REVERSED, -5_00)
    assert (await shop.read(layby.id)).paid_minor == 31_00
    await shop.check()
