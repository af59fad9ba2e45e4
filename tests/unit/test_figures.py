"""Figures of laybys: spans in steps, and parts that add up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.analytics import domain
from waypost.analytics.domain import BadSpan, Row, Span, Step, figures, span_of, steps

HARARE = ZoneInfo("Africa/Harare")
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_usual_span_is_the_last_thirty_days_with_today_day_by_day():
    span = span_of(None, None, None, TODAY, HARARE)
    assert (span.first, span.last, span.step) == (date(2026, 10, 24), TODAY, Step.DAY)
    assert len(list(steps(span))) == 30


def test_a_span_has_the_whole_of_its_last_day_by_the_local_clock():
    span = span_of(TODAY, TODAY, None, TODAY, HARARE)
    assert (span.since, span.until) == (
        datetime(2026, 11, 21, 22, tzinfo=UTC),
        datetime(2026, 11, 22, 22, tzinfo=UTC),
    )


@pytest.mark.parametrize(("days", "step"), [(31, Step.DAY), (32, Step.WEEK), (182, Step.WEEK), (183, Step.MONTH)])
def test_a_longer_span_has_longer_steps(days: int, step: Step):
    assert span_of(TODAY - timedelta(days=days - 1), TODAY, None, TODAY, HARARE).step is step


def test_weeks_begin_on_monday_and_months_on_the_first_but_for_the_span_s_own_beginning():
    weekly = Span(date(2026, 11, 5), TODAY, Step.WEEK, HARARE)
    assert list(steps(weekly)) == [date(2026, 11, 5), date(2026, 11, 9), date(2026, 11, 16)]
    monthly = Span(date(2026, 1, 31), date(2026, 3, 1), Step.MONTH, HARARE)
    assert list(steps(monthly)) == [date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 1)]


@pytest.mark.parametrize(
    ("first", "last", "step"),
    [
        (TODAY, TODAY - timedelta(days=1), None),
        (date(1, 1, 1), TODAY, None),
        (None, date(1, 1, 5), None),
        (date(1969, 12, 31), date(1970, 1, 2), None),
        (TODAY - timedelta(days=500), TODAY, Step.DAY),
    ],
    ids=["backwards", "ages", "to the first days of all", "before 1970", "too many steps"],
)
def test_a_span_that_cannot_be_drawn_is_refused(first: date | None, last: date, step: Step | None):
    with pytest.raises(BadSpan):
        span_of(first, last, step, TODAY, HARARE)


amounts = st.integers(0, 10**9)
counts = st.integers(0, 10_000)
SPAN = span_of(None, None, None, TODAY, HARARE)
ROWS = st.lists(
    st.one_of(
        st.builds(Row, st.just("status"), st.sampled_from(["KES", "USD"]), st.sampled_from(domain.STATUSES), counts,
                  amounts, amounts, amounts),
        st.builds(Row, st.just("late"), st.sampled_from(["KES", "USD"]), st.sampled_from("01234"), counts, amounts,
                  st.just(0), st.just(0)),
        st.builds(Row, st.sampled_from(["created", "completed", "cancelled", "defaulted", "paid"]),
                  st.sampled_from(["KES", "USD"]), st.sampled_from([day.isoformat() for day in steps(SPAN)]), counts,
                  amounts, amounts, st.just(0)),
    ),
    max_size=40,
    unique_by=lambda row: (row.part, row.currency, row.word),
)  # fmt: skip


@given(ROWS)
def test_every_total_is_the_sum_of_its_parts(rows: list[Row]):
    answer = figures(rows, SPAN, NOW)
    assert sum(answer.counts.values()) == sum(row.count for row in rows if row.part == "status")
    for each in answer.currencies:
        mine = [row for row in rows if row.currency == each.currency]
        assert each.total.count == sum(part.count for part in each.by_status.values())
        assert each.total.amount_minor == sum(row.amount for row in mine if row.part == "status")
        assert each.overdue.count == sum(age.count for age in each.overdue_by_age)
        assert each.overdue.amount_minor == sum(row.amount for row in mine if row.part == "late")
        assert each.span.paid_minor == sum(row.amount for row in mine if row.part == "paid")
        assert each.span.completed.count == sum(period.figures.completed.count for period in each.trend)
        assert each.span.revenue_minor == sum(
            row.amount if row.part == "completed" else row.more
            for row in mine
            if row.part in ("completed", "cancelled")
        )


def test_of_nothing_there_are_no_currencies_and_no_rates():
    answer = figures([], SPAN, NOW)
    assert (answer.currencies, set(answer.counts.values())) == ([], {0})


def test_ages_are_days_since_the_oldest_open_instalment_was_due():
    answer = figures([Row("late", "KES", "0", 2, 500, 0, 0), Row("late", "KES", "4", 1, 900, 0, 0)], SPAN, NOW)
    ages = [(age.from_days, age.to_days, age.count, age.open_minor) for age in answer.currencies[0].overdue_by_age]
    assert ages == [(1, 7, 2, 500), (8, 30, 0, 0), (31, 60, 0, 0), (61, 90, 0, 0), (91, None, 1, 900)]


def test_the_default_rate_counts_what_ended_and_a_mean_is_rounded_half_up():
    rows = [
        Row("status", "KES", "completed", 3, 300, 0, 0),
        Row("status", "KES", "cancelled", 1, 100, 0, 0),
        Row("status", "KES", "defaulted", 1, 105, 105, 0),
        Row("ended", "KES", "", 2, 0, 0, 2),
    ]
    kes = figures(rows, SPAN, NOW).currencies[0]
    assert (kes.ended, kes.defaulted, kes.default_rate, kes.average_minor) == (5, 2, 0.4, 101)
