"""Bodies of the rules by trade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from waypost.kernel.money import LARGEST_MINOR
from waypost.laybys.domain import Rhythm
from waypost.laybys.jurisdictions import Jurisdiction
from waypost.laybys.rules import RefundPolicy, Terms, TradeRules
from waypost.platform.codec import SOME_TEXT

BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
Amount = Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]


class RuleBook(msgspec.Struct, rename="camel"):
    """The rules of every trade as they hold for a new layby, and the law that limits them."""

    jurisdiction: Jurisdiction
    rules: list[TradeRules]

    @classmethod
    def from_domain(cls, terms: Sequence[Terms]) -> RuleBook:
        return cls(terms[0].jurisdiction, [one.rules for one in terms])


class NewRules(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A trade's rules from now on: all of them, so what is left out takes the value that it has here.

    Amounts are minor units of the organisation's currency; ``…Bp`` are hundredths of a percent.
    """

    deposit_min_bp: BasisPoints
    deposit_max_bp: BasisPoints
    deposit_usual_bp: BasisPoints
    rhythm: Rhythm
    longest_days: Annotated[int, Meta(ge=1, le=1830)]
    service_fee_bp: BasisPoints = 0
    admin_fee_minor: Amount = 0
    late_fee_minor: Amount = 0
    late_fee_after_days: Annotated[int, Meta(ge=1, le=90)] = 1
    cancellation_fee_bp: BasisPoints = 0
    stated_cost_minor: Amount | None = None
    stated_cost_text: Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)] | None = None
    refund_policy: RefundPolicy = RefundPolicy.PAID_LESS_FEE
    default_after_missed: Annotated[int, Meta(ge=1, le=100)] = 2
    final_grace_days: Annotated[int, Meta(ge=0, le=365)] = 14
    reinstate_days: Annotated[int, Meta(ge=0, le=3650)] = 30
    extensions: Annotated[int, Meta(ge=0, le=100)] = 2
    extension_days: Annotated[int, Meta(ge=1, le=365)] = 30
    partial_hand_over: bool = False
    most_items: Annotated[int, Meta(ge=1, le=1000)] = 50
    most_total_minor: Annotated[int, Meta(ge=1, le=LARGEST_MINOR)] | None = None
    collect_days: Annotated[int, Meta(ge=1, le=365)] = 14

    def to_domain(self, trade: str) -> TradeRules:
        return TradeRules(trade=trade, version=0, currency="", **msgspec.structs.asdict(self))
