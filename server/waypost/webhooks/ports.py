"""What webhooks need of others; wiring and the worker fill it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from waypost.webhooks.domain import Due
from waypost.webhooks.rules import Outcome

# Tests kill the process at a point; the product passes on.
Checkpoint = Callable[[str], None]


def pass_on(_point: str) -> None:
    """No checkpoint."""


class Poster(Protocol):
    """What carries an event out of the house."""

    async def post(self, due: Due) -> Outcome:
        """Try once, within its time. It raises nothing that is expected."""
        ...
