"""What a person may do with their own inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied
from waypost.kernel.paging import BIGINT, Page, decode_cursor, page_of
from waypost.kernel.principal import Principal
from waypost.notifications.inbox import storage
from waypost.notifications.inbox.announce import announce
from waypost.notifications.inbox.domain import Item, Unread
from waypost.platform.database import Database
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class Inbox:
    """Everybody sees their own, in the organisation that they are signed in to."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def list(self, principal: Principal, since: int | None, limit: int, cursor: str | None) -> Page[Item]:
        """Newest first; with ``since`` what came after that number, oldest first."""
        user_id, org_id = _person(principal), principal.org_id
        last = decode_cursor(cursor, int) if cursor else None
        async with self.database.transaction(org_id) as conn:
            if since is None:
                rows = await storage.newest_first(conn, org_id, user_id, BIGINT - 1 if last is None else last, limit)
            else:
                rows = await storage.since(conn, org_id, user_id, since if last is None else last, limit)
        return page_of(rows, limit, lambda row: row.seq)

    async def unread(self, principal: Principal) -> Unread:
        """How many they have not read."""
        user_id = _person(principal)
        async with self.database.transaction(principal.org_id) as conn:
            return await storage.unread(conn, principal.org_id, user_id)

    async def read(self, principal: Principal, up_to: int | None, ids: Sequence[UUID]) -> Unread:
        """They have read these. Their other windows hear of it; to say it again changes nothing."""
        user_id, org_id, now = _person(principal), principal.org_id, self.clock.now()
        async with self.database.transaction(org_id) as conn:
            changed = up_to is not None and await storage.read_up_to(conn, org_id, user_id, up_to, now)
            changed = (bool(ids) and await storage.read_these(conn, org_id, user_id, ids, now)) or changed
            if changed:
                return await announce(conn, self.publisher, self.clock, org_id, user_id)
            return await storage.unread(conn, org_id, user_id)


def _person(principal: Principal) -> UUID:
    """A device has no inbox."""
    if principal.user_id is None:
        raise Denied
    return principal.user_id
