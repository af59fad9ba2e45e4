"""The lists in the examples of facts: goods, instalments, how a cancellation is worked out, open alerts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

ALERT_CODES: Final = (
    "payment_unmatched", "payment_review", "payment_credit", "reversal_after_collection", "callback_quarantined",
    "reversal_failed",
    "callback_stuck", "reconciliation_difference", "statement_missing", "provider_down", "failover",
    "delivery_in_doubt", "customer_unreachable", "sms_cap_reached", "webhook_off", "message_received",
    "receipt_quarantined", "receipt_stuck", "bounces_to_confirm", "opt_out_rate", "undelivered_rate",
    "messages_differ", "some_new_kind",
)  # fmt: skip


def _rows(rows: Sequence[dict[str, str]]) -> str:
    return msgspec.json.encode(rows).decode()


def _instalments(count: int, open_minor: str) -> str:
    first = date(2026, 12, 6)
    return _rows(
        [
            {"n": str(n + 1), "date": (first + timedelta(days=14 * n)).isoformat(), "openMinor": open_minor}
            for n in range(count)
        ]
    )


GOODS: Final = _rows(
    [
        {"name": "Blue dress", "quantity": "2", "totalMinor": "70000"},
        {"name": "Leather shoes", "quantity": "1", "totalMinor": "30000"},
    ]
)
LONG_GOODS: Final = _rows(
    [
        {
            "name": f"Three-seater sofa with loose covers, charcoal, part {n}",
            "quantity": "12",
            "totalMinor": "123456789",
        }
        for n in range(1, 13)
    ]
)
SCHEDULE: Final = _instalments(3, "25000")
LONG_SCHEDULE: Final = _instalments(24, "123456789")
CANCELLING: Final = _rows([{"code": "percent_of_paid", "basisPoints": "1000"}])
WORKING: Final = _rows(
    [
        {"code": "paid", "amountMinor": "25000"},
        {"code": "percent_of_paid", "basisPoints": "1000", "amountMinor": "2500"},
        {"code": "fee", "amountMinor": "2500"},
        {"code": "refund", "amountMinor": "22500"},
    ]
)
ALERTS: Final = _rows(
    [
        {"alert": "payment_unmatched", "about": "", "count": "2"},
        {"alert": "provider_down", "about": "Twilio", "count": "1"},
        {"alert": "customer_unreachable", "about": "Chipo Dube", "count": "1"},
    ]
)
