"""What alerts to staff are made of, and the errors that they raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound

PAYMENT_UNMATCHED = "payment_unmatched"
PAYMENT_REVIEW = "payment_review"
PAYMENT_CREDIT = "payment_credit"
REVERSAL_AFTER_COLLECTION = "reversal_after_collection"
CALLBACK_QUARANTINED = "callback_quarantined"
CALLBACK_STUCK = "callback_stuck"  # kept, and tried in vain so far
RECONCILIATION_DIFFERENCE = "reconciliation_difference"
STATEMENT_MISSING = "statement_missing"


class AlertNotFound(NotFound):
    """No such alert, or none of yours."""

    code = "alert-not-found"


class AlertResolved(Conflict):
    """Somebody has resolved this alert already."""

    code = "alert-resolved"


class AlertState(StrEnum):
    """Which alerts a list shows."""

    OPEN = "open"
    RESOLVED = "resolved"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that staff must look at. ``key`` names what happened: it is said once; ``facts``: as they were then."""

    org_id: UUID
    id: UUID
    kind: str
    key: str
    subject_kind: str
    subject_id: UUID | None
    facts: Mapping[str, str]
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: UUID | None = None
    resolved_by_name: str | None = None
    resolution: str | None = None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts a list wants; ``kind`` None: any."""

    state: AlertState = AlertState.OPEN
    kind: str | None = None
