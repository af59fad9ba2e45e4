"""Who is billed hears of it: the people who keep their books, each step once, and nothing that is settled by now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.freight import Business, business
from tests.notices import World, telling
from waypost.invoices.domain import Invoice

DAY = timedelta(days=1)


@dataclass(slots=True)
class Billed:
    """A carrier that bills a shop, in a world that sends."""

    world: World
    trade: Business

    async def told(self) -> list[tuple[str, str, str, str | None]]:
        """To whom, of what, and how far: every delivery to the shop's people by e-mail or inbox."""
        await self.world.relay.expand()
        for row in await self.world.query("SELECT org_id, id FROM deliveries WHERE state = 'pending'"):
            await self.world.deliveries.attempt(row["org_id"], row["id"])
        rows: list[Any] = await self.world.query(
            """SELECT n.kind, d.channel, d.state, d.reason, n.org_id FROM deliveries d
                 JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id ORDER BY n.kind, d.channel"""
        )
        assert {row["org_id"] for row in rows} <= {self.trade.shop.org_id}
        return [(row["kind"], row["channel"], row["state"], row["reason"]) for row in rows]

    async def morning(self, day: date) -> int:
        """The run of that day, by the carrier's clock."""
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        return await self.world.services.money.overdue_invoices.tell(self.trade.carrier.org_id, at)

    async def steps(self) -> list[str]:
        """Which overdue notices were promised: days after the due date."""
        rows = await self.world.query("SELECT key FROM outbox WHERE kind = 'invoice_overdue' ORDER BY id")
        return [row["key"].rpartition(":")[2] for row in rows]


@pytest.fixture
async def billed(environment: dict[str, str]) -> AsyncIterator[Billed]:
    async with telling(environment) as world:
        trade = await business(world.services, world.org)
        await world.query("UPDATE users SET email = 'books@bazaar.example' WHERE phone = $1", trade.shop.owner_phone)
        yield Billed(world, trade)


def due(invoice: Invoice) -> date:
    assert invoice.due_date is not None
    return invoice.due_date


async def test_an_issued_invoice_is_in_the_inbox_and_the_mail_of_who_is_billed(billed: Billed):
    invoice = await billed.trade.issued()
    assert await billed.told() == [
        ("invoice_issued", "email", "sent", None),
        ("invoice_issued", "in_app", "sent", None),
    ]
    (mail,) = billed.world.mail.accepted
    assert mail.to == ["books@bazaar.example"]
    assert invoice.number is not None
    assert invoice.number in str(mail.message["Subject"])
    text = mail.message.get_body(("plain",))
    assert text is not None
    assert "Harare Haulage" in text.get_content()


async def test_one_that_was_taken_back_before_it_was_told_is_told_as_that_alone(billed: Billed):
    invoice = await billed.trade.issued()
    await billed.world.relay.expand()
    await billed.world.services.money.issuing.void(billed.trade.carrier.owner, invoice.id, "wrong trip")
    told = [row for row in await billed.told() if row[1] == "email"]
    assert told == [
        ("invoice_issued", "email", "cancelled", "invoice_voided"),
        ("invoice_voided", "email", "sent", None),
    ]


async def test_overdue_is_said_once_a_step_and_of_missed_steps_only_the_last(billed: Billed):
    invoice = await billed.trade.issued()
    for after in (0, 1, 1, 2, 8, 8, 45):
        await billed.morning(due(invoice) + after * DAY)
    assert await billed.steps() == ["1", "7", "30"]
    assert await billed.morning(due(invoice) + 100 * DAY) == 0


async def test_what_is_paid_by_now_is_not_dunned(billed: Billed):
    invoice = await billed.trade.issued()
    await billed.told()
    await billed.morning(due(invoice) + DAY)
    await billed.world.query("UPDATE invoices SET status = 'paid', paid_minor = total_minor WHERE id = $1", invoice.id)
    assert ("invoice_overdue", "email", "cancelled", "invoice_paid") in await billed.told()
