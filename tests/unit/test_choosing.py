"""Who takes a try: by lot over weight and health, never who has just refused it, none whose breaker is open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import cycle
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.fakes.clock import NOON, FakeClock
from waypost.notifications.addresses import ChannelName
from waypost.notifications.breakers import LEAST_CALLS, OPEN_S, WORST, Breakers, Ticket
from waypost.notifications.choosing import DOWN, PROVIDER_BUSY, Choice, Chooser, Hold, eligible, in_order
from waypost.notifications.domain import Due, Try
from waypost.notifications.providers.accounts import (
    HOUSE_SMTP,
    HttpConfig,
    ProviderAccount,
    ProviderName,
    TwilioConfig,
)

ORG = UUID(int=7)
A, B, C = (UUID(int=n) for n in (10, 11, 12))


def account(id_: UUID, weight: int = 100, **more: Any) -> ProviderAccount:
    config = more.pop("config", TwilioConfig("AC1", "secret"))
    values = {"price": Decimal("0.05"), "price_currency": "USD", "a_minute": None} | more
    return ProviderAccount(
        ORG, id_, ChannelName.SMS, ProviderName.TWILIO, "one", config, "+263771000000", weight, addresses=(),
        created_at=NOON, version=1, **values,
    )  # fmt: skip


def due(channel: ChannelName = ChannelName.SMS, attempt: int = 0, budget: int = 8) -> Due:
    return Due(
        ORG, UUID(int=1), UUID(int=2), "payment_received", channel, "+263771000200", attempt, budget, "Chipo", "en",
        UUID(int=3), UUID(int=4), {}, NOON + timedelta(days=1), None, None, doubted=False,
    )  # fmt: skip


class Unlimited:
    """Throttles that count what they are asked, and refuse whom a test says."""

    def __init__(self, refused: Sequence[UUID] = ()) -> None:
        self.refused, self.asked = refused, Counter[UUID]()

    async def provider(self, one: ProviderAccount) -> tuple[()] | float:
        self.asked[one.id] += 1
        return 42.0 if one.id in self.refused else ()


def chooser(clock: FakeClock, roll: float = 0.0, refused: Sequence[UUID] = ()) -> Chooser:
    return Chooser(clock, Breakers(clock, 15.0), Unlimited(refused), lambda: roll)  # type: ignore[arg-type]


def choose(by: Chooser, accounts: Sequence[ProviderAccount], tries: Sequence[Try] = (), of: Due | None = None) -> Any:
    return asyncio.run(by.choose(of or due(), accounts, tries))


def break_(breakers: Breakers, key: UUID) -> None:
    for _ in range(LEAST_CALLS):
        ticket = breakers.admit(key)
        assert isinstance(ticket, Ticket)
        ticket.settle(failed=True)


def test_the_lot_falls_as_often_as_weight_times_health_says():
    dice = Random(3)  # noqa: S311 - a lot, no secret
    order = [in_order([account(A, 75), account(B, 25)], {}, {}, dice.random)[0].id for _ in range(4000)]
    assert 0.72 < order.count(A) / 4000 < 0.78
    order = [in_order([account(A, 75), account(B, 25)], {}, {A: 0.1}, dice.random)[0].id for _ in range(4000)]
    assert 0.19 < order.count(A) / 4000 < 0.27


def test_one_that_weighs_nothing_is_asked_last():
    for roll in (0.0, 0.5, 0.999):
        assert [each.id for each in in_order([account(A, 0), account(B, 1)], {}, {}, lambda roll=roll: roll)] == [B, A]


def test_who_has_refused_this_message_least_often_is_asked_first_whatever_they_weigh():
    accounts = [account(A, 100), account(B, 1), account(C, 0)]
    assert in_order(accounts, {A: 1}, {}, lambda: 0.0)[0].id == B
    assert in_order(accounts, {A: 1, B: 1}, {}, lambda: 0.0)[0].id == C
    assert in_order(accounts, {A: 1, B: 1, C: 1}, {}, lambda: 0.0)[0].id == A


def test_all_are_in_the_order_once():
    dice = Random(5)  # noqa: S311 - a lot, no secret
    for _ in range(200):
        order = in_order([account(A), account(B, 0), account(C, 3)], {B: 2}, {C: 0.05}, dice.random)
        assert sorted(each.id for each in order) == [A, B, C]


def test_what_the_first_surely_did_not_take_goes_to_the_second_which_says_instead_of_whom():
    clock = FakeClock()
    chosen = choose(chooser(clock), [account(A), account(B)], [Try(1, A, "not_sent")], due(attempt=1))
    assert (chosen.account.id, chosen.instead_of.id, chosen.others) == (B, A, False)
    both = [Try(1, A, "not_sent"), Try(2, B, "not_sent")]
    again = choose(chooser(clock), [account(A), account(B)], both, due(attempt=2))
    assert (again.account.id, again.others) == (A, True)


def test_tries_before_a_person_began_afresh_count_for_nothing():
    old = [Try(n, A, "not_sent") for n in range(1, 9)]
    chosen = choose(chooser(FakeClock()), [account(A), account(B)], old, due(attempt=8, budget=16))
    assert (chosen.account.id, chosen.instead_of) == (A, None)


def test_what_may_have_gone_out_by_one_is_repeated_by_the_same_and_by_no_other():
    doubtful = [Try(1, B, "unknown")]
    sms, mail = due(attempt=1), due(ChannelName.EMAIL, attempt=1)
    both = [account(A), account(B)]
    assert [each.id for each in eligible(sms, both, doubtful) or ()] == [B]
    assert eligible(sms, [account(A)], doubtful) is None
    assert [each.id for each in eligible(mail, [account(A)], doubtful) or ()] == [A]
    decided = due(attempt=1, budget=9)  # a person has said: send it again
    assert eligible(decided, [account(A)], doubtful) == [account(A)]


def test_an_open_breaker_leaves_it_to_the_other_and_alone_holds_it_without_an_attempt():
    clock = FakeClock()
    by = chooser(clock, roll=0.0)
    break_(by.breakers, A)
    assert choose(by, [account(A), account(B)]).account.id == B
    hold = choose(by, [account(A)])
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.until) == (DOWN, NOON + timedelta(seconds=OPEN_S))


async def test_half_open_lets_one_probe_through_and_its_success_closes_it():
    clock = FakeClock()
    by = chooser(clock)
    break_(by.breakers, A)
    await clock.advance(OPEN_S)
    probe = await by.choose(due(), [account(A)])
    assert isinstance(probe, Choice)
    assert isinstance(await by.choose(due(), [account(A)]), Hold)
    assert probe.ticket is not None
    assert probe.ticket.settle(failed=False) == "closed"
    assert isinstance(await by.choose(due(), [account(A)]), Choice)


async def test_a_probe_that_is_given_back_leaves_room_for_the_next():
    clock = FakeClock()
    by = chooser(clock)
    break_(by.breakers, A)
    await clock.advance(OPEN_S)
    for _ in range(3):
        probe = await by.choose(due(), [account(A)])
        assert isinstance(probe, Choice)
        probe.give_back()
        probe.give_back()


def test_a_breaker_says_that_it_opened_once_and_health_comes_back_slowly():
    clock = FakeClock()
    breakers = Breakers(clock, 15.0)
    said = []
    for _ in range(LEAST_CALLS):
        ticket = breakers.admit(A)
        assert isinstance(ticket, Ticket)
        said.append(ticket.settle(failed=True))
    assert said == [None] * (LEAST_CALLS - 1) + ["open"]
    assert WORST <= breakers.health(A) < 0.1
    breakers.kept[A].breaker.reset()
    for n in range(60):
        ticket = breakers.admit(A)
        assert isinstance(ticket, Ticket)
        ticket.settle(failed=False)
        if n == 9:
            assert breakers.health(A) < 0.3
    assert breakers.health(A) == 1.0


async def test_slowness_opens_it_as_failures_do():
    clock = FakeClock()
    breakers = Breakers(clock, 15.0)
    for _ in range(LEAST_CALLS):
        ticket = breakers.admit(A)
        assert isinstance(ticket, Ticket)
        await clock.advance(8)
        state = ticket.settle(failed=False)
    assert state == "open"


def test_half_of_the_calls_is_enough_and_fewer_are_not():
    breakers = Breakers(FakeClock(), 15.0)
    fates = cycle([True, False, False])
    for _ in range(60):
        ticket = breakers.admit(A)
        assert isinstance(ticket, Ticket)
        assert ticket.settle(failed=next(fates)) is None
    fates = cycle([True, True, False])
    states = []
    while isinstance(ticket := breakers.admit(A), Ticket):
        states.append(ticket.settle(failed=next(fates)))
    assert states[-1] == "open"


def test_a_provider_at_its_own_limit_leaves_it_to_the_other_and_costs_no_probe():
    by = chooser(FakeClock(), refused=[A])
    assert choose(by, [account(A), account(B)]).account.id == B
    hold = choose(by, [account(A)])
    assert (hold.reason, hold.until) == (PROVIDER_BUSY, NOON + timedelta(seconds=42))


def test_a_channel_without_accounts_needs_none_but_the_houses_mail_server_has_a_breaker():
    by = chooser(FakeClock())
    assert choose(by, [], of=due(ChannelName.PUSH)) == Choice(None)
    assert choose(by, [], of=due(ChannelName.EMAIL)).provider_id == HOUSE_SMTP
    break_(by.breakers, HOUSE_SMTP)
    assert choose(by, [], of=due(ChannelName.EMAIL)).reason == DOWN


@pytest.mark.parametrize("repeatable", [True, False])
def test_only_a_gateway_that_drops_a_second_request_may_be_asked_again_in_doubt(repeatable: bool):
    gateway = account(A, config=HttpConfig("https://sms.example", repeatable=repeatable))
    assert choose(chooser(FakeClock()), [gateway]).repeatable is repeatable
    assert choose(chooser(FakeClock()), [account(B)]).repeatable is False
