"""How money goes back."""

from __future__ import annotations

from dataclasses import dataclass

from waypost.payments.domain import Method


@dataclass(frozen=True, slots=True)
class Way:
    """By what way a refund goes; ``reference``: under which it can be found there."""

    method: Method
    reference: str | None
    reason: str | None = None
