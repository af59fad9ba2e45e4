"""Who did what, when and why: written in the transaction of the deed itself, and changed by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from waypost.identity import storage
from waypost.identity.domain import AuditEntry
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection, Database
from waypost.platform.telemetry import request_id

AUDITORS = frozenset({Role.OWNER})


async def record(
    conn: Connection,
    principal: Principal,
    clock: Clock,
    *,
    action: str,
    subject_kind: str,
    subject_id: UUID | None,
    why: str | None = None,
    detail: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Keep that ``principal`` did ``action`` ("member.removed"). ``detail`` holds no secret and no address."""
    entry = AuditEntry(
        id=new_id(clock),
        at=clock.now(),
        actor_id=principal.user_id or principal.device_id,
        actor_name=None,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        why=why,
        detail=detail,
        request_id=request_id.get(),
    )
    await storage.add_audit(conn, principal.org_id, entry)


@dataclass(frozen=True, slots=True)
class Audit:
    """Reading the log: for owners."""

    database: Database

    async def entries(
        self, principal: Principal, limit: int, cursor: str | None, *, subject_id: UUID | None, action: str | None
    ) -> Page[AuditEntry]:
        """Newest first."""
        principal.require(AUDITORS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_audit(conn, principal.org_id, after, limit, subject_id=subject_id, action=action)
        return page_of(rows, limit, lambda entry: entry.id)
