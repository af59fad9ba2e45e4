"""By which ways a notice goes out, and what carries it when those could not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from waypost.notifications.addresses import ChannelName, Contact, is_address
from waypost.notifications.domain import Queue
from waypost.notifications.kinds import KINDS, Kind
from waypost.notifications.planning import Gone, Planned, is_unreachable, is_untold, plan, stand_in
from waypost.notifications.states import State

SMS, EMAIL, PUSH = ChannelName.SMS, ChannelName.EMAIL, ChannelName.PUSH
CONSOLE, IN_APP, OTHER = ChannelName.CONSOLE, ChannelName.IN_APP, ChannelName.OTHER
PHONE, MAIL = "+263771000200", "chipo@example.com"
BOTH = Contact("Chipo", "Jacaranda", PHONE, MAIL)
NEITHER = Contact("Chipo", "Jacaranda")
ONLY_PHONE, ONLY_MAIL = replace(BOTH, email=None), replace(BOTH, phone=None)


def kind(*channels: ChannelName, instead: tuple[ChannelName, ...] = ()) -> Kind:
    return Kind("x", channels, Queue.URGENT, timedelta(days=1), instead=instead)


@pytest.mark.parametrize(
    ("contact", "offered", "planned"),
    [
        (BOTH, {EMAIL}, [Planned(EMAIL, MAIL)]),
        (BOTH, {SMS, EMAIL}, [Planned(SMS, PHONE), Planned(EMAIL, MAIL)]),
        (ONLY_PHONE, {SMS, EMAIL}, [Planned(SMS, PHONE), Planned(EMAIL, "", "no_address")]),
        (NEITHER, {EMAIL}, [Planned(EMAIL, "", "no_address")]),
        (replace(BOTH, email="chipo"), {EMAIL}, [Planned(EMAIL, "chipo", "bad_address")]),
        (replace(BOTH, phone="0771000200"), {SMS}, [Planned(SMS, "0771000200", "bad_address")]),
        (BOTH, set(), [Planned(SMS, PHONE, "channel_off")]),
        (None, {SMS, EMAIL}, [Planned(SMS, "", "no_recipient")]),
        (replace(BOTH, push=("a", "b")), {PUSH}, [Planned(PUSH, "a"), Planned(PUSH, "b")]),
        (BOTH, {SMS, PUSH}, [Planned(SMS, PHONE)]),  # who has asked for no push lacks nothing
    ],
)
def test_each_way_to_tell_is_planned_and_what_cannot_be_says_why(
    contact: Contact | None, offered: set[ChannelName], planned: list[Planned]
):
    assert plan(contact, kind(SMS, EMAIL, PUSH), frozenset(offered)) == planned


@pytest.mark.parametrize(
    ("contact", "offered", "planned"),
    [
        (BOTH, {CONSOLE}, [Planned(CONSOLE, PHONE), Planned(CONSOLE, MAIL)]),
        (BOTH, {CONSOLE, EMAIL}, [Planned(CONSOLE, PHONE), Planned(EMAIL, MAIL)]),
        (BOTH, {CONSOLE, SMS, EMAIL}, [Planned(SMS, PHONE), Planned(EMAIL, MAIL)]),
        (ONLY_MAIL, {CONSOLE}, [Planned(CONSOLE, MAIL)]),
        (NEITHER, {CONSOLE}, [Planned(CONSOLE, "")]),
    ],
)
def test_the_console_shows_each_form_whose_own_channel_is_not_there(
    contact: Contact, offered: set[ChannelName], planned: list[Planned]
):
    assert plan(contact, kind(SMS, EMAIL), frozenset(offered)) == planned


@pytest.mark.parametrize(
    ("contact", "offered", "planned"),
    [
        (BOTH, {SMS, EMAIL}, [Planned(EMAIL, MAIL)]),
        (ONLY_PHONE, {SMS, EMAIL}, [Planned(EMAIL, "", "no_address"), Planned(SMS, PHONE, instead=True)]),
        (BOTH, {SMS}, [Planned(SMS, PHONE, instead=True)]),
        (NEITHER, {SMS, EMAIL}, [Planned(EMAIL, "", "no_address")]),
    ],
)
def test_what_carries_it_instead_is_used_only_when_the_first_cannot(
    contact: Contact, offered: set[ChannelName], planned: list[Planned]
):
    assert plan(contact, kind(EMAIL, instead=(SMS,)), frozenset(offered)) == planned


def test_a_member_has_an_inbox_and_the_house_ways_of_its_own():
    member = replace(BOTH, user_id="u")
    assert plan(member, kind(IN_APP, EMAIL), frozenset({IN_APP, EMAIL})) == [Planned(IN_APP, "u"), Planned(EMAIL, MAIL)]
    assert plan(member, kind(IN_APP, OTHER), frozenset({IN_APP, OTHER})) == [Planned(IN_APP, "u")]
    house = Contact("Jacaranda", "Jacaranda", others=("a", "b"))
    assert plan(house, kind(OTHER), frozenset({OTHER})) == [Planned(OTHER, "a"), Planned(OTHER, "b")]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_carried_instead_by_what_carries_it_anyway(name: str):
    assert not set(KINDS[name].channels) & set(KINDS[name].instead)


def gone(channel: ChannelName, address: str, state: State, reason: str | None = None) -> Gone:
    return Gone(channel, address, state, reason)


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (State.UNDELIVERED, "30003", Planned(EMAIL, MAIL)),
        (State.FAILED, "21211", Planned(EMAIL, MAIL)),
        (State.DEAD, "503", Planned(EMAIL, MAIL)),
        (State.IN_DOUBT, "timeout", Planned(EMAIL, MAIL)),
        (State.SUPPRESSED, "suppressed_stop", Planned(EMAIL, MAIL)),
        (State.SUPPRESSED, "preference_off", None),
        (State.SUPPRESSED, "channel_off", None),
        (State.FAILED, "let_be", None),
    ],
)
def test_another_way_tells_what_one_could_not_unless_they_did_not_want_it(
    state: State, reason: str, expected: Planned | None
):
    offered = frozenset({SMS, EMAIL})
    assert stand_in(BOTH, kind(SMS, instead=(EMAIL,)), offered, [gone(SMS, PHONE, state, reason)]) == expected


def test_no_way_is_tried_a_second_time():
    there = [gone(SMS, PHONE, State.UNDELIVERED), gone(EMAIL, MAIL, State.FAILED, "550")]
    assert stand_in(BOTH, kind(SMS, instead=(EMAIL,)), frozenset({SMS, EMAIL}), there) is None
    assert is_unreachable(there)


@pytest.mark.parametrize("other", sorted(State))
def test_a_notice_is_untold_only_when_every_way_of_it_told_nobody(other: State):
    there = [gone(SMS, PHONE, State.UNDELIVERED), gone(EMAIL, MAIL, other)]
    told_nobody = {State.SUPPRESSED, State.UNDELIVERED, State.FAILED, State.DEAD, State.IN_DOUBT}
    assert is_untold(there) == (other in told_nobody)
    assert is_unreachable(there) == (other in told_nobody - {State.DEAD, State.IN_DOUBT})


@pytest.mark.parametrize("reason", ["preference_off", "channel_off", "render_failed", "let_be"])
def test_who_did_not_want_it_or_was_not_asked_for_a_fault_of_ours_is_not_unreachable(reason: str):
    assert not is_unreachable([gone(SMS, PHONE, State.SUPPRESSED, reason)])


@pytest.mark.parametrize("address", ["", "0771000200", "+0771000200", "+2637", "+263 771 000 200", "+2637710002001234"])
def test_what_is_no_e164_number_is_not_handed_to_an_sms_provider(address: str):
    assert not is_address(SMS, address)
    assert is_address(SMS, PHONE)
