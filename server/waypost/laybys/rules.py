"""The rules of a layby: by trade, as an organisation has them, within the law there; each agreement keeps its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from waypost.kernel.errors import Invalid, invalid_field
from waypost.kernel.money import BASIS_POINTS, parse, percent
from waypost.laybys.domain import Rhythm
from waypost.laybys.jurisdictions import FeeKind, Jurisdiction


class RefundPolicy(StrEnum):
    """What the customer gets back of what they paid. The law may say more."""

    FULL = "full"
    PAID_LESS_FEE = "paid_less_fee"
    KEEP_DEPOSIT = "keep_deposit"
    NONE = "none"


class TradeRules(msgspec.Struct, frozen=True, rename="camel"):
    """A trade's rules. ``…_bp`` are hundredths of a percent, ``…_minor`` amounts of ``currency``.

    Percentages: deposit and service fee of the goods' price; ``cancellation_fee_bp`` of what was paid.
    ``stated_cost_minor``: what a cancelling costs the shop, with ``stated_cost_text`` saying why; it is the fee where
    there is no percentage.
    ``late_fee_after_days`` and ``final_grace_days``: grace after an instalment's date, and after the last day of all.
    ``reinstate_days``: for so long a payment brings a defaulted layby back; 0: never. ``version`` 0: nobody's but ours.
    """

    trade: str
    version: int
    currency: str
    deposit_min_bp: int
    deposit_max_bp: int
    deposit_usual_bp: int
    rhythm: Rhythm
    longest_days: int
    service_fee_bp: int = 0
    admin_fee_minor: int = 0
    late_fee_minor: int = 0
    late_fee_after_days: int = 1
    cancellation_fee_bp: int = 0
    stated_cost_minor: int | None = None
    stated_cost_text: str | None = None
    refund_policy: RefundPolicy = RefundPolicy.PAID_LESS_FEE
    default_after_missed: int = 2
    final_grace_days: int = 14
    reinstate_days: int = 30
    extensions: int = 2
    extension_days: int = 30
    partial_hand_over: bool = False
    most_items: int = 50
    most_total_minor: int | None = None
    collect_days: int = 14


class Terms(msgspec.Struct, frozen=True, rename="camel"):
    """What an agreement was made under; it never changes in it."""

    rules: TradeRules
    jurisdiction: Jurisdiction


class _Default(NamedTuple):
    """A row of the reference's table; money in major units of the currencies of ``_WORTH_A_DOLLAR``."""

    deposit: tuple[int, int, int]  # at least, at most, usually: percent
    rhythm: Rhythm
    longest_days: int
    service_bp: int
    admin: int
    late_fee: int
    late_fee_after_days: int
    cancellation: int  # percent of what was paid
    default_after: int
    in_parts: bool
    most_items: int


_DEFAULTS: Mapping[str, _Default] = {
    "clothing": _Default((20, 80, 20), Rhythm.FORTNIGHTLY, 90, 0, 0, 5, 1, 10, 2, False, 30),
    "hardware": _Default((50, 80, 50), Rhythm.MONTHLY, 60, 100, 5, 10, 1, 5, 1, True, 50),
    "grocery": _Default((30, 70, 30), Rhythm.WEEKLY, 30, 0, 0, 2, 1, 15, 1, False, 100),
    "restaurant": _Default((100, 100, 100), Rhythm.WEEKLY, 14, 200, 10, 20, 1, 25, 1, False, 20),
    "construction": _Default((40, 90, 40), Rhythm.MONTHLY, 120, 150, 10, 15, 2, 5, 2, True, 200),
    "other": _Default((20, 80, 30), Rhythm.FORTNIGHTLY, 60, 0, 0, 5, 1, 10, 2, False, 50),
}  # fmt: skip
TRADES = tuple(_DEFAULTS)
# In which the table's amounts mean what they should. In any other there is no fee of ours, since the number would be
# the wrong one: the organisation sets its own.
_WORTH_A_DOLLAR = frozenset({"AUD", "CAD", "CHF", "EUR", "GBP", "NZD", "SGD", "USD"})
_MONEY = ("admin_fee_minor", "late_fee_minor", "stated_cost_minor", "most_total_minor")
_KEEPS = frozenset({RefundPolicy.KEEP_DEPOSIT, RefundPolicy.NONE})


def default_rules(trade: str, currency: str, jurisdiction: Jurisdiction | None = None) -> TradeRules:
    """A trade's rules where an organisation has made none, as far as the law there allows them."""
    row = _DEFAULTS[trade]
    least, most, usual = row.deposit
    rules = TradeRules(
        trade=trade,
        version=0,
        currency=currency,
        deposit_min_bp=least * 100,
        deposit_max_bp=most * 100,
        deposit_usual_bp=usual * 100,
        rhythm=row.rhythm,
        longest_days=row.longest_days,
        service_fee_bp=row.service_bp,
        admin_fee_minor=_usual(row.admin, currency),
        late_fee_minor=_usual(row.late_fee, currency),
        late_fee_after_days=row.late_fee_after_days,
        cancellation_fee_bp=row.cancellation * 100,
        default_after_missed=row.default_after,
        partial_hand_over=row.in_parts,
        most_items=row.most_items,
    )
    return lawful(rules, jurisdiction) if jurisdiction else rules


def _usual(major: int, currency: str) -> int:
    return parse(Decimal(major), currency) if currency in _WORTH_A_DOLLAR else 0


def in_currency(rules: TradeRules, currency: str) -> TradeRules:
    """Rules that were made in another currency: their amounts mean nothing here, so those of the defaults hold."""
    if rules.currency == currency:
        return rules
    usual = default_rules(rules.trade, currency)
    amounts = {name: getattr(usual, name) for name in _MONEY}
    return msgspec.structs.replace(rules, currency=currency, stated_cost_text=None, **amounts)


def lawful(rules: TradeRules, law: Jurisdiction) -> TradeRules:
    """The same, with what the law there forbids taken out."""
    changes: dict[str, object] = {}
    if not law.may_keep_deposit and rules.refund_policy in _KEEPS:
        changes["refund_policy"] = RefundPolicy.PAID_LESS_FEE
    if (most := _highest_fee_bp(rules, law)) is not None and rules.cancellation_fee_bp > most:
        changes["cancellation_fee_bp"] = most
    return msgspec.structs.replace(rules, **changes) if changes else rules


def check_rules(rules: TradeRules, law: Jurisdiction) -> None:
    """``Invalid`` that names each field which contradicts itself, or which the law forbids (L4)."""
    faults = [*_contradictions(rules), *_unlawful(rules, law)]
    if faults:
        errors = [{"field": field, "detail": detail} for field, detail in faults]
        raise Invalid("; ".join(f"{field}: {detail}" for field, detail in faults), errors)


def has_stated_cost(rules: TradeRules) -> bool:
    """Has the shop said what a cancelling costs it, and why?"""
    return rules.stated_cost_minor is not None and bool(rules.stated_cost_text)


def deposit_bounds(rules: TradeRules, items_minor: int) -> tuple[int, int]:
    """The least and the most of a deposit (R3)."""
    return percent(items_minor, rules.deposit_min_bp), percent(items_minor, rules.deposit_max_bp)


def fees(rules: TradeRules, items_minor: int) -> tuple[int, int]:
    """Service fee and administration fee of a new agreement."""
    return percent(items_minor, rules.service_fee_bp), rules.admin_fee_minor


def check_agreement(
    rules: TradeRules, *, items: int, items_minor: int, deposit_minor: int, start: date, final: date
) -> None:
    """``Invalid`` naming the field by which a new agreement breaks its rules (R3, longest term, limits)."""
    least, most = deposit_bounds(rules, items_minor)
    if items > rules.most_items:
        raise invalid_field("items", f"at most {rules.most_items} on one layby")
    if rules.most_total_minor is not None and items_minor > rules.most_total_minor:
        raise Invalid(
            f"The goods come to more than a layby of this trade may ({rules.most_total_minor} minor units).",
            [{"field": "items", "detail": f"come to more than {rules.most_total_minor} minor units"}],
        )
    if not least <= deposit_minor <= most:
        raise invalid_field("depositMinor", f"from {least} to {most} minor units of these goods")
    check_final_date(rules, start, final)


def check_final_date(rules: TradeRules, start: date, final: date) -> None:
    """``Invalid`` when the last date is beyond the longest term."""
    if final > (last := start + timedelta(days=rules.longest_days)):
        raise invalid_field("instalments", f"the last one is due by {last}, {rules.longest_days} days after the start")


def _highest_fee_bp(rules: TradeRules, law: Jurisdiction) -> int | None:
    """The highest percentage of what was paid that can be asked; None: any.

    What was paid is at most the price, so a percentage of it within the ceiling of the price never exceeds that.
    """
    if law.fee_kind is FeeKind.PERCENT_OF_PRICE:
        return law.ceiling_bp
    if law.fee_kind is FeeKind.STATED_COST and not has_stated_cost(rules):
        return 0
    return None


def _contradictions(rules: TradeRules) -> list[tuple[str, str]]:
    faults = []
    if not rules.deposit_min_bp <= rules.deposit_usual_bp <= rules.deposit_max_bp <= BASIS_POINTS:
        faults.append(("depositUsualBp", "from depositMinBp to depositMaxBp, and none above 10000"))
    if rules.rhythm is Rhythm.CUSTOM:
        faults.append(("rhythm", "weekly, fortnightly or monthly; dates of their own are given with an agreement"))
    if (rules.stated_cost_minor is None) != (not rules.stated_cost_text):
        faults.append(("statedCostText", "say what the stated cost is for; and only then"))
    return faults


def _unlawful(rules: TradeRules, law: Jurisdiction) -> list[tuple[str, str]]:
    faults = []
    if not law.may_keep_deposit and rules.refund_policy in _KEEPS:
        faults.append(("refundPolicy", f"the deposit cannot be kept in {law.name} ({law.source})"))
    most = _highest_fee_bp(rules, law)
    if most is not None and rules.cancellation_fee_bp > most:
        allowed = (
            f"at most {most / 100:g} % of the price"
            if law.fee_kind is FeeKind.PERCENT_OF_PRICE
            else "no more than the reasonable costs, which statedCostMinor and statedCostText must state"
        )
        faults.append(("cancellationFeeBp", f"{allowed} in {law.name} ({law.source})"))
    return faults
