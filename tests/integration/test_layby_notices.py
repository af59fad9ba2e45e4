"""What a layby's customer is told: in their language, once, and only while it is so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fakes.clock import FakeClock
from tests.laid_by import default
from tests.notices import World, telling
from tests.tills import Shop
from tests.waiting import until
from waypost.laybys import notices
from waypost.laybys.domain import Layby
from waypost.laybys.notices import Step
from waypost.notifications import outbox
from waypost.notifications.domain import Promise
from waypost.notifications.kinds import EVENTS
from waypost.payments import notices as payment_notices

PROMPT = """
INSERT INTO prompts (org_id, id, provider_id, layby_id, phone, currency, amount_minor, token_hash, token, state,
                     created_at, updated_at)
SELECT $1, $2, (SELECT id FROM payment_providers WHERE org_id = $1), $3, '+254700000001', 'KES', 2500, 'x', 'x', $4,
       now(), now()
"""
PROVIDER = """
INSERT INTO payment_providers (org_id, id, provider, name, config, token_hash, currency, created_at)
VALUES ($1, $2, 'daraja', 'Daraja', 'x', 'y', 'KES', now())
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
REMINDERS = """
SELECT d.id FROM deliveries d JOIN notifications n ON n.id = d.notification_id WHERE n.kind = 'payment_reminder'
"""

OUTCOMES = {True: "unknown", False: "not_sent"}


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


@pytest.fixture
async def shop(world: World) -> Shop:
    return await Shop.of(world.org)


async def told_now(world: World) -> None:
    """Let the relay keep every promise, and a worker try every delivery."""
    while await world.relay.expand():
        pass
    for row in await world.query("SELECT id FROM deliveries WHERE state = 'pending' ORDER BY id"):
        await world.attempt(row["id"])


async def promise(world: World, promised: Promise) -> None:
    async with world.services.database.transaction(world.org.org_id) as conn:
        await outbox.add_all(conn, world.org.org_id, [promised], world.services.clock)


async def outcome(world: World, promised: Promise) -> tuple[str, str | None]:
    """What becomes of that notice, if nothing else is promised."""
    await promise(world, promised)
    return await outcome_of(world, promised.key)


async def outcome_of(world: World, key: str) -> tuple[str, str | None]:
    await told_now(world)
    (row,) = await world.query(
        "SELECT d.state, d.reason FROM deliveries d JOIN notifications n ON n.id = d.notification_id"
        " WHERE n.dedupe_key = $1",
        key,
    )
    return row["state"], row["reason"]


def step(layby: Layby, name: str = "before_3") -> Step:
    return Step(name, layby.created_at + timedelta(days=2))


def reminder(layby: Layby, n: int = 1) -> Promise:
    part = layby.instalments[n - 1]
    return notices.reminder(layby, part, part.due_date - timedelta(days=3), step(layby))


async def test_a_new_layby_is_told_in_the_customers_language(world: World, shop: Shop):
    awa = {"name": "Awa Ilunga", "email": "awa@example.com", "locale": "fr-CD"}
    customer = await world.services.directory.customers.add(world.org.owner, awa)
    layby = await shop.layby(customer=customer.id)
    await told_now(world)
    (row,) = await world.rows()
    assert (row["state"], row["template"].partition("@")[0]) == ("sent", "fr/layby_created.txt")
    assert f"Votre référence est {layby.reference}." in row["body"]
    assert "70,00\u00a0KES" in row["body"]


async def test_the_shops_language_holds_for_a_customer_who_has_asked_for_none(world: World, shop: Shop):
    selling: dict[str, Any] = {"locale": "fr", "shop_name": "Boutique Jacaranda", "shop_phone": "+254700000001"}
    await world.services.organisations.change(world.org.owner, name=None, time_zone=None, selling=selling)
    await shop.layby()
    await told_now(world)
    (row,) = await world.rows()
    assert row["subject"].startswith("Boutique Jacaranda : votre mise de côté")
    assert "Téléphone : +254700000001" in row["body"]


async def test_every_payment_is_told_with_what_is_left(world: World, shop: Shop):
    layby = await shop.layby()
    await shop.pay(layby, 20_00, "NLJ7RT61SV")
    await told_now(world)
    (_, body) = [row["body"].replace("\u00a0", " ") for row in await world.rows()]
    assert "We have received KES 20.00" in body
    assert "The receipt is NLJ7RT61SV" in body
    assert "Left to pay: KES 50.00" in body


async def test_a_reminder_goes_out_while_the_instalment_is_open(world: World, shop: Shop):
    layby = await shop.layby()
    assert await outcome(world, reminder(layby)) == ("sent", None)


async def test_a_reminder_is_not_sent_when_its_instalment_is_covered_meanwhile(world: World, shop: Shop):
    layby = await shop.layby()
    await promise(world, reminder(layby))
    await promise(world, reminder(layby, 2))
    await world.relay.expand()
    await shop.pay(layby, 35_00)
    assert await outcome_of(world, reminder(layby).key) == ("cancelled", "instalment_covered")
    assert await outcome_of(world, reminder(layby, 2).key) == ("sent", None)


async def test_two_sweeps_at_once_and_an_emptied_redis_send_one_reminder(world: World, shop: Shop):
    layby = await shop.layby()
    days_before = layby.instalments[0].due_date - timedelta(days=3)
    morning = datetime.combine(days_before, time(9), UTC)
    remind = replace(world.services.money.sweeps, clock=FakeClock(morning)).remind
    await asyncio.gather(remind(world.org.org_id, morning), remind(world.org.org_id, morning))
    await world.relay.expand()
    (reminded,) = await world.query("SELECT id FROM notifications WHERE kind = 'payment_reminder'")
    (row,) = await world.query("SELECT id FROM deliveries WHERE notification_id = $1", reminded["id"])
    await asyncio.gather(*(world.attempt(row["id"]) for _ in range(3)))
    await world.services.redis.flushall()
    await remind(world.org.org_id, morning)
    await told_now(world)
    assert [mail.reference for mail in world.mail.accepted].count(f"<{row['id']}@jacaranda.example>") == 1
    assert len(await world.query("SELECT FROM notifications WHERE kind = 'payment_reminder'")) == 1


async def test_a_reminder_waits_for_a_payment_that_is_being_booked_and_is_not_sent_then(world: World, shop: Shop):
    layby = await shop.layby()
    await promise(world, reminder(layby))
    await world.relay.expand()
    (due,) = await world.query(REMINDERS)
    services, org_id = world.services, world.org.org_id

    async def is_waiting() -> bool:
        async with services.database.pool.acquire() as own:
            return bool(await own.fetchval(WAITING))

    async with services.database.transaction(org_id) as conn:
        await services.money.bookings.book(conn, org_id, shop.report(layby, 35_00))
        claim = asyncio.create_task(world.attempt(due["id"]))
        await until(is_waiting)
    await claim
    assert await outcome_of(world, reminder(layby).key) == ("cancelled", "instalment_covered")


async def test_a_part_payment_lets_the_reminder_go(world: World, shop: Shop):
    layby = await shop.layby()
    await promise(world, reminder(layby))
    await shop.pay(layby, 34_99)
    assert await outcome_of(world, reminder(layby).key) == ("sent", None)


async def said(world: World, promised: Promise) -> str:
    """The words of a notice, on one line."""
    rows = await world.query(
        "SELECT d.subject, d.body FROM deliveries d JOIN notifications n ON n.id = d.notification_id"
        " WHERE n.dedupe_key = $1",
        promised.key,
    )
    return f"{rows[0]['subject']} {rows[0]['body']}".replace("\u00a0", " ")


async def test_what_asks_for_money_says_what_is_owed_when_it_is_sent(world: World, shop: Shop):
    layby = await shop.layby()
    part = layby.instalments[0]
    made = [
        reminder(layby),
        notices.overdue(layby, part, part.due_date + timedelta(days=1), step(layby, "overdue_1")),
        notices.completion_reminder(layby, step(layby, "final_7")),
        notices.late_fee(layby, part),
    ]
    for each in made:
        await promise(world, each)
    await world.relay.expand()
    await shop.pay(layby, 20_01)
    await told_now(world)
    words = [await said(world, each) for each in made]
    for one in words[:2]:
        assert "KES 14.99" in one
        assert "KES 35.00" not in one
    assert "KES 49.99 is left to pay" in words[2]
    assert "Open of that payment: KES 14.99" in words[3]
    assert "Left to pay in all: KES 49.99" in words[3]


@pytest.mark.parametrize(("doubted", "amount"), [(False, "KES 14.99"), (True, "KES 35.00")])
async def test_a_reminder_that_is_sent_again_says_the_same_only_where_it_may_have_arrived(
    world: World, shop: Shop, doubted: bool, amount: str
):
    layby = await shop.layby()
    promised = reminder(layby)
    await promise(world, promised)
    await told_now(world)
    (due,) = await world.query(REMINDERS)
    await shop.pay(layby, 20_01)
    await world.query("UPDATE attempts SET outcome = $2 WHERE delivery_id = $1", due["id"], OUTCOMES[doubted])
    await world.query("UPDATE deliveries SET state = 'pending' WHERE id = $1", due["id"])
    await told_now(world)
    assert amount in await said(world, promised)


@pytest.mark.parametrize(
    ("end", "reason"),
    [("hold", "layby_on_hold"), ("cancel", "layby_cancelled"), ("complete", "layby_completed")],
)
@pytest.mark.parametrize("kind", ["reminder", "overdue", "late_fee", "completion_reminder"])
async def test_nothing_asks_for_money_once_the_layby_does_not_run(
    world: World, shop: Shop, kind: str, end: str, reason: str
):
    layby = await shop.layby()
    part = layby.instalments[0]
    made = {
        "reminder": lambda: reminder(layby),
        "overdue": lambda: notices.overdue(layby, part, part.due_date + timedelta(days=1), step(layby, "overdue_1")),
        "late_fee": lambda: notices.late_fee(layby, part),
        "completion_reminder": lambda: notices.completion_reminder(layby, step(layby, "final_7")),
    }[kind]()
    await promise(world, made)
    await world.relay.expand()
    if end == "complete":
        await shop.pay(layby, 70_00)
    else:
        await (shop.hold if end == "hold" else shop.cancel)(layby.id)
    assert await outcome_of(world, made.key) == ("cancelled", reason)


async def test_a_late_fee_is_told_of_when_the_layby_defaults_the_same_night(world: World, shop: Shop):
    layby = await shop.layby()
    made = notices.late_fee(layby, layby.instalments[0])
    await promise(world, made)
    await promise(world, reminder(layby))
    await default(shop.org, layby.id)
    assert await outcome_of(world, made.key) == ("sent", None)
    assert await outcome_of(world, reminder(layby).key) == ("cancelled", "layby_defaulted")


async def test_a_reminder_of_a_date_that_has_moved_is_not_sent(world: World, shop: Shop):
    layby = await shop.layby()
    await promise(world, reminder(layby))
    await promise(world, notices.completion_reminder(layby, step(layby, "final_7")))
    await world.query("UPDATE layby_instalments SET due_date = due_date + 7 WHERE layby_id = $1", layby.id)
    await world.query("UPDATE laybys SET final_date = final_date + 7 WHERE id = $1", layby.id)
    assert await outcome_of(world, reminder(layby).key) == ("cancelled", "dates_moved")
    final = notices.completion_reminder(layby, step(layby, "final_7"))
    assert await outcome_of(world, final.key) == ("cancelled", "dates_moved")


async def test_a_reminder_is_not_sent_after_its_window(world: World, shop: Shop):
    layby = await shop.layby()
    part = layby.instalments[0]
    closed = Step("before_3", layby.created_at - timedelta(minutes=1))
    late = notices.reminder(layby, part, part.due_date - timedelta(days=3), closed)
    assert await outcome(world, late) == ("expired", "valid_until")


async def test_that_it_was_created_is_not_said_of_a_cancelled_layby(world: World, shop: Shop):
    layby = await shop.layby()
    await shop.cancel(layby.id)
    assert await outcome_of(world, f"layby:{layby.id}:created") == ("cancelled", "layby_cancelled")
    assert await outcome_of(world, f"layby:{layby.id}:cancelled") == ("sent", None)


async def test_that_goods_are_ready_is_not_said_when_they_are_out(world: World, shop: Shop):
    layby = await shop.layby()
    await shop.pay(layby, 70_00)
    await shop.collect(layby.id)
    assert await outcome_of(world, f"layby:{layby.id}:completed:1") == ("cancelled", "goods_released")


async def test_that_it_is_on_hold_is_not_said_when_it_goes_on_already(world: World, shop: Shop):
    layby = await shop.layby()
    held = await shop.hold(layby.id)
    await shop.reactivate(layby.id)
    assert await outcome_of(world, notices.on_hold(held).key) == ("cancelled", "layby_active")


@pytest.mark.parametrize(
    ("state", "end"), [("failed", ("sent", None)), ("paid", ("cancelled", "prompt_paid"))], ids=["failed", "paid"]
)
async def test_that_a_prompt_failed_is_not_said_when_it_was_paid_after_all(
    world: World, shop: Shop, state: str, end: tuple[str, str | None]
):
    layby, prompt_id = await shop.layby(), UUID(int=77)
    await world.query(PROVIDER, world.org.org_id, UUID(int=76))
    await world.query(PROMPT, world.org.org_id, prompt_id, layby.id, state)
    assert await outcome(world, payment_notices.failed(layby, prompt_id, 25_00, "no_funds")) == end


async def test_one_promise_made_twice_is_told_once(world: World, shop: Shop):
    layby = await shop.layby()
    for _ in range(2):
        await promise(world, reminder(layby))
    async with world.services.database.transaction(world.org.org_id) as conn:
        await outbox.add_all(conn, world.org.org_id, [reminder(layby)] * 3, world.services.clock)
        await outbox.add_all(conn, world.org.org_id, [], world.services.clock)
    await told_now(world)
    assert len(await world.query("SELECT FROM notifications WHERE kind = 'payment_reminder'")) == 1


async def test_stock_events_are_closed_and_no_customer_is_told_of_them(world: World, shop: Shop):
    await shop.layby()
    kinds: list[Mapping[str, Any]] = await world.query("SELECT DISTINCT kind FROM outbox")
    assert "stock_reserved" in {row["kind"] for row in kinds} & EVENTS
    await told_now(world)
    assert await world.query("SELECT FROM outbox WHERE processed_at IS NULL OR trouble IS NOT NULL") == []
    assert [row["kind"] for row in await world.query("SELECT kind FROM notifications")] == ["layby_created"]


async def test_what_no_customer_is_told_is_closed_whatever_it_says(world: World):
    clock, org_id = world.services.clock, world.org.org_id
    async with world.services.database.transaction(org_id) as conn:
        for kind in sorted(EVENTS):
            await outbox.add(conn, org_id, kind=kind, key=kind, payload={"n": [1]}, clock=clock)
    assert await world.relay.expand() == 3
    assert await world.relay.expand() == 0
    assert await world.query("SELECT FROM outbox WHERE processed_at IS NULL") == []
