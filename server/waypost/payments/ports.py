"""What the payments' room needs of others; workers and tests fill it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.outcomes import Said
from waypost.payments.providers.prompting import Push, PushAnswer, RegisterAnswer, StatusAnswer, TakeBack

# What a callback says: road, raw body, whose it is, when it came.
Reader = Callable[[str, bytes, ProviderAccount, datetime], Said]
# Called with a name at the points where a process may die; the tests' programs die there.
Checkpoint = Callable[[str], None]


def pass_by(_name: str) -> None:
    """The checkpoint of every process of ours: nothing."""


class ReversalProvider(Protocol):
    """Who takes payments back; as ``PromptProvider``."""

    async def reverse(self, account: ProviderAccount, what: TakeBack) -> PushAnswer:
        """Ask, once; the result comes by a callback. ``account`` has an initiator."""
        ...


class AddressProvider(Protocol):
    """Who must be told where to report payments; as ``PromptProvider``."""

    async def register(self, account: ProviderAccount, root: str, token: str) -> RegisterAnswer:
        """Tell the addresses of ``token``. May be repeated."""
        ...


class PromptProvider(Protocol):
    """Who asks phones. Its calls take as long as a network does: for workers alone, outside of any transaction."""

    async def push(self, account: ProviderAccount, push: Push) -> PushAnswer:
        """Ask the phone, once. What cannot be told apart from a success is ``InDoubt``; it raises nothing expected."""
        ...

    async def status(self, account: ProviderAccount, request_id: str) -> StatusAnswer:
        """How a prompt stands."""
        ...
