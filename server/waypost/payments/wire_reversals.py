"""Bodies of requests for a reversal."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from waypost.payments import reversal_domain
from waypost.payments.wire import Reason
from waypost.platform.codec import Instant, instant


class NewReversal(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Ask that a payment be taken back whole. ``reason``: the provider is told it as a remark."""

    reason: Reason


class ReversalRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    """What was asked of the provider, and how it stands. ``resultCode``, ``resultText``: what the provider said of it
    last; ``reversalId``: the payment row that undid the payment.
    """

    id: UUID
    payment_id: UUID
    provider_id: UUID
    receipt: str
    state: str
    currency: str
    amount_minor: int
    reason: str
    created_at: Instant
    updated_at: Instant
    asked_at: Instant | None = None
    result_code: str | None = None
    result_text: str | None = None
    reversal_id: UUID | None = None

    @classmethod
    def from_domain(cls, request: reversal_domain.ReversalRequest) -> ReversalRequest:
        values: dict[str, Any] = {name: getattr(request, name) for name in cls.__struct_fields__}
        values |= {name: instant(value) for name, value in values.items() if isinstance(value, datetime)}
        return cls(**values)
