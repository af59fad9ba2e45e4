"""The night's comparison of messages with Twilio's own list."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.faces import twilio
from tests.fakes.provider import FakeProvider, fake_provider
from tests.notices import World, telling
from waypost.notifications.comparing import LONGEST_S, Compared, Comparison, Odd, agrees
from waypost.notifications.providers.accounts import ProviderAccount, TwilioConfig
from waypost.notifications.providers.exchange import Answer
from waypost.notifications.providers.reports import Said
from waypost.notifications.providers.twilio_lists import DayPage, Found, NotThere, read_message
from waypost.notifications.providers_register import New
from waypost.notifications.states import State
from waypost.platform.guarded import Guard
from waypost.wiring_work import comparison_over
from waypost_workers.channels.gateways import gateways
from waypost_workers.channels.sms import MessageLists
from waypost_workers.timed_messages import timetable

LOOPBACK = "127.0.0.0/8"
PHONE = "+263771234567"


@dataclass(frozen=True, slots=True)
class Night:
    """A world, its Twilio, and the comparison of today so far."""

    world: World
    fake: FakeProvider
    comparison: Comparison

    @property
    def twilio(self) -> twilio.Twilio:
        face = self.fake.faces["twilio"]
        assert isinstance(face, twilio.Twilio)
        return face

    async def sent(self, phone: str = PHONE) -> tuple[UUID, str]:
        """A message that Twilio took and has sent on; our id and its."""
        await self.world.trip(await self.world.customer(email=None, phone=phone))
        await self.world.relay.expand()
        rows = await self.world.query("SELECT id FROM deliveries WHERE channel = 'sms' ORDER BY id DESC LIMIT 1")
        delivery_id = UUID(str(rows[0]["id"]))
        await self.world.attempt(delivery_id)
        reference = (await self.world.row(delivery_id))["provider_ref"]
        self.twilio.becomes(reference, "sent")
        return delivery_id, reference

    async def state(self, delivery_id: UUID) -> str:
        return str((await self.world.row(delivery_id))["state"])

    async def compare(self, day: date | None = None) -> Compared:
        found = await self.comparison.run(self.world.org.org_id, day or today())
        (compared,) = found
        return compared

    async def alerts(self) -> list[Mapping[str, Any]]:
        rows = await self.world.query("SELECT facts::text AS facts FROM alerts WHERE kind = 'messages_differ'")
        return [json.loads(row["facts"]) for row in rows]


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
async def night(environment: Mapping[str, str]) -> AsyncIterator[Night]:
    async with (
        fake_provider() as fake,
        telling(environment, WAYPOST_WEBHOOK_ALLOWED_NETWORKS=LOOPBACK) as world,
        gateways(Guard.of(LOOPBACK), world.services.clock, 5.0) as reached,
    ):
        config = TwilioConfig(twilio.SID, twilio.TOKEN, base_url=fake.url)
        await world.services.telling.providers.add(world.org.owner, New("Twilio", config, twilio.SENDER))
        yield Night(world, fake, comparison_over(world.services, MessageLists(reached)))


async def test_a_day_on_which_both_say_the_same_raises_nothing(night: Night):
    delivery_id, _ = await night.sent()
    compared = await night.compare()
    assert (compared.listed, compared.settled, compared.whole, dict(compared.odd)) == (1, 0, True, {})
    assert (await night.state(delivery_id), await night.alerts()) == ("sent", [])


async def test_a_receipt_that_never_came_is_made_good_with_all_that_it_would_have_taught(night: Night):
    arrived, came = await night.sent()
    failed, failure = await night.sent("+263771234568")
    night.twilio.becomes(came, "delivered")
    night.twilio.becomes(failure, "undelivered", 30006)
    compared = await night.compare()
    assert (compared.settled, dict(compared.odd)) == (2, {})
    assert await night.state(arrived) == "delivered"
    row = await night.world.row(failed)
    assert (row["state"], row["reason"]) == ("undelivered", "twilio_landline")
    bounced = await night.world.query("SELECT address, code FROM bounces")
    assert [(each["address"], each["code"]) for each in bounced] == [("+263771234568", "30006")]
    assert (await night.compare()).settled == 0  # another night finds nothing to do


async def test_a_second_message_with_the_same_words_of_which_nobody_here_knows_is_an_alert(night: Night):
    delivery_id, reference = await night.sent()
    twin = "SM" + "f" * 32
    night.twilio.messages[twin] = night.twilio.messages[reference] | {"sid": twin}
    night.fake.accepted.append(replace(night.fake.accepted[0], id=twin))
    compared = await night.compare()
    assert (compared.listed, dict(compared.odd), compared.examples) == (2, {Odd.REPEATED: 1}, [twin])
    await night.compare()
    (facts,) = await night.alerts()
    assert (facts["provider"], facts["repeated"], facts["messages"]) == ("Twilio", "1", twin)
    assert await night.state(delivery_id) == "sent"


async def test_other_words_and_what_customers_wrote_are_none_of_ours(night: Night):
    _, reference = await night.sent()
    for n, changed in enumerate(({"body": "From another program"}, {"direction": "inbound"})):
        sid = f"SM{'e' * 31}{n}"
        night.twilio.messages[sid] = night.twilio.messages[reference] | {"sid": sid} | changed
        night.fake.accepted.append(replace(night.fake.accepted[0], id=sid))
    compared = await night.compare()
    assert (compared.listed, dict(compared.odd)) == (2, {})


async def test_a_second_one_that_never_went_out_and_what_no_database_of_ours_could_hold_are_not_ours(night: Night):
    _, reference = await night.sent()
    for n, changed in enumerate(({"status": "failed", "error_code": 30001}, {"body": "From\0another"})):
        sid = f"SM{'d' * 31}{n}"
        night.twilio.messages[sid] = night.twilio.messages[reference] | {"sid": sid} | changed
        night.fake.accepted.append(replace(night.fake.accepted[0], id=sid))
    compared = await night.compare()
    assert (compared.listed, compared.whole, dict(compared.odd)) == (3, True, {})


async def test_what_went_out_by_another_account_of_ours_with_the_same_twilio_is_no_repeat(night: Night):
    config = TwilioConfig(twilio.SID, twilio.TOKEN, base_url=night.fake.url)
    register, owner = night.world.services.telling.providers, night.world.org.owner
    other = (await register.add(owner, New("Another sender", config, "Shop")))[0].account
    (_, first), (second_id, second) = await night.sent(), await night.sent()
    same = night.twilio.messages[first]["body"]
    night.twilio.messages[second]["body"] = same
    by = "CASE WHEN id = $2 THEN $3 ELSE (SELECT id FROM message_providers WHERE name = 'Twilio') END"
    await night.world.query(f"UPDATE deliveries SET body = $1, provider_id = {by}", same, second_id, other.id)
    compared = await night.comparison.run(night.world.org.org_id, today())
    assert [(each.listed, dict(each.odd)) for each in compared] == [(2, {}), (2, {})]


async def test_two_that_compare_at_once_do_not_contradict_each_other(night: Night):
    delivery_id, reference = await night.sent()
    night.twilio.becomes(reference, "delivered")
    both = await asyncio.gather(night.compare(), night.compare())
    assert ([dict(each.odd) for each in both], await night.state(delivery_id)) == ([{}, {}], "delivered")


async def test_a_message_that_is_in_doubt_is_left_to_the_look_ups(night: Night):
    delivery_id, reference = await night.sent()
    await night.world.query(
        "UPDATE deliveries SET state = 'in_doubt', provider_ref = NULL, due_at = now() WHERE id = $1", delivery_id
    )
    compared = await night.compare()
    assert reference in {each.id for each in night.fake.accepted}
    assert (dict(compared.odd), await night.state(delivery_id)) == ({}, "in_doubt")


async def test_what_twilio_took_and_does_not_know_any_more_is_an_alert(night: Night):
    delivery_id, reference = await night.sent()
    del night.twilio.messages[reference]
    compared = await night.compare()
    assert (compared.listed, dict(compared.odd)) == (0, {Odd.MISSING: 1})
    (facts,) = await night.alerts()
    assert (facts["missing"], facts["day"], await night.state(delivery_id)) == ("1", str(today()), "sent")


@dataclass(frozen=True)
class Counted(MessageLists):
    """Notes what is asked one by one."""

    asked: list[str] = field(default_factory=list)

    async def message(self, account: ProviderAccount, reference: str) -> Found | NotThere | None:
        self.asked.append(reference)
        return await super().message(account, reference)


async def test_only_what_the_list_does_not_have_is_asked_for_by_its_id(night: Night):
    _, gone = await night.sent()
    for n in range(3):
        await night.sent(f"+26377123457{n}")
    del night.twilio.messages[gone]
    lists = night.comparison.lists
    assert isinstance(lists, MessageLists)
    counted = Counted(lists.gateways)
    compared = await replace(night, comparison=replace(night.comparison, lists=counted)).compare()
    assert (compared.listed, compared.whole, compared.odd, counted.asked) == (3, True, {Odd.MISSING: 1}, [gone])


async def test_another_end_than_ours_is_an_alert_and_changes_nothing(night: Night):
    delivery_id, reference = await night.sent()
    night.twilio.becomes(reference, "undelivered", 30008)
    await night.compare()
    night.twilio.becomes(reference, "delivered")
    compared = await night.compare()
    assert (dict(compared.odd), await night.state(delivery_id)) == ({Odd.CONTRADICTING: 1}, "undelivered")


async def test_a_day_of_several_pages_is_gone_through_to_its_end(night: Night):
    night.twilio.most_a_page = 2
    sent = [await night.sent(f"+26377123456{n}") for n in range(5)]
    for _, reference in sent:
        night.twilio.becomes(reference, "delivered")
    compared = await night.compare()
    assert (compared.listed, compared.settled, compared.whole) == (5, 5, True)


async def test_another_day_lists_nothing_of_today(night: Night):
    await night.sent()
    compared = await night.compare(today() - timedelta(days=1))
    assert (compared.listed, compared.whole, dict(compared.odd)) == (0, True, {})


async def test_while_twilio_cannot_be_asked_nothing_is_concluded(night: Night):
    delivery_id, reference = await night.sent()
    night.twilio.becomes(reference, "delivered")
    async with gateways(Guard.of(""), night.world.services.clock, 5.0) as closed:
        nobody = replace(night, comparison=replace(night.comparison, lists=MessageLists(closed)))
        compared = await nobody.compare()
    assert (compared.whole, dict(compared.odd), await night.state(delivery_id)) == (False, {}, "sent")


class Endless:
    """A list that is slow, and never comes to its end."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.asked = clock, Counter[str]()

    async def day(self, _account: ProviderAccount, _of: date, _page: str | None) -> DayPage:
        self.asked["day"] += 1
        await self.clock.advance(LONGEST_S / 10)
        return DayPage([], "/more")

    async def message(self, _account: ProviderAccount, _reference: str) -> None:
        self.asked["message"] += 1


async def test_a_list_without_an_end_is_given_up_so_that_others_timed_work_gets_its_turn(night: Night):
    await night.sent()
    endless = Endless(FakeClock())
    patient = replace(night, comparison=replace(night.comparison, clock=endless.clock, lists=endless))
    assert not (await patient.compare()).whole
    assert endless.asked == {"day": 11}


async def test_it_is_done_each_night_for_the_day_before(night: Night):
    delivery_id, reference = await night.sent()
    night.twilio.becomes(reference, "delivered")
    (timed,) = timetable(night.comparison)
    assert timed.each_org
    await timed.run(night.world.org.org_id, datetime.now(UTC) + timedelta(days=1))
    assert await night.state(delivery_id) == "delivered"


def test_only_twilio_itself_says_that_a_message_is_not_there():
    assert isinstance(read_message(Answer(404, b'{"code": 20404, "status": 404}')), NotThere)
    assert read_message(Answer(404, b"<h1>404 page not found</h1>")) is None
    assert read_message(Answer(404, b'{"error": "no route"}')) is None


@pytest.mark.parametrize("state", State)
def test_what_is_on_its_way_there_agrees_with_whatever_it_came_to_here(state: State):
    arrived = state in {State.SENT, State.DELIVERED, State.UNDELIVERED}
    assert (agrees(state, Said.SENT), agrees(state, Said.NOTHING)) == (arrived, True)
    assert agrees(state, Said.DELIVERED) == (state is State.DELIVERED)
    assert agrees(state, Said.UNDELIVERED) == (state is State.UNDELIVERED)
