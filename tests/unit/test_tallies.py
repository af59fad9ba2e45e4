"""What is counted between two writings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.fakes.clock import NOON
from waypost.tracking.domain import Flag, Reason
from waypost.tracking.tallies import Noted, Tallies, Tally

ORG, PHONE = UUID(int=1), UUID(int=2)


def noted(seconds: float = 0, **fields: Any) -> Noted:
    """A batch so many seconds after noon, of one fix that was a second old."""
    at = NOON + timedelta(seconds=seconds)
    own = at - timedelta(seconds=1)
    usual = {"accepted": 1, "newest_at": own, "oldest_at": own, "delay_sum_s": 1.0}
    return Noted(ORG, PHONE, at, **{**usual, **fields})


def of(*batches: Noted) -> Tally:
    tallies = Tallies()
    for batch in batches:
        tallies.note(batch)
    [tally] = tallies.of.values()
    return tally


def test_batches_add_up_by_the_day_of_their_receipt():
    tally = of(
        noted(accepted=3, duplicates=1, late=2, delay_sum_s=9.0, accuracy_sum_m=30.0, accuracy_n=3),
        noted(60, accepted=2, delay_sum_s=1.0, accuracy_sum_m=10.0, accuracy_n=1),
        noted(13 * 3600, accepted=1),
    )
    assert list(tally.days) == [NOON.date(), NOON.date() + timedelta(days=1)]
    today, tomorrow = tally.days.values()
    assert (today.batches, today.accepted, today.duplicates, today.late) == (2, 5, 1, 2)
    assert (today.delay_sum_s, today.accuracy_sum_m, today.accuracy_n) == (10.0, 40.0, 4)
    assert (tomorrow.batches, tomorrow.accepted) == (1, 1)
    assert tally.facts.heard == 3


def test_flags_and_reasons_are_counted_by_name_and_a_fix_with_two_flags_with_each():
    today = of(
        noted(
            accepted=3,
            flags=[Flag.MOCK | Flag.DRIFT, Flag.MOCK, Flag.CLOCK_SKEW],
            rejected=[Reason.FUTURE, Reason.FUTURE, "undecryptable"],
        )
    ).days[NOON.date()]
    assert (today.flagged, today.rejected) == (3, 3)
    assert today.counts() == {
        ("flag", "mock"): 2, ("flag", "drift"): 1, ("flag", "clock_skew"): 1, ("reason", "future"): 2,
        ("reason", "undecryptable"): 1,
    }  # fmt: skip


def test_the_longest_delay_is_that_of_the_oldest_fix_and_the_battery_has_a_last_and_a_lowest():
    old = NOON - timedelta(hours=2)
    today = of(noted(oldest_at=old, battery_pct=9.0), noted(5, battery_pct=80.0)).days[NOON.date()]
    assert (today.delay_max_s, today.battery_pct, today.battery_min_pct) == (7200.0, 80.0, 9.0)


def test_a_backlog_after_a_fresh_fix_does_not_make_the_device_late():
    fresh, backlog = noted(), noted(1, newest_at=NOON - timedelta(hours=1))
    assert of(fresh, backlog).facts.delay_s == 1.0
    assert of(backlog, noted(2)).facts.delay_s == 1.0
    assert of(backlog).facts.delay_s == 3601.0


def test_doubts_are_those_that_all_fixes_of_the_last_batch_share():
    poor, mock = int(Flag.POOR_ACCURACY), int(Flag.MOCK)
    assert of(noted(accepted=2, flags=[poor, mock])).facts.doubts == poor | mock
    assert of(noted(accepted=2, flags=[poor])).facts.doubts == 0
    assert of(noted(accepted=1, flags=[int(Flag.CLOCK_SKEW)])).facts.doubts == 0
    assert of(noted(flags=[poor]), noted(5)).facts.doubts == 0
    assert of(noted(flags=[poor]), noted(5, accepted=0, duplicates=1)).facts.doubts == poor


def test_a_batch_of_which_nothing_was_stored_is_heard_and_stores_nothing():
    facts = of(noted(), noted(5, accepted=0, newest_at=None, rejected=[Reason.FUTURE], ahead_s=1200.0)).facts
    assert (facts.stored_at, facts.heard_at) == (NOON, NOON + timedelta(seconds=5))
    assert (facts.reason, facts.rejected_at, facts.ahead_s) == ("future", facts.heard_at, 1200.0)


def test_a_sign_of_life_moves_what_was_heard_and_the_battery_but_counts_no_batch():
    tallies = Tallies()
    tallies.heard((ORG, PHONE), NOON, 55.0, "lwt", "owntracks")
    tallies.heard((ORG, PHONE), NOON - timedelta(seconds=9), None, None, "owntracks")
    tally = tallies.of[ORG, PHONE]
    assert (tally.facts.heard_at, tally.facts.heard, tally.facts.signal) == (NOON, 2, "lwt")
    assert (tally.days[NOON.date()].batches, tally.days[NOON.date()].battery_pct) == (0, 55.0)


def test_a_sign_of_life_alone_makes_no_day():
    tallies = Tallies()
    tallies.heard((ORG, PHONE), NOON, None, None, "overland")
    assert tallies.of[ORG, PHONE].days == {}


def test_no_more_devices_wait_than_there_is_room_for_and_the_others_are_counted():
    tallies = Tallies(limit=10)
    for n in range(15):
        tallies.note(Noted(ORG, UUID(int=n), datetime(2026, 1, 1, tzinfo=UTC), accepted=1))
        tallies.heard((ORG, UUID(int=n)), NOON, None, None, "api")
    assert (len(tallies.of), tallies.dropped) == (10, 10)


def test_what_was_taken_is_counted_anew():
    tallies = Tallies()
    tallies.note(noted())
    taken = tallies.take_all()
    tallies.note(noted(5))
    assert taken[ORG, PHONE].facts.heard == tallies.of[ORG, PHONE].facts.heard == 1


def test_a_backlog_changes_nothing_that_a_newer_fix_has_said():
    poor, ago = int(Flag.POOR_ACCURACY), NOON - timedelta(hours=1)
    fresh = noted(battery_pct=4.0, accuracy_sum_m=5.0, accuracy_n=1)
    backlog = noted(1, newest_at=ago, battery_pct=80.0, accuracy_sum_m=90.0, accuracy_n=1, flags=[poor])
    for facts in (of(fresh, backlog).facts, of(backlog, fresh).facts):
        assert (facts.battery_pct, facts.accuracy_m, facts.doubts, facts.delay_s) == (4.0, 5.0, 0, 1.0)
    assert of(backlog).facts.battery_at == ago
