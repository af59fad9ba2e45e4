"""What a provider's report says, in our terms, whichever provider it is. Pure.

A provider's file reads a body into one of these; what becomes of it is decided in one place for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from waypost.payments.domain import Method


@dataclass(frozen=True, slots=True)
class Paid:
    """Money came. ``account_ref``: what the payer typed; ``request_id``: the provider's own name of the prompt that we
    began it with; ``payer``: their phone, or what is shown of it; ``currency`` None: the account's.
    """

    receipt: str
    amount_minor: int
    paid_at: datetime
    method: Method = Method.MOBILE
    currency: str | None = None
    account_ref: str | None = None
    request_id: str | None = None
    payer: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not paid. ``ask``: a later success is known of this code, so the status is asked before it is believed.
    ``receipt``: what it would have had, if it is known: where that was paid after all, this is without effect.
    """

    request_id: str | None
    code: str
    text: str
    ask: bool = False
    account_ref: str | None = None
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Reversed:
    """Money went back: what ``original_receipt`` did is undone. ``amount_minor`` None: all of it."""

    receipt: str
    original_receipt: str
    amount_minor: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class NotReversed:
    """What was asked to be taken back stays."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Money may have moved, but the report is incomplete or contradicts itself: a person, or a question to the
    provider, settles it. With what could be read of it.
    """

    why: str
    receipt: str | None = None
    amount_minor: int | None = None
    account_ref: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """True, but nothing that touches money."""

    why: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """No report of this provider's: the bytes are kept for a person."""

    why: str


Outcome: TypeAlias = Paid | Failed | Reversed | NotReversed | Doubtful | Nothing | NotUnderstood


@dataclass(frozen=True, slots=True)
class Said:
    """A report. ``event_id``: the provider's own name of the event, where it has one: a second with it is none."""

    outcome: Outcome
    event_id: str | None = None
