"""A person's right to be forgotten: afterwards nothing in any table says who they were, and the books still add up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.consent_world import TWILIO
from tests.notices import World, telling
from tests.tills import Shop
from waypost.directory.domain import CustomerNotFound
from waypost.erasure.domain import CustomerBeingTold, CustomerUnsettled
from waypost.erasure.service import Erasure
from waypost.identity import audit
from waypost.kernel.ids import new_id
from waypost.laybys.deal import Wish
from waypost.laybys.domain import CancelledBy
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import asking
from waypost.notifications.consent.domain import Choice
from waypost.notifications.providers_register import New
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move

NAME, PHONE, EMAIL = "Tariro Makwarimba", "+263771555123", "tariro.m@example.com"
SAYS_SO = ("tariro", "makwarimba", "771555123")
TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
   AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1
"""
ASKED_BACK = """
WITH account AS (
    INSERT INTO payment_providers (org_id, id, provider, name, config, token_hash, addresses, currency, created_at)
    VALUES ($1, $2, 'daraja', 'Till', '', '', '{}', 'KES', $4) RETURNING org_id, id)
INSERT INTO reversal_requests (org_id, id, provider_id, payment_id, receipt, currency, amount_minor, reason, token_hash,
                               token, state, result_text, created_at, updated_at)
SELECT org_id, id, id, $2, 'R', 'KES', 2500, $3, '', '', 'failed', $3, $4, $4 FROM account
"""


@dataclass
class Forgetting:
    """A world with one customer who has been everywhere."""

    world: World
    shop: Shop
    customer: UUID

    @property
    def erasure(self) -> Erasure:
        services = self.world.services
        return Erasure(services.database, services.clock, services.book.forget)

    async def run(self, statement: str, *arguments: object) -> None:
        async with self.world.services.database.transaction(SYSTEM) as conn:
            await conn.execute(statement, *arguments)

    async def traces(self) -> dict[str, list[str]]:
        """Every row of every table that still says who they were, by table."""
        found: dict[str, list[str]] = {}
        async with self.world.services.database.transaction(SYSTEM) as conn:
            for (table,) in await conn.fetch(TABLES):
                for row in await conn.fetch(f"SELECT t.*, t::text AS whole FROM {table} t"):
                    texts = [row["whole"], *(v.decode(errors="replace") for v in row.values() if isinstance(v, bytes))]
                    if any(trace in text.lower() for text in texts for trace in SAYS_SO):
                        found.setdefault(table, []).append(row["whole"])
        return found


@pytest.fixture
async def forgetting(environment: dict[str, str]) -> AsyncIterator[Forgetting]:
    async with telling(environment, WAYPOST_CONSOLE_CHANNEL="true") as world:
        shop = await Shop.of(world.org)
        customer = await world.customer(NAME, phone=PHONE, email=EMAIL)
        yield Forgetting(world, shop, customer)


async def been_everywhere(case: Forgetting) -> None:
    """Told, written to, paying, bouncing, complaining and talked about; all of it settled in the end."""
    world, org, customer = case.world, case.world.org, case.customer
    services, owner = world.services, world.org.owner
    trip = await world.trip(customer, reference=f"For {NAME}")
    await world.relay.expand()
    for row in await world.query("SELECT id FROM deliveries WHERE state = 'pending'"):
        await world.attempt(row["id"])
    await services.trips.move(owner, trip.id, Move.COMPLETE)
    await world.relay.expand()  # two that are still to go out
    layby = await case.shop.layby(customer=customer)
    payment = await case.shop.pay(layby, 25_00, payer="263771555123")
    await case.shop.pay("0771555123", 5_00, payer="263771555123")  # typed in place of a reference
    await case.run(ASKED_BACK, owner.org_id, payment.id, f"{NAME} paid twice", services.clock.now())
    await services.money.cancelling.cancel(owner, layby.id, Wish(CancelledBy.SHOP, f"{NAME} moved away"))
    await case.run("UPDATE laybys SET refund_due_minor = 0, note = $2 WHERE id = $1", layby.id, f"ring {PHONE}")
    (delivery,) = await world.query("SELECT id FROM deliveries WHERE state = 'sent' AND channel = 'email'")
    account, _ = await services.telling.providers.add(owner, New("Twilio", TWILIO, "+263770000001"))
    await services.telling.preferences.set_for_customer(owner, customer, [Choice("*", "sms", wanted=False)], "by phone")
    async with services.database.transaction(SYSTEM) as conn:
        await asking.suppress(
            conn, org.org_id, channel=ChannelName.EMAIL, address=EMAIL, sender="", reason="complaint", source="test",
            clock=services.clock, detail=f"{EMAIL} complained",
        )  # fmt: skip
        await audit.record(
            conn, owner, services.clock, action="customer.changed", subject_kind="customer", subject_id=customer,
            why=f"{NAME} rang from 0771555123", detail={"note": f"now {EMAIL}"},
        )  # fmt: skip
    now, at = services.clock.now(), org.org_id
    await case.run(
        "INSERT INTO receipts (org_id, id, provider_id, road, delivery_id, body, body_hash, received_at, due_at,"
        " disposition) VALUES ($1, $2, $3, 'status', $4, $5, '', $6, $6, 'applied')",
        at, new_id(services.clock), account.account.id, delivery["id"], b"To=%2B263771555123", now,
    )  # fmt: skip
    await case.run(
        "INSERT INTO inbound_messages (org_id, id, provider_id, provider_ref, from_address, to_address, body,"
        " received_at) VALUES ($1, $2, $3, 'SM1', $4, '+263770000001', 'it is Tariro Makwarimba', $5)",
        at, new_id(services.clock), account.account.id, PHONE, now,
    )  # fmt: skip
    await case.run(
        "INSERT INTO bounces (org_id, id, channel, address, hard, at) VALUES ($1, $2, 'email', $3, true, $4)",
        at, new_id(services.clock), EMAIL, now,
    )  # fmt: skip
    await case.run(
        "INSERT INTO push_subscriptions (org_id, id, customer_id, endpoint, endpoint_hash, keys, agent, created_at)"
        " VALUES ($1, $2, $3, 'https://push.example/1', '', 'sealed', 'Phone of Tariro', $4)",
        at, new_id(services.clock), customer, now,
    )  # fmt: skip
    await case.run(
        "INSERT INTO alerts (org_id, id, kind, key, subject_kind, subject_id, facts, created_at)"
        " VALUES ($1, $2, 'customer_unreachable', 'k', 'payment', $3, jsonb_build_object('customer', $4::text), $5)",
        at, new_id(services.clock), payment.id, NAME, now,
    )  # fmt: skip
    await case.run(
        "INSERT INTO webhook_events (org_id, id, key, type, subject_kind, subject_id, body, created_at)"
        " VALUES ($1, $2, 'w', 'trip.started', 'trip', $3, $4, $5)",
        at, new_id(services.clock), trip.id, f'{{"to": "{NAME}", "phone": "{PHONE}"}}', now,
    )  # fmt: skip


async def test_afterwards_no_table_says_who_they_were(forgetting: Forgetting):
    await been_everywhere(forgetting)
    before = await forgetting.traces()
    assert {"customers", "notifications", "deliveries", "receipts", "suppressions", "audit_log"} <= set(before)
    assert {"laybys", "payments", "outbox", "alerts", "webhook_events", "inbound_messages", "bounces"} <= set(before)
    balances = await forgetting.shop.balances()
    erased = await forgetting.erasure.erase(forgetting.customer, force=True)
    assert await forgetting.traces() == {}
    assert erased.total > 0
    assert await forgetting.shop.balances() == balances
    (row,) = await forgetting.world.query("SELECT * FROM customers WHERE id = $1", forgetting.customer)
    assert (row["name"], row["phone"], row["email"], row["archived_at"] is None) == ("(erased)", None, None, False)


async def test_what_was_still_to_go_out_is_cancelled_and_tries_stay(forgetting: Forgetting):
    await been_everywhere(forgetting)
    world = forgetting.world
    tries = len(await world.attempts())
    await forgetting.erasure.erase(forgetting.customer, force=True)
    rows = await world.query("SELECT d.* FROM deliveries d JOIN notifications n ON n.org_id = d.org_id"
                             " AND n.id = d.notification_id WHERE n.customer_id = $1", forgetting.customer)  # fmt: skip
    assert {row["state"] for row in rows} <= {"sent", "delivered", "cancelled", "suppressed"}
    assert {row["reason"] for row in rows if row["state"] == "cancelled"} == {"erased"}
    assert all(row["body"] is None and row["address"].startswith("erased-") for row in rows)
    assert len(await world.attempts()) == tries > 0
    sent = len(world.mail.accepted)
    await world.relay.expand()
    for row in rows:
        await world.attempt(row["id"])
    assert len(world.mail.accepted) == sent


async def test_it_is_safe_to_repeat(forgetting: Forgetting):
    await been_everywhere(forgetting)
    await forgetting.erasure.erase(forgetting.customer, force=True)
    again = await forgetting.erasure.erase(forgetting.customer, force=True)
    assert again.total == 0, again.counts
    entries = await forgetting.world.query("SELECT why, detail FROM audit_log WHERE action = 'customer.erased'")
    assert len(entries) == 1


async def test_an_open_layby_stands_against_it_unless_it_is_forced(forgetting: Forgetting):
    await forgetting.shop.layby(customer=forgetting.customer)
    with pytest.raises(CustomerUnsettled, match="laybys: 1"):
        await forgetting.erasure.erase(forgetting.customer)
    assert "customers" in await forgetting.traces()
    await forgetting.erasure.erase(forgetting.customer, force=True)
    assert await forgetting.traces() == {}
    await forgetting.shop.check()


async def test_credit_and_a_trip_to_come_stand_against_it(forgetting: Forgetting):
    world = forgetting.world
    await world.trip(forgetting.customer, move=None)
    _, unsettled = await forgetting.erasure.look(forgetting.customer)
    assert list(unsettled.complaints()) == ["trips that are planned or on their way: 1"]
    with pytest.raises(CustomerUnsettled):
        await forgetting.erasure.erase(forgetting.customer)


async def test_while_a_message_is_going_out_it_waits_even_when_forced(forgetting: Forgetting):
    await forgetting.world.trip(forgetting.customer)
    await forgetting.world.relay.expand()
    await forgetting.run("UPDATE deliveries SET state = 'sending', attempt = 1, lease_until = now() + interval '1 min'")
    with pytest.raises(CustomerBeingTold):
        await forgetting.erasure.erase(forgetting.customer, force=True)
    assert "customers" in await forgetting.traces()


async def test_what_stands_under_an_address_that_another_has_too_is_kept(forgetting: Forgetting):
    world = forgetting.world
    other = await world.customer("Farai Makoni", phone=PHONE, email=None)
    async with world.services.database.transaction(SYSTEM) as conn:
        await asking.suppress(
            conn, world.org.org_id, channel=ChannelName.SMS, address=PHONE, sender="", reason="stop", source="test",
            clock=world.services.clock,
        )  # fmt: skip
    erased = await forgetting.erasure.erase(forgetting.customer)
    assert erased.person.shared == {PHONE}
    assert len(await world.query("SELECT FROM suppressions WHERE address = $1", PHONE)) == 1
    (row,) = await world.query("SELECT phone FROM customers WHERE id = $1", other)
    assert row["phone"] == PHONE


async def test_nobody_else_is_touched(forgetting: Forgetting):
    world = forgetting.world
    other = await world.customer("Farai Makoni", phone="+263771555999")
    await world.trip(other)
    await world.relay.expand()
    where = "SELECT d.* FROM deliveries d ORDER BY id"
    before: list[Any] = await world.query(where)
    await forgetting.erasure.erase(forgetting.customer)
    assert await world.query(where) == before


async def test_a_stranger_is_nobody(forgetting: Forgetting):
    with pytest.raises(CustomerNotFound):
        await forgetting.erasure.erase(UUID(int=7))
