"""R4: equal parts rounded down, the last takes the rest; dates counted from the start."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agreements import START, agreement
from waypost.kernel.errors import Invalid
from waypost.laybys.domain import Rhythm
from waypost.laybys.schedule import LATEST_START, due_on, final_date, most_instalments, moved, plan

REGULAR = (Rhythm.WEEKLY, Rhythm.FORTNIGHTLY, Rhythm.MONTHLY)
dates = st.dates(date(2000, 1, 1), LATEST_START)


def days_of(*args: object, **kwargs: object) -> list[str]:
    return [str(i.due_date) for i in plan(*args, **kwargs)]  # type: ignore[arg-type]


def test_the_parts_are_equal_and_the_last_takes_the_rest():
    assert [i.amount_minor for i in plan(10_000, START, Rhythm.WEEKLY, 3)] == [3333, 3333, 3334]
    assert [i.amount_minor for i in plan(80_000, START, Rhythm.MONTHLY, 4)] == [20_000] * 4
    assert [i.amount_minor for i in plan(7, START, Rhythm.WEEKLY, 4)] == [1, 1, 1, 4]
    assert [i.n for i in plan(7, START, Rhythm.WEEKLY, 4)] == [1, 2, 3, 4]


def test_a_month_ends_where_it_ends_and_the_next_goes_by_the_start_again():
    assert days_of(400, START, Rhythm.MONTHLY, 5) == [
        "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30",
    ]  # fmt: skip
    assert days_of(100, date(2027, 12, 31), Rhythm.MONTHLY, 2) == ["2028-01-31", "2028-02-29"]


def test_weeks_and_fortnights_are_counted_in_days():
    assert days_of(100, date(2026, 2, 20), Rhythm.WEEKLY, 3) == ["2026-02-27", "2026-03-06", "2026-03-13"]
    assert days_of(100, date(2026, 2, 20), Rhythm.FORTNIGHTLY, 2) == ["2026-03-06", "2026-03-20"]


def test_dates_of_their_own_are_taken_as_they_are_given():
    given_dates = [date(2026, 2, 5), date(2026, 4, 1)]
    instalments = plan(101, START, Rhythm.CUSTOM, None, given_dates)
    assert [(i.due_date, i.amount_minor) for i in instalments] == [(given_dates[0], 50), (given_dates[1], 51)]


def test_nothing_left_is_no_instalment():
    assert plan(0, START, Rhythm.MONTHLY, 4) == []
    assert final_date([], START) == START


@pytest.mark.parametrize(
    ("rhythm", "n", "days", "field"),
    [
        (Rhythm.MONTHLY, 0, (), "instalments"),
        (Rhythm.MONTHLY, None, (), "instalments"),
        (Rhythm.MONTHLY, 261, (), "instalments"),
        (Rhythm.MONTHLY, 101, (), "instalments"),
        (Rhythm.MONTHLY, 2, (date(2026, 3, 1),), "dates"),
        (Rhythm.CUSTOM, None, (), "dates"),
        (Rhythm.CUSTOM, 2, (date(2026, 3, 1),), "instalments"),
        (Rhythm.CUSTOM, None, (START,), "dates"),
        (Rhythm.CUSTOM, None, (date(2026, 3, 2), date(2026, 3, 2)), "dates"),
        (Rhythm.CUSTOM, None, (date(9999, 3, 2),), "dates"),
    ],
)
def test_an_impossible_plan_is_refused_by_its_field(rhythm: Rhythm, n: int | None, days: tuple[date, ...], field: str):
    with pytest.raises(Invalid) as refused:
        plan(100, START, rhythm, n, days)
    assert refused.value.extra["errors"][0]["field"] == field  # type: ignore[index]


@given(st.integers(1, 10**15), dates, st.sampled_from(REGULAR), st.integers(1, 60))
def test_a_schedule_sums_to_what_remains_whatever_it_is(remaining: int, start: date, rhythm: Rhythm, n: int):
    n = min(n, remaining)
    instalments = plan(remaining, start, rhythm, n)
    assert sum(i.amount_minor for i in instalments) == remaining
    assert len(instalments) == n
    assert len({i.amount_minor for i in instalments[:-1]}) <= 1
    assert instalments[-1].amount_minor >= instalments[0].amount_minor
    days = [start, *(i.due_date for i in instalments)]
    assert days == sorted(set(days))


@given(dates, st.integers(1, 300))
def test_a_monthly_date_is_the_starts_day_or_the_months_last(start: date, i: int):
    due = due_on(start, Rhythm.MONTHLY, i)
    assert (due.year * 12 + due.month) - (start.year * 12 + start.month) == i
    assert due.day == start.day or (due.day < start.day and (due + timedelta(days=1)).day == 1)


@given(dates, st.sampled_from(REGULAR), st.integers(1, 1830))
def test_as_many_as_fit_into_the_longest_term(start: date, rhythm: Rhythm, longest: int):
    most, last = most_instalments(start, rhythm, longest), start + timedelta(days=longest)
    assert most == 0 or due_on(start, rhythm, most) <= last
    assert most == 260 or due_on(start, rhythm, most + 1) > last


def test_moved_dates_begin_with_the_open_instalment_and_the_agreed_ones_stay():
    before = agreement().instalments
    after = moved(before, 10, from_n=3)
    assert [i.due_date for i in after[:2]] == [i.due_date for i in before[:2]]
    assert [a.due_date - b.due_date for a, b in zip(after[2:], before[2:], strict=True)] == [timedelta(days=10)] * 2
    assert [i.agreed_date for i in after] == [i.agreed_date for i in before]
    assert final_date(after, START) == date(2026, 6, 10)
