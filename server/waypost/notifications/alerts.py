"""Alerts: what staff must look at, each said once, with a named end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import TELLERS, WATCHERS, Principal
from waypost.notifications import outbox
from waypost.notifications import storage_alerts as storage
from waypost.notifications import wire_alerts as wire
from waypost.notifications.alert_domain import CANNOT_WAIT, Alert, AlertFilter, AlertNotFound, AlertResolved, about
from waypost.notifications.domain import Notice
from waypost.notifications.kinds import ALERT_RAISED
from waypost.platform.database import Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher, staff_room

NO_FACTS: Mapping[str, str] = MappingProxyType({})


async def alert(
    conn: Connection,
    publisher: Publisher,
    clock: Clock,
    org_id: UUID,
    *,
    kind: str,
    key: str,
    subject_kind: str,
    subject_id: UUID | None,
    facts: Mapping[str, str] = NO_FACTS,
) -> bool:
    """Raise it in the transaction of what it is about, and promise to tell the staff; False: it was raised before.

    ``kind``: one of ``alert_domain``'s; ``key`` names what happened ("payment_review:…"): a second with it is none.
    """
    raised = Alert(org_id, new_id(clock), kind, key, subject_kind, subject_id, facts, clock.now())
    at_once = kind in CANNOT_WAIT
    if not await storage.add(conn, raised, told_at=raised.created_at if at_once else None):
        return False
    if at_once:
        await _tell_staff(conn, clock, raised)
    await _promise(conn, publisher, clock, raised)
    log.warning("alert_raised", kind=kind, alert_id=str(raised.id))
    return True


async def over(
    conn: Connection, publisher: Publisher, clock: Clock, org_id: UUID, *, key: str, by: UUID | None, resolution: str
) -> None:
    """What it was raised for is settled, in the transaction that settles it: end it, if somebody has not."""
    ended = await storage.resolve_by_key(conn, org_id, key, clock.now(), by, resolution)
    if ended is not None and (now := await storage.find(conn, org_id, ended)) is not None:
        await _promise(conn, publisher, clock, now)


async def _tell_staff(conn: Connection, clock: Clock, raised: Alert) -> None:
    notice = Notice(None, "alert", raised.id, {"alert": raised.kind, "about": about(raised.facts)})
    key = f"alert:{raised.id}:raised"
    await outbox.add(conn, raised.org_id, kind=ALERT_RAISED, key=key, payload=notice, clock=clock)


async def _promise(conn: Connection, publisher: Publisher, clock: Clock, told: Alert) -> None:
    body = wire.AlertMessage(new_id(clock), wire.Alert.from_domain(told))
    await publisher.promise(conn, told.org_id, staff_room(told.org_id), "alert", body, body.event_id)


@dataclass(frozen=True, slots=True)
class Alerts:
    """An organisation's alerts, for its staff."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def list(self, principal: Principal, wanted: AlertFilter, limit: int, cursor: str | None) -> Page[Alert]:
        """Newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.listed(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda row: row.id)

    async def resolve(self, principal: Principal, alert_id: UUID, resolution: str) -> Alert:
        """End it with words. ``AlertResolved`` when somebody was first."""
        principal.require(TELLERS)
        async with self.database.transaction(principal.org_id) as conn:
            found = await storage.find(conn, principal.org_id, alert_id)
            if found is None:
                raise AlertNotFound
            now = self.clock.now()
            if not await storage.resolve(conn, principal.org_id, alert_id, now, principal.user_id, resolution):
                raise AlertResolved
            await audit.record(
                conn,
                principal,
                self.clock,
                action="alert.resolved",
                subject_kind="alert",
                subject_id=alert_id,
                why=resolution,
                detail={"kind": found.kind},
            )
            resolved = await storage.find(conn, principal.org_id, alert_id) or replace(found, resolved_at=now)
            await _promise(conn, self.publisher, self.clock, resolved)
        return resolved
