"""Prompts: we ask a customer's phone for money. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Conflict, Invalid, NotFound

# A prompt of which nothing was heard is asked about at 1, 3, 10 and 30 minutes: so long after the question before.
GAPS: Final[Sequence[timedelta]] = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 7, 20))
SILENCE: Final = timedelta(minutes=30)  # after it, one that may never have been asked is a person's
SOON: Final = timedelta(seconds=5)  # until the status is asked after a failure that may not be the last word
MOST_TRIES: Final = 8
FIRST_RETRY_S, LONGEST_RETRY_S = 2, 60


class PromptNotFound(NotFound):
    """No such prompt, or none of yours."""

    code = "prompt-not-found"


class PromptOpen(Conflict):
    """The customer's phone is asked for this layby already; `promptId` says by which prompt."""

    code = "prompt-open"


class NoPromptProvider(Conflict):
    """No payment provider of yours asks phones for this currency."""

    code = "no-prompt-provider"


class NoPhone(Invalid):
    """The customer has no phone number; give one."""

    code = "no-phone"


class NothingOwed(Conflict):
    """Nothing is owed for this layby."""

    code = "nothing-owed"


class PromptState(StrEnum):
    """Where a prompt stands. The first four are open: a layby has one such at most."""

    QUEUED = "queued"
    ASKING = "asking"  # a worker is at it
    ASKED = "asked"  # the provider has it
    IN_DOUBT = "in_doubt"  # nobody knows whether the provider has it
    PAID = "paid"
    FAILED = "failed"
    REVIEW = "review"  # a person settles it

    @property
    def is_open(self) -> bool:
        """May the customer still pay by it, as far as we know?"""
        return self in OPEN


OPEN: Final = frozenset({PromptState.QUEUED, PromptState.ASKING, PromptState.ASKED, PromptState.IN_DOUBT})


@dataclass(frozen=True, slots=True)
class Prompt:
    """``request_id``: the provider's name of it; ``result_code``, ``result_text``: what its callback said last;
    ``status_code``: what the provider said when it was asked (None: nothing), at ``status_at``; ``sealed``: the token
    of its callback's address.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    layby_id: UUID
    phone: str
    currency: str
    amount_minor: int
    sealed: str
    state: PromptState
    created_at: datetime
    updated_at: datetime
    request_id: str | None = None
    merchant_request_id: str | None = None
    result_code: str | None = None
    result_text: str | None = None
    status_code: str | None = None
    status_at: datetime | None = None
    payment_id: UUID | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None
    queries: int = 0
    tries: int = 0
    attempt: int = 0
    caused_by: str | None = None
    created_by: UUID | None = None

    @property
    def says_paid(self) -> bool:
        """Its callback said that money came, whatever else was wrong with it."""
        return self.result_code == "0"

    @property
    def may_have_been_lost(self) -> bool:
        """Nobody knows whether the provider has it, so there is no name by which to ask."""
        return self.state is PromptState.IN_DOUBT and self.request_id is None

    def is_silent(self, now: datetime) -> bool:
        """Nothing was heard of it for so long that nothing will be."""
        return self.asked_at is None or now - self.asked_at >= SILENCE

    @property
    def masked_phone(self) -> str:
        """Its last three digits."""
        return f"…{self.phone[-3:]}"


@dataclass(frozen=True, slots=True)
class PromptFilter:
    """Which prompts a list wants; None: any."""

    state: PromptState | None = None
    layby_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """A prompt that a worker is to look after, for the queue; ``attempt``: the one that the worker will make."""

    org_id: UUID
    prompt_id: UUID
    attempt: int
    caused_by: str | None


def next_query(queries: int, now: datetime) -> datetime | None:
    """When it is asked about again, after so many questions; None: no more, reconciliation finds it."""
    return now + GAPS[queries] if queries < len(GAPS) else None


def next_try(tries: int, now: datetime) -> datetime | None:
    """When a provider that was busy is asked again; None: not any more."""
    if tries >= MOST_TRIES:
        return None
    return now + timedelta(seconds=min(FIRST_RETRY_S * 2 ** (tries - 1), LONGEST_RETRY_S))
