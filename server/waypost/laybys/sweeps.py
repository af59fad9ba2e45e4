"""What time brings to laybys, organisation by organisation: reminders, overdue notices, late fees, defaults.

A sweep is a run with a row of its own: chunk after chunk, each in a transaction that says how far it came. So a run
that died goes on where it was, two at once share the work, and memory holds one chunk. What is said is keyed (R6), and
what is charged is checked under the layby's lock, so that a run may be repeated as often as one likes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta

from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.paging import BadCursor, Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.laybys import account, domain, dues, notices, steps, storage_sweeps
from waypost.laybys.domain import Layby
from waypost.laybys.ports import Ground
from waypost.laybys.steps import COLLECTION, COMPLETION, OVERDUE, REMINDERS, Step
from waypost.laybys.storage_sweeps import Said, SweepRun
from waypost.notifications import outbox
from waypost.notifications.domain import Promise
from waypost.notifications.ports import Checkpoint, pass_on
from waypost.platform.codec import NO_NUL
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.realtime.service import Publisher

CHUNK = 100
LOCKED_CHUNK = 25  # of laybys that a sweep may lock: payments wait for it
RUNS_KEPT = timedelta(days=90)

Notice = tuple[Said, Promise]
Wanted = Callable[[Layby, datetime], Iterable[Notice]]
Deed = Callable[[Ground, Connection, Layby, date], Awaitable[Layby]]


class RunPlace(NamedTuple):
    """Where a list of runs goes on; of a cursor, which may be anybody's making."""

    due_at: Annotated[datetime, Meta(tz=True)]
    name: Annotated[str, Meta(max_length=100, pattern=NO_NUL)]


class _Sweep(NamedTuple):
    """``statement``: by what the laybys come; ``days``: the first and the last one of today's, by it."""

    name: str
    statement: str
    days: tuple[int | None, int | None]
    size: int = CHUNK


_REMIND = _Sweep("reminders", storage_sweeps.BY_DUE, (None, 3))
_OVERDUE = _Sweep("overdue", storage_sweeps.BY_DUE, (None, -1))
_LATE_FEES = _Sweep("late-fees", storage_sweeps.BY_DUE, (None, -1), LOCKED_CHUNK)
_DEFAULTS = _Sweep("defaults", storage_sweeps.BY_DUE, (None, -1), LOCKED_CHUNK)
_COMPLETION = _Sweep("completion-reminders", storage_sweeps.BY_FINAL, (0, 7))
_COLLECTION = _Sweep("collection-reminders", storage_sweeps.BY_COLLECTION, (-20, None))
SWEEPS = tuple(one.name for one in (_REMIND, _OVERDUE, _LATE_FEES, _DEFAULTS, _COMPLETION, _COLLECTION))


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Each sweep takes an organisation and the moment it was due, and gives how much it did.

    What is due is what is due by the clock as it runs: a late run says what is in its window, and skips what is past.
    """

    database: Database
    clock: Clock
    publisher: Publisher
    checkpoint: Checkpoint = pass_on

    async def remind(self, org_id: UUID, due_at: datetime) -> int:
        """Reminders of what falls due (R6)."""
        return await self._say(_REMIND, org_id, due_at, _reminders)

    async def tell_overdue(self, org_id: UUID, due_at: datetime) -> int:
        """Notices of what is overdue (R6)."""
        return await self._say(_OVERDUE, org_id, due_at, _overdue)

    async def remind_of_completion(self, org_id: UUID, due_at: datetime) -> int:
        """That the last day comes near."""
        return await self._say(_COMPLETION, org_id, due_at, _completion)

    async def remind_of_collection(self, org_id: UUID, due_at: datetime) -> int:
        """That goods wait which are paid."""

        async def step(conn: Connection, laybys: Sequence[Layby], local: datetime) -> int:
            numbers = await storage_sweeps.order_numbers(conn, org_id, [one.id for one in laybys])
            due = [notice for one in laybys for notice in _collection(one, numbers.get(one.id, ""), local)]
            return await self._promise(conn, org_id, due)

        return await self._run(_COLLECTION, org_id, due_at, step)

    async def charge_late_fees(self, org_id: UUID, due_at: datetime) -> int:
        """A fee for each instalment whose grace is over, once for ever (R7)."""
        return await self._do(_LATE_FEES, org_id, due_at, _has_late_fee, dues.charge_late_fees)

    async def default(self, org_id: UUID, due_at: datetime) -> int:
        """The end of what was not kept up, or not finished in time (R8)."""
        return await self._do(_DEFAULTS, org_id, due_at, _has_defaulted, dues.default)

    async def forget(self) -> int:
        """Drop the rows of old runs, the house's; how many."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage_sweeps.forget_runs(conn, self.clock.now() - RUNS_KEPT)

    async def runs(self, principal: Principal, name: str | None, limit: int, cursor: str | None) -> Page[SweepRun]:
        """How far the sweeps are, and what they did before; the newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, RunPlace) if cursor else None
        if after and not 1970 <= after.due_at.year < 2200:  # noqa: PLR2004 - what the database can hold of any zone
            raise BadCursor
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_sweeps.list_runs(conn, principal.org_id, name, after, limit)
        return page_of(rows, limit, lambda run: (run.due_at, run.name))

    async def _say(self, sweep: _Sweep, org_id: UUID, due_at: datetime, wanted: Wanted) -> int:
        """A sweep that only tells: no layby is locked, since what is said is checked again as it is sent."""

        async def step(conn: Connection, laybys: Sequence[Layby], local: datetime) -> int:
            return await self._promise(conn, org_id, [notice for one in laybys for notice in wanted(one, local)])

        return await self._run(sweep, org_id, due_at, step)

    async def _do(
        self, sweep: _Sweep, org_id: UUID, due_at: datetime, is_due: Callable[[Layby, date], object], deed: Deed
    ) -> int:
        """A sweep that changes laybys: those that seem due are locked, in the order of ids, and looked at again."""
        ground = Ground(self.clock, self.publisher)

        async def step(conn: Connection, laybys: Sequence[Layby], local: datetime) -> int:
            today, done = local.date(), 0
            for layby_id in sorted(one.id for one in laybys if is_due(one, today)):
                layby = await account.lock(conn, org_id, layby_id)
                done += await deed(ground, conn, layby, today) is not layby
            return done

        return await self._run(sweep, org_id, due_at, step)

    async def _run(
        self,
        sweep: _Sweep,
        org_id: UUID,
        due_at: datetime,
        step: Callable[[Connection, Sequence[Layby], datetime], Awaitable[int]],
    ) -> int:
        async with self.database.transaction(org_id) as conn:
            await storage_sweeps.open_run(conn, org_id, sweep.name, due_at, self.clock.now())
        total = 0
        while True:
            async with self.database.transaction(org_id) as conn:
                place = await storage_sweeps.hold_run(conn, org_id, sweep.name, due_at)
                if place is None:
                    return total
                total += await self._chunk(conn, sweep, org_id, due_at, place, step)
            self.checkpoint(f"swept {sweep.name}")

    async def _chunk(
        self,
        conn: Connection,
        sweep: _Sweep,
        org_id: UUID,
        due_at: datetime,
        place: storage_sweeps.Place,
        step: Callable[[Connection, Sequence[Layby], datetime], Awaitable[int]],
    ) -> int:
        """The next chunk of a held run, in its transaction; how much was done."""
        now = self.clock.now()
        local = now.astimezone(zone_or_utc((await settings_of(conn, org_id)).time_zone))
        first, last = _span(sweep, local.date())
        begin = max(place, (first, storage_sweeps.START[1]))
        laybys, end = await storage_sweeps.chunk(conn, sweep.statement, org_id, begin, last, sweep.size)
        done = await step(conn, laybys, local)
        self.checkpoint(f"sweeping {sweep.name}")
        finished = len(laybys) < sweep.size
        await storage_sweeps.mark(
            conn, org_id, sweep.name, due_at, end, seen=len(laybys), done=done, now=now, finished=finished
        )
        return done

    async def _promise(self, conn: Connection, org_id: UUID, due: Sequence[Notice]) -> int:
        """Promise what was not said before: two statements, however many they are."""
        new = await storage_sweeps.note(conn, org_id, [said for said, _ in due], self.clock.now())
        await outbox.add_all(conn, org_id, [promise for said, promise in due if said in new], self.clock)
        return len(new)


def _span(sweep: _Sweep, today: date) -> tuple[date, date]:
    first, last = sweep.days
    return (
        date.min if first is None else today + timedelta(days=first),
        date.max if last is None else today + timedelta(days=last),
    )


def _reminders(layby: Layby, local: datetime) -> Iterable[Notice]:
    return _of_instalments(layby, local, REMINDERS, notices.reminder)


def _overdue(layby: Layby, local: datetime) -> Iterable[Notice]:
    return _of_instalments(layby, local, OVERDUE, notices.overdue)


def _of_instalments(
    layby: Layby,
    local: datetime,
    of: Sequence[Step],
    notice: Callable[[Layby, domain.Instalment, date, notices.Step], Promise],
) -> Iterable[Notice]:
    for instalment, open_minor in zip(layby.instalments, domain.open_parts(layby), strict=True):
        due = instalment.due_date
        if open_minor > 0 and (step := steps.step_of(of, due, local)):
            promise = notice(layby, instalment, local.date(), _window(step, due, local))
            yield Said(layby.id, instalment.n, step.name, due), promise


def _completion(layby: Layby, local: datetime) -> Iterable[Notice]:
    due = layby.final_date
    if layby.balance_minor > 0 and (step := steps.step_of(COMPLETION, due, local)):
        yield Said(layby.id, 0, step.name, due), notices.completion_reminder(layby, _window(step, due, local))


def _collection(layby: Layby, order_number: str, local: datetime) -> Iterable[Notice]:
    """By the day on which it was completed; the key is of that day, so that another completion begins anew."""
    if layby.completed_at is None:
        return
    due = layby.completed_at.astimezone(local.tzinfo).date()
    if step := steps.step_of(COLLECTION, due, local):
        promise = notices.collection_reminder(layby, order_number, _window(step, due, local))
        yield Said(layby.id, 0, step.name, due), promise


def _window(step: Step, due: date, local: datetime) -> notices.Step:
    return notices.Step(step.name, steps.ends(step, due, local.tzinfo))  # type: ignore[arg-type]  # ``local`` is aware


def _has_late_fee(layby: Layby, today: date) -> object:
    return steps.late_fee_instalments(layby, today)


def _has_defaulted(layby: Layby, today: date) -> object:
    return steps.default_reason(layby, today)
