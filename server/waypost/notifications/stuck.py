"""What staff do about deliveries that are stuck: given up, refused or in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.principal import PLANNERS, Principal
from waypost.notifications import storage, storage_seen
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import DeliveryMoveRefused, DeliveryNotFound
from waypost.notifications.kinds import validity_of
from waypost.notifications.seen_domain import Delivery, DeliveryFilter
from waypost.notifications.states import MAX_ATTEMPTS, Event, moved_by
from waypost.platform.database import Connection, Database
from waypost.realtime.service import Publisher

_DONE = {Event.REPLAY: "replayed", Event.SEND_AGAIN: "sent_again", Event.LET_BE: "let_be"}


class Replayed(NamedTuple):
    """How many go out once more, and whether there are others of the kind."""

    done: int
    more: bool


@dataclass(frozen=True, slots=True)
class Stuck:
    """For who plans; who did it, and why, is kept."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def replay(self, principal: Principal, delivery_id: UUID, why: str) -> Delivery:
        """Send one that was given up, or refused, once more, with a new budget of attempts and of time."""
        return await self._act(principal, delivery_id, Event.REPLAY, why)

    async def resolve(self, principal: Principal, delivery_id: UUID, why: str, *, send_again: bool) -> Delivery:
        """Decide about one in doubt: it goes out again, though it may then come twice; or it is let be."""
        return await self._act(principal, delivery_id, Event.SEND_AGAIN if send_again else Event.LET_BE, why)

    async def replay_many(self, principal: Principal, wanted: DeliveryFilter, why: str, limit: int) -> Replayed:
        """The same as ``replay`` of many, the oldest first. ``wanted.state``: dead, or failed."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_seen.to_replay(conn, principal.org_id, wanted, limit + 1)
            for row in rows[:limit]:
                await self._do(conn, principal, row, Event.REPLAY, why)
        return Replayed(min(limit, len(rows)), len(rows) > limit)

    async def _act(self, principal: Principal, delivery_id: UUID, event: Event, why: str) -> Delivery:
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            before = await storage.lock(conn, principal.org_id, delivery_id)
            if before is None:
                raise DeliveryNotFound
            if before.state not in moved_by(event):
                allowed = " or ".join(moved_by(event))
                raise DeliveryMoveRefused(
                    f"The delivery is {before.state}; for this it must be {allowed}.", deliveryState=str(before.state)
                )
            return await self._do(conn, principal, before, event, why)

    async def _do(self, conn: Connection, principal: Principal, before: Delivery, event: Event, why: str) -> Delivery:
        """It is locked, and in a state that allows it."""
        now = self.clock.now()
        if event is Event.LET_BE:
            await storage.let_be(conn, before, now)
        else:
            await storage.send_again(conn, before, event, _DONE[event], MAX_ATTEMPTS, now)
            await storage.extend(conn, before, now + validity_of(before.kind))
        await audit.record(
            conn,
            principal,
            self.clock,
            action=f"delivery.{_DONE[event]}",
            subject_kind="delivery",
            subject_id=before.id,
            why=why,
            detail={"was": str(before.state), "attempt": before.attempt},
        )
        after = await storage.lock(conn, principal.org_id, before.id)
        if after is None:  # it is locked by this very transaction
            raise DeliveryNotFound
        await Announcer(self.publisher, self.clock).changed(conn, [after])
        return after
