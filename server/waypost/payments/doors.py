"""Whose address a callback came to."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from waypost.identity.domain import token_hash
from waypost.kernel.clock import Clock
from waypost.payments import storage_prompts, storage_reversals
from waypost.payments.callback_domain import CallbackElsewhere, CallbackUnknown
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers_register import ProviderRegister
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

SHORTEST_TOKEN, LONGEST_TOKEN = 16, 64
REMEMBER_S: Final = 5.0
REMEMBER_AT_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Door:
    """Whose address was called; ``prompt_id``, ``reversal_request_id``: it was made for that alone."""

    account: ProviderAccount
    prompt_id: UUID | None = None
    reversal_request_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Doors:
    """An account's address is called hundreds of times a second, so the account is remembered for some seconds: what
    is changed of it acts within them. A prompt's own address is called once or twice, and is not remembered.

    ``known``: by the token's hash; until when, by the monotonic clock. The oldest goes first.
    """

    register: ProviderRegister
    clock: Clock
    known: OrderedDict[bytes, tuple[float, ProviderAccount]] = field(default_factory=OrderedDict)

    def remembered(self, token: str, address: str) -> Door | None:
        """Without asking anybody; None: ``find`` knows. ``CallbackElsewhere`` as there."""
        until, account = self.known.get(token_hash(token), (0.0, None))
        return None if account is None or until <= self.clock.monotonic() else _let_in(Door(account), address)

    async def find(self, conn: Connection, token: str, address: str) -> Door:
        """As it stands now; in the system scope. ``CallbackUnknown``; ``CallbackElsewhere`` where the account names
        networks and ``address`` is in none of them.
        """
        found = await self._find(conn, token) if SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN else None
        if found is None:
            raise CallbackUnknown
        return _let_in(found, address)

    async def _find(self, conn: Connection, token: str) -> Door | None:
        asked_at = self.clock.monotonic()
        if (account := await self.register.find_by_token(conn, token)) is not None:
            self._remember(token_hash(token), account, asked_at)
            return Door(account)
        if (prompt := await storage_prompts.by_token(conn, token_hash(token))) is not None:
            account = await self.register.of(conn, prompt.org_id, prompt.provider_id)
            return Door(account, prompt.id) if account else None
        if (reversal := await storage_reversals.by_token(conn, token_hash(token))) is not None:
            account = await self.register.of(conn, reversal.org_id, reversal.provider_id)
            return Door(account, reversal_request_id=reversal.id) if account else None
        return None

    def _remember(self, hashed: bytes, account: ProviderAccount, asked_at: float) -> None:
        self.known[hashed] = asked_at + REMEMBER_S, account
        self.known.move_to_end(hashed)
        while len(self.known) > REMEMBER_AT_MOST:
            self.known.popitem(last=False)


def _let_in(door: Door, address: str) -> Door:
    if not door.account.lets_in(address):
        log.warning("callback_refused", provider_id=str(door.account.id), reason="address")
        raise CallbackElsewhere
    return door
