"""A worker at a statement: claimed by a lease, a hundred lines a transaction, each with the place where it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from waypost.jobs.ports import Checkpoint, pass_by
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.payments import statement_lines
from waypost.payments import storage_statements as storage
from waypost.payments.booking import Bookings
from waypost.payments.providers.accounts import ProviderAccount, ProviderNotFound
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.statement_batch import Batch, Numbered
from waypost.payments.statement_lines import MoneyOut, Sheet
from waypost.payments.storage_statements import State, Statement, StatementLine
from waypost.platform.database import Database
from waypost.platform.telemetry import log

LINES_AT_ONCE: Final = 100
LOOKED_AT_ONCE: Final = 2_000  # lines, of which few may concern this round
LEASE: Final = timedelta(seconds=60)
SLICE_S: Final = 10.0  # of one worker's turn
MOST_TRIES: Final = 5
WAIT_AFTER_FAILURE: Final = timedelta(seconds=15)


class Lost(Exception):
    """Another worker has the statement."""


@dataclass(frozen=True, slots=True)
class StatementReader:
    """Reads statements. Safe to call twice, and from two workers at once: one of them gets it."""

    database: Database
    clock: Clock
    register: ProviderRegister
    bookings: Bookings
    checkpoint: Checkpoint = pass_by
    slice_s: float = SLICE_S

    async def run(self, org_id: UUID, statement_id: UUID) -> None:
        """Go on with a statement for a while; it is done, or due again, or another's afterwards."""
        async with self.database.transaction(org_id) as conn:
            statement = await storage.claim(conn, org_id, statement_id, LEASE)
        if statement is None:
            return
        try:
            await self._slice(statement)
        except Lost:
            log.info("statement_lost", statement_id=str(statement_id))
        except Unavailable as error:
            log.warning("statement_waits", statement_id=str(statement_id), reason=error.code)  # its lease runs out
        except Exception as error:  # noqa: BLE001 - whatever a file runs into is its own affair
            log.exception("statement_failed", statement_id=str(statement_id), tries=statement.tries)
            await self._after_failure(statement, error)

    async def _slice(self, statement: Statement) -> None:
        if statement.tries > MOST_TRIES:  # whoever took it before died of it
            await self._finish(statement, State.FAILED, "worker-died")
            return
        async with self.database.transaction(statement.org_id) as conn:
            account = await self.register.of(conn, statement.org_id, statement.provider_id)
            body = await storage.body_of(conn, statement.org_id, statement.id)
        if account is None:
            raise ProviderNotFound
        turn = Turn(self, account, statement_lines.sheet_of(body, statement.mapping), statement)
        until = self.clock.monotonic() + self.slice_s
        while await turn.step():
            if self.clock.monotonic() >= until:
                async with self.database.transaction(statement.org_id) as conn:
                    await storage.let_go(conn, statement, None)
                return
        await self._finish(statement, State.DONE, None)
        log.info("statement_done", statement_id=str(statement.id), lines=statement.lines)

    async def _after_failure(self, statement: Statement, error: Exception) -> None:
        if statement.tries < MOST_TRIES:
            async with self.database.transaction(statement.org_id) as conn:
                await storage.let_go(conn, statement, WAIT_AFTER_FAILURE)
        else:
            await self._finish(statement, State.FAILED, type(error).__name__)

    async def _finish(self, statement: Statement, state: State, error: str | None) -> None:
        async with self.database.transaction(statement.org_id) as conn:
            await storage.finish(conn, statement, state, error, self.clock.now())


@dataclass(slots=True)
class Turn:
    """One claim of a statement, which is as it was last kept.

    The lines are gone through twice: first those by which money came, then those by which it went. What a line takes
    back is there by then, though most statements begin with what is newest.
    """

    reader: StatementReader
    account: ProviderAccount
    sheet: Sheet
    statement: Statement
    _at: int = field(default=-1, init=False)  # where ``_records`` stands, counted as ``next_line``
    _records: Iterator[list[str] | None] = field(default_factory=lambda: iter(()), init=False)

    async def step(self) -> bool:
        """Keep what becomes of the next lines, and where the ones after them begin; False: there are none."""
        s, reader = self.statement, self.reader
        if s.next_line >= 2 * s.lines:
            return False
        found = self._look()
        async with reader.database.transaction(s.org_id) as conn:
            lines = await Batch(conn, reader.bookings, self.account, s.id).work(found)
            kept = _after(s, lines, self._at)
            reader.checkpoint("step", s.next_line / (2 * s.lines))
            if not await storage.keep(conn, kept, lines, LEASE):
                raise Lost
        self.statement = kept
        reader.checkpoint("kept", kept.next_line / (2 * s.lines))
        return True

    def _look(self) -> list[Numbered]:
        """The next lines that concern this round. One that takes something back is the last of its transaction."""
        outgoing, first = divmod(self.statement.next_line, self.statement.lines)
        if self._at != self.statement.next_line or not first:
            self._records, self._at = islice(self.sheet.records(), first, None), self.statement.next_line
        found: list[Numbered] = []
        for number, record in enumerate(islice(self._records, LOOKED_AT_ONCE), start=first + 1):
            self._at += 1
            line = statement_lines.read(self.sheet, self.statement.mapping, self.account.currency, record)
            line = statement_lines.not_ahead(line, self.statement.created_at)
            if isinstance(line, MoneyOut) is bool(outgoing):
                found.append((number, line))
                if len(found) == LINES_AT_ONCE or (isinstance(line, MoneyOut) and line.linked is not None):
                    break
        return found


def _after(statement: Statement, lines: list[StatementLine], next_line: int) -> Statement:
    """The statement with these lines done."""
    times = [line.paid_at for line in lines if line.paid_at is not None]
    first = [statement.first_at] if statement.first_at is not None else []
    last = [statement.last_at] if statement.last_at is not None else []
    return replace(
        statement,
        next_line=next_line,
        counts=dict(Counter(statement.counts) + Counter(str(line.outcome) for line in lines)),
        first_at=min([*times, *first], default=None),
        last_at=max([*times, *last], default=None),
    )
