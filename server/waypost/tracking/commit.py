"""The group commit: what many phones send within a few milliseconds goes into one transaction.

A batch waits for the window, then for its transaction's commit, and only then is answered (P1). Whoever commits takes
all that waits by then, so that under load the groups grow by themselves. docs/decisions/0013-group-commit.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field

import asyncpg

from waypost.kernel.errors import AppError
from waypost.platform.database import SYSTEM, Database, DatabaseAway
from waypost.platform.telemetry import log
from waypost.tracking import booking, storage_ingest
from waypost.tracking.domain import moment
from waypost.tracking.shares import WaitingRoom
from waypost.tracking.work import Batch, Booked

GROUP_FIXES = 4_000
GROUP_BATCHES = 400
COMMITTERS = 2
PLACES = 50_000  # for fixes that wait: about 25 MB
COMMIT_TIMEOUT_S = 8.0  # phones send again after 10
TRIES = 4
BUSY_S = 0.02  # then it is asked again whether a device's turn is free


@dataclass(slots=True, eq=False)
class Waiting:
    """A batch in the queue."""

    batch: Batch
    done: asyncio.Future[None]
    since: float


@dataclass(slots=True)
class GroupCommit:
    """The queue of a process, and who empties it. ``window_s`` 0: each batch alone. ``told``: after each commit."""

    database: Database
    told: Callable[[Booked], None]
    window_s: float = 0.001
    room: WaitingRoom = field(default_factory=lambda: WaitingRoom(PLACES))
    queue: deque[Waiting] = field(default_factory=deque)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    gathering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def store(self, batch: Batch) -> None:
        """Return once it has committed. ``Overloaded`` at once when too many wait; ``DatabaseAway``; its own error."""
        org_id, size = batch.reporter.org_id, _size(batch)
        self.room.enter(org_id, size)
        try:
            await self._committed(batch)
        finally:
            self.room.leave(org_id, size)
        if batch.error is not None:
            raise batch.error

    def _committed(self, batch: Batch) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        waiting = Waiting(batch, loop.create_future(), loop.time())
        self.queue.append(waiting)
        if len(self.tasks) < COMMITTERS:
            task = loop.create_task(self._empty())
            self.tasks.add(task)
        return waiting.done

    async def close(self) -> None:
        """Let what waits be committed."""
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _empty(self) -> None:
        """Commit until nothing waits; one gathers while another commits."""
        try:
            while self.queue:
                async with self.gathering:
                    if self.window_s:
                        await asyncio.sleep(self.window_s)
                    group = self._take()
                if group:
                    await self._commit(group)
        finally:  # at once, not by a callback later: what comes in between needs a task of its own
            self.tasks.discard(asyncio.current_task())

    def _take(self) -> list[Waiting]:
        """What goes into the next transaction; what has waited too long is let go instead."""
        group: list[Waiting] = []
        fixes, now = 0, asyncio.get_running_loop().time()
        while self.queue and len(group) < GROUP_BATCHES:
            size = _size(self.queue[0].batch)
            if group and (fixes + size > GROUP_FIXES or not self.window_s):
                break
            waiting = self.queue.popleft()
            if now - waiting.since > COMMIT_TIMEOUT_S:
                _fail([waiting], DatabaseAway())
            elif not waiting.done.done():  # else its request is gone, and nothing was promised
                group.append(waiting)
                fixes += size
        return group

    async def _commit(self, group: Sequence[Waiting]) -> None:
        """All together; if one spoils it, in halves, so that it spoils nothing for the others."""
        give_up = asyncio.get_running_loop().call_later(COMMIT_TIMEOUT_S, _fail, group, DatabaseAway())
        try:
            booked = await self._store([waiting.batch for waiting in group])
        except AppError as error:
            _fail(group, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked
            if len(group) == 1:
                _fail(group, error)
                return
            log.warning("group_commit_apart", batches=len(group), reason=type(error).__name__)
        except BaseException:
            for waiting in group:
                waiting.done.cancel()
            raise
        else:
            await self._answer(group, booked)
            return
        finally:
            give_up.cancel()
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            if wanted := [waiting for waiting in half if not waiting.done.done()]:
                await self._commit(wanted)

    async def _answer(self, group: Sequence[Waiting], booked: Booked) -> None:
        """Tell who waits, then the rooms. A device that somebody else was busy with comes first in the next group."""
        taken = {work.device for work in booked.works}
        later = []
        for waiting in group:
            if waiting.batch.device not in taken:
                later.append(waiting)
            elif not waiting.done.done():
                waiting.done.set_result(None)
        self.queue.extendleft(reversed(later))
        try:
            self.told(booked)
        except Exception:  # noqa: BLE001 - it is committed and acknowledged: an event only tells of it
            log.exception("telling_failed")
        if len(later) == len(group):
            await asyncio.sleep(BUSY_S)

    async def _store(self, batches: Sequence[Batch]) -> Booked:
        """A week without a partition (an old backlog, or the worker was away) is made, and all tried again; so is what
        somebody stored meanwhile without the device's turn (a node of an earlier version).
        """
        for _ in range(TRIES - 1):
            try:
                return await self._store_once(batches)
            except asyncpg.UniqueViolationError:
                for batch in batches:
                    batch.is_distrusted = True
                continue
            except DatabaseAway as error:
                if not isinstance(error.__cause__, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
                    raise
                continue
            except asyncpg.CheckViolationError:
                pass
            async with self.database.transaction(SYSTEM) as conn:
                moments = (moment(fix.raw_ms) for batch in batches for fix in batch.stored)
                await storage_ingest.make_partitions(conn, moments)
        return await self._store_once(batches)

    async def _store_once(self, batches: Sequence[Batch]) -> Booked:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S), self.database.transaction(SYSTEM) as conn:
                return await booking.book(conn, batches)
        except TimeoutError as error:
            raise DatabaseAway from error


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(_own(error))


def _own(error: Exception) -> Exception:
    """An exception is one caller's: each adds to its traceback."""
    try:
        return copy(error)
    except TypeError:  # made with arguments that it does not keep
        return error


def _size(batch: Batch) -> int:
    return len(batch.screened) + len(batch.refused) + 1
