"""What every deed of the staff stands on: the organisation's day, the layby under its lock, the layby whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.kernel.errors import Stale
from waypost.kernel.principal import TELLERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.laybys import account, domain, storage_read
from waypost.laybys.domain import Layby, LaybyNotFound, Move
from waypost.laybys.ports import Ground
from waypost.laybys.storage_read import Whole
from waypost.platform.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Desk:
    """``settings``: of organisations, for their time zones."""

    database: Database
    ground: Ground
    settings: Rules

    async def today(self, org_id: UUID) -> date:
        """The day that the organisation has now. Ask before the transaction begins."""
        zone = zone_or_utc((await self.settings.of(org_id)).time_zone)
        return self.ground.clock.now().astimezone(zone).date()

    @asynccontextmanager
    async def locked(
        self, principal: Principal, layby_id: UUID, move: Move, expected: int | None
    ) -> AsyncIterator[tuple[Connection, Layby]]:
        """A transaction with the layby under its lock, if its status allows the move.

        ``expected``: the version that the caller has seen (``Stale`` when it is another by now); None: any.
        """
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            yield conn, await checked(conn, principal.org_id, layby_id, move, expected)


async def checked(conn: Connection, org_id: UUID, layby_id: UUID, move: Move, expected: int | None) -> Layby:
    """The layby, locked, if it is the version that was seen and its status allows the move."""
    layby = await account.lock(conn, org_id, layby_id)
    if expected is not None and expected != layby.version:
        raise Stale
    domain.check_move(move, layby.status)
    return layby


async def whole(conn: Connection, org_id: UUID, layby_id: UUID) -> Whole:
    """The layby with everything of it, as it is now. ``LaybyNotFound``."""
    found = await storage_read.whole(conn, org_id, layby_id)
    if found is None:
        raise LaybyNotFound
    return found
