"""Forgetting a person: their words and addresses go, everywhere; the books stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.directory.domain import CustomerNotFound
from waypost.erasure import storage
from waypost.erasure.domain import (
    MARK,
    NOBODY,
    CustomerBeingTold,
    CustomerUnsettled,
    Erased,
    Person,
    Unsettled,
    pattern_of,
)
from waypost.identity import audit
from waypost.identity.operator import BY_OPERATOR, operator_of
from waypost.kernel.clock import Clock
from waypost.platform.database import SYSTEM, Connection, Database


@dataclass(frozen=True, slots=True)
class Erasure:
    """By the operator of the installation. ``forget``: what caches know of an organisation's customers."""

    database: Database
    clock: Clock
    forget: Callable[[UUID], None]

    async def look(self, customer_id: UUID) -> tuple[Person, Unsettled]:
        """Who that is, and what stands against it. ``CustomerNotFound``."""
        async with self.database.transaction(SYSTEM) as conn:
            person = await _find(conn, customer_id)
            return person, await storage.unsettled(conn, person)

    async def erase(self, customer_id: UUID, *, force: bool = False) -> Erased:
        """All of it, or nothing. Safe to repeat: a second time finds what has come, or was settled, since.

        ``CustomerUnsettled`` unless ``force``; ``CustomerBeingTold`` while a message to them is on its way.
        """
        async with self.database.transaction(SYSTEM) as conn:
            person = await _find(conn, customer_id)
            complaints = list((await storage.unsettled(conn, person)).complaints())
            if complaints and not force:
                raise CustomerUnsettled(f"Still to be settled: {'; '.join(complaints)}.")
            if await storage.is_being_told(conn, person):
                raise CustomerBeingTold
            erased = await self._erase(conn, person)
            if erased.total:
                await self._record(conn, erased, forced=bool(complaints))
        self.forget(person.org_id)
        return erased

    async def _erase(self, conn: Connection, person: Person) -> Erased:
        ids = await storage.ids_of(conn, person)
        theirs, anywhere = pattern_of(person.name, person.addresses), pattern_of(None, person.own)
        values: Mapping[str, object] = {
            "customer": person.id,
            "now": self.clock.now(),
            "ids": ids,
            "own": person.own,
            "theirs": theirs,
            "theirs_bytes": theirs.encode().decode("latin-1"),
            "anywhere": anywhere,
        }
        counts = [(step.what, await storage.do(conn, person.org_id, step, values)) for step in storage.STEPS]
        words = await storage.words(conn, person.org_id, ids, theirs, anywhere)
        counts += [("words in logs and books", words), ("statements", await _statements(conn, person, ids, theirs))]
        return Erased(person, counts, await storage.callbacks_left(conn, person.org_id, ids, anywhere))

    async def _record(self, conn: Connection, erased: Erased, *, forced: bool) -> None:
        await audit.record(
            conn,
            operator_of(erased.person.org_id),
            self.clock,
            action="customer.erased",
            subject_kind="customer",
            subject_id=erased.person.id,
            why=BY_OPERATOR,
            detail={"forced": forced} | {what: count for what, count in erased.counts if count},
        )


async def _find(conn: Connection, customer_id: UUID) -> Person:
    person = await storage.find(conn, customer_id)
    if person is None:
        raise CustomerNotFound
    return person


async def _statements(conn: Connection, person: Person, ids: Sequence[UUID], theirs: str) -> int:
    """Their lines stay, for the sums; their name and number are taken out. What such a file hashes to is kept."""
    if theirs == NOBODY:
        return 0
    found, count = re.compile(theirs.encode(), re.IGNORECASE), 0
    for statement_id, body in await storage.statements(conn, person.org_id, ids):
        without = found.sub(MARK.encode(), body)
        if without != body:
            await storage.keep_statement(conn, person.org_id, statement_id, without)
            count += 1
    return count
