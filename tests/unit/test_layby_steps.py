"""R6-R8: windows by the organisation's own clock, also on the days on which it is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agreements import agreement
from waypost.laybys.domain import Status
from waypost.laybys.steps import (
    COLLECTION,
    COMPLETION,
    OVERDUE,
    REMINDERS,
    Step,
    default_reason,
    last_grace_day,
    late_fee_instalments,
    open_dates,
    open_steps,
    step_of,
)

DUE = date(2026, 12, 5)
DUNNING = REMINDERS + OVERDUE
local_times = st.datetimes(datetime.combine(date(2026, 1, 1), time(0)), datetime.combine(date(2027, 1, 1), time(0)))


def at(days: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(DUE + timedelta(days=days), time(hour, minute))


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (at(-3, 8, 59), None),
        (at(-3, 9), "before_3"),
        (at(-2, 3), "before_3"),
        (at(-2, 23, 59), "before_3"),
        (at(-1, 0), None),
        (at(-1, 8, 59), None),
        (at(-1, 9), "before_1"),
        (at(-1, 23, 59), "before_1"),
        (at(0, 0), None),
        (at(0, 9), "due"),
        (at(0, 23, 59), "due"),
        (at(1, 0), None),
        (at(1, 9), "overdue_1"),
        (at(6, 23, 59), "overdue_1"),
        (at(7, 8, 59), None),
        (at(7, 9), "overdue_7"),
        (at(13, 23, 59), "overdue_7"),
        (at(14, 9), None),
        (at(40, 9), None),
    ],
)
def test_each_step_has_its_window_and_what_is_past_is_skipped(now: datetime, step: str | None):
    found = step_of(DUNNING, DUE, now)
    assert (found.name if found else None) == step


def test_reminders_and_overdue_notices_are_kinds_of_their_own():
    assert {step.kind for step in REMINDERS} == {"payment_reminder"}
    assert {step.kind for step in OVERDUE} == {"payment_overdue"}


def test_the_last_date_is_reminded_of_from_seven_days_before_until_it_has_come():
    windows = [hour for hour in range(-24 * 9, 24 * 3) if step_of(COMPLETION, DUE, at(0, 0) + timedelta(hours=hour))]
    assert (windows[0], windows[-1]) == (-7 * 24 + 9, -1)


def test_goods_that_wait_are_reminded_of_after_seven_and_fourteen_days():
    named = [step.name for day in range(25) if (step := step_of(COLLECTION, DUE, at(day, 9)))]
    assert named == ["collect_7"] * 7 + ["collect_14"] * 7


@given(st.sampled_from(DUNNING + COMPLETION + COLLECTION), local_times)
def test_the_open_dates_of_a_step_are_those_whose_window_is_open(step: Step, now: datetime):
    expected = [
        due
        for days in range(-30, 31)
        if datetime.combine((due := now.date() + timedelta(days=days)) + timedelta(days=step.opens), time(9))
        <= now
        < datetime.combine(due + timedelta(days=step.closes), time(0))
    ]
    assert open_dates(step, now) == expected


@given(local_times)
def test_a_date_has_one_open_step_at_most(now: datetime):
    dates = [due for step in DUNNING for due in open_dates(step, now)]
    assert len(dates) == len(set(dates))
    assert set(open_steps(DUNNING, now)) == set(dates)


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/Santiago", date(2026, 9, 6)),
        ("Pacific/Auckland", date(2026, 9, 27)),
        ("Africa/Harare", date(2026, 3, 29)),
        ("Asia/Kathmandu", date(2026, 3, 29)),
    ],
)
def test_nine_oclock_is_nine_on_the_wall_on_the_day_of_the_change_too(zone: str, due: date):
    """Run each five minutes of real time around the change: each step is open in one stretch that begins at 09:00."""
    start = datetime.combine(due - timedelta(days=4), time(0), UTC)
    seen: dict[str, list[datetime]] = {}
    for tick in range(12 * 24 * 20):
        now = (start + timedelta(minutes=5 * tick)).astimezone(ZoneInfo(zone))
        if step := step_of(DUNNING, due, now):
            seen.setdefault(step.name, []).append(now)
    assert list(seen) == ["before_3", "before_1", "due", "overdue_1", "overdue_7"]
    for step in DUNNING:
        first, last = seen[step.name][0], seen[step.name][-1]
        assert (first.date(), first.time()) == (due + timedelta(days=step.opens), time(9))
        assert last.date() == due + timedelta(days=step.closes - 1)


def test_a_late_fee_falls_due_when_grace_is_over_once_an_instalment():
    layby = agreement()  # due 28 February, 31 March, ...
    assert late_fee_instalments(layby, date(2026, 2, 28)) == []
    assert [i.n for i in late_fee_instalments(layby, date(2026, 3, 1))] == [1]
    assert [i.n for i in late_fee_instalments(layby, date(2026, 4, 1))] == [1, 2]
    assert late_fee_instalments(agreement(rules={"late_fee_after_days": 2}), date(2026, 3, 1)) == []
    assert late_fee_instalments(agreement(rules={"late_fee_minor": 0}), date(2026, 4, 1)) == []
    assert [i.n for i in late_fee_instalments(agreement(paid_minor=40_000), date(2026, 4, 1))] == [2]
    assert [i.n for i in late_fee_instalments(agreement(paid_minor=39_999), date(2026, 4, 1))] == [1, 2]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTIVE])
def test_what_is_not_active_has_neither_fee_nor_default(status: Status):
    layby = agreement(status=status)
    assert late_fee_instalments(layby, date(2027, 4, 1)) == []
    assert default_reason(layby, date(2027, 4, 1)) is None


def test_a_layby_defaults_when_as_many_instalments_are_missed_as_the_rule_says():
    layby = agreement()  # two by the rule
    assert default_reason(layby, date(2026, 3, 31)) is None
    assert default_reason(layby, date(2026, 4, 1)) == "missed_instalments"
    assert default_reason(agreement(paid_minor=40_000), date(2026, 4, 30)) is None
    assert default_reason(agreement(paid_minor=40_000), date(2026, 5, 1)) == "missed_instalments"


def test_a_layby_defaults_when_it_is_not_finished_and_all_grace_is_over():
    layby = agreement(paid_minor=99_999)  # to be finished by 31 May
    assert last_grace_day(layby) == date(2026, 6, 14)
    assert default_reason(layby, date(2026, 6, 14)) is None
    assert default_reason(layby, date(2026, 6, 15)) == "not_finished"
    assert default_reason(agreement(paid_minor=100_000), date(2026, 6, 15)) is None
    assert default_reason(agreement(paid_minor=100_000, late_fees_minor=1), date(2026, 6, 15)) == "not_finished"


def test_in_south_africa_the_grace_is_sixty_business_days():
    layby = agreement(law="ZA", paid_minor=99_999)
    assert last_grace_day(layby) == date(2026, 8, 25)
    assert default_reason(layby, date(2026, 8, 25)) is None
    assert default_reason(layby, date(2026, 8, 26)) == "not_finished"
