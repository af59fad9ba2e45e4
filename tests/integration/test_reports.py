"""Reports: what is owed, overdue, expected and paid; their totals are those of the books."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.laid_by import layby as laid_by
from tests.tills import CURRENCY, Shop
from waypost.analytics import reports
from waypost.analytics.domain import STATUSES
from waypost.jobs.domain import Asked
from waypost.laybys.deal import NewItem
from waypost.laybys.domain import CancelledBy, Layby
from waypost.platform.database import SYSTEM
from waypost.wiring_work import job_runner_over

SHIFT = "UPDATE layby_instalments SET due_date = due_date - $2::int WHERE layby_id = $1"
SHIFT_NEXT = """
UPDATE laybys SET next_due_date = next_due_date - $2::int, final_date = final_date - $2::int,
       start_date = start_date - $2::int
 WHERE id = $1
"""


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


async def report(shop: Shop, kind: str, **asked: Any) -> list[dict[str, str]]:
    """Asked for, made by a worker, read back."""
    services, owner = shop.services, shop.owner
    job = await services.jobs.report(owner, Asked(kind, **asked))
    await job_runner_over(services).run(owner.org_id, job.id)
    _, parts = await services.jobs.file(owner, job.id)
    text = b"".join([part async for part in parts]).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def long_ago(shop: Shop, layby: Layby, days: int) -> None:
    """As if it had begun so many days before."""
    async with shop.services.database.transaction(SYSTEM) as conn:
        await conn.execute(SHIFT, layby.id, days)
        await conn.execute(SHIFT_NEXT, layby.id, days)


def minor(text: str) -> int:
    return int(Decimal(text) * 100)


async def test_what_is_outstanding_is_what_the_books_hold_of_open_laybys(shop: Shop):
    one, two, gone, done = [await shop.layby() for _ in range(4)]
    await shop.pay(one, 7_00)
    await shop.hold(two.id)
    await shop.cancel(gone.id, CancelledBy.CUSTOMER)
    await shop.pay(done, 70_00)
    rows = await report(shop, "outstanding")
    assert {row["reference"]: (row["status"], row["paid"], row["balance"]) for row in rows[:-1]} == {
        one.reference: ("active", "37.00", "63.00"),
        two.reference: ("on_hold", "30.00", "70.00"),
    }
    assert (rows[-1]["reference"], rows[-1]["paid"], rows[-1]["balance"]) == ("total", "67.00", "133.00")
    assert (await shop.balances())["deposits-held"] == -minor(rows[-1]["paid"])


async def test_what_is_overdue_is_told_by_its_age_the_oldest_first(shop: Shop):
    young, old, paid, new = [await shop.layby() for _ in range(4)]
    await shop.pay(paid, 35_00)
    for layby, days in ((young, 17), (old, 50), (paid, 17)):
        await long_ago(shop, layby, days)
    rows = await report(shop, "overdue")
    assert [(row["reference"], row["daysOverdue"], row["age"], row["overdue"]) for row in rows[:-1]] == [
        (old.reference, "36", "31-60", "70.00"),
        (young.reference, "3", "1-7", "35.00"),
    ]
    assert (rows[-1]["reference"], rows[-1]["overdue"], rows[-1]["balance"]) == ("total", "105.00", "140.00")
    assert new.reference not in str(rows)


async def test_what_is_expected_comes_to_all_that_running_laybys_owe(shop: Shop):
    one, two, held = [await shop.layby() for _ in range(3)]
    await shop.pay(one, 40_00)
    await long_ago(shop, two, 20)
    await shop.hold(held.id)
    rows = await report(shop, "expected-income")
    assert [row["expected"] for row in rows if row["dueDate"] == "overdue"] == ["35.00"]
    assert rows[-1] == {"currency": CURRENCY, "dueDate": "total", "expected": "100.00"}
    assert sum(minor(row["expected"]) for row in rows[:-1]) == 100_00
    now = shop.services.clock.now()
    near = await report(shop, "expected-income", since=now, until=now + timedelta(days=1))
    assert [row["dueDate"] for row in near] == ["overdue", "later", "total"]


async def test_payments_by_day_are_those_of_the_books_whatever_became_of_them(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 80_00)
    await shop.pay("nobody knows it", 5_00)
    await shop.reverse(paid, "BACK1", 10_00)
    rows = await report(shop, "payments-by-day")
    held = await shop.balances()
    total = rows[-1]
    assert (total["day"], total["currency"], total["count"]) == ("total", CURRENCY, "4")
    assert minor(total["amount"]) == held.get("cash", 0) + held["clearing"] == 105_00
    assert minor(total["suspense"]) == -held["suspense"]
    assert minor(total["credit"]) == -held.get("customer-credit", 0)
    parts = [sum(minor(row[name]) for row in rows[:-1]) for name in ("amount", "applied", "credit", "suspense")]
    assert parts == [minor(total[name]) for name in ("amount", "applied", "credit", "suspense")]
    assert [row["amount"] for row in rows if row["kind"] == "reversal"] == ["-10.00"]


async def test_what_was_handed_over_of_a_cancelled_layby_is_revenue_as_in_the_books(shop: Shop):
    goods = [NewItem("NAIL", "Nails", 10, 5_00), NewItem("SAW", "A saw", 1, 50_00)]
    made = (await laid_by(shop.org, trade="hardware", items=goods, deposit=70_00)).layby
    await shop.services.money.goods.hand_over(shop.owner, made.id, {1: 8})
    gone = await shop.cancel(made.id)
    figures = await shop.services.money.figures.of(shop.owner)
    (dollars,) = figures.currencies
    books = await shop.balances("USD")
    assert gone.cancellation_fee_minor > 0
    assert dollars.span.revenue_minor == 40_00 + gone.cancellation_fee_minor == -books["sales"] - books["fee-income"]


async def test_a_report_of_many_laybys_is_read_in_parts(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reports, "LAYBYS_A_STEP", 2)
    laybys = [await shop.layby() for _ in range(5)]
    await long_ago(shop, laybys[0], 17)
    for kind, rows in (("outstanding", 6), ("overdue", 2), ("expected-income", 5)):
        found = await report(shop, kind)
        assert len(found) == rows, found
    whole = await report(shop, "expected-income")
    assert whole[-1]["expected"] == "350.00"


async def test_of_a_shop_that_has_sold_nothing_there_is_a_header(shop: Shop):
    for kind in ("outstanding", "overdue", "expected-income", "payments-by-day"):
        assert await report(shop, kind) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "profit"}, "kind"),
        ({"kind": "outstanding", "from": "2026-01-01T00:00:00Z"}, "from"),
        ({"kind": "expected-income", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
        ({"kind": "expected-income", "to": "1999-01-01T00:00:00Z"}, "to"),
    ],
    ids=["unknown", "no span", "backwards", "long past"],
)
async def test_what_cannot_be_reported_is_refused_by_its_field(api: Api, shop: Shop, body: dict[str, str], field: str):
    owner = api.as_(await shop.org.token())
    answer = await owner("POST", "/api/v1/reports", body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_a_report_is_a_job_over_http(api: Api, shop: Shop):
    layby = await shop.layby()
    owner = api.as_(await shop.org.token())
    job = (await owner("POST", "/api/v1/reports", {"kind": "outstanding"})).json
    assert (job["kind"], job["state"]) == ("report.outstanding", "queued")
    await job_runner_over(shop.services).run(shop.org.org_id, job["id"])
    file = await owner("GET", f"/api/v1/jobs/{job['id']}/file")
    assert layby.reference in str(file.json)


async def test_figures_and_reports_agree(shop: Shop):
    laybys = [await shop.layby() for _ in range(3)]
    await long_ago(shop, laybys[0], 17)
    await shop.cancel(laybys[1].id, CancelledBy.SHOP)
    figures = await shop.services.money.figures.of(shop.owner)
    kes = figures.currencies[0]
    assert sum(figures.counts[status] for status in STATUSES) == 3
    assert kes.outstanding_minor == minor((await report(shop, "outstanding"))[-1]["balance"])
    assert kes.overdue.amount_minor == minor((await report(shop, "overdue"))[-1]["overdue"])
    assert [age.count for age in kes.overdue_by_age] == [1, 0, 0, 0, 0]
    assert kes.span.paid_minor == minor((await report(shop, "payments-by-day"))[-1]["amount"])
