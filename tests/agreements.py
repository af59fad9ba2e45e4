"""Laybys for tests of pure rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec

from waypost.laybys.domain import Layby, Rhythm, Status
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import Terms, default_rules
from waypost.laybys.schedule import final_date, plan

START = date(2026, 1, 31)
MADE_AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


def agreement(
    *,
    items: int = 100_000,
    deposit: int = 20_000,
    n: int = 4,
    law: str = "NONE",
    rhythm: Rhythm = Rhythm.MONTHLY,
    rules: dict[str, Any] | None = None,
    **changes: Any,
) -> Layby:
    """1000.00 USD of clothing, a deposit of 200.00, four months to pay, unless said otherwise. Paid: the deposit."""
    terms = Terms(
        msgspec.structs.replace(default_rules("clothing", "USD", JURISDICTIONS[law]), **(rules or {})),
        JURISDICTIONS[law],
    )
    fees = changes.get("service_fee_minor", 0) + changes.get("admin_fee_minor", 0)
    instalments = plan(items + fees - deposit, START, rhythm, n)
    values: dict[str, Any] = {
        "org_id": UUID(int=1),
        "id": UUID(int=2),
        "reference": "7K3MQ96",
        "customer_id": UUID(int=3),
        "customer_name": "Chipo",
        "status": Status.ACTIVE,
        "trade": "clothing",
        "jurisdiction": law,
        "currency": "USD",
        "items_minor": items,
        "service_fee_minor": 0,
        "admin_fee_minor": 0,
        "late_fees_minor": 0,
        "paid_minor": deposit,
        "deposit_minor": deposit,
        "rhythm": rhythm,
        "start_date": START,
        "final_date": final_date(instalments, START),
        "terms": terms,
        "created_at": MADE_AT,
        "updated_at": MADE_AT,
        "version": 1,
        "instalments": instalments,
        "told_before_at": MADE_AT,
    }
    return Layby(**values | changes)
