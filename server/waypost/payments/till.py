"""Money that staff take at the counter and type in: what of it is refused, and its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import Principal
from waypost.laybys.domain import Layby, LaybyMoveRefused, share
from waypost.payments.domain import COUNTER, Disposition, Kind, Method, Payment, TooMuch
from waypost.payments.receipts import receipt_of


@dataclass(frozen=True, slots=True)
class Taken:
    """What staff have in hand. ``receipt`` None: a number is made; ``currency`` None: the layby's; ``reference``: under
    which it can be found where it was paid.
    """

    amount_minor: int
    method: Method
    receipt: str | None = None
    currency: str | None = None
    note: str | None = None
    reference: str | None = None

    def receipt_of(self, row_id: UUID) -> str:
        """Theirs, or the one that follows from the row's id."""
        return self.receipt or receipt_of(row_id)


def check_takes(layby: Layby, taken: Taken, today: date) -> None:
    """Money that staff type in is refused when it cannot be applied, and the answer says the balance (R11)."""
    balance = layby.balance_minor
    if taken.currency is not None and taken.currency != layby.currency:
        raise CurrencyMismatch(f"The layby is in {layby.currency}.", balanceMinor=balance, currency=layby.currency)
    check_open(layby, today)
    if taken.amount_minor > balance:
        raise TooMuch(f"The balance is {balance}; no more can be taken.", balanceMinor=balance, currency=layby.currency)


def check_open(layby: Layby, today: date) -> None:
    """Nobody is asked for money that would not pay anything: it would only become credit."""
    balance = layby.balance_minor
    if balance <= 0 or not share(layby, 1, today).applied_minor:
        raise LaybyMoveRefused(
            f"The layby is {layby.status.replace('_', ' ')}; it takes no payment. Its balance is {balance}.",
            laybyStatus=str(layby.status),
            balanceMinor=balance,
            currency=layby.currency,
        )


def typed_in(principal: Principal, row_id: UUID, currency: str, taken: Taken, now: datetime) -> Payment:
    """The row before it is known what becomes of the money."""
    return Payment(
        org_id=principal.org_id,
        id=row_id,
        root_id=row_id,
        kind=Kind.PAYMENT,
        method=taken.method,
        provider=COUNTER,
        receipt=taken.receipt_of(row_id),
        disposition=Disposition.APPLIED,
        currency=currency,
        amount_minor=taken.amount_minor,
        applied_minor=0,
        credit_minor=0,
        suspense_minor=taken.amount_minor,
        paid_at=now,
        created_at=now,
        account_ref=taken.reference,
        note=taken.note,
        created_by=principal.user_id,
    )
