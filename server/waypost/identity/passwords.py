"""Passwords: slow to check on purpose, so only so many at once, and only so many in line."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import argon2

from waypost.kernel.errors import Unavailable

# Two at once: a hash takes 30-100 ms of a core and 64 MiB; a storm of sign-ins waits in line instead of eating both.
_HASHES_AT_ONCE = 2
MAX_WAITING = 32


class SignInBusy(Unavailable):
    """Too many people are signing in just now; try again shortly."""

    code = "sign-in-busy"


@dataclass(slots=True)
class Passwords:
    """Argon2id (RFC 9106, the library's defaults), off the event loop."""

    hasher: argon2.PasswordHasher = field(default_factory=argon2.PasswordHasher)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HASHES_AT_ONCE))
    decoy: str = ""
    waiting: int = 0

    async def hash(self, password: str) -> str:
        async with self._turn():
            return await asyncio.to_thread(self.hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Is it the password? Takes as long when there is no such person (``stored`` None)."""
        async with self._turn():
            return await asyncio.to_thread(self._verify, stored, password)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """``SignInBusy`` when ``MAX_WAITING`` stand in line already."""
        if self.waiting >= MAX_WAITING:
            raise SignInBusy
        self.waiting += 1
        try:
            await self.turns.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.turns.release()

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self.hasher.verify(stored or self.decoy, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return stored is not None


def passwords() -> Passwords:
    """With a decoy hash of the same cost, so that time does not tell who exists."""
    return Passwords(decoy=_decoy())


@lru_cache(1)
def _decoy() -> str:
    """Nobody's password; one is enough for a process."""
    return argon2.PasswordHasher().hash(secrets.token_hex(8))
