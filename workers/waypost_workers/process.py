"""What a worker and a relay have in common: how they are asked to stop, and what runs beside their work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from waypost.platform.heartbeats import Heart
from waypost.platform.telemetry import log
from waypost.wiring import Services

LAST_EVENTS_S = 1.0  # for what waits to be published at the end


def stop_on_signals() -> asyncio.Event:
    """Set by SIGINT or SIGTERM; a second one ends the process at once."""
    stop = asyncio.Event()

    def ask(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, ask, number)
    return stop


async def _beat(services: Services, heart: Heart) -> None:
    """For ever, whatever it runs into: a process that is at work does not end because it cannot say so."""
    every_s = services.settings.heartbeat_s
    while True:
        try:
            await heart.beat_for_ever(services.database, services.clock, every_s)
        except Exception:  # noqa: BLE001
            log.exception("heartbeat_failed", kind=heart.kind)
        await services.clock.sleep(every_s)


@asynccontextmanager
async def beside(
    services: Services, heart: Heart, *more: Callable[[], Coroutine[None, None, None]]
) -> AsyncIterator[None]:
    """The publisher, the heartbeat and ``more`` while the block runs; if one of them fails, so does the block."""

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(services.realtime.run())
            tasks.create_task(_beat(services, heart))
            for each in more:
                tasks.create_task(each())

    mine = asyncio.current_task()
    task = asyncio.create_task(both())
    task.add_done_callback(lambda done: None if done.cancelled() or mine is None else mine.cancel())
    try:
        yield
    finally:
        ended = task.done()
        if not ended:
            await services.realtime.finish(LAST_EVENTS_S)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if ended:
            log.error("background_failed")
