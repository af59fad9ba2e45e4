"""What every register does alike: find, list, add, change what the caller has seen, put away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

from waypost.directory import storage
from waypost.directory.domain import Archived, Wanted
from waypost.directory.storage import T, Table
from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import NotFound, Stale
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, Principal, Role
from waypost.platform.database import Connection, Database


def public_names(columns: Mapping[str, object]) -> list[str]:
    """Columns as the API calls them: user_id -> userId."""
    words = [column.split("_") for column in sorted(columns)]
    return [first + "".join(word.capitalize() for word in rest) for first, *rest in words]


@dataclass(frozen=True, slots=True)
class Register(Generic[T]):
    """One register. ``word``: what the audit calls an entry; ``missing``: what is raised for one that is not there.

    A register with rules of its own overrides ``checked``, ``_put_away`` and ``_seen``.
    """

    database: Database
    clock: Clock
    table: Table[T]
    word: str
    missing: type[NotFound]
    readers: frozenset[Role]

    async def find(self, principal: Principal, entry_id: UUID) -> T:
        """One entry, archived or not."""
        principal.require(self.readers)
        async with self.database.transaction(principal.org_id) as conn:
            return self._seen(principal, await self._found(conn, principal, entry_id))

    async def list(self, principal: Principal, wanted: Wanted, limit: int, cursor: str | None) -> Page[T]:
        """By id, which is the order in which they were added."""
        principal.require(self.readers)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.rows(conn, self.table, principal.org_id, wanted, after, limit)
        return page_of([self._seen(principal, row) for row in rows], limit, lambda entry: entry.id)

    async def add(self, principal: Principal, values: Mapping[str, object]) -> T:
        """``values``: by column."""
        principal.require(PLANNERS)
        entry_id = new_id(self.clock)
        async with self.database.transaction(principal.org_id) as conn:
            checked = await self.checked(conn, principal, values)
            await storage.add(conn, self.table, principal.org_id, entry_id, checked, self.clock.now())
            await self._record(conn, principal, "added", entry_id)
            return await self._found(conn, principal, entry_id)

    async def change(
        self, principal: Principal, entry_id: UUID, values: Mapping[str, object], *, expected: int | None = None
    ) -> T:
        """Change some columns. ``expected``: the version that the caller has seen (else ``Stale``); None: any."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            checked = await self.checked(conn, principal, values)
            entry = await self._found(conn, principal, entry_id, lock=True)
            if expected not in (None, entry.version):
                raise Stale
            if entry.archived_at is not None:
                raise Archived
            if not checked:
                return entry
            whole = {column: getattr(entry, column) for column in self.table.columns} | dict(checked)
            await storage.change(conn, self.table, principal.org_id, entry_id, whole)
            await self._record(conn, principal, "changed", entry_id, fields=public_names(checked))
            return await self._found(conn, principal, entry_id)

    async def archive(self, principal: Principal, entry_id: UUID) -> None:
        """Put it away: it is offered for nothing new, and what names it goes on naming it. May be repeated."""
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            entry = await self._found(conn, principal, entry_id, lock=True)
            if entry.archived_at is None:
                await self._put_away(conn, principal, entry_id)
                await storage.archive(conn, self.table, principal.org_id, entry_id, self.clock.now())
                await self._record(conn, principal, "archived", entry_id)

    async def checked(
        self,
        conn: Connection,  # noqa: ARG002 - for those that ask it
        principal: Principal,  # noqa: ARG002
        values: Mapping[str, object],
    ) -> Mapping[str, object]:
        """The values as they are kept. ``Invalid`` naming the field of one that is not acceptable."""
        return values

    async def _put_away(self, conn: Connection, principal: Principal, entry_id: UUID) -> None:
        """What goes with a locked entry that is archived, or forbids it."""

    def _seen(self, principal: Principal, entry: T) -> T:  # noqa: ARG002
        """The entry as this reader may see it."""
        return entry

    async def _found(self, conn: Connection, principal: Principal, entry_id: UUID, *, lock: bool = False) -> T:
        entry = await storage.find(conn, self.table, principal.org_id, entry_id, lock=lock)
        if entry is None:
            raise self.missing
        return entry

    async def _record(
        self, conn: Connection, principal: Principal, what: str, entry_id: UUID, **detail: object
    ) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"{self.word}.{what}", subject_kind=self.word, subject_id=entry_id,
            detail=detail,
        )  # fmt: skip
