"""What is asked for: a deal and what it comes to, a delivery, a cancellation; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from waypost.kernel.errors import invalid_field
from waypost.kernel.money import LARGEST_MINOR, percent
from waypost.laybys import rules, schedule
from waypost.laybys.domain import CancelledBy, Instalment, Item, Rhythm
from waypost.laybys.rules import Terms

START_WITHIN = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class NewItem:
    """Goods to be laid by. ``product``: the shop's own code of it."""

    product: str
    name: str
    quantity: int
    unit_price_minor: int


@dataclass(frozen=True, slots=True)
class Deal:
    """What is agreed on. None: as the organisation sells, its rules' rhythm, as many instalments as fit, from today.

    ``dates``: of a custom rhythm, one an instalment.
    """

    items: Sequence[NewItem]
    trade: str | None = None
    currency: str | None = None
    rhythm: Rhythm | None = None
    instalments: int | None = None
    dates: Sequence[date] = ()
    start_date: date | None = None


@dataclass(frozen=True, slots=True)
class NewLayby:
    """A deal with a customer. ``told_before``: they were told of the fee for cancelling.

    ``reference`` None: one is made.
    """

    customer_id: UUID
    deal: Deal
    told_before: bool = False
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A deal worked out: what it comes to, and when what is due."""

    terms: Terms
    currency: str
    items: Sequence[Item]
    service_fee_minor: int
    admin_fee_minor: int
    deposit_minor: int
    rhythm: Rhythm
    start_date: date
    instalments: Sequence[Instalment]

    @property
    def items_minor(self) -> int:
        return sum(item.total_minor for item in self.items)

    @property
    def payable_minor(self) -> int:
        """Goods and fees (R2)."""
        return self.items_minor + self.service_fee_minor + self.admin_fee_minor

    @property
    def deposit_bounds(self) -> tuple[int, int]:
        """The least and the most that the deposit may be (R3)."""
        return rules.deposit_bounds(self.terms.rules, self.items_minor)

    @property
    def final_date(self) -> date:
        return schedule.final_date(self.instalments, self.start_date)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the goods of an order go out; ``origin``, ``destination``: places in words."""

    driver_id: UUID | None = None
    truck_id: UUID | None = None
    origin: str | None = None
    destination: str | None = None
    planned_start_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose wish a cancellation is, and why; ``exemption``: for which the law there forgives the fee."""

    by: CancelledBy
    reason: str | None = None
    exemption: str | None = None


def worked_out(deal: Deal, terms: Terms, deposit_minor: int | None, today: date) -> Plan:
    """A deal under its terms (R1-R4)."""
    items = [Item(n, i.product, i.name, i.quantity, i.unit_price_minor) for n, i in enumerate(deal.items, 1)]
    total = sum(item.total_minor for item in items)
    if not 0 < total <= LARGEST_MINOR:
        raise invalid_field("items", f"come to {total} minor units; a layby is of 1 to {LARGEST_MINOR}")
    start = _start(deal.start_date, today)
    deposit = percent(total, terms.rules.deposit_usual_bp) if deposit_minor is None else deposit_minor
    service, admin = rules.fees(terms.rules, total)
    rhythm = deal.rhythm or (Rhythm.CUSTOM if deal.dates else terms.rules.rhythm)
    remaining = max(0, total + service + admin - deposit)
    n = deal.instalments
    if n is None and rhythm is not Rhythm.CUSTOM:
        n = max(1, min(schedule.most_instalments(start, rhythm, terms.rules.longest_days), remaining))
    plan = Plan(
        terms=terms,
        currency=terms.rules.currency,
        items=items,
        service_fee_minor=service,
        admin_fee_minor=admin,
        deposit_minor=deposit,
        rhythm=rhythm,
        start_date=start,
        instalments=schedule.plan(remaining, start, rhythm, n, deal.dates),
    )
    rules.check_agreement(
        terms.rules,
        items=len(items),
        items_minor=total,
        deposit_minor=deposit,
        start=start,
        final=plan.final_date,
    )
    return plan


def _start(wanted: date | None, today: date) -> date:
    start = wanted or today
    if not today <= start <= today + START_WITHIN:
        raise invalid_field("startDate", f"from today, {today}, to {today + START_WITHIN}")
    return start
