"""The answer to a validation: is this payment wanted? Nothing is booked by it, and nothing promised."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from waypost.kernel.clock import Clock
from waypost.laybys import account, desk
from waypost.laybys.domain import Layby, Status, may_reinstate
from waypost.payments.callback_domain import Close
from waypost.payments.days import today_of
from waypost.payments.domain import Disposition
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.daraja_requests import whole_units
from waypost.payments.providers.outcomes import Doubtful, NotUnderstood, Outcome, Paid
from waypost.platform.database import Connection


class Refusal(StrEnum):
    """Daraja's codes of a validation that says no."""

    ACCOUNT = "C2B00012"
    AMOUNT = "C2B00013"
    OTHER = "C2B00016"


_TAKING: Final = frozenset({Status.ACTIVE, Status.ON_HOLD})


async def judge(conn: Connection, clock: Clock, asked: ProviderAccount, outcome: Outcome) -> Close:
    """ACCEPTED, or REJECTED with the provider's code. What cannot be read is not refused: money is never."""
    if isinstance(outcome, NotUnderstood):
        return Close(Disposition.QUARANTINED, outcome.why)
    if isinstance(outcome, Doubtful):
        if outcome.amount_minor is None:
            return Close(Disposition.REJECTED, Refusal.AMOUNT, outcome.receipt, None, outcome.account_ref)
        return Close(Disposition.ACCEPTED, outcome.why, None, outcome.amount_minor, outcome.account_ref)
    if not isinstance(outcome, Paid):
        return Close(Disposition.ACCEPTED, "it says nothing of money")
    refusal = await _refusal(conn, clock, asked, outcome)
    disposition = Disposition.REJECTED if refusal else Disposition.ACCEPTED
    return Close(disposition, refusal or "", outcome.receipt, outcome.amount_minor, outcome.account_ref)


async def _refusal(conn: Connection, clock: Clock, asked: ProviderAccount, paid: Paid) -> Refusal | None:
    layby_id = await account.find_by_reference(conn, asked.org_id, paid.account_ref) if paid.account_ref else None
    if layby_id is None:
        return Refusal.ACCOUNT
    layby = (await desk.whole(conn, asked.org_id, layby_id)).layby
    if layby.currency != asked.currency or not await _takes(conn, clock, layby):
        return Refusal.OTHER
    return Refusal.AMOUNT if paid.amount_minor > whole_units(layby.balance_minor, layby.currency) else None


async def _takes(conn: Connection, clock: Clock, layby: Layby) -> bool:
    """It runs, or waits, or a payment brings it back."""
    if layby.status in _TAKING:
        return True
    return layby.status is Status.DEFAULTED and may_reinstate(layby, await today_of(conn, layby.org_id, clock))
