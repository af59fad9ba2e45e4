"""What notifications need of others; wiring and the worker fill it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.notifications.addresses import Contact
from waypost.notifications.domain import Due, Message, Waiting
from waypost.notifications.states import Outcome
from waypost.platform.database import Connection


class Contacts(Protocol):
    """People as we reach them now, by organisation and id; who is not there (any more) is not among them.

    It may ask caches, so no transaction is held meanwhile.
    """

    async def customers(self, wanted: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Contact]:
        """Customers."""
        ...

    async def staff(self, wanted: Collection[tuple[UUID, UUID | None]]) -> Mapping[tuple[UUID, UUID], Contact]:
        """Members; an organisation with None stands for all who run it: owners, dispatchers and accountants."""
        ...


# Asked inside the claim: why this must not be sent any more (a stable word), or None; of what is still to be said, it
# may give the facts that are others by now. What it reads is read in the very transaction that claims, so that a change
# which commits first is seen.
Guard = Callable[[Connection, Due], Awaitable[str | Mapping[str, str] | None]]

# Told of every promise as it is kept, in the transaction that closes its row, the batch of a pass at once: what
# subscribers want to hear of becomes events of theirs. It may be called again with a row that it has seen (its key is
# the row's); an error puts the row off.
EventSink = Callable[[Connection, Sequence[Waiting], Clock], Awaitable[None]]


async def no_subscribers(_conn: Connection, _rows: Sequence[Waiting], _clock: Clock) -> None:
    """Nobody listens."""


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
