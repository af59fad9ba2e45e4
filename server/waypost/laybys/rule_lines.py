"""What an agreement says of ending it, as codes and values: the words are the documents' and the notices'."""

from __future__ import annotations

from waypost.kernel.money import BASIS_POINTS
from waypost.laybys.cancellation import WorkingLine
from waypost.laybys.domain import Layby
from waypost.laybys.jurisdictions import FeeKind
from waypost.laybys.rules import RefundPolicy, has_stated_cost


def rule_lines(layby: Layby) -> list[WorkingLine]:
    """What the shop keeps if the customer ends it; then what the law of the place sets against that."""
    return [_kept(layby), *_by_law(layby)]


def _kept(layby: Layby) -> WorkingLine:
    rules = layby.terms.rules
    if rules.refund_policy is RefundPolicy.NONE:
        return WorkingLine("nothing_back")
    if rules.refund_policy is RefundPolicy.KEEP_DEPOSIT:
        return WorkingLine("deposit_kept", {"amountMinor": str(layby.deposit_minor)})
    if rules.refund_policy is RefundPolicy.PAID_LESS_FEE:
        if rules.cancellation_fee_bp:
            return WorkingLine("percent_of_paid", {"basisPoints": str(rules.cancellation_fee_bp)})
        if has_stated_cost(rules):
            cost = {"amountMinor": str(rules.stated_cost_minor or 0), "text": rules.stated_cost_text or ""}
            return WorkingLine("stated_cost", cost)
    return WorkingLine("refund_in_full")


def _by_law(layby: Layby) -> list[WorkingLine]:
    law, lines = layby.terms.jurisdiction, []
    if law.fee_kind is FeeKind.PERCENT_OF_PRICE:
        bp = law.ceiling_bp or 0
        most = layby.items_minor * bp // BASIS_POINTS
        lines.append(WorkingLine("ceiling_percent_of_price", {"basisPoints": str(bp), "amountMinor": str(most)}))
    if law.fee_kind is FeeKind.STATED_COST:
        lines.append(WorkingLine("ceiling_stated_cost"))
    lines += [WorkingLine("no_fee_exemption", {"exemption": exemption}) for exemption in law.exemptions]
    if law.grace_business_days:
        lines.append(WorkingLine("grace", {"days": str(law.grace_business_days)}))
    return lines
