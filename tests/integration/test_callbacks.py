"""Callbacks of Daraja: kept first, booked once, answered, in whatever order and number they come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org, organisation
from tests.mobile import ACCEPTED, OK, Mobile, mobile, new_receipt, paybill, reversal, stk, stk_failed
from tests.servers import Servers, database_away
from tests.tills import Shop
from waypost.app import build_app, route_table
from waypost.kernel.errors import Invalid
from waypost.kernel.principal import Role
from waypost.laybys.domain import Layby
from waypost.payments.domain import Disposition, Method
from waypost.payments.prompt_domain import PromptState
from waypost.payments.ways import Way
from waypost.wiring import Services

Serve = Callable[..., Awaitable[TestServer]]


@pytest.fixture
async def server(services: Services, aiohttp_server: Serve) -> TestServer:
    return await aiohttp_server(build_app(services))


@pytest.fixture
async def till(server: TestServer, org: Org) -> Mobile:
    return await mobile(await Shop.of(org), server)


@pytest.fixture
async def layby(till: Mobile) -> Layby:
    """Of 100.00, with 30.00 paid."""
    return await till.shop.layby()


async def balance(till: Mobile, layby: Layby) -> int:
    return (await till.shop.read(layby.id)).balance_minor


async def test_a_confirmation_is_kept_booked_and_told(till: Mobile, layby: Layby):
    receipt = await till.confirm(layby.reference.lower(), "20.00")
    row = await till.row()
    assert (row["disposition"], row["receipt"], row["amount_minor"]) == ("applied", receipt, 2000)
    assert b"TransID" in row["body"]
    assert await balance(till, layby) == 5000
    (kind, facts) = (await till.shop.told())[-1]
    assert (kind, facts["receipt"], facts["balanceMinor"]) == ("payment_received", receipt, "5000")
    (payment,) = await till.shop.rows(receipt=receipt)
    assert (payment.callback_id, payment.provider, payment.account_ref) == (
        row["id"],
        "daraja",
        layby.reference.lower(),
    )
    await till.shop.check()


async def test_the_last_payment_completes_the_layby(till: Mobile, layby: Layby):
    await till.confirm(layby.reference, 70)
    assert (await till.shop.read(layby.id)).status == "completed"
    assert {"payment_received", "layby_completed"} < {kind for kind, _ in await till.shop.told()}


async def test_too_much_is_overpaid_and_after_the_end_it_is_credit(till: Mobile, layby: Layby):
    await till.confirm(layby.reference, 100)
    await till.confirm(layby.reference, 5)
    assert await till.became() == ["overpaid", "credit"]
    await till.shop.check()


async def test_an_unknown_reference_is_unmatched_and_staff_hear_of_it(till: Mobile):
    await till.confirm("NOBODY1", "15")
    assert await till.became() == ["unmatched"]
    assert await till.shop.alerts() == ["payment_unmatched"]
    assert await till.shop.told() == []


@pytest.mark.parametrize("copies", [2, 20])
async def test_the_same_callback_many_times_at_once_is_booked_once(till: Mobile, layby: Layby, copies: int):
    body = paybill(layby.reference, "20.00", new_receipt())
    answers = await asyncio.gather(*(till.call("confirmation", body) for _ in range(copies)))
    assert answers == [(200, OK)] * copies
    while await till.sweep():
        pass
    assert sorted(map(str, await till.became())) == ["applied", *["duplicate"] * (copies - 1)]
    assert await balance(till, layby) == 5000
    await till.shop.check()


async def test_a_payment_that_comes_by_both_roads_is_booked_once(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    receipt = await till.confirm(layby.reference, "20.00")
    await till.call("stk", stk("ws_CO_1", 20.0, receipt))
    assert await till.became() == ["applied", "duplicate"]
    (payment,) = await till.shop.rows(receipt=receipt)
    read = await till.read(prompt)
    assert (read.state, read.payment_id) == (PromptState.PAID, payment.id)
    assert await balance(till, layby) == 5000


async def test_a_paid_prompt_is_booked_to_its_layby(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    assert await till.call("stk", stk("ws_CO_1", 20.0, "NLJ7RT61SV")) == (200, OK)
    assert (await till.row())["disposition"] == "applied"
    assert (await till.read(prompt)).state is PromptState.PAID
    assert await balance(till, layby) == 5000


async def test_the_token_of_a_prompt_leads_to_it_before_its_name_is_known(till: Mobile, layby: Layby):
    prompt = await till.prompt(layby, 2000)
    assert await till.call("stk", stk("ws_CO_9", 20, "NLJ7RT61SV"), token=till.own_token(prompt)) == (200, OK)
    read = await till.read(prompt)
    assert (read.state, read.request_id) == (PromptState.PAID, "ws_CO_9")


async def test_failure_then_success_is_a_success(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk_failed("ws_CO_1"))
    assert (await till.read(prompt)).state is PromptState.FAILED
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    assert await till.became() == ["failed", "applied"]
    assert (await till.read(prompt)).state is PromptState.PAID
    assert [kind for kind, _ in await till.shop.told()][-2:] == ["payment_failed", "payment_received"]


async def test_a_failure_after_the_success_changes_nothing(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    told = await till.shop.told()
    await till.call("stk", stk_failed("ws_CO_1"))
    assert await till.became() == ["applied", "ignored"]
    assert (await till.read(prompt)).state is PromptState.PAID
    assert await till.shop.told() == told


async def test_a_second_failure_changes_nothing_and_the_customer_hears_of_one(till: Mobile, layby: Layby):
    await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    for _ in range(3):
        await till.call("stk", stk_failed("ws_CO_1"))
    assert await till.became() == ["failed", "duplicate", "duplicate"]
    told = [(kind, facts.get("reason")) for kind, facts in await till.shop.told()]
    assert told.count(("payment_failed", "cancelled")) == 1


async def test_a_failure_that_may_not_be_the_last_word_leaves_the_prompt_open(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk_failed("ws_CO_1", 1037, "DS timeout"))
    read = await till.read(prompt)
    assert (read.state, read.result_code, read.due_at is not None) == (PromptState.ASKED, "1037", True)
    assert "payment_failed" not in [kind for kind, _ in await till.shop.told()]
    await till.call("stk", stk_failed("ws_CO_1", "1037", "DS timeout"))
    assert await till.became() == ["failed", "duplicate"]


async def test_another_amount_than_was_asked_for_is_for_a_person(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 19, "NLJ7RT61SV"))
    row = await till.row()
    assert (row["disposition"], row["amount_minor"], row["receipt"]) == ("review", 1900, "NLJ7RT61SV")
    assert (await till.read(prompt)).state is PromptState.REVIEW
    assert await till.shop.alerts() == ["payment_review"]
    assert await balance(till, layby) == 7000
    await till.call("stk", stk_failed("ws_CO_1"))
    assert await till.became() == ["review", "ignored"]


async def test_a_success_without_details_is_for_a_person_until_the_details_come(till: Mobile, layby: Layby):
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 20, None))
    assert (await till.row())["disposition"] == "review"
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    first, second = await till.rows()
    assert (first["settled_at"] is not None, second["disposition"]) == (True, "applied")
    assert (await till.read(prompt)).state is PromptState.PAID


async def test_an_unknown_prompt_is_parked_and_found_by_the_sweep(till: Mobile, layby: Layby):
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    assert await till.became() == [None]
    await till.sweep()
    assert await till.became() == [None]
    await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.sweep()
    assert await till.became() == ["applied"]


@pytest.mark.parametrize(
    ("body", "disposition"),
    [
        (stk("ws_CO_1", 20, "NLJ7RT61SV"), "unmatched"),
        (stk_failed("ws_CO_1"), "ignored"),
        (stk("ws_CO_1", 20, None), "review"),
    ],
    ids=["paid", "failed", "without details"],
)
async def test_a_prompt_that_stays_unknown_for_a_minute_is_none_of_ours(till: Mobile, body: object, disposition: str):
    await till.call("stk", body)
    await till.sweep(later_s=61)
    assert await till.became() == [disposition]


async def test_above_the_limit_a_prompts_callback_waits_for_the_status(server: TestServer, org: Org):
    till = await mobile(await Shop.of(org), server, check_above_minor=1999)
    layby = await till.shop.layby()
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    assert await till.became() == [None]
    assert (await till.read(prompt)).due_at is not None
    assert await balance(till, layby) == 7000
    await till.query("UPDATE prompts SET status_code = '0', status_at = now() RETURNING id")
    await till.sweep()
    assert await till.became() == ["applied"]


async def test_above_the_limit_a_status_that_says_otherwise_is_for_a_person(server: TestServer, org: Org):
    till = await mobile(await Shop.of(org), server, check_above_minor=1999)
    await till.asked(await till.prompt(await till.shop.layby(), 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 20, "NLJ7RT61SV"))
    await till.query("UPDATE prompts SET status_code = '1032', status_at = now() RETURNING id")
    await till.sweep()
    assert await till.became() == ["review"]


async def test_above_the_limit_money_without_a_prompt_is_for_a_person(server: TestServer, org: Org):
    till = await mobile(await Shop.of(org), server, check_above_minor=1999)
    layby = await till.shop.layby()
    await till.confirm(layby.reference, "20.00")
    await till.confirm(layby.reference, "19.99")
    assert await till.became() == ["review", "applied"]
    assert await till.shop.alerts() == ["payment_review"]


async def test_a_reversal_undoes_what_the_payment_did_once(till: Mobile, layby: Layby):
    receipt = await till.confirm(layby.reference, "20.00")
    for _ in range(2):
        assert await till.call("reversal", reversal(receipt, "RKV0000001", "20.00")) == (200, OK)
    assert await till.became() == ["applied", "reversed", "duplicate"]
    assert await balance(till, layby) == 7000
    assert (await till.shop.told())[-1][0] == "payment_reversed"
    await till.shop.check()


async def test_a_reversal_that_comes_before_its_payment_waits_for_it(till: Mobile, layby: Layby):
    receipt = new_receipt()
    await till.call("reversal", reversal(receipt, "RKV0000001", "20.00"))
    assert await till.became() == [None]
    await till.confirm(layby.reference, "20.00", receipt)
    await till.sweep()
    assert await till.became() == ["reversed", "applied"]
    assert await balance(till, layby) == 7000


@pytest.mark.parametrize(
    ("fields", "disposition"),
    [({}, "review"), ({"ResultCode": "21"}, "review"), ({"ResultCode": 1, "ResultDesc": "Failed"}, "ignored")],
    ids=["of nothing that is known", "code and text disagree", "refused"],
)
async def test_a_reversal_that_cannot_be_believed_undoes_nothing(
    till: Mobile, fields: dict[str, object], disposition: str
):
    await till.call("reversal", reversal("RKT0000000", "RKV0000001", "20.00", **fields))
    await till.sweep(later_s=61)
    assert await till.became() == [disposition]


VALIDATIONS = {
    "good": ("{reference}", "20.00", ACCEPTED),
    "typed badly": (" {lower} ", "20.00", ACCEPTED),
    "unknown": ("NOBODY1", "20.00", {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}),
    "no reference": ("", "20.00", {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}),
    "too much": ("{reference}", "71.00", {"ResultCode": "C2B00013", "ResultDesc": "Rejected"}),
    "the balance": ("{reference}", "70.00", ACCEPTED),
    "no amount": ("{reference}", "none", {"ResultCode": "C2B00013", "ResultDesc": "Rejected"}),
}


@pytest.mark.parametrize(("reference", "amount", "answer"), VALIDATIONS.values(), ids=VALIDATIONS)
async def test_a_validation_is_answered_and_books_nothing(
    till: Mobile, layby: Layby, reference: str, amount: str, answer: dict[str, str]
):
    typed = reference.format(reference=layby.reference, lower=layby.reference.lower())
    assert await till.call("validation", paybill(typed, amount, new_receipt())) == (200, answer)
    assert await till.became() == ["accepted" if answer == ACCEPTED else "rejected"]
    assert await balance(till, layby) == 7000
    assert len(await till.shop.rows()) == 1  # the deposit


async def test_a_validation_for_a_layby_that_takes_no_money_is_refused(till: Mobile, layby: Layby):
    await till.shop.cancel(layby.id)
    refused = {"ResultCode": "C2B00016", "ResultDesc": "Rejected"}
    assert await till.call("validation", paybill(layby.reference, "5", new_receipt())) == (200, refused)


async def test_an_unknown_token_is_404_and_nothing_is_kept(till: Mobile):
    status, problem = await till.call("confirmation", paybill("x", "5", new_receipt()), token=uuid4().hex)
    assert (status, problem["code"]) == (404, "callback-unknown")
    assert await till.rows() == []


@pytest.mark.parametrize(
    "token", ["x", "0" * 32, "0" * 5000, "%00" * 16, "é" * 20], ids=["short", "zeros", "long", "nul", "é"]
)
async def test_a_token_that_is_none_is_404(till: Mobile, token: str):
    assert (await till.call("stk", {}, token=token))[0] == 404


async def test_guesses_are_limited_and_the_real_ones_are_not(services: Services, aiohttp_server: Serve, org: Org):
    from dataclasses import replace

    limited = replace(services, settings=services.settings.model_copy(update={"rate_address": 5}))
    till = await mobile(await Shop.of(org), await aiohttp_server(build_app(limited)))
    statuses = [(await till.call("stk", {}, token=uuid4().hex))[0] for _ in range(10)]
    assert statuses == [404] * 5 + [429] * 5
    assert [(await till.call("stk", {}))[0] for _ in range(10)] == [200] * 10


async def test_callbacks_from_elsewhere_are_refused_and_not_kept(server: TestServer, org: Org):
    till = await mobile(await Shop.of(org), server, addresses=["196.201.214.200"])
    forged = {"X-Forwarded-For": "196.201.214.200"}  # no proxy of ours stands there
    for headers in ({}, forged):
        status, problem = await till.call("confirmation", paybill("x", "5", new_receipt()), headers=headers)
        assert (status, problem["code"]) == (403, "callback-address")
    assert await till.rows() == []


async def test_behind_our_own_proxy_the_last_hop_that_is_not_ours_counts(
    services: Services, aiohttp_server: Serve, org: Org
):
    from dataclasses import replace

    behind = replace(services, settings=services.settings.model_copy(update={"trusted_proxies": "127.0.0.1"}))
    server = await aiohttp_server(build_app(behind))
    till = await mobile(await Shop.of(org), server, addresses=["196.201.214.0/24"])
    body = paybill("x", "5", new_receipt())
    spoofed = {"X-Forwarded-For": "196.201.214.200, 203.0.113.9"}
    assert (await till.call("confirmation", body, headers=spoofed))[0] == 403
    assert (await till.call("confirmation", body, headers={"X-Forwarded-For": "10.0.0.1, 196.201.214.200"}))[0] == 200
    assert (await till.row())["address"] == "196.201.214.200"


async def test_a_token_reaches_into_its_own_organisation_only(till: Mobile, layby: Layby, services: Services):
    other = await mobile(await Shop.of(await organisation(services, "Bulawayo Bulk")))
    other.url = till.url
    await other.confirm(layby.reference, "20.00")
    assert await balance(till, layby) == 7000
    assert await other.shop.alerts() == ["payment_unmatched"]
    assert await till.shop.alerts() == []


async def test_while_the_database_is_away_it_is_503_and_nothing_is_pretended(
    till: Mobile, layby: Layby, servers: Servers
):
    body = paybill(layby.reference, "20.00", new_receipt())
    async with database_away(servers):
        status, problem = await till.call("confirmation", body)
    assert (status, problem["code"]) == (503, "database-away")
    assert await till.rows() == []
    assert await till.call("confirmation", body) == (200, OK)
    assert await till.became() == ["applied"]


async def test_while_the_layby_is_locked_the_answer_is_a_yes_and_the_sweep_books_it(till: Mobile, layby: Layby):
    async with till.services.database.transaction(till.shop.org.org_id) as conn:
        await conn.execute("SELECT FROM laybys WHERE id = $1 FOR UPDATE", layby.id)
        assert await till.call("confirmation", paybill(layby.reference, "20.00", new_receipt())) == (200, OK)
        assert await till.became() == [None]
    await till.sweep()
    assert await till.became() == ["applied"]


async def test_two_sweeps_at_once_book_each_row_once(till: Mobile, layby: Layby):
    async with till.services.database.transaction(till.shop.org.org_id) as conn:
        await conn.execute("SELECT FROM laybys WHERE id = $1 FOR UPDATE", layby.id)
        for _ in range(5):
            await till.confirm(layby.reference, "2.00")
    assert await till.became() == [None] * 5
    await asyncio.gather(till.sweep(), till.sweep(), till.services.money.callback_sweep.run())
    assert await till.became() == ["applied"] * 5
    assert await balance(till, layby) == 6000
    await till.shop.check()


async def test_a_row_that_cannot_be_finished_is_tried_ever_less_often(till: Mobile, layby: Layby):
    async with till.services.database.transaction(till.shop.org.org_id) as conn:
        await conn.execute("SELECT FROM laybys WHERE id = $1 FOR UPDATE", layby.id)
        await till.confirm(layby.reference, "2.00")
    await till.query("UPDATE callbacks SET road = 'signed' RETURNING id")  # what no reader of Daraja's knows
    waits = []
    for _ in range(3):
        assert await till.sweep() == 1
        row = await till.row()
        waits.append(row["due_at"])
        assert row["disposition"] is None
    assert (await till.row())["tries"] == 3


def test_no_address_has_a_word_that_daraja_forbids(services: Services):
    forbidden = re.compile("mpesa|m-pesa|safaricom|exe|exec|cmd|sql|query")
    paths = [row.path for row in route_table(services) if "callbacks" in row.path]
    assert len(paths) >= 4
    assert [path for path in paths if forbidden.search(path.lower())] == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_callbacks_are_posted_and_nothing_else(till: Mobile, method: str):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.request(method, till.address("stk")) as response:
        assert response.status == 405


async def test_staff_see_what_came_and_settle_what_is_open(till: Mobile, layby: Layby):
    reviews = till.services.money.reviews
    await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    await till.call("stk", stk("ws_CO_1", 19, "NLJ7RT61SV"))
    from waypost.payments.callback_domain import Filter
    from waypost.payments.reviews import Settlement

    accountant = await till.shop.person(Role.ACCOUNTANT)
    (row,) = (await reviews.list(accountant, Filter(to_settle=True), 10, None)).data
    settled = await reviews.settle(accountant, row.id, Settlement("seen in the portal"))
    assert settled.settled_by == accountant.user_id
    (payment,) = await till.shop.rows(receipt="NLJ7RT61SV")
    assert (payment.amount_minor, payment.layby_id, settled.payment_id) == (1900, layby.id, payment.id)
    assert (await reviews.list(accountant, Filter(to_settle=True), 10, None)).data == []
    (prompt,) = await till.query("SELECT state FROM prompts")
    assert prompt["state"] == "paid"
    assert (await reviews.list(accountant, Filter(Disposition.REVIEW), 10, None)).data[0].id == row.id
    await till.shop.check()


async def test_of_one_that_cannot_be_finished_the_staff_hear_once_until_it_is(till: Mobile, layby: Layby):
    async with till.services.database.transaction(till.shop.org.org_id) as conn:
        await conn.execute("SELECT FROM laybys WHERE id = $1 FOR UPDATE", layby.id)
        await till.confirm(layby.reference, "2.00")
    await till.query("UPDATE callbacks SET road = 'signed' RETURNING id")  # what no reader of Daraja's knows
    for _ in range(7):
        await till.sweep()
    assert await till.shop.alerts() == []
    for _ in range(2):
        await till.sweep()
    assert await till.shop.open_alerts() == ["callback_stuck"]
    await till.query("UPDATE callbacks SET road = 'confirmation' RETURNING id")
    await till.sweep()
    assert (await till.became(), await till.shop.open_alerts()) == (["applied"], [])
    await till.shop.check()


async def test_a_validation_that_nobody_understood_can_only_be_dismissed(till: Mobile, layby: Layby):
    from waypost.payments.reviews import Settlement

    await till.call("validation", paybill(layby.reference, "5", new_receipt()))
    row = await till.row()
    await till.query("UPDATE callbacks SET disposition = 'quarantined' RETURNING id")
    reviews = till.services.money.reviews
    with pytest.raises(Invalid):
        await reviews.settle(
            till.shop.owner, row["id"], Settlement("it is money", amount_minor=500, receipt="X1", layby_id=layby.id)
        )
    await reviews.settle(till.shop.owner, row["id"], Settlement("a test of theirs", dismiss=True))
    assert len(await till.shop.rows()) == 1  # the deposit


@pytest.mark.parametrize("same", [True, False], ids=["the same money", "other money"])
async def test_a_reversal_that_may_be_a_refund_of_ours_waits_for_a_person(till: Mobile, layby: Layby, same: bool):
    from waypost.payments.reviews import Settlement

    receipt = await till.confirm(layby.reference, "20.00")
    (paid,) = await till.shop.rows(receipt=receipt)
    money, owner = till.services.money, till.shop.owner
    way = Way(Method.MOBILE, "in the portal", "a wrong amount")
    await money.refunds.of_payment(owner, paid.id, 10_00, way)
    await till.call("reversal", reversal(receipt, "RKV0000001", "10.00"))
    assert await till.became() == ["applied", "review"]
    assert await till.shop.open_alerts() == ["payment_review"]
    assert await balance(till, layby) == 6000
    await money.reviews.settle(owner, (await till.row())["id"], Settlement("seen in the portal", dismiss=same))
    assert await balance(till, layby) == (6000 if same else 7000)
    await till.shop.check()


async def test_a_refund_in_cash_has_nothing_to_do_with_a_reversal(till: Mobile, layby: Layby):
    receipt = await till.confirm(layby.reference, "20.00")
    (paid,) = await till.shop.rows(receipt=receipt)
    way = Way(Method.CASH, "till 2", "changed their mind")
    await till.services.money.refunds.of_payment(till.shop.owner, paid.id, 5_00, way)
    await till.call("reversal", reversal(receipt, "RKV0000001", "5.00"))
    assert await till.became() == ["applied", "reversed"]
    await till.shop.check()
