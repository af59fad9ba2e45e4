"""What stands between a delivery whose turn has come and its provider: each "no" with its reason, each choice of a way.

The database, the queue's limits and the registers are real; the channel is a scripted one, so that a test says what the
provider answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from tests.fakes.clock import FakeClock
from tests.notices import ALL_DUE, World, changed, telling
from waypost.identity.domain import QuietHours
from waypost.kernel.clock import SystemClock
from waypost.notifications import kinds, outbox, storage
from waypost.notifications.addresses import ChannelName
from waypost.notifications.breakers import Breakers
from waypost.notifications.consent import asking
from waypost.notifications.domain import Message, Notice
from waypost.notifications.providers.accounts import HttpConfig, ProviderAccount, TwilioConfig
from waypost.notifications.providers_register import New
from waypost.notifications.states import Event, Outcome, OutcomeKind, State
from waypost.notifications.words.samples import Sample, sample
from waypost.platform.database import SYSTEM

DATABASE_TIMEOUT_S = 5
PHONE = "+263771000200"
NEVER_QUIET = QuietHours("00:00", "00:00")
DOWN = Outcome(OutcomeKind.NOT_SENT, "gateway_down", provider_failed=True)
DOUBT = Outcome(OutcomeKind.UNKNOWN, "cut_off", provider_failed=True)
TAKEN = Outcome(OutcomeKind.ACCEPTED, reference="SM1")
_keys = count(1)


@dataclass(slots=True)
class Scripted:
    """A channel that answers as a test says, and else takes everything."""

    provider: str = "scripted"
    answers: deque[Outcome | Callable[[Message], Awaitable[Outcome]]] = field(default_factory=deque)
    asked: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> Outcome:
        self.asked.append(message)
        answer = self.answers.popleft() if self.answers else TAKEN
        return answer if isinstance(answer, Outcome) else await answer(message)

    @property
    def by(self) -> list[str]:
        """The names of the accounts that were asked."""
        return [message.account.name if message.account else "" for message in self.asked]


@dataclass(slots=True)
class Shop:
    """A world whose messages go by the scripted channel."""

    world: World
    channel: Scripted

    @property
    def org_id(self) -> UUID:
        return self.world.org.org_id

    async def account(self, name: str, **values: Any) -> ProviderAccount:
        """One with Twilio, unless told otherwise; its name is its sender's last digit, too."""
        config = values.pop("config", TwilioConfig(f"AC{name}", "secret"))
        sender = f"+26377999000{ord(name) % 10}"
        new = New(name, config, **{"sender": sender} | values)
        return (await self.world.services.telling.providers.add(self.world.org.owner, new))[0].account

    async def set(self, **telling: object) -> None:
        await self.world.services.organisations.change(self.world.org.owner, name=None, time_zone=None, telling=telling)

    async def due(self, kind: str = kinds.PAYMENT_RECEIVED, phone: str | None = PHONE, **address: str) -> UUID:
        """A notice to a new customer of that number; its one delivery by SMS or e-mail."""
        customer = await self.world.customer(phone=phone, email=address.get("email"))
        notice = Notice(customer, "layby", customer, sample(kind, Sample.ORDINARY))
        services = self.world.services
        async with services.database.transaction(self.org_id) as conn:
            await outbox.add(
                conn, self.org_id, kind=kind, key=f"test:{next(_keys)}", payload=notice, clock=services.clock
            )
        known = {row["id"] for row in await self.world.rows()}
        await self.world.relay.expand()
        new = [row for row in await self.world.rows() if row["id"] not in known]
        (delivery,) = [row["id"] for row in new if row["state"] == "pending"]
        return UUID(str(delivery))

    async def tell(self, kind: str = kinds.PAYMENT_RECEIVED, **address: Any) -> Any:
        """The same, tried once; its row."""
        return await self.again(await self.due(kind, **address))

    async def again(self, delivery: UUID) -> Any:
        await self.world.attempt(delivery)
        return await self.world.row(delivery)

    async def suppress(self, sender: str) -> None:
        """The number has said STOP to that one of ours; "": to all."""
        services = self.world.services
        async with services.database.transaction(SYSTEM) as conn:
            await asking.suppress(
                conn, self.org_id, channel=ChannelName.SMS, address=PHONE, sender=sender, reason="stop",
                source="inbound", clock=services.clock,
            )  # fmt: skip

    async def alerts(self, kind: str) -> list[Any]:
        return await self.world.query("SELECT * FROM alerts WHERE kind = $1 ORDER BY id", kind)


@pytest.fixture
async def shop(environment: dict[str, str]) -> AsyncIterator[Shop]:
    async with telling(environment, WAYPOST_PUBLIC_URL="https://way.example") as world:
        channel = Scripted()
        both = {ChannelName.SMS: channel, ChannelName.EMAIL: channel}
        world.deliveries = changed(world.deliveries, channels=both, guards={})
        made = Shop(world, channel)
        await made.set(quiet=NEVER_QUIET)
        yield made


def around_now() -> QuietHours:
    """By the clock of UTC."""
    now = datetime.now(UTC)
    return QuietHours(f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=2):%H:%M}")


def held(row: Any) -> tuple[str, str, int]:
    return row["state"], row["reason"], row["attempt"]


async def test_a_notice_goes_by_the_organisations_own_account_with_an_address_for_reports(shop: Shop):
    account = await shop.account("a", price=Decimal("0.05"), price_currency="USD")
    row = await shop.tell()
    assert (row["state"], row["provider"], row["provider_id"], row["provider_ref"]) == (
        "sent",
        "twilio",
        account.id,
        "SM1",
    )
    assert (row["sender"], row["segments"], row["cost"], row["cost_currency"]) == (
        account.sender,
        1,
        Decimal("0.05"),
        "USD",
    )
    assert row["sent_at"] is not None
    (message,) = shop.channel.asked
    assert message.report_url is not None
    assert message.report_url.startswith("https://way.example/api/v1/callbacks/messages/")
    assert message.text.html == ""


async def test_what_the_first_provider_surely_did_not_take_goes_to_the_second_at_once_and_staff_hear_of_it(shop: Shop):
    first, second = await shop.account("a"), await shop.account("b", weight=0)
    shop.channel.answers.extend([DOWN, TAKEN, DOWN, TAKEN])
    delivery = await shop.due()
    assert held(await shop.again(delivery)) == ("pending", "gateway_down", 1)
    assert held(await shop.again(delivery)) == ("sent", None, 2)
    assert shop.channel.by == ["a", "b"]
    attempts = await shop.world.attempts()
    assert [(a["provider_id"], a["outcome"]) for a in attempts] == [(first.id, "not_sent"), (second.id, "accepted")]
    other = await shop.due()
    await shop.again(other)
    await shop.again(other)
    (alert,) = await shop.alerts("failover")  # once a day
    assert alert["subject_id"] == first.id


async def test_with_both_out_it_waits_as_long_as_any_retry(shop: Shop):
    await shop.account("a")
    await shop.account("b", weight=0)
    shop.channel.answers.extend([DOWN, DOWN])
    delivery = await shop.due()
    await shop.again(delivery)
    row = await shop.again(delivery)
    assert held(row) == ("pending", "gateway_down", 2)
    assert row["due_at"] - row["updated_at"] >= timedelta(seconds=60)


async def test_what_may_have_gone_out_by_the_first_goes_out_by_no_other(shop: Shop):
    await shop.account("a")
    await shop.account("b", weight=0)
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    assert held(await shop.again(delivery)) == ("in_doubt", "cut_off", 1)
    await shop.world.query(ALL_DUE)
    await shop.world.relay.sweep()
    await shop.world.attempt(delivery)
    assert shop.channel.by == ["a"]


async def test_a_gateway_that_drops_a_second_request_is_asked_again_and_no_other(shop: Shop):
    gateway = HttpConfig(
        "https://sms.example.com/send", body='{"to": "{{ to }}", "text": "{{ text }}"}', repeatable=True
    )
    await shop.account("g", config=gateway)
    await shop.account("b", weight=0)
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    assert (await shop.again(delivery))["state"] == "in_doubt"
    await shop.world.query(ALL_DUE)
    await shop.world.relay.sweep()
    assert held(await shop.again(delivery)) == ("sent", None, 2)
    assert shop.channel.by == ["g", "g"]


async def test_a_repeat_whose_gateway_was_archived_stays_in_doubt_until_a_person_sends_it_by_another(shop: Shop):
    gateway = HttpConfig(
        "https://sms.example.com/send", body='{"to": "{{ to }}", "text": "{{ text }}"}', repeatable=True
    )
    account = await shop.account("g", config=gateway)
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    await shop.again(delivery)
    await shop.world.services.telling.providers.archive(shop.world.org.owner, account.id)
    await shop.account("b")
    await shop.world.query(ALL_DUE)
    await shop.world.relay.sweep()
    assert held(await shop.again(delivery)) == ("in_doubt", "provider_gone", 1)
    owner = shop.world.org.owner
    await shop.world.services.stuck.resolve(owner, delivery, "they have nothing", send_again=True)
    assert held(await shop.again(delivery)) == ("sent", None, 2)
    assert shop.channel.by == ["g", "b"]


async def test_what_one_provider_refuses_for_itself_another_may_take(shop: Shop):
    await shop.account("a")
    await shop.account("b", weight=0)
    shop.channel.answers.append(Outcome(OutcomeKind.REFUSED, "region", elsewhere=True))
    delivery = await shop.due()
    await shop.again(delivery)
    assert held(await shop.again(delivery)) == ("sent", None, 2)
    shop.channel.answers.extend([Outcome(OutcomeKind.REFUSED, "region", elsewhere=True)] * 2)
    other = await shop.due()
    await shop.again(other)
    assert held(await shop.again(other)) == ("failed", "region", 2)


async def test_a_provider_that_fails_and_fails_is_left_alone_and_costs_no_attempt(shop: Shop):
    account = await shop.account("a")
    shop.channel.answers.extend([DOWN] * 8)
    for _ in range(8):
        await shop.tell()
    row = await shop.tell()
    assert held(row) == ("pending", "held_provider_down", 0)
    assert row["held"] == 1
    assert row["due_at"] > row["updated_at"] + timedelta(seconds=20)
    assert len(shop.channel.asked) == 8
    (health,) = await shop.world.query("SELECT * FROM provider_health")
    assert (health["provider_id"], health["state"]) == (account.id, "open")
    (alert,) = await shop.alerts("provider_down")
    assert (alert["subject_id"], alert["resolved_at"]) == (account.id, None)


async def test_one_probe_that_goes_well_ends_the_outage_and_its_alert(shop: Shop):
    await shop.account("a")
    clock, deciding = FakeClock(), shop.world.deliveries.deciding
    chooser = replace(deciding.chooser, breakers=Breakers(clock, 15.0))
    shop.world.deliveries = replace(shop.world.deliveries, deciding=replace(deciding, chooser=chooser))
    shop.channel.answers.extend([DOWN] * 8)
    for _ in range(8):
        await shop.tell()
    delivery = await shop.due()
    assert held(await shop.again(delivery)) == ("pending", "held_provider_down", 0)
    await clock.advance(30)
    await shop.world.query(ALL_DUE)
    assert held(await shop.again(delivery)) == ("sent", None, 1)
    (health,) = await shop.world.query("SELECT * FROM provider_health")
    (alert,) = await shop.alerts("provider_down")
    assert health["state"] == "closed"
    assert (alert["resolution"], alert["resolved_by"]) == ("well again", None)
    assert (await shop.tell())["state"] == "sent"


async def test_without_an_account_any_more_it_has_failed_and_can_be_replayed(shop: Shop):
    account = await shop.account("a")
    delivery = await shop.due()
    await shop.world.services.telling.providers.archive(shop.world.org.owner, account.id)
    assert held(await shop.again(delivery)) == ("failed", "no_provider", 0)
    await shop.account("b")
    await shop.world.services.stuck.replay(shop.world.org.owner, delivery, "there is one now")
    assert (await shop.again(delivery))["state"] == "sent"


class TenAtNight(SystemClock):
    """Tomorrow at ten in the evening, UTC."""

    def now(self) -> datetime:
        return (super().now() + timedelta(days=1)).replace(hour=22, minute=0, second=0, microsecond=0)


async def test_a_reminder_waits_for_the_end_of_quiet_hours_and_money_does_not(shop: Shop):
    await shop.account("a")
    await shop.set(quiet=QuietHours("21:00", "07:00"))
    reminder, receipt = await shop.due(kinds.PAYMENT_REMINDER), await shop.due(kinds.PAYMENT_RECEIVED)
    await shop.world.query("UPDATE notifications SET valid_until = now() + interval '9 days'")
    clock = TenAtNight()
    shop.world.deliveries = changed(shop.world.deliveries, clock=clock)
    row = await shop.again(reminder)
    assert held(row) == ("pending", "held_quiet_hours", 0)
    assert row["due_at"] == clock.now() + timedelta(hours=9)
    assert (await shop.again(receipt))["state"] == "sent"
    assert len(shop.channel.asked) == 1


async def test_when_the_hold_ends_it_is_asked_again_whether_it_still_holds(shop: Shop):
    await shop.account("a")
    delivery = await shop.due(kinds.PAYMENT_REMINDER)
    await shop.set(quiet=around_now())
    assert held(await shop.again(delivery)) == ("pending", "held_quiet_hours", 0)
    await shop.set(quiet=NEVER_QUIET)
    await shop.world.query(ALL_DUE)

    async def paid(*_: object) -> str:
        return "nothing_owed"

    shop.world.deliveries = changed(shop.world.deliveries, guards={kinds.PAYMENT_REMINDER: paid})
    assert held(await shop.again(delivery)) == ("cancelled", "nothing_owed", 0)
    assert shop.channel.asked == []


async def test_the_recipients_zone_counts_before_the_organisations(shop: Shop):
    await shop.account("a")
    await shop.set(quiet=around_now())
    assert held(await shop.tell(kinds.PAYMENT_REMINDER)) == ("pending", "held_quiet_hours", 0)
    delivery = await shop.due(kinds.PAYMENT_REMINDER)
    await shop.world.query("UPDATE notifications SET time_zone = 'Asia/Tokyo'")  # nine hours on
    assert (await shop.again(delivery))["state"] == "sent"


async def test_who_has_stopped_one_of_our_numbers_is_told_by_another_and_by_none_if_they_stopped_both(shop: Shop):
    first, second = await shop.account("a"), await shop.account("b", weight=0)
    await shop.suppress(first.sender)
    assert (await shop.tell())["sender"] == second.sender
    await shop.suppress(second.sender)
    assert held(await shop.tell()) == ("suppressed", "suppressed_stop", 0)
    assert held(await shop.tell(phone="+263771000999")) == ("sent", None, 1)


async def test_what_is_queued_obeys_what_was_said_meanwhile(shop: Shop):
    await shop.account("a")
    delivery = await shop.due()
    await shop.suppress("")
    assert held(await shop.again(delivery)) == ("suppressed", "suppressed_stop", 0)
    assert shop.channel.asked == []


@pytest.mark.parametrize(("reason", "of_sender"), [("opted_out", True), ("bad_address", False)])
async def test_a_provider_that_says_so_suppresses_the_address(shop: Shop, reason: str, of_sender: bool):
    account = await shop.account("a")
    shop.channel.answers.append(Outcome(OutcomeKind.REFUSED, "twilio_21610", suppress=reason))
    assert held(await shop.tell()) == ("failed", "twilio_21610", 1)
    (row,) = await shop.world.query("SELECT * FROM suppressions")
    assert (row["address"], row["sender"], row["reason"]) == (PHONE, account.sender if of_sender else "", reason)
    assert held(await shop.tell())[:2] == ("suppressed", f"suppressed_{reason}")


async def test_one_address_gets_so_many_an_hour_but_always_what_is_required(shop: Shop):
    await shop.account("a")
    await shop.set(quiet=NEVER_QUIET, an_hour_to_one=1)
    assert (await shop.tell(kinds.PAYMENT_REMINDER))["state"] == "sent"
    row = await shop.tell(kinds.PAYMENT_REMINDER)
    assert held(row) == ("pending", "held_address_rate", 0)
    assert row["due_at"] > row["updated_at"]
    assert (await shop.tell(kinds.PAYMENT_RECEIVED))["state"] == "sent"
    assert (await shop.tell(kinds.PAYMENT_REMINDER, phone="+263771000999"))["state"] == "sent"


async def test_an_organisation_sends_so_many_a_minute_and_delays_only_itself(shop: Shop):
    await shop.account("a")
    await shop.set(a_minute=1)
    assert (await shop.tell())["state"] == "sent"
    assert held(await shop.tell()) == ("pending", "held_organisation_rate", 0)


async def test_a_provider_at_its_limit_leaves_it_to_the_other_and_alone_it_waits(shop: Shop):
    await shop.account("a", a_minute=1)
    await shop.tell()
    assert held(await shop.tell()) == ("pending", "held_provider_rate", 0)
    await shop.account("b", weight=0)
    assert (await shop.tell())["state"] == "sent"
    assert shop.channel.by == ["a", "b"]


@pytest.mark.parametrize("cap", [{"sms_parts_a_day": 1}, {"sms_spend_a_day": "0.05"}], ids=["parts", "money"])
async def test_beyond_the_days_cap_what_can_wait_waits_for_tomorrow_and_staff_hear_of_it_once(
    shop: Shop, cap: dict[str, object]
):
    await shop.account("a", price=Decimal("0.05"), price_currency="USD")
    await shop.set(quiet=NEVER_QUIET, **cap)
    assert (await shop.tell(kinds.PAYMENT_REMINDER))["state"] == "sent"
    rows = [await shop.tell(kinds.PAYMENT_REMINDER) for _ in range(2)]
    assert [held(row) for row in rows] == [("pending", "held_spend_cap", 0)] * 2
    midnight = (rows[0]["updated_at"] + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert midnight <= rows[0]["due_at"] <= midnight + timedelta(minutes=1)
    assert len(await shop.alerts("sms_cap_reached")) == 1
    assert (await shop.tell(kinds.PAYMENT_RECEIVED))["state"] == "sent"


@pytest.mark.parametrize("cap", [{"sms_parts_a_day": 2}, {"sms_spend_a_day": "0.10"}], ids=["parts", "money"])
async def test_staff_hear_that_the_cap_is_reached_as_it_is_whatever_used_it_up(shop: Shop, cap: dict[str, object]):
    await shop.account("a", price=Decimal("0.05"), price_currency="USD")
    await shop.set(quiet=NEVER_QUIET, **cap)
    for reached in (0, 1, 1):  # what cannot wait uses it up, and goes on
        shop.channel.answers.append(Outcome(OutcomeKind.ACCEPTED, reference="SM1", segments=1))
        assert (await shop.tell(kinds.PAYMENT_RECEIVED))["state"] == "sent"
        assert len(await shop.alerts("sms_cap_reached")) == reached


async def test_what_goes_by_email_reaches_no_cap_on_sms(shop: Shop):
    await shop.set(quiet=NEVER_QUIET, sms_parts_a_day=1, sms_spend_a_day="0.01")
    assert (await shop.tell(kinds.PAYMENT_RECEIVED, phone=None, email="chipo@example.com"))["state"] == "sent"
    assert await shop.alerts("sms_cap_reached") == []


async def test_what_it_cost_is_what_the_provider_says_and_adds_up_by_the_day(shop: Shop):
    account = await shop.account("a", price=Decimal("0.05"), price_currency="USD")
    said = Outcome(OutcomeKind.ACCEPTED, "", "AT1", segments=3, cost=Decimal("2.4"), cost_currency="KES")
    shop.channel.answers.append(said)
    row = await shop.tell()
    assert (row["segments"], row["cost"], row["cost_currency"]) == (3, Decimal("2.4"), "KES")
    await shop.tell()
    sums = await shop.world.query(
        "SELECT provider_id, currency, sum(messages) AS n, sum(segments) AS parts, sum(cost) AS cost FROM message_spend"
        " GROUP BY 1, 2 ORDER BY currency"
    )
    assert [tuple(row) for row in sums] == [
        (account.id, "KES", 1, 3, Decimal("2.4")),
        (account.id, "USD", 1, 1, Decimal("0.05")),
    ]


async def test_in_test_mode_nothing_leaves_the_house_and_receipts_are_made_up(shop: Shop):
    await shop.account("a", price=Decimal("0.05"), price_currency="USD")
    await shop.set(quiet=NEVER_QUIET, test_mode=True)
    row = await shop.tell()
    assert (row["state"], row["reason"], row["provider"], row["cost"]) == ("delivered", "simulated", "test", None)
    assert row["body"]
    assert shop.channel.asked == []
    assert await shop.world.query("SELECT * FROM message_spend") == []


@pytest.mark.parametrize(
    ("event", "state"),
    [(Event.RECEIPT_SENT, "sent"), (Event.DELIVERED, "delivered"), (Event.UNDELIVERED, "undelivered")],
)
async def test_a_receipt_that_overtakes_the_answer_stays_and_what_the_answer_says_is_kept(
    shop: Shop, event: Event, state: str
):
    await shop.account("a", price=Decimal("0.05"), price_currency="USD")

    async def overtaken(message: Message) -> Outcome:
        async with shop.world.services.database.transaction(SYSTEM) as conn:
            now = shop.world.services.clock.now()
            ids = message.org_id, message.delivery_id
            assert await storage.report(conn, *ids, event, reason="said", now=now) == State(state)
        return TAKEN

    shop.channel.answers.append(overtaken)
    row = await shop.tell()
    assert (row["state"], row["provider_ref"], row["cost"]) == (state, "SM1", Decimal("0.05"))
    assert [a["outcome"] for a in await shop.world.attempts()] == ["accepted"]
    assert len(await shop.world.query("SELECT * FROM message_spend")) == 1


async def test_a_receipt_settles_what_was_in_doubt_and_was_to_go_out_again(shop: Shop):
    await shop.account("a")
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    await shop.again(delivery)
    owner, services = shop.world.org.owner, shop.world.services
    await services.stuck.resolve(owner, delivery, "they have nothing", send_again=True)
    async with services.database.transaction(SYSTEM) as conn:
        now = services.clock.now()
        await storage.report(conn, shop.org_id, delivery, Event.DELIVERED, reason=None, now=now, provider_ref="SM9")
    row = await shop.again(delivery)
    assert (row["state"], row["provider_ref"], len(shop.channel.asked)) == ("delivered", "SM9", 1)


async def test_what_a_look_up_proves_absent_goes_out_again_and_after_its_last_try_is_dead(shop: Shop):
    await shop.account("a")
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    await shop.again(delivery)
    services = shop.world.services

    async def absent() -> State | None:
        async with services.database.transaction(SYSTEM) as conn:
            now = services.clock.now()
            return await storage.report(conn, shop.org_id, delivery, Event.ABSENT, reason="absent", now=now)

    assert await absent() is State.PENDING
    assert await absent() is None
    await shop.world.query("UPDATE deliveries SET budget = 2 WHERE id = $1", delivery)
    shop.channel.answers.append(DOUBT)
    assert (await shop.again(delivery))["state"] == "in_doubt"
    assert await absent() is State.DEAD


async def test_only_an_e_mail_that_may_be_switched_off_says_where(shop: Shop):
    await shop.tell(kinds.PAYMENT_REMINDER, phone=None, email="chipo@example.com")
    await shop.tell(kinds.PAYMENT_RECEIVED, phone=None, email="rudo@example.com")
    reminder, receipt = shop.channel.asked
    assert reminder.stop_url is not None
    assert reminder.stop_url.startswith("https://way.example/unsubscribe/")
    assert receipt.stop_url is None
    assert (receipt.account, receipt.report_url) == (None, None)
    assert receipt.text.html


async def test_a_repeat_by_the_gateway_that_was_stopped_meanwhile_stays_in_doubt(shop: Shop):
    """Another sender of ours is not stopped, so the address is none that must not be written to; but only the first
    may repeat it.
    """
    gateway = HttpConfig(
        "https://sms.example.com/send", body='{"to": "{{ to }}", "text": "{{ text }}"}', repeatable=True
    )
    account = await shop.account("g", config=gateway)
    await shop.account("b", weight=0)
    shop.channel.answers.append(DOUBT)
    delivery = await shop.due()
    assert (await shop.again(delivery))["state"] == "in_doubt"
    await shop.suppress(account.sender)
    await shop.world.query(ALL_DUE)
    await shop.world.relay.sweep()
    assert held(await shop.again(delivery)) == ("in_doubt", "suppressed_stop", 1)
    assert shop.channel.by == ["g"]


async def test_what_was_seen_to_once_is_seen_to_again_when_a_person_has_sent_it_again(shop: Shop):
    await shop.account("b")
    refused = Outcome(OutcomeKind.REFUSED, "no_such_number")
    shop.channel.answers.extend([refused, refused])
    delivery = await shop.due()
    await shop.again(delivery)
    await shop.world.query("UPDATE deliveries SET follow_at = 'infinity'")  # as the relay does
    await shop.world.services.stuck.replay(shop.world.org.owner, delivery, "it is switched on by now")
    await shop.again(delivery)
    (row,) = await shop.world.query(
        "SELECT state, follow_at < now() AS to_be_seen FROM deliveries WHERE id = $1", delivery
    )
    assert (row["state"], row["to_be_seen"]) == ("failed", True)
