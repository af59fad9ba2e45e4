"""Handlers of many connections: those of one run in order, one at a time; no task for each event.

A few tasks are kept and given a connection's lane when something waits in it, so that ten thousand idle connections
have none and a busy one does not get a new one with every packet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from waypost.platform.telemetry import log

KEPT_IDLE = 32
AT_ONCE = 64  # jobs of a lane before others get a turn, where none of them waits for anything
Job = Callable[[], Coroutine[Any, Any, None]]


class Lane:
    """What one connection's handlers are still to do."""

    __slots__ = ("is_running", "jobs")

    def __init__(self) -> None:
        self.jobs: deque[Job] | None = None
        self.is_running = False

    def __len__(self) -> int:
        """How many wait; the one that is being done is none of them."""
        return len(self.jobs) if self.jobs is not None else 0


class Workers:
    """The tasks that do it. ``close`` waits for what is under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Lane | None]] = []
        self._busy = 0
        self._none_busy = asyncio.Event()
        self._none_busy.set()

    def put(self, lane: Lane, job: Job) -> None:
        """Do it after what waits in its lane. The caller bounds how much that is."""
        if lane.jobs is None:
            lane.jobs = deque()
        lane.jobs.append(job)
        if not lane.is_running:
            lane.is_running = True
            self._start(lane)

    async def close(self, within_s: float) -> None:
        """Wait for what is under way, so long at most, and end the tasks."""
        try:
            async with asyncio.timeout(within_s):
                await self._none_busy.wait()
        except TimeoutError:
            log.warning("handlers_cancelled", tasks=self._busy)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, lane: Lane) -> None:
        self._busy += 1
        self._none_busy.clear()
        while self._idle:
            waiting = self._idle.pop()
            if not waiting.done():
                waiting.set_result(lane)
                return
        task = asyncio.get_running_loop().create_task(self._work(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, lane: Lane | None) -> None:
        while lane is not None:
            await self._do_all(lane)
            lane = None
            if len(self._idle) < KEPT_IDLE:
                waiting: asyncio.Future[Lane | None] = asyncio.get_running_loop().create_future()
                self._idle.append(waiting)
                lane = await waiting

    async def _do_all(self, lane: Lane) -> None:
        done = 0
        try:
            while lane.jobs:
                try:
                    await lane.jobs.popleft()()
                except asyncio.CancelledError:
                    if (task := asyncio.current_task()) is not None and task.cancelling():
                        raise
                    log.exception("handler_failed")  # something that it waited for was cancelled, not this
                except Exception:  # noqa: BLE001 - the edge: the next connection's handlers have no part in it
                    log.exception("handler_failed")
                done += 1
                if done % AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            lane.jobs = None
            lane.is_running = False
            self._busy -= 1
            if not self._busy:
                self._none_busy.set()
