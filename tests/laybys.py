"""Laybys and payments as values, for tests of what is pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from waypost.laybys.domain import Instalment, Item, Layby, Order, Rhythm, Status
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import Terms, default_rules
from waypost.payments.domain import Disposition, Kind, Method, Payment

ORG, CUSTOMER, LAYBY = UUID(int=1), UUID(int=2), UUID(int=3)
OPENED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
START = date(2026, 11, 22)


def a_layby(*, place: str = "KE", currency: str = "KES", trade: str = "clothing", **changes: Any) -> Layby:
    """KES 1,000.00 of goods: 250.00 of deposit, and three instalments of 250.00 a fortnight apart."""
    law = JURISDICTIONS[place]
    layby = Layby(
        org_id=ORG,
        id=LAYBY,
        reference="7K3MQ96",
        customer_id=CUSTOMER,
        customer_name="Chipo Dube",
        status=Status.ACTIVE,
        trade=trade,
        jurisdiction=place,
        currency=currency,
        items_minor=100_000,
        service_fee_minor=0,
        admin_fee_minor=0,
        late_fees_minor=0,
        paid_minor=25_000,
        deposit_minor=25_000,
        rhythm=Rhythm.FORTNIGHTLY,
        start_date=START,
        final_date=START + timedelta(days=42),
        terms=Terms(msgspec.structs.replace(default_rules(trade, currency, law), late_fee_minor=500), law),
        created_at=OPENED,
        updated_at=OPENED,
        version=1,
        instalments=[_instalment(n) for n in (1, 2, 3)],
        told_before_at=OPENED,
    )
    return replace(layby, **changes)


def _instalment(n: int) -> Instalment:
    due = START + timedelta(days=14 * n)
    return Instalment(n, due, due, 25_000)


def goods() -> list[Item]:
    """What it is for."""
    return [Item(1, "DR-1", "Blue dress", 2, 35_000), Item(2, "SH-9", "Leather shoes", 1, 30_000)]


def an_order() -> Order:
    """What it becomes."""
    return Order(UUID(int=9), LAYBY, "L-000017", OPENED)


def a_payment(amount_minor: int = 25_000, **changes: Any) -> Payment:
    """By mobile money, all of it applied."""
    payment = Payment(
        org_id=ORG,
        id=UUID(int=7),
        root_id=UUID(int=7),
        kind=Kind.PAYMENT,
        method=Method.MOBILE,
        provider="daraja",
        receipt="NLJ7RT61SV",
        disposition=Disposition.APPLIED,
        currency="KES",
        amount_minor=amount_minor,
        applied_minor=amount_minor,
        credit_minor=0,
        suspense_minor=0,
        paid_at=OPENED,
        created_at=OPENED,
        layby_id=LAYBY,
        customer_id=CUSTOMER,
    )
    return replace(payment, **changes)
