"""What is kept and what goes back when a layby ends before it is paid; worked out line by line, never above the law."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import msgspec

from waypost.kernel.errors import invalid_field
from waypost.kernel.money import BASIS_POINTS, percent
from waypost.laybys.domain import CancelledBy, Layby, Status
from waypost.laybys.holidays import after_business_days
from waypost.laybys.jurisdictions import FeeKind
from waypost.laybys.rules import RefundPolicy, has_stated_cost


class WorkingLine(msgspec.Struct, frozen=True):
    """One step of the working: a code that a page has words for, and what it says (amounts in minor units)."""

    code: str
    params: Mapping[str, str] = {}


class Working(msgspec.Struct, frozen=True, rename="camel"):
    """How the refund was worked out: paid = goods handed over + fee + refund.

    ``asked_fee_minor``: by the shop's rule; ``ceiling_minor``: by the law (None: none); ``shortfall_minor``: what the
    fee is above what was paid, a debt of the customer's; ``owed_beyond``: what the law owes them besides, for staff.
    """

    paid_minor: int
    fee_minor: int
    refund_minor: int
    asked_fee_minor: int
    ceiling_minor: int | None
    lines: tuple[WorkingLine, ...]
    handed_over_minor: int = 0
    shortfall_minor: int = 0
    exemption: str | None = None
    owed_beyond: str | None = None


def work_out(
    layby: Layby, by: CancelledBy, today: date, exemption: str | None = None, *, handed_over_minor: int = 0
) -> Working:
    """What becomes of the money if ``layby`` is cancelled today.

    ``exemption``: why the law there forgives the fee; ``Invalid`` for one it does not know. ``handed_over_minor``: the
    price of parts that the customer has already.
    """
    law, paid = layby.terms.jurisdiction, layby.paid_minor
    if exemption is not None and exemption not in law.exemptions:
        known = ", ".join(law.exemptions) or "none"
        raise invalid_field("exemption", f"the law of {law.name} knows: {known}")
    open_minor = max(0, paid - handed_over_minor)
    asked, asked_line = _asked(layby, open_minor)
    ceiling, ceiling_line = _ceiling(layby)
    free = _no_fee(layby, by, today, exemption)
    due = 0 if free else (asked if ceiling is None else min(asked, ceiling))
    fee = min(due, open_minor)
    lines = [_line("paid", amountMinor=paid)]
    if handed_over_minor:
        lines.append(_line("handed_over", amountMinor=handed_over_minor))
    lines += [free] if free else [asked_line, *([ceiling_line] if ceiling_line else [])]
    if due > fee:
        lines.append(_line("shortfall", amountMinor=due - fee))
    lines += [_line("fee", amountMinor=fee), _line("refund", amountMinor=open_minor - fee)]
    return Working(
        paid_minor=paid,
        fee_minor=fee,
        refund_minor=open_minor - fee,
        asked_fee_minor=asked,
        ceiling_minor=0 if free else ceiling,
        lines=tuple(lines),
        handed_over_minor=handed_over_minor,
        shortfall_minor=due - fee,
        exemption=exemption,
        owed_beyond=law.goods_gone_owed if by is CancelledBy.GOODS_GONE else None,
    )


def _asked(layby: Layby, open_minor: int) -> tuple[int, WorkingLine]:
    """What the shop's rule asks for, whatever the law says."""
    rules = layby.terms.rules
    if rules.refund_policy is RefundPolicy.FULL:
        return 0, _line("refund_in_full")
    if rules.refund_policy is RefundPolicy.NONE:
        return open_minor, _line("nothing_back", amountMinor=open_minor)
    if rules.refund_policy is RefundPolicy.KEEP_DEPOSIT:
        kept = min(layby.deposit_minor, open_minor)
        return kept, _line("deposit_kept", amountMinor=kept)
    if rules.cancellation_fee_bp or not has_stated_cost(rules):
        asked = percent(open_minor, rules.cancellation_fee_bp)
        return asked, _line("percent_of_paid", basisPoints=rules.cancellation_fee_bp, amountMinor=asked)
    cost = rules.stated_cost_minor or 0
    return cost, _line("stated_cost", amountMinor=cost, text=rules.stated_cost_text or "")


def _ceiling(layby: Layby) -> tuple[int | None, WorkingLine | None]:
    """The most that the law lets the shop keep; None: it says nothing. Rounded down: it must not be exceeded."""
    law, rules = layby.terms.jurisdiction, layby.terms.rules
    if law.fee_kind is FeeKind.PERCENT_OF_PRICE:
        bp = law.ceiling_bp or 0
        most = layby.items_minor * bp // BASIS_POINTS
        line = _line("ceiling_percent_of_price", basisPoints=bp, priceMinor=layby.items_minor, amountMinor=most)
        return most, line
    if law.fee_kind is FeeKind.STATED_COST:
        most = (rules.stated_cost_minor or 0) if has_stated_cost(rules) else 0
        return most, _line("ceiling_stated_cost", amountMinor=most, text=rules.stated_cost_text or "")
    return None, None


def _no_fee(layby: Layby, by: CancelledBy, today: date, exemption: str | None) -> WorkingLine | None:
    """Why no fee is due at all; None: one may be."""
    law = layby.terms.jurisdiction
    if exemption is not None:
        return _line("no_fee_exemption", exemption=exemption)
    if by is CancelledBy.GOODS_GONE:
        return _line("no_fee_goods_gone")
    if by is CancelledBy.SHOP:
        if layby.status is not Status.DEFAULTED or not law.fee_on_default:
            return _line("no_fee_shop")
        grace = after_business_days(layby.final_date, law.grace_business_days, law.calendar)
        if law.grace_business_days and today <= grace:
            return _line("no_fee_within_grace", until=grace)
    if law.needs_told_before and layby.told_before_at is None:
        return _line("no_fee_not_told_before")
    return None


def _line(code: str, **params: object) -> WorkingLine:
    return WorkingLine(code, {name: str(value) for name, value in params.items()})
