"""Which moves are allowed, what a payment covers, and what is due next (R2, R5, R11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agreements import agreement
from waypost.laybys.domain import (
    ALLOWED,
    BECOMES,
    LaybyMoveRefused,
    Move,
    NextDue,
    Status,
    check_move,
    covered,
    missed,
    next_due,
    open_parts,
    share,
)

TODAY = date(2026, 3, 15)
# The reference's table: from, to.
TABLE = {
    (Status.ACTIVE, Status.ON_HOLD),
    (Status.ON_HOLD, Status.ACTIVE),
    (Status.ACTIVE, Status.COMPLETED),
    (Status.COMPLETED, Status.ACTIVE),
    (Status.ACTIVE, Status.CANCELLED),
    (Status.ON_HOLD, Status.CANCELLED),
    (Status.ACTIVE, Status.DEFAULTED),
    (Status.DEFAULTED, Status.ACTIVE),
    (Status.DEFAULTED, Status.CANCELLED),
}
paid = st.integers(0, 100_000)


def test_the_moves_lead_where_the_table_says_and_nowhere_else():
    assert {(before, after) for move, after in BECOMES.items() for before in ALLOWED[move]} == TABLE


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("move", Move)
def test_a_move_is_allowed_or_refused_with_the_present_status(move: Move, status: Status):
    if status in ALLOWED[move]:
        check_move(move, status)
        return
    with pytest.raises(LaybyMoveRefused) as refused:
        check_move(move, status)
    assert refused.value.extra["laybyStatus"] == status
    assert status.replace("_", " ") in refused.value.detail


@given(st.lists(st.sampled_from(Move), max_size=30))
def test_whatever_is_tried_a_layby_goes_only_where_the_table_leads(moves: list[Move]):
    status = Status.ACTIVE
    for move in moves:
        try:
            check_move(move, status)
        except LaybyMoveRefused:
            continue
        after = BECOMES.get(move, status)
        assert after == status or (status, after) in TABLE
        status = after


def test_money_beyond_the_deposit_covers_the_oldest_instalment_first():
    layby = agreement(paid_minor=20_000 + 25_000)
    assert covered(layby) == [20_000, 5_000, 0, 0]
    assert next_due(layby) == NextDue(2, date(2026, 3, 31), 15_000)


def test_a_part_payment_moves_no_date():
    before, after = agreement(), agreement(paid_minor=20_001)
    assert next_due(before) == NextDue(1, date(2026, 2, 28), 20_000)
    assert next_due(after) == NextDue(1, date(2026, 2, 28), 19_999)


def test_less_than_the_deposit_covers_nothing():
    layby = agreement(paid_minor=5_000)
    assert covered(layby) == [0, 0, 0, 0]
    assert layby.balance_minor == 95_000


def test_late_fees_are_due_with_the_last_instalment_and_paid_last():
    layby = agreement(paid_minor=100_000, late_fees_minor=500)
    assert covered(layby) == [20_000] * 4
    assert next_due(layby) == NextDue(4, date(2026, 5, 31), 500)
    assert next_due(replace(layby, paid_minor=100_500)) is None
    assert next_due(replace(layby, paid_minor=99_000)) == NextDue(4, date(2026, 5, 31), 1_500)


@given(paid, st.integers(0, 2_000))
def test_what_is_covered_is_what_was_paid_beyond_the_deposit(amount: int, late: int):
    layby = agreement(paid_minor=amount, late_fees_minor=late)
    parts = covered(layby)
    assert sum(parts) == min(80_000, max(0, amount - 20_000))
    full = [part == i.amount_minor for part, i in zip(parts, layby.instalments, strict=True)]
    assert full == sorted(full, reverse=True)
    assert sum(0 < part < i.amount_minor for part, i in zip(parts, layby.instalments, strict=True)) <= 1
    due = next_due(layby)
    assert (due is None) == (layby.balance_minor <= 0)
    assert due is None or 0 < due.open_minor <= layby.balance_minor
    assert sum(open_parts(layby)) == layby.balance_minor
    assert min(open_parts(layby)) >= 0


@given(paid, st.integers(1, 200_000), st.sampled_from(Status))
def test_money_that_came_is_wholly_shared_between_the_layby_and_credit(amount: int, came: int, status: Status):
    layby = agreement(paid_minor=amount, status=status)
    got = share(layby, came, TODAY)
    assert got.applied_minor + got.credit_minor == came
    assert 0 <= got.applied_minor <= layby.balance_minor
    assert got.applied_minor == (min(came, layby.balance_minor) if status is Status.ACTIVE else 0)


@pytest.mark.parametrize(("until", "applied"), [(TODAY, 50), (TODAY - timedelta(days=1), 0), (None, 0)])
def test_a_defaulted_layby_takes_money_on_the_windows_last_day_and_not_after(until: date | None, applied: int):
    layby = agreement(status=Status.DEFAULTED, reinstate_until=until)
    assert share(layby, 50, TODAY).applied_minor == applied


def test_an_instalment_is_missed_from_the_day_after_its_date_unless_it_is_covered():
    layby = agreement(paid_minor=20_000 + 20_000)
    assert missed(layby, date(2026, 3, 31)) == []
    assert [i.n for i in missed(layby, date(2026, 4, 1))] == [2]
    assert [i.n for i in missed(layby, date(2026, 12, 1))] == [2, 3, 4]
