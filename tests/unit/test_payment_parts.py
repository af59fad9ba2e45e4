"""How money of a payment goes back: from where, in which order, and what nobody can be asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.ledger.domain import settled
from waypost.payments.domain import (
    Disposition,
    Group,
    Kind,
    Method,
    Part,
    Payment,
    Place,
    Source,
    free_of,
    hint_of,
    taken_back,
)
from waypost.payments.entries import entry_of
from waypost.payments.receipts import receipt_of
from waypost.payments.storage import group_of

AT = datetime(2026, 11, 22, tzinfo=UTC)
A, B = (Place(UUID(int=n), None, 50_00) for n in (1, 2))
ROOT = Payment(
    org_id=UUID(int=9),
    id=UUID(int=10),
    root_id=UUID(int=10),
    kind=Kind.PAYMENT,
    method=Method.MOBILE,
    provider="daraja",
    receipt="RKT1",
    disposition=Disposition.APPLIED,
    currency="KES",
    amount_minor=120_00,
    applied_minor=50_00,
    credit_minor=70_00,
    suspense_minor=0,
    paid_at=AT,
    created_at=AT,
    layby_id=A.layby_id,
)
GROUP = Group(ROOT, 120_00, 0, 0, credit_minor=20_00, suspense_minor=0, customer_id=UUID(int=8), places=[A, B])


def _row(n: int, kind: Kind, layby: int | None, *, applied: int = 0, credit: int = 0, suspense: int = 0) -> Payment:
    return replace(
        ROOT,
        id=UUID(int=10 + n),
        kind=kind,
        layby_id=UUID(int=layby) if layby else None,
        amount_minor=applied + credit + suspense,
        applied_minor=applied,
        credit_minor=credit,
        suspense_minor=suspense,
    )


@pytest.mark.parametrize(
    ("amount", "parts"),
    [
        (15_00, [Part(B, credit_minor=15_00)]),
        (20_00, [Part(B, credit_minor=20_00)]),
        (30_00, [Part(B, applied_minor=10_00, credit_minor=20_00)]),
        (90_00, [Part(B, applied_minor=50_00, credit_minor=20_00), Part(A, applied_minor=20_00)]),
        (130_00, [Part(B, applied_minor=50_00, credit_minor=20_00, owed_minor=10_00), Part(A, applied_minor=50_00)]),
    ],
    ids=["of the credit", "all credit", "credit first", "the last place before the first", "more than there is"],
)
def test_money_goes_back_out_of_credit_then_out_of_its_places_the_last_one_first(amount: int, parts: list[Part]):
    assert taken_back(GROUP, [Source(A, 50_00), Source(B, 50_00)], amount) == parts


def test_what_no_place_lets_go_is_owed():
    (part,) = taken_back(GROUP, [Source(A, 0), Source(B, 0)], 30_00)
    assert (part.credit_minor, part.owed_minor, part.applied_minor) == (20_00, 10_00, 0)


def test_a_debt_is_no_credit_to_take():
    group = replace(GROUP, credit_minor=-5_00)
    assert taken_back(group, [Source(B, 50_00)], 10_00) == [Part(B, applied_minor=10_00)]
    assert free_of(group, [Source(B, 50_00)]) == 50_00


@given(
    amount=st.integers(1, 400),
    credit=st.integers(-50, 100),
    suspense=st.integers(-50, 100),
    free=st.lists(st.integers(0, 100), max_size=4),
)
def test_the_parts_come_to_the_amount_and_take_no_more_than_there_is(
    amount: int, credit: int, suspense: int, free: list[int]
):
    group = replace(GROUP, credit_minor=credit, suspense_minor=suspense)
    sources = [Source(Place(UUID(int=n + 1), None, 100), part) for n, part in enumerate(free)]
    parts = taken_back(group, sources, amount)
    assert sum(part.amount_minor for part in parts) == amount
    assert all(part.amount_minor > 0 for part in parts)
    assert sum(part.owed_minor for part in parts) == max(0, amount - free_of(group, sources))
    assert sum(part.credit_minor for part in parts) <= max(0, credit)
    assert sum(part.suspense_minor for part in parts) <= max(0, suspense)
    taken = {part.place: part.applied_minor for part in parts if part.applied_minor}
    assert all(taken.get(source.place, 0) <= source.free_minor for source in sources)


def test_a_group_is_the_sum_of_its_rows_with_its_places_in_the_order_in_which_money_came():
    rows = [
        _row(0, Kind.PAYMENT, 1, credit=60_00),
        _row(1, Kind.CREDIT, 2, applied=25_00, credit=-25_00),
        _row(2, Kind.CREDIT, 1, applied=35_00, credit=-35_00),
        _row(3, Kind.REVERSAL, 2, applied=-5_00),
    ]
    group = group_of(rows)
    assert [(place.layby_id, place.applied_minor) for place in group.places] == [
        (UUID(int=2), 20_00),
        (UUID(int=1), 35_00),
    ]
    assert (group.amount_minor, group.credit_minor, group.reversed_minor) == (55_00, 0, 5_00)


@given(st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15))
def test_every_row_is_a_balanced_entry(applied: int, credit: int, suspense: int):
    entry = entry_of(_row(1, Kind.PAYMENT, 1, applied=applied, credit=credit, suspense=suspense))
    assert sum(line.amount_minor for line in settled(entry.lines)) == 0


@pytest.mark.parametrize(
    ("payer", "hint"),
    [("254708374149", "…149"), ("25470****149", "…149"), ("a" * 61 + "149", "…"), ("Jane", "…")],
    ids=["number", "masked", "hash", "name"],
)
def test_of_a_payer_staff_see_three_digits_at_most(payer: str, hint: str):
    assert hint_of(payer) == hint


def test_a_receipt_number_follows_from_its_row_and_has_no_look_alikes():
    numbers = {receipt_of(UUID(int=UUID("0198c9d2-7f00-7abc-8def-0123456789ab").int + n)) for n in range(1000)}
    assert len(numbers) == 1000
    assert not set("ILOU") & set("".join(numbers).replace("R-", ""))
    assert {len(number) for number in numbers} == {18}
