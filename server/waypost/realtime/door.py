"""Who is connected here and until when: letting in, renewing, warning, showing out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, Unauthenticated
from waypost.kernel.principal import Admitted, Principal
from waypost.platform.telemetry import log
from waypost.realtime.limits import Bucket, Counts
from waypost.realtime.wire import AuthExpiring, Refreshed

AT_ONCE = 8
LOOKED_AT_ONCE = 500
EVERY_S = 1.0
WARNED_S = 60.0  # before a token's end, or a third of its life where that is less
EVENTS_PER_S, EVENTS_AT_ONCE = 50.0, 500.0
FAILED_JOINS, FAILED_JOINS_S = 10, 60.0


class AnotherPrincipal(Denied):
    """That token is somebody else's, or of other rights; connect anew with it."""

    code = "another-principal"


@dataclass(slots=True, eq=False)
class Connection:
    """A connection that was let in."""

    sid: str
    principal: Principal
    expires_at: datetime | None
    warn_at: datetime | None
    holders: list[tuple[str, object]]
    events: Bucket = field(default_factory=lambda: Bucket(EVENTS_PER_S, EVENTS_AT_ONCE))
    rates: dict[str, Bucket] = field(default_factory=dict)  # of events that have a rate of their own
    failed_joins: Bucket = field(default_factory=lambda: Bucket(FAILED_JOINS / FAILED_JOINS_S, FAILED_JOINS))


class Voice(Protocol):
    """What the door says to whom it lets in or shows out."""

    def tell(self, sid: str, name: str, body: msgspec.Struct) -> None: ...

    async def disconnect(self, sid: str, *, code: str | None = None, detail: str = "") -> None: ...


@dataclass(slots=True, repr=False)
class Door:
    """``authenticate`` is the port that turns a token into who it speaks for.

    ``turnstile``: how many may use the database at once to come in and to join. When thousands come back together they
    wait here, in their order, and leave connections to those who report.
    """

    authenticate: Callable[[str], Awaitable[Admitted]]
    clock: Clock
    counts: Counts
    turnstile: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    connections: dict[str, Connection] = field(default_factory=dict)
    is_here: Callable[[str], bool] = lambda _sid: True  # is the connection still open?

    async def let_in(self, sid: str, token: str, address: str) -> Connection:
        """Errors of ``authenticate``; ``TooManyConnections``."""
        at_address = self.counts.take([("address", address)])
        try:
            async with self.turn(sid):
                admitted = await self.authenticate(token)
            principal = admitted.principal
            person = principal.user_id or principal.device_id
            holders = self.counts.take([("person", person), ("organisation", principal.org_id)])
        except BaseException:
            self.counts.give_back(at_address)
            raise
        found = Connection(sid, principal, admitted.expires_at, self._warn_at(admitted), at_address + holders)
        self.connections[sid] = found
        return found

    @asynccontextmanager
    async def turn(self, sid: str) -> AsyncIterator[None]:
        """Wait for one's turn at the database; ``Unauthenticated`` for who has gone meanwhile: others wait too."""
        async with self.turnstile:
            if not self.is_here(sid):
                raise Unauthenticated("The connection has closed.")
            yield

    def _warn_at(self, admitted: Admitted) -> datetime | None:
        if admitted.expires_at is None:
            return None
        life = admitted.expires_at - self.clock.now()
        return admitted.expires_at - min(timedelta(seconds=WARNED_S), life / 3)

    def find(self, sid: str) -> Connection:
        """``Unauthenticated`` once it has gone."""
        connection = self.connections.get(sid)
        if connection is None:
            raise Unauthenticated("The connection has closed.")
        return connection

    def let_go(self, sid: str) -> Connection | None:
        """A connection has closed; None if it was gone already."""
        connection = self.connections.pop(sid, None)
        if connection is not None:
            self.counts.give_back(connection.holders)
        return connection

    async def renew(self, sid: str, token: str) -> Refreshed:
        """Let a connection live on with another token of the same principal. ``AnotherPrincipal``."""
        admitted = await self.authenticate(token)
        connection = self.find(sid)
        if _rights(admitted.principal) != _rights(connection.principal):
            raise AnotherPrincipal
        connection.principal = admitted.principal
        connection.expires_at, connection.warn_at = admitted.expires_at, self._warn_at(admitted)
        if admitted.expires_at is None:
            return Refreshed(None)
        return Refreshed(int((admitted.expires_at - self.clock.now()).total_seconds() * 1000))

    def principals(self) -> set[Principal]:
        """Who holds a connection here."""
        return {connection.principal for connection in self.connections.values()}

    def held_by(self, wanted: Callable[[Principal], bool]) -> Collection[str]:
        """The connections of those."""
        return [sid for sid, connection in self.connections.items() if wanted(connection.principal)]

    async def watch(self, voice: Voice) -> None:
        """Warn whose token is about to expire, and end the connection when it has; for ever."""
        while True:
            await self.clock.sleep(EVERY_S)
            now = self.clock.now()
            for number, connection in enumerate(list(self.connections.values())):
                if number % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1:
                    await asyncio.sleep(0)
                if connection.expires_at is not None and connection.warn_at is not None and connection.warn_at <= now:
                    try:
                        await _warn_or_end(voice, connection, connection.expires_at, now)
                    except Exception:  # noqa: BLE001 - one odd connection must not keep the others in
                        log.exception("expiry_failed")


async def _warn_or_end(voice: Voice, connection: Connection, expires_at: datetime, now: datetime) -> None:
    if expires_at <= now:
        detail = "The token of this connection has expired; connect anew with another."
        await voice.disconnect(connection.sid, code="token-expired", detail=detail)
        return
    connection.warn_at = expires_at  # said once
    voice.tell(connection.sid, "auth:expiring", AuthExpiring(int((expires_at - now).total_seconds() * 1000)))


def _rights(principal: Principal) -> Principal:
    """What counts of a principal: all but which sign-in it came by."""
    return replace(principal, session_id=None)
