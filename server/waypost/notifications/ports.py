"""What notifications need of others; wiring and the worker fill it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from waypost.notifications.addresses import Contact
from waypost.notifications.domain import Due, Message
from waypost.notifications.states import Outcome
from waypost.platform.database import Connection

# A customer (organisation and id) as we reach them now; None: there is no such customer (any more). It may ask caches,
# so no transaction is held meanwhile.
Contacts = Callable[[UUID, UUID], Awaitable[Contact | None]]

# Asked inside the claim: why this must not be sent any more (a stable word), or None. What it reads is read in the
# very transaction that claims, so that a change which commits first is seen.
Guard = Callable[[Connection, Due], Awaitable[str | None]]

# Tests kill the process at a point; the product passes on.
Checkpoint = Callable[[str], None]


def pass_on(_point: str) -> None:
    """No checkpoint."""


class Channel(Protocol):
    """What carries a message to one address."""

    @property
    def provider(self) -> str:
        """Its name on the attempt's row."""
        ...

    async def send(self, message: Message) -> Outcome:
        """Try once, in less time than it was given; says surely whether it was sent, or that it cannot know."""
        ...
