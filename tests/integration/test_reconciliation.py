"""The nightly comparison: an error of one minor unit, wherever it is, is an alert; and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.freight import as_owner, business
from tests.servers import Servers
from tests.statements import daraja, import_, line
from tests.tills import CURRENCY, Shop
from waypost.kernel.principal import Role
from waypost.payments import reconcile
from waypost.payments.domain import Method
from waypost.payments.storage_reconcile import Run
from waypost.payments.till import Taken


@pytest.fixture
async def shop(org: Org) -> Shop:
    """Money everywhere that it may lie."""
    shop = await Shop.of(org)
    account, noon = await daraja(shop), shop.services.clock.now().replace(microsecond=0) - timedelta(days=4)
    layby, other = await shop.layby(), await shop.layby()
    await shop.pay(layby, 10_00, "P1", paid_at=noon)
    await shop.pay(layby, 80_00, "P2", paid_at=noon)  # 20 of it too much: the layby is completed
    await shop.pay("nobody", 7_00, "P3", paid_at=noon)
    await shop.pay(other, 5_00, "P4", paid_at=noon + timedelta(hours=1))
    await shop.reverse("P4", "P5", 2_00)
    await shop.cancel(other.id)
    trade = await business(shop.services, org)
    invoice = await trade.issued(100_00, currency=CURRENCY)
    await shop.services.money.bills.take(shop.owner, invoice.id, Taken(40_00, Method.BANK, currency=CURRENCY))
    await import_(
        shop,
        account,
        [
            line("P1", noon, paid_in="10.00"),
            line("P2", noon, paid_in="80.00"),
            line("P3", noon, paid_in="7.00"),
            line("P4", noon + timedelta(hours=1), paid_in="5.00"),
            line("P5", noon + timedelta(days=1), withdrawn="2.00", linked="P4"),
        ],
    )
    return shop


async def run(shop: Shop) -> Run:
    day = (shop.services.clock.now() - timedelta(days=1)).date()
    return await shop.services.money.reconciliation.run(shop.org.org_id, day)


async def found(shop: Shop) -> list[dict[str, Any]]:
    """The alerts of a comparison."""
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        rows = await conn.fetch(
            "SELECT kind, key, subject_kind, subject_id, facts FROM alerts WHERE kind IN ('reconciliation_difference',"
            " 'statement_missing') ORDER BY id"
        )
    return [{**dict(row), "facts": json.loads(row["facts"])} for row in rows]


async def test_what_agrees_raises_no_alert_and_the_sums_are_kept(shop: Shop):
    result = await run(shop)
    assert await found(shop) == []
    assert result.differences == 0
    assert result.checked["lines"] == 5
    assert (result.checked["laybys"], result.checked["invoices"]) == (2, 1)
    sums = {each.what: (each.one_minor, each.other_minor) for each in result.sums}
    assert sums["provider:daraja"] == (100_00, 100_00)
    assert sums["cash"] == (60_00, 60_00)
    assert sums["bank"] == (40_00, 40_00)
    assert sums["clearing"] == (100_00, 100_00)
    assert sums["customer-credit"] == (20_00, 20_00)
    assert sums["suspense"] == (7_00, 7_00)
    assert sums["refunds-payable"][0] == sums["refunds-payable"][1] > 0


SEEDED: dict[str, tuple[str, str, str]] = {
    "a layby's total": (
        "UPDATE laybys SET paid_minor = paid_minor - 1 WHERE status = 'cancelled'",
        "layby",
        "reconciliation:layby:",
    ),
    "a payment's applied part": (
        "UPDATE payments SET applied_minor = applied_minor - 1, credit_minor = credit_minor + 1 WHERE receipt = 'P1'",
        "layby",
        "reconciliation:layby:",
    ),
    "a payment's amount": (
        "UPDATE payments SET suspense_minor = suspense_minor + 1, amount_minor = amount_minor + 1 WHERE receipt = 'P3'",
        "payment",
        "reconciliation:line:daraja:P3:1",
    ),
    "a posting": (
        "UPDATE postings p SET amount_minor = p.amount_minor + 1 FROM accounts a"  # noqa: ISC004 - one statement
        " WHERE a.id = account_id AND code = 'suspense'",
        "account",
        "reconciliation:account:suspense:KES:-1",
    ),
    "a reversal's row": (
        "UPDATE payments SET amount_minor = amount_minor - 1, credit_minor = credit_minor - 1 WHERE receipt = 'P5'",
        "payment",
        "reconciliation:line:daraja:P5:-1",
    ),
    "what is to be refunded": (
        "UPDATE laybys SET refund_due_minor = refund_due_minor + 1 WHERE status = 'cancelled'",
        "account",
        "reconciliation:account:refunds-payable:KES:-1",
    ),
    "the goods of a layby": (
        "UPDATE layby_items SET unit_price_minor = unit_price_minor + 1"  # noqa: ISC004 - one statement
        " WHERE layby_id = (SELECT id FROM laybys WHERE status = 'cancelled')",
        "layby",
        "reconciliation:layby:",
    ),
    "a late fee": (
        "UPDATE layby_instalments SET late_fee_minor = 1 WHERE n = 1"  # noqa: ISC004 - one statement
        " AND layby_id = (SELECT id FROM laybys WHERE status = 'cancelled')",
        "layby",
        "reconciliation:layby:",
    ),
    "an instalment": (
        "UPDATE layby_instalments SET amount_minor = amount_minor - 1 WHERE n = 1"  # noqa: ISC004 - one statement
        " AND layby_id = (SELECT id FROM laybys WHERE status = 'cancelled')",
        "layby",
        "reconciliation:layby:",
    ),
    "what an invoice was paid": (
        "UPDATE invoices SET paid_minor = paid_minor - 1",
        "invoice",
        "reconciliation:invoice:",
    ),
    "a line of an invoice": (
        "UPDATE invoice_lines SET net_minor = net_minor + 1",
        "invoice",
        "reconciliation:invoice:",
    ),
    "what a provider has, in an entry that sums to zero": (
        "UPDATE postings p SET amount_minor = p.amount_minor"  # noqa: ISC004 - one statement
        " + CASE a.code WHEN 'clearing' THEN 1 ELSE -1 END"
        " FROM accounts a WHERE a.id = account_id AND p.org_id = a.org_id AND code IN ('clearing', 'deposits-held')"
        " AND entry_id = (SELECT e.id FROM journal_entries e JOIN payments y ON y.id = e.source_id"
        " WHERE y.receipt = 'P1')",
        "account",
        "reconciliation:account:clearing:KES:1",
    ),
    "what the other organisation owes": (
        "UPDATE postings p SET amount_minor = p.amount_minor + 1 FROM accounts a"  # noqa: ISC004 - one statement
        " WHERE a.id = account_id AND a.org_id = p.org_id AND code = 'payable' AND p.amount_minor < 0",
        "ledger",
        "reconciliation:ledger:pair:",
    ),
    "a balance that is kept": (
        "INSERT INTO account_snapshots (org_id, account_id, day, before_entry, balance_minor)"  # noqa: ISC004
        " SELECT p.org_id, account_id, '2026-01-01', 'ffffffff-ffff-ffff-ffff-ffffffffffff', sum(amount_minor) + 1"
        " FROM postings p JOIN accounts a ON a.org_id = p.org_id AND a.id = account_id"
        " WHERE code = 'cash' GROUP BY 1, 2",
        "ledger",
        "reconciliation:ledger:snapshot:",
    ),
    "a line of a statement": (
        "UPDATE statement_lines SET amount_minor = amount_minor + 1 WHERE receipt = 'P2'",
        "payment",
        "reconciliation:line:daraja:P2:-1",
    ),
    "a row that is gone": (
        "DELETE FROM payments WHERE receipt = 'P3'",
        "payment",
        "reconciliation:line:daraja:P3:none",
    ),
}


@pytest.mark.parametrize(("query", "subject", "key"), SEEDED.values(), ids=SEEDED.keys())
async def test_an_error_of_one_minor_unit_is_an_alert_with_its_row(
    shop: Shop, servers: Servers, query: str, subject: str, key: str
):
    async with as_owner(shop.services, servers) as owner:
        await owner.execute(query)
    result = await run(shop)
    alerts = await found(shop)
    assert len(alerts) == result.differences > 0
    about = [each for each in alerts if each["key"].startswith(key)]
    assert about, [each["key"] for each in alerts]
    assert about[0]["subject_kind"] == subject
    facts = about[0]["facts"]
    by = None if facts["otherMinor"] == "none" else abs(int(facts["oneMinor"]) - int(facts["otherMinor"]))
    assert by in {None, 1}
    await run(shop)  # what was said is not said again
    assert await found(shop) == alerts


async def test_an_entry_of_the_books_that_does_not_sum_to_zero_is_an_alert(shop: Shop, servers: Servers):
    async with as_owner(shop.services, servers) as owner:
        await owner.execute("UPDATE postings SET amount_minor = amount_minor + 1 WHERE amount_minor = 1000")
    await run(shop)
    assert any(each["key"].startswith("reconciliation:ledger:") for each in await found(shop))


Seed = Callable[[Shop, datetime], Awaitable[Any]]
MISSING: dict[str, tuple[Seed, list[str]]] = {
    "in the middle of a statement's time": (lambda shop, at: shop.pay("x", 1_00, "GONE", paid_at=at), ["GONE"]),
    "after its last line": (lambda shop, at: shop.pay("x", 1_00, "LATER", paid_at=at + timedelta(days=2)), []),
    "before its first line": (lambda shop, at: shop.pay("x", 1_00, "BEFORE", paid_at=at - timedelta(days=2)), []),
    "of another provider": (
        lambda shop, at: shop.pay("x", 1_00, "OTHER", paid_at=at, provider="signed:another"),
        [],
    ),
}


@pytest.mark.parametrize(("seed", "receipts"), MISSING.values(), ids=MISSING.keys())
async def test_a_payment_that_a_statement_of_its_time_does_not_know_is_an_alert(
    shop: Shop, seed: Seed, receipts: list[str]
):
    noon = shop.services.clock.now() - timedelta(days=4)
    await seed(shop, noon + timedelta(hours=5))
    await run(shop)
    alerts = await found(shop)
    assert [each["facts"]["receipt"] for each in alerts] == receipts
    assert all(each["kind"] == "statement_missing" for each in alerts)
    await shop.check()  # nothing is changed by it, nothing deleted


async def test_a_payment_of_yesterday_may_still_come_in_the_next_statement(org: Org):
    shop = await Shop.of(org)
    account, now = await daraja(shop), shop.services.clock.now().replace(microsecond=0)
    await import_(shop, account, [line(f"R{n}", now - timedelta(hours=n * 10), paid_in="1.00") for n in range(1, 12)])
    await shop.pay("x", 1_00, "FRESH", paid_at=now - timedelta(hours=15))
    await shop.pay("x", 1_00, "OLD", paid_at=now - timedelta(hours=95))
    await run(shop)
    assert [each["facts"]["receipt"] for each in await found(shop)] == ["OLD"]


async def test_all_of_it_is_looked_at_in_pieces(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    whole = await run(shop)
    monkeypatch.setattr(reconcile, "ROWS_AT_ONCE", 1)
    pieces = await run(shop)
    assert (pieces.checked, pieces.sums) == (whole.checked, whole.sums)
    noon = shop.services.clock.now() - timedelta(days=4)
    for n in range(3):
        await shop.pay("x", 1_00, f"GONE{n}", paid_at=noon + timedelta(hours=n + 1))
    await run(shop)
    assert sorted(each["facts"]["receipt"] for each in await found(shop)) == ["GONE0", "GONE1", "GONE2"]


async def test_what_was_found_is_read_by_who_keeps_the_books(api: Api, shop: Shop):
    result = await run(shop)
    await shop.services.money.reconciliation.run(shop.org.org_id, result.day - timedelta(days=1))
    owner, path = api.as_(await shop.org.token()), "/api/v1/payments/reconciliation"
    first = await owner("GET", f"{path}?limit=1")
    assert [each["day"] for each in first.json["data"]] == [result.day.isoformat()]
    assert first.json["data"][0]["differences"] == 0
    rest = await owner("GET", f"{path}?limit=1&cursor={first.json['nextCursor']}")
    assert [each["day"] for each in rest.json["data"]] == [(result.day - timedelta(days=1)).isoformat()]
    _, phone = await shop.org.person(Role.DISPATCHER)
    assert (await api.as_(await shop.org.token(phone))("GET", path)).status == 403


async def test_an_organisation_without_money_is_fine(org: Org):
    shop = await Shop.of(org)
    result = await shop.services.money.reconciliation.run(org.org_id, datetime(2026, 11, 22, tzinfo=UTC).date())
    assert (result.differences, list(result.sums)) == (0, [])
