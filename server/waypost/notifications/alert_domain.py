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
REVERSAL_FAILED = "reversal_failed"  # a provider does not take back what it was asked to
CALLBACK_QUARANTINED = "callback_quarantined"
CALLBACK_STUCK = "callback_stuck"  # kept, and tried in vain so far
RECONCILIATION_DIFFERENCE = "reconciliation_difference"
STATEMENT_MISSING = "statement_missing"
PROVIDER_DOWN = "provider_down"  # half of its calls fail, or are slow
FAILOVER = "failover"  # another provider took what this one did not
SMS_CAP_REACHED = "sms_cap_reached"
MESSAGE_RECEIVED = "message_received"  # somebody wrote to us, and no keyword
RECEIPT_QUARANTINED = "receipt_quarantined"  # not signed as its provider signs
RECEIPT_STUCK = "receipt_stuck"  # kept, and tried in vain so far
BOUNCES_TO_CONFIRM = "bounces_to_confirm"  # a mail provider asks whether our address is ours
DELIVERY_IN_DOUBT = "delivery_in_doubt"  # said once an hour, however many there are
CUSTOMER_UNREACHABLE = "customer_unreachable"  # no address of theirs works
OPT_OUT_RATE = "opt_out_rate"  # more people than usual want no more messages
UNDELIVERED_RATE = "undelivered_rate"  # more SMS than usual do not arrive
MESSAGES_DIFFER = "messages_differ"  # a provider has not the same messages as we have
WEBHOOK_OFF = "webhook_off"  # a subscriber's address took nothing for days, or is gone

# Staff are told of these at once; the others wait for the digest.
CANNOT_WAIT = frozenset(
    {
        REVERSAL_AFTER_COLLECTION,
        CALLBACK_STUCK,
        PROVIDER_DOWN,
        SMS_CAP_REACHED,
        RECEIPT_STUCK,
        WEBHOOK_OFF,
        OPT_OUT_RATE,
        UNDELIVERED_RATE,
    }
)
# Which of an alert's facts names what it is about, the first that is there.
NAMING = ("reference", "customer", "provider", "name", "url", "notice")


def about(facts: Mapping[str, str]) -> str:
    """A reference or a name of what it is about; empty: it has none."""
    return next((facts[name] for name in NAMING if facts.get(name)), "")


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
