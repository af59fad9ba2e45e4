"""What a provider's callback is to us, and what becomes of one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from waypost.kernel.errors import Conflict, Denied, NotFound
from waypost.payments.domain import Disposition, Report
from waypost.payments.prompt_domain import Prompt, PromptState
from waypost.payments.providers.accounts import ProviderAccount, ProviderName
from waypost.payments.providers.outcomes import (
    Doubtful,
    Failed,
    Nothing,
    NotReversed,
    NotUnderstood,
    Outcome,
    Paid,
    Reversed,
)

STK: Final = "stk"
VALIDATION: Final = "validation"
QUERY: Final = "query"  # what we asked for ourselves
REVERSAL: Final = "reversal"
TIMEOUT: Final = "timeout"  # of the queue in which a request for a reversal waited
STATEMENT: Final = "statement"  # a line of a provider's statement that a person has to look at
PARKED: Final = timedelta(minutes=1)  # what belongs to something that may not be written yet
STUCK: Final = 8  # times that one was tried in vain (some minutes) before the staff are told
OPEN_QUESTIONS: Final = frozenset({Disposition.REVIEW, Disposition.QUARANTINED})


class CallbackNotFound(NotFound):
    """No such callback, or none of yours."""

    code = "callback-not-found"


class CallbackUnknown(NotFound):
    """No callback is expected at this address."""

    code = "callback-unknown"


class CallbackElsewhere(Denied):
    """Callbacks of this provider do not come from there."""

    code = "callback-address"


class NothingToSettle(Conflict):
    """This callback leaves no question open."""

    code = "nothing-to-settle"


class PerhapsBooked(Conflict):
    """As much was booked for this layby at about that time, by another road: it may be this very money. Give that
    payment's receipt, dismiss the question, or say that this is another payment.
    """

    code = "perhaps-booked"


@dataclass(frozen=True, slots=True)
class Callback:
    """What came, and what became of it. ``disposition`` None: still to be worked on, from ``due_at``; ``detail``: why.

    ``account_ref``: what the payer typed; of a reversal the receipt that is undone; ``checkout_request_id``: the
    provider's name of the prompt. Of a statement's line ``received_at`` is when its money moved, and what went out has
    a negative amount.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    prompt_id: UUID | None
    road: str
    body: bytes
    address: str | None
    received_at: datetime
    due_at: datetime
    tries: int = 0
    disposition: Disposition | None = None
    detail: str | None = None
    event_id: str | None = None
    receipt: str | None = None
    account_ref: str | None = None
    amount_minor: int | None = None
    checkout_request_id: str | None = None
    payment_id: UUID | None = None
    done_at: datetime | None = None
    settled_at: datetime | None = None
    settled_by: UUID | None = None
    reversal_request_id: UUID | None = None

    @property
    def takes_back(self) -> bool:
        """It says that money went back."""
        return self.road == REVERSAL or (self.amount_minor or 0) < 0

    @property
    def is_open_question(self) -> bool:
        """Somebody has to settle it."""
        return self.disposition in OPEN_QUESTIONS and self.settled_at is None


def alert_key(callback_id: UUID) -> str:
    """What the alert of its question is known by."""
    return f"callback:{callback_id}"


def stuck_key(callback_id: UUID) -> str:
    """What the alert that it cannot be finished is known by."""
    return f"callback-stuck:{callback_id}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which callbacks a list wants; ``to_settle``: those that leave a question open."""

    disposition: Disposition | None = None
    to_settle: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """It is money: book it."""

    report: Report


@dataclass(frozen=True, slots=True)
class Undo:
    """Money went back: undo what it did."""

    reversal: Reversed


@dataclass(frozen=True, slots=True)
class Fail:
    """The prompt was not paid."""

    prompt: Prompt
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class FailLater:
    """The same, but a success is known to follow it: the status is asked first."""

    prompt: Prompt
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Hold:
    """So much money that the provider is asked whether it is true, before it is booked."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Park:
    """What it belongs to may be written in a moment."""

    why: str


@dataclass(frozen=True, slots=True)
class Close:
    """It ends here. Of a REVIEW with what could be read of it."""

    disposition: Disposition
    detail: str
    receipt: str | None = None
    amount_minor: int | None = None
    account_ref: str | None = None


Decision: TypeAlias = Book | Undo | Fail | FailLater | Hold | Park | Close


@dataclass(frozen=True, slots=True)
class Case:
    """A callback, the prompt that it is about (None: none, or none that is known yet), and whose it is.

    ``asked_back``: the receipt that its address was made to take back; None: it is no such address.
    """

    row: Callback
    prompt: Prompt | None
    account: ProviderAccount
    now: datetime
    asked_back: str | None = None

    @property
    def is_early(self) -> bool:
        """What it is about may still be on its way into the database."""
        return self.now - self.row.received_at < PARKED


def decide(case: Case, outcome: Outcome) -> Decision:
    """What becomes of a callback that says ``outcome``. A validation is none: it only asks."""
    if case.row.road == STK and case.prompt is None and case.is_early and not isinstance(outcome, NotUnderstood):
        return Park("no such prompt yet")
    match outcome:
        case Paid():
            return _of_money(case, outcome)
        case Failed():
            return _of_failure(case, outcome)
        case Doubtful():
            return _of_doubt(case, outcome)
        case Reversed():
            return _of_reversal(case, outcome)
        case NotReversed():
            return Close(Disposition.IGNORED, f"not reversed: {outcome.code} {outcome.text}".strip())
        case Nothing():
            return Close(Disposition.IGNORED, outcome.why)
        case NotUnderstood():
            return Close(Disposition.QUARANTINED, outcome.why)


def _of_money(case: Case, paid: Paid) -> Decision:
    prompt = case.prompt
    if prompt is not None:
        if None not in (prompt.request_id, paid.request_id) and prompt.request_id != paid.request_id:
            return _review(paid, "it names another prompt")
        if paid.amount_minor != prompt.amount_minor:
            return _review(paid, f"asked for {prompt.amount_minor}, paid {paid.amount_minor}")
    limit = case.account.check_above_minor
    if case.account.provider is ProviderName.DARAJA and limit is not None and paid.amount_minor > limit:
        return _of_much_money(case, paid)
    return Book(report_of(case, paid))


def _of_much_money(case: Case, paid: Paid) -> Decision:
    """Nothing vouches for what Daraja's callbacks say but their address, so more than the limit is asked about."""
    prompt = case.prompt
    if prompt is None:
        return _review(paid, "above the limit, and there is no prompt whose status could be asked")
    if prompt.status_at is None or prompt.status_at < case.row.received_at:
        return Hold(prompt)
    if prompt.status_code == "0":
        return Book(report_of(case, paid))
    return _review(paid, f"above the limit, and the status says {prompt.status_code or 'nothing'}")


def report_of(case: Case, paid: Paid) -> Report:
    """The same money as it is booked."""
    return Report(
        provider=case.account.key,
        receipt=paid.receipt,
        method=paid.method,
        currency=paid.currency or case.account.currency,
        amount_minor=paid.amount_minor,
        paid_at=paid.paid_at,
        account_ref=paid.account_ref,
        layby_id=case.prompt.layby_id if case.prompt else None,
        payer=paid.payer,
        prompt_id=case.prompt.id if case.prompt else None,
        callback_id=case.row.id,
    )


def _of_failure(case: Case, failed: Failed) -> Decision:
    prompt, said = case.prompt, f"{failed.code} {failed.text}".strip()
    if prompt is None:
        known = case.row.road != STK
        return Close(Disposition.FAILED if known else Disposition.IGNORED, said, account_ref=failed.account_ref)
    if prompt.state is PromptState.PAID or prompt.says_paid:
        return Close(Disposition.IGNORED, f"after the success: {said}")
    if prompt.state is PromptState.FAILED or prompt.result_code == failed.code:
        return Close(Disposition.DUPLICATE, said)
    if failed.ask and prompt.state.is_open:
        return FailLater(prompt, failed.code, failed.text)
    return Fail(prompt, failed.code, failed.text)


def _of_doubt(case: Case, doubt: Doubtful) -> Decision:
    if case.prompt is not None and case.prompt.state is PromptState.PAID and doubt.receipt is None:
        return Close(Disposition.IGNORED, f"it is paid already: {doubt.why}")
    return _review(doubt, doubt.why)


def _of_reversal(case: Case, reversal: Reversed) -> Decision:
    if case.asked_back not in (None, reversal.original_receipt):
        why = f"asked to take back {case.asked_back}, and it names another payment"
        return Close(Disposition.REVIEW, why, reversal.receipt, reversal.amount_minor, reversal.original_receipt)
    return Undo(reversal)


def _review(said: Paid | Doubtful, why: str) -> Close:
    return Close(Disposition.REVIEW, why, said.receipt, said.amount_minor, said.account_ref)


def undone(case: Case, reversal: Reversed, disposition: Disposition | None) -> Park | Close:
    """A reversal that was booked with this disposition; None: what it undoes is not known (yet)."""
    if disposition is None and case.is_early:
        return Park("what it undoes is not there yet")
    why = {
        None: "there is no payment with the receipt that it undoes",
        Disposition.REVIEW: "it undoes more than is left of the payment, what a refund has noted already, or has "
        "the receipt of something else",
    }.get(disposition, "")
    return Close(
        disposition or Disposition.REVIEW, why, reversal.receipt, reversal.amount_minor, reversal.original_receipt
    )
