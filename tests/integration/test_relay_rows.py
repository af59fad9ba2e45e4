"""What the relay makes of each kind of row, by which ways, and whose turn it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.factories import organisation
from tests.notices import World, telling
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Role
from waypost.notifications import outbox
from waypost.notifications.domain import Notice, Promise, Queue
from waypost.notifications.relay import BATCH
from waypost_workers.queues import QueueName, close_queues, open_queues
from waypost_workers.relay import LINE, More, RelayLoop


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


HOUR = timedelta(hours=1)
OWN_WAY = """
INSERT INTO message_providers (org_id, id, channel, provider, name, config, token_hash, created_at)
VALUES ($1, $2, $3, $4, 'own', 'sealed', $5, now())
"""


async def own_way(world: World, channel: str, provider: str) -> UUID:
    """An account of the organisation's own."""
    account = new_id(world.services.clock)
    await world.query(OWN_WAY, world.org.org_id, account, channel, provider, account.bytes)
    return account


async def promise(world: World, kind: str, notice: Notice, key: str = "k", org_id: UUID | None = None) -> None:
    async with world.services.database.transaction(org_id or world.org.org_id) as conn:
        await outbox.add(
            conn, org_id or world.org.org_id, kind=kind, key=key, payload=notice, clock=world.services.clock
        )


def about(world: World, customer_id: UUID | None, **of: Any) -> Notice:
    facts = {"reference": "T-1", "destination": "12 Jason Moyo Ave", "origin": ""}
    return Notice(customer_id, "trip", new_id(world.services.clock), facts, **of)


async def ways(world: World) -> list[tuple[str, str, str, str | None]]:
    rows = await world.query("SELECT * FROM deliveries ORDER BY channel, address")
    return [(row["channel"], row["address"], row["state"], row["reason"]) for row in rows]


async def test_an_organisations_own_accounts_are_ways_of_its_own(world: World):
    await own_way(world, "sms", "twilio")
    buyer = await organisation(world.services, "Kwekwe Kitchens")
    ours = await world.customer(phone="+263771000200", email="chipo@example.com")
    theirs = await world.services.directory.add_customer(
        buyer.owner, name="Rudo", phone="+263771000300", email="rudo@example.com"
    )
    await promise(world, "trip_started", about(world, ours))
    await promise(world, "trip_started", about(world, theirs), org_id=buyer.org_id)
    assert await world.relay.expand() == 2
    assert await ways(world) == [
        ("email", "chipo@example.com", "pending", None),
        ("email", "rudo@example.com", "pending", None),
        ("sms", "+263771000200", "pending", None),
    ]


async def test_a_notice_is_not_due_before_its_time_and_valid_from_then(world: World):
    later = world.services.clock.now().replace(microsecond=0).replace(year=2030)
    await promise(world, "trip_started", about(world, await world.customer(), not_before=later))
    await world.relay.expand()
    (row,) = await world.query(
        "SELECT due_at, valid_until FROM deliveries d JOIN notifications n ON n.id = d.notification_id"
    )
    assert row["due_at"] == later
    assert (row["valid_until"] - later).total_seconds() == 6 * 3600


async def test_what_nobody_is_told_of_is_closed_without_a_notification(world: World):
    await promise(world, "trip_started", about(world, None))
    await promise(world, "stock_sold", about(world, None), key="other")
    assert await world.relay.expand() == 2
    assert await world.query("SELECT FROM notifications") == []
    assert await world.query("SELECT FROM outbox WHERE processed_at IS NULL") == []


async def test_the_console_shows_the_words_of_each_form(environment: dict[str, str]):
    async with telling(environment, WAYPOST_CONSOLE_CHANNEL="true") as world:
        customer = await world.customer(phone="+263771000200", email="chipo@example.com")
        await promise(world, "trip_started", about(world, customer))
        await world.relay.expand()
        assert [(channel, address) for channel, address, *_ in await ways(world)] == [
            ("console", "+263771000200"),
            ("email", "chipo@example.com"),
        ]


async def test_what_all_staff_are_told_goes_to_each_who_runs_the_house_and_to_nobody_else(world: World):
    people = {role: (await world.org.person(role))[0].user_id for role in Role}
    gone, _ = await world.org.person(Role.DISPATCHER)
    await world.query("UPDATE users SET disabled_at = now() WHERE id = $1", gone.user_id)
    await organisation(world.services, "Kwekwe Kitchens")
    facts = {"alert": "provider_down", "about": "Twilio"}
    await promise(world, "alert_raised", Notice(None, "alert", new_id(world.services.clock), facts))
    await world.relay.expand()
    told = {row["user_id"] for row in await world.query("SELECT user_id FROM notifications")}
    assert told == {world.org.owner.user_id, *(people[role] for role in (Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT))}
    inboxes = [row for row in await ways(world) if row[0] == "in_app"]
    assert {UUID(address) for _, address, _, _ in inboxes} == told
    assert {state for _, _, state, _ in inboxes} == {"sent"}


async def test_what_all_staff_are_told_goes_once_to_the_houses_other_ways(world: World):
    account = await own_way(world, "other", "apprise")
    await world.org.person(Role.ACCOUNTANT)
    facts = {"alert": "provider_down", "about": "Twilio"}
    await promise(world, "alert_raised", Notice(None, "alert", new_id(world.services.clock), facts))
    await world.relay.expand()
    assert [row for row in await ways(world) if row[0] == "other"] == [("other", str(account), "pending", None)]


async def test_people_of_another_organisation_are_told_by_its_own_notification(world: World):
    buyer = await organisation(world.services, "Kwekwe Kitchens")
    facts = {"number": "INV-1", "issuer": "Jacaranda", "currency": "USD", "totalMinor": "100", "openMinor": "100",
             "issueDate": "2026-11-22", "dueDate": "2026-12-22", "days": ""}  # fmt: skip
    notice = Notice(None, "invoice", new_id(world.services.clock), facts, told_org_id=buyer.org_id)
    await promise(world, "invoice_issued", notice)
    await world.relay.expand()
    (told,) = await world.query("SELECT org_id, user_id FROM notifications")
    assert (told["org_id"], told["user_id"]) == (buyer.org_id, buyer.owner.user_id)
    assert {row["org_id"] for row in await world.rows()} == {buyer.org_id}


async def test_each_browser_that_may_be_pushed_to_has_a_delivery(world: World):
    customer = await world.customer(email=None, phone="+263771000200")
    await world.query(SUBSCRIBED, world.org.org_id, customer)
    await promise(world, "trip_started", about(world, customer))
    await world.relay.expand()
    subscriptions = await world.query("SELECT id FROM push_subscriptions WHERE ended_at IS NULL ORDER BY id")
    pushes = [address for channel, address, *_ in await ways(world) if channel == "push"]
    assert pushes == [str(row["id"]) for row in subscriptions]
    assert len(pushes) == 2


SUBSCRIBED = """
INSERT INTO push_subscriptions (org_id, id, customer_id, endpoint, endpoint_hash, keys, created_at, ended_at)
SELECT $1, gen_random_uuid(), $2, 'https://push.example/' || n, decode(lpad(n::text, 2, '0'), 'hex'), 'sealed', now(),
       CASE n WHEN 3 THEN now() END
  FROM generate_series(1, 3) AS n
"""


async def test_urgent_rows_are_kept_before_all_reminders_that_came_earlier(world: World):
    customer = await world.customer()
    clock, org_id = world.services.clock, world.org.org_id
    reminders = [Promise("collection_reminder", f"r{n}", about(world, customer)) for n in range(BATCH + 10)]
    async with world.services.database.transaction(org_id) as conn:
        await outbox.add_all(conn, org_id, reminders, clock)
    await promise(world, "trip_started", about(world, customer))
    assert await world.relay.expand() == BATCH
    assert len(await world.query("SELECT FROM notifications WHERE kind = 'trip_started'")) == 1


async def test_many_rows_of_one_organisation_delay_only_its_own(world: World):
    clock, loud = world.services.clock, world.org.org_id
    quiet = await organisation(world.services, "Kwekwe Kitchens")
    many = [Promise("trip_started", f"k{n}", about(world, None)) for n in range(3 * BATCH)]
    async with world.services.database.transaction(loud) as conn:
        await outbox.add_all(conn, loud, many, clock)
    await promise(world, "trip_started", about(world, None), org_id=quiet.org_id)
    assert await world.relay.expand() == BATCH
    kept = await world.query("SELECT org_id FROM outbox WHERE processed_at IS NOT NULL")
    assert [row["org_id"] for row in kept].count(quiet.org_id) == 1
    assert [await world.relay.expand() for _ in range(3)] == [BATCH, BATCH, 1]


DUE = """
WITH n AS (
    INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, recipient, locale, subject_kind, subject_id,
                               facts, valid_until, created_at)
    SELECT $1, gen_random_uuid(), 'trip_started', 'due:' || gen_random_uuid(), gen_random_uuid(), '', 'en', 'trip',
           gen_random_uuid(), '{}', now(), now()
      FROM generate_series(1, $2) RETURNING org_id, id)
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, budget, due_at, created_at,
                        updated_at)
SELECT org_id, gen_random_uuid(), id, 'email', 'x@example.com', $3, 'pending', 8, now() - $4::interval, now(), now()
  FROM n
"""


async def due(world: World, org_id: UUID, count: int, queue: str = "urgent", age: timedelta = HOUR) -> None:
    await world.query(DUE, org_id, count, queue, age)


def per_org(pokes: Sequence[Any], *org_ids: UUID) -> list[int]:
    return [sum(poke.org_id == org_id for poke in pokes) for org_id in org_ids]


async def test_ten_thousand_of_one_organisation_delay_only_its_own(world: World):
    loud, quiet = world.org.org_id, (await organisation(world.services, "Kwekwe Kitchens")).org_id
    await due(world, loud, 2000)
    await due(world, quiet, 3, age=timedelta(seconds=1))
    first = await world.relay.due()
    assert per_org(first, loud, quiet) == [497, 3]  # what the others leave is whose there is
    assert per_org(await world.relay.due(), loud, quiet) == [500, 0]


async def test_organisations_that_both_have_much_due_share_each_pass(world: World):
    one, other = world.org.org_id, (await organisation(world.services, "Kwekwe Kitchens")).org_id
    await due(world, one, 900)
    await due(world, other, 900, age=timedelta(seconds=1))
    assert per_org(await world.relay.due(), one, other) == [250, 250]


async def test_no_more_is_given_out_than_the_lines_have_room_for(world: World):
    await due(world, world.org.org_id, 30)
    await due(world, world.org.org_id, 30, queue="bulk")
    pokes = await world.relay.due({Queue.URGENT: 2, Queue.BULK: 5})
    assert [str(poke.queue) for poke in pokes] == ["urgent"] * 2 + ["bulk"] * 5
    assert await world.relay.due({Queue.URGENT: 0, Queue.BULK: 0}) == []


async def test_a_line_is_filled_and_no_longer_and_what_is_left_goes_out_as_it_empties(world: World):
    assert world.services.settings.redis_url is not None
    queues = open_queues(world.services.settings.redis_url.get_secret_value())
    key = QueueName.URGENT.key
    loop = RelayLoop(world.relay, queues, world.services.clock, 0.05)
    try:
        await due(world, world.org.org_id, LINE + 100)
        passes = [await loop.pass_once() for _ in range(3)]
        assert passes[-1] is More.SOON
        assert await queues.zcard(key) == LINE
        assert await loop.pass_once() is More.SOON
        await queues.zremrangebyrank(key, 0, 199)
        await loop.pass_once()
        assert await queues.zcard(key) == LINE - 200 + 100
        assert await loop.pass_once() is More.LATER
    finally:
        await close_queues(queues)
