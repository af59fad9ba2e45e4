"""Rules by trade and jurisdiction (section 3 and 4 of the reference): data, with legal ceilings."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.identity.domain import Place, Trade
from waypost.kernel.errors import Invalid
from waypost.laybys.domain import Rhythm
from waypost.laybys.holidays import CALENDARS, after_business_days, easter_sunday, holidays, is_business_day
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import (
    TRADES,
    RefundPolicy,
    Terms,
    TradeRules,
    check_agreement,
    check_rules,
    default_rules,
    deposit_bounds,
    fees,
    in_currency,
    lawful,
)

FREE = JURISDICTIONS["NONE"]
START = date(2026, 11, 22)


def rules(trade: str = "clothing", **changes: Any) -> TradeRules:
    return msgspec.structs.replace(default_rules(trade, "USD"), **changes)


def fields_of(error: Invalid) -> list[str]:
    return [one["field"] for one in error.extra["errors"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("trade", "deposit", "rhythm", "longest", "fee_bp", "admin", "late", "cancel_bp", "missed"),
    [
        ("clothing", (2000, 8000, 2000), "fortnightly", 90, 0, 0, 500, 1000, 2),
        ("hardware", (5000, 8000, 5000), "monthly", 60, 100, 500, 1000, 500, 1),
        ("grocery", (3000, 7000, 3000), "weekly", 30, 0, 0, 200, 1500, 1),
        ("restaurant", (10000, 10000, 10000), "weekly", 14, 200, 1000, 2000, 2500, 1),
        ("construction", (4000, 9000, 4000), "monthly", 120, 150, 1000, 1500, 500, 2),
        ("other", (2000, 8000, 3000), "fortnightly", 60, 0, 0, 500, 1000, 2),
    ],
)
def test_the_default_rules_are_the_references_table(
    trade: str, deposit: tuple[int, ...], rhythm: str, longest: int, fee_bp: int, admin: int, late: int,
    cancel_bp: int, missed: int,
):  # fmt: skip
    made = default_rules(trade, "USD")
    assert (made.deposit_min_bp, made.deposit_max_bp, made.deposit_usual_bp) == deposit
    assert (made.rhythm, made.longest_days, made.service_fee_bp) == (Rhythm(rhythm), longest, fee_bp)
    assert (made.admin_fee_minor, made.late_fee_minor, made.cancellation_fee_bp) == (admin, late, cancel_bp)
    assert made.default_after_missed == missed
    assert made.late_fee_after_days == (2 if trade == "construction" else 1)
    assert made.partial_hand_over == (trade in ("hardware", "construction"))
    assert (made.extensions, made.collect_days, made.version) == (2, 14, 0)


@pytest.mark.parametrize(("currency", "late", "admin"), [("USD", 1000, 500), ("EUR", 1000, 500)])
def test_amounts_of_the_table_hold_where_a_unit_is_worth_what_the_table_means(currency: str, late: int, admin: int):
    made = default_rules("hardware", currency)
    assert (made.late_fee_minor, made.admin_fee_minor) == (late, admin)


@pytest.mark.parametrize("currency", ["KES", "ZAR", "UGX", "KWD", "JPY"])
@pytest.mark.parametrize("trade", TRADES)
def test_in_other_currencies_there_is_no_fee_of_ours_rather_than_a_wrong_one(currency: str, trade: str):
    made, known = default_rules(trade, currency), default_rules(trade, "USD")
    assert (made.late_fee_minor, made.admin_fee_minor) == (0, 0)
    assert made == msgspec.structs.replace(known, currency=currency, late_fee_minor=0, admin_fee_minor=0)


@pytest.mark.parametrize("law", JURISDICTIONS)
@pytest.mark.parametrize("trade", TRADES)
def test_the_defaults_are_lawful_everywhere(trade: str, law: str):
    check_rules(default_rules(trade, "ZAR", JURISDICTIONS[law]), JURISDICTIONS[law])


def test_settings_know_the_same_trades_and_jurisdictions():
    assert get_args(Trade) == TRADES
    assert set(get_args(Place)) == set(JURISDICTIONS)
    assert all(law.calendar in (None, *CALENDARS) for law in JURISDICTIONS.values())


@pytest.mark.parametrize(
    ("law", "changes", "field"),
    [
        ("ZA", {"cancellation_fee_bp": 101}, "cancellationFeeBp"),
        ("ZA", {"cancellation_fee_bp": 0, "refund_policy": RefundPolicy.KEEP_DEPOSIT}, "refundPolicy"),
        ("ZA", {"cancellation_fee_bp": 0, "refund_policy": RefundPolicy.NONE}, "refundPolicy"),
        ("AU", {"cancellation_fee_bp": 1}, "cancellationFeeBp"),
        ("AU", {"cancellation_fee_bp": 0, "refund_policy": RefundPolicy.KEEP_DEPOSIT}, "refundPolicy"),
        ("NZ", {"cancellation_fee_bp": 1000}, "cancellationFeeBp"),
        ("NONE", {"deposit_min_bp": 5000, "deposit_usual_bp": 4000}, "depositUsualBp"),
        ("NONE", {"rhythm": Rhythm.CUSTOM}, "rhythm"),
        ("NONE", {"stated_cost_minor": 5}, "statedCostText"),
        ("NONE", {"stated_cost_text": "storage"}, "statedCostText"),
    ],
)  # fmt: skip
def test_a_rule_that_the_law_forbids_or_that_contradicts_itself_is_refused_by_its_field(
    law: str, changes: dict[str, Any], field: str
):
    with pytest.raises(Invalid) as refused:
        check_rules(rules(**changes), JURISDICTIONS[law])
    assert fields_of(refused.value) == [field]
    assert JURISDICTIONS[law].name in refused.value.detail or law == "NONE"


@pytest.mark.parametrize(
    ("law", "changes"),
    [
        ("ZA", {"cancellation_fee_bp": 100}),
        ("ZA", {"cancellation_fee_bp": 0, "refund_policy": RefundPolicy.FULL}),
        ("AU", {"cancellation_fee_bp": 1000, "stated_cost_minor": 1500, "stated_cost_text": "storage, restocking"}),
        ("NZ", {"cancellation_fee_bp": 0}),
        ("KE", {"cancellation_fee_bp": 10_000, "refund_policy": RefundPolicy.NONE}),
    ],
)
def test_a_rule_within_the_law_is_taken(law: str, changes: dict[str, Any]):
    check_rules(rules(**changes), JURISDICTIONS[law])


@given(
    st.sampled_from(sorted(JURISDICTIONS)),
    st.integers(0, 10_000),
    st.sampled_from(RefundPolicy),
    st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_what_the_law_forbids_is_taken_out_and_nothing_else(law: str, bp: int, policy: RefundPolicy, cost: int | None):
    asked = rules(
        cancellation_fee_bp=bp,
        refund_policy=policy,
        stated_cost_minor=cost,
        stated_cost_text=None if cost is None else "storage",
    )
    made = lawful(asked, JURISDICTIONS[law])
    check_rules(made, JURISDICTIONS[law])
    assert made.cancellation_fee_bp <= bp
    try:
        check_rules(asked, JURISDICTIONS[law])
    except Invalid:
        assert made != asked
    else:
        assert made == asked


def test_rules_made_in_another_currency_keep_their_percentages_and_lose_their_amounts():
    own = rules(late_fee_minor=999, cancellation_fee_bp=700, stated_cost_minor=5, stated_cost_text="storage")
    there = in_currency(own, "UGX")
    assert (there.currency, there.late_fee_minor, there.cancellation_fee_bp) == ("UGX", 0, 700)
    assert (there.stated_cost_minor, there.stated_cost_text) == (None, None)
    assert in_currency(own, "USD") is own


def test_the_deposit_is_bounded_by_percentages_of_the_goods_both_ends_included():
    made = rules()
    assert deposit_bounds(made, 33_333) == (6_667, 26_666)
    for deposit in (6_667, 26_666):
        check_agreement(made, items=1, items_minor=33_333, deposit_minor=deposit, start=START, final=START)
    for deposit in (6_666, 26_667, 0):
        with pytest.raises(Invalid) as refused:
            check_agreement(made, items=1, items_minor=33_333, deposit_minor=deposit, start=START, final=START)
        assert fields_of(refused.value) == ["depositMinor"]
        assert "6667" in refused.value.detail


@pytest.mark.parametrize(
    ("changes", "items", "days", "field"),
    [
        ({"most_items": 2}, 3, 0, "items"),
        ({"most_total_minor": 9_999}, 1, 0, "items"),
        ({"longest_days": 90}, 1, 91, "instalments"),
    ],
)
def test_a_layby_beyond_its_trades_limits_is_refused(changes: dict[str, Any], items: int, days: int, field: str):
    with pytest.raises(Invalid) as refused:
        check_agreement(
            rules(**changes), items=items, items_minor=10_000, deposit_minor=5_000, start=START,
            final=START + timedelta(days=days),
        )  # fmt: skip
    assert fields_of(refused.value) == [field]


def test_fees_are_a_percentage_of_the_goods_rounded_half_up_and_a_flat_amount():
    assert fees(default_rules("construction", "USD"), 12_345_67) == (18_519, 1_000)  # 1.5 % of 12345.67 is 185.185
    assert fees(default_rules("hardware", "USD"), 50) == (1, 500)
    assert fees(default_rules("clothing", "USD"), 50) == (0, 0)


def test_terms_survive_being_kept_as_json():
    terms = Terms(rules(stated_cost_minor=5, stated_cost_text="é"), JURISDICTIONS["ZA"])
    body = msgspec.json.encode(terms)
    assert msgspec.json.decode(body, type=Terms) == terms
    assert b'"depositMinBp":2000' in body


@pytest.mark.parametrize(
    ("year", "easter"), [(2024, "2024-03-31"), (2025, "2025-04-20"), (2026, "2026-04-05"), (2038, "2038-04-25")]
)
def test_easter(year: int, easter: str):
    assert str(easter_sunday(year)) == easter


def test_the_public_holidays_of_south_africa():
    assert {str(day) for day in holidays("ZA", 2026)} == {
        "2026-01-01", "2026-03-21", "2026-04-03", "2026-04-06", "2026-04-27", "2026-05-01", "2026-06-16", "2026-08-09",
        "2026-08-10", "2026-09-24", "2026-12-16", "2026-12-25", "2026-12-26",
    }  # fmt: skip


def test_sixty_business_days_pass_over_weekends_and_holidays():
    assert after_business_days(date(2026, 12, 14), 2, "ZA") == date(2026, 12, 17)  # the 16th is none
    assert after_business_days(date(2026, 12, 14), 2, None) == date(2026, 12, 16)
    assert after_business_days(date(2026, 1, 31), 60, "ZA") == date(
        2026, 4, 29
    )  # Easter, 27 April; 21 March is a Saturday
    assert after_business_days(date(2026, 1, 31), 0, "ZA") == date(2026, 1, 31)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 100))
def test_the_nth_business_day_is_one_and_there_are_n_until_then(day: date, n: int):
    last = after_business_days(day, n, "ZA")
    assert is_business_day(last, "ZA")
    assert sum(is_business_day(day + timedelta(days=i), "ZA") for i in range(1, (last - day).days + 1)) == n
