"""What the law of a place, or the practice there, says of laybys: data.

A lawyer must read it before anybody relies on it. ``version`` rises with every change of a row; an agreement keeps the
row that it was made under.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class FeeKind(StrEnum):
    """By what a fee for cancelling is limited."""

    NO_LIMIT = "no_limit"
    PERCENT_OF_PRICE = "percent_of_price"
    STATED_COST = "stated_cost"  # what it reasonably costs the shop, as it has stated with the rule


class Jurisdiction(msgspec.Struct, frozen=True, rename="camel"):
    """The law, or the practice, of one place.

    ``ceiling_bp``: of the goods' price; ``grace_business_days``: after the agreed last day, by ``calendar``'s holidays;
    ``exemptions``: for which no fee is due; ``needs_told_before``: no fee unless the customer was told of it at first;
    ``fee_on_default``: may a fee be kept when the shop ends what the customer has not kept up; ``goods_gone_owed``: for
    staff, what is owed when the goods cannot be supplied; ``usual_fee_bp``: seen in practice.
    """

    code: str
    version: int
    name: str
    fee_kind: FeeKind = FeeKind.NO_LIMIT
    ceiling_bp: int | None = None
    may_keep_deposit: bool = True
    grace_business_days: int = 0
    calendar: str | None = None
    exemptions: tuple[str, ...] = ()
    needs_told_before: bool = False
    fee_on_default: bool = True
    goods_gone_owed: str | None = None
    usual_fee_bp: int | None = None
    notes: tuple[str, ...] = ()
    source: str = ""


_ROWS = (
    Jurisdiction(
        code="NONE",
        version=1,
        name="No particular law",
        notes=("In practice: 20 % deposit, up to 6 months.",),
    ),
    Jurisdiction(
        code="AU",
        version=1,
        name="Australia",
        fee_kind=FeeKind.STATED_COST,
        may_keep_deposit=False,
        exemptions=("supplier_breach",),
        needs_told_before=True,
        fee_on_default=False,
        goods_gone_owed="All that was paid is refunded, without a charge.",
        notes=(
            "Three instalments or more are a lay-by; two, if it is called one.",
            "In writing, transparent, and the customer has a copy.",
            "The customer may end it at any time before delivery.",
            "The shop ends it only for a breach, when it ceases trading, or when the goods are no longer available.",
            "What the charge exceeds the payments by is a debt of the customer.",
        ),
        source="Australian Consumer Law, sections 96-99",
    ),
    Jurisdiction(
        code="NZ",
        version=1,
        name="New Zealand",
        fee_kind=FeeKind.STATED_COST,
        may_keep_deposit=False,
        needs_told_before=True,
        fee_on_default=False,
        goods_gone_owed="All that was paid is refunded, without a charge.",
        notes=(
            "Of goods up to NZ$15,000.",
            "In writing, and the customer has a copy.",
            "A statement within 5 working days of being asked for it.",
        ),
        source="Fair Trading Act 1986, sections 36B-36I",
    ),
    Jurisdiction(
        code="ZA",
        version=1,
        name="South Africa",
        fee_kind=FeeKind.PERCENT_OF_PRICE,
        ceiling_bp=100,
        may_keep_deposit=False,
        grace_business_days=60,
        calendar="ZA",
        exemptions=("death", "hospital"),
        needs_told_before=True,
        goods_gone_owed="At the customer's choice equal or better goods, or a refund with interest; double the amount "
        "paid if the shortage was the shop's doing.",
        usual_fee_bp=100,
        notes=(
            "What is paid stays the customer's money until the goods are handed over.",
            "How the fee was worked out is told at once when it is asked for.",
        ),
        source="Consumer Protection Act 68 of 2008, section 62; regulation 34",
    ),
    Jurisdiction(
        code="ZW",
        version=1,
        name="Zimbabwe",
        usual_fee_bp=500,
        notes=("No statute was found. In practice: deposit 10-30 %, 6-12 months, payments of any size.",),
        source="terms of companies",
    ),
    Jurisdiction(
        code="KE",
        version=1,
        name="Kenya",
        notes=("The duties of written agreements; nothing of laybys in particular was found.",),
        source="Consumer Protection Act, 2012",
    ),
    Jurisdiction(
        code="ZM",
        version=1,
        name="Zambia",
        usual_fee_bp=2500,
        notes=("Practice, no law.",),
        source="terms of companies",
    ),
    Jurisdiction(
        code="NA",
        version=1,
        name="Namibia",
        usual_fee_bp=3300,
        notes=("Practice, no law.",),
        source="terms of companies",
    ),
)
JURISDICTIONS: Mapping[str, Jurisdiction] = {row.code: row for row in _ROWS}
