"""Which browsers may be pushed to: their people's use cases, and what the worker that pushes needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal
from waypost.notifications.push import storage
from waypost.notifications.push.domain import (
    LONGEST_AGENT,
    MOST_EACH,
    Keys,
    PushSubscriptionNotFound,
    Subscription,
    Target,
)
from waypost.notifications.push.keys import VapidKeys
from waypost.notifications.push.sealing import is_point
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.guarded import Guard
from waypost.platform.secretbox import SecretBox


@dataclass(frozen=True, slots=True)
class PushBook:
    """``guard``: where push services may be."""

    database: Database
    clock: Clock
    box: SecretBox
    vapid: VapidKeys
    guard: Guard

    async def public_key(self) -> str:
        """What browsers subscribe with."""
        return (await self.vapid.get()).public_key

    async def subscribe(self, principal: Principal, endpoint: str, keys: Keys, agent: str) -> Subscription:
        """Push to this browser from now on. Said again, it renews the keys; who else had it pushes there no more."""
        user_id = _person(principal)
        if (complaint := self.guard.complaint(endpoint)) is not None:
            raise invalid_field("endpoint", complaint)
        if not is_point(keys.p256dh):
            raise invalid_field("keys.p256dh", "a public key of the curve P-256")
        whose, now = (user_id, None), self.clock.now()
        sealed = self.box.seal(msgspec.json.encode([keys.p256dh, keys.auth]))
        digest = hashlib.sha256(endpoint.encode()).digest()
        async with self.database.transaction(principal.org_id) as conn:
            made = await storage.add(
                conn, principal.org_id, new_id(self.clock), whose, endpoint, digest, sealed, agent[:LONGEST_AGENT], now
            )
            await storage.end_oldest(conn, principal.org_id, whose, MOST_EACH, now)
            await self._record(conn, principal, "subscribed", made.id)
        return made

    async def list(self, principal: Principal, limit: int, cursor: str | None) -> Page[Subscription]:
        """A person's own, by id, which is the order in which they subscribed."""
        user_id, after = _person(principal), decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_own(conn, principal.org_id, user_id, after, limit)
        return page_of(rows, limit, lambda row: row.id)

    async def unsubscribe(self, principal: Principal, subscription_id: UUID) -> None:
        """No more pushes there. May be repeated."""
        user_id = _person(principal)
        async with self.database.transaction(principal.org_id) as conn:
            ended = await storage.end_own(conn, principal.org_id, user_id, subscription_id, self.clock.now())
            if ended is None:
                raise PushSubscriptionNotFound
            if ended:
                await self._record(conn, principal, "unsubscribed", subscription_id)

    async def target(self, org_id: UUID, subscription_id: UUID) -> Target | None:
        """Where to push; None: it has ended."""
        async with self.database.transaction(SYSTEM) as conn:
            row = await storage.find(conn, org_id, subscription_id)
        if row is None:
            return None
        keys = msgspec.json.decode(self.box.open(row["keys"]), type=list[bytes])
        return Target(org_id, subscription_id, row["endpoint"], Keys(*keys))

    async def sent(self, target: Target) -> None:
        """It was taken."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage.sent(conn, target.org_id, target.id, self.clock.now())

    async def prune(self, target: Target, why: str) -> None:
        """The push service says that this browser is gone."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage.end(conn, target.org_id, target.id, why, self.clock.now())

    async def _record(self, conn: Connection, principal: Principal, what: str, subscription_id: UUID) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"push.{what}", subject_kind="push-subscription",
            subject_id=subscription_id,
        )  # fmt: skip


def _person(principal: Principal) -> UUID:
    if principal.user_id is None:
        raise Denied
    return principal.user_id
