"""Telling a provider where payments that nobody prompted are reported. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Conflict
from waypost.payments.prompt_domain import next_try
from waypost.payments.providers.prompting import Refused, RegisterAnswer, Registered

ALREADY: Final = (
    "The provider has addresses for this number already, and keeps them. If they are not ours, have them removed there "
    "first."
)


class NothingToRegister(Conflict):
    """This provider has no call by which addresses are registered; tell it them in its own portal."""

    code = "nothing-to-register"


class RegistrationState(StrEnum):
    """How it stands."""

    QUEUED = "queued"
    ASKING = "asking"  # a worker is at it
    REGISTERED = "registered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wake:
    """An account whose provider is to be told; ``attempt``: the last one."""

    org_id: UUID
    id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A worker's attempt; ``sealed``: the token of the addresses."""

    org_id: UUID
    provider_id: UUID
    sealed: str
    attempt: int
    tries: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it stands after a try; ``again_at``: when the next one is."""

    state: RegistrationState
    text: str | None = None
    again_at: datetime | None = None


def verdict(answer: RegisterAnswer, tries: int, now: datetime) -> Verdict:
    """To tell it twice does no harm, so what is in doubt is told again."""
    if isinstance(answer, Registered):
        return Verdict(RegistrationState.REGISTERED, ALREADY if answer.already else None)
    if isinstance(answer, Refused):
        return Verdict(RegistrationState.FAILED, f"{answer.code} {answer.text}".strip())
    why = getattr(answer, "code", None) or getattr(answer, "why", "")
    if (again_at := next_try(tries, now)) is not None:
        return Verdict(RegistrationState.QUEUED, why, again_at)
    return Verdict(RegistrationState.FAILED, why)
