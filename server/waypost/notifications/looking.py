"""Pure rules of what a provider's list of messages says of one that is in doubt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from waypost.notifications.providers.reports import Said
from waypost.notifications.providers.twilio_lists import Found
from waypost.notifications.states import Event

SKEW: Final = timedelta(minutes=2)  # as much as their clock and ours may differ
SURE_AFTER: Final = timedelta(minutes=10)  # what is not there by then was never taken


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message of which nobody knows whether it was taken. ``started_at``: of the first try that may have sent it;
    ``last_at``: of the last one; ``text`` None: it was not kept.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    address: str
    text: str | None
    started_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """``reference``: the provider's; ``reason``: why it did not arrive."""

    event: Event
    reference: str | None = None
    reason: str | None = None


class StillOpen:
    """The list does not say."""


Verdict: TypeAlias = Settled | StillOpen
_EVENTS: Final = {
    Said.NOTHING: Event.RECEIPT_SENT,
    Said.SENT: Event.RECEIPT_SENT,
    Said.DELIVERED: Event.DELIVERED,
    Said.UNDELIVERED: Event.UNDELIVERED,
}


def judge(doubt: Doubt, found: Sequence[Found], others: Collection[str], *, more: bool, now: datetime) -> Verdict:
    """``found``: the newest messages to that number; ``others``: ids of those that are other deliveries'; ``more``:
    there are older ones, which were not told.

    Absent it is only when nothing at all went to that number since that could be it, the list reaches back far enough,
    and enough time has passed.
    """
    since = doubt.started_at - SKEW
    mine = [each for each in found if each.created_at >= since and each.to == doubt.address and each.sid not in others]
    same = [each for each in mine if each.text == doubt.text]
    if same:
        first = min(same, key=lambda each: each.created_at)
        return Settled(_EVENTS[first.report.said], first.sid, first.report.reason)
    whole = not more or any(each.created_at < since for each in found)
    if mine or not whole or now - doubt.last_at < SURE_AFTER:
        return StillOpen()
    return Settled(Event.ABSENT, reason="not_found")
