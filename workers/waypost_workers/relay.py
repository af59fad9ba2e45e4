"""The command ``waypost-worker relay``: the only place that gives deliveries to the workers, and the first to look for
events that a process promised and did not live to publish.

Woken by NOTIFY, and by the clock at least once a second: a LISTEN that is dead, or that a pooler swallows, costs that
second and nothing else. Any number may run. It waits while the database or Redis is away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

import asyncpg
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.notifications.domain import Poke, Queue
from waypost.notifications.following import AT_ONCE
from waypost.notifications.lookups import LookUpDues
from waypost.notifications.relay import BATCH, Relay
from waypost.notifications.storage_outbox import CHANNEL
from waypost.platform import migrations
from waypost.platform.database import NO_CONNECTION
from waypost.platform.heartbeats import heart
from waypost.platform.telemetry import log, request_id
from waypost.settings import Settings, reveal
from waypost.wiring import open_services
from waypost.wiring_ground import needed
from waypost.wiring_work import offered, relay_over, webhook_dues_over
from waypost_workers.functions import deliver
from waypost_workers.pokes import (
    Pokes,
    job_pokes,
    lookup_pokes,
    prompt_pokes,
    registration_pokes,
    reversal_pokes,
    statement_pokes,
    webhook_pokes,
)
from waypost_workers.process import beside, stop_on_signals
from waypost_workers.queues import QueueName, close_queues, open_queues

LISTEN_TIMEOUT_S = 5.0
LINE = 600  # jobs that wait or run in one line; some seconds' work of one worker
FULL_S = 0.05  # a line that was full is looked at again
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 15.0


async def serve(settings: Settings) -> None:
    """Relay until SIGINT or SIGTERM."""
    stop = stop_on_signals()
    async with open_services(settings) as services:
        await migrations.check(services.database)
        if not offered(settings):
            log.warning("no_channel", cure="set WAYPOST_SMTP_HOST, or WAYPOST_CONSOLE_CHANNEL for development")
        queues = open_queues(needed(settings).redis_url)
        others = [
            job_pokes(services.database, services.jobs),
            statement_pokes(services.database, services.money.statements),
            prompt_pokes(services.database, services.money.prompts),
            reversal_pokes(services.database, services.money.reversals),
            registration_pokes(services.database, services.money.registrations),
            webhook_pokes(services.database, webhook_dues_over(services)),
            lookup_pokes(services.database, LookUpDues(services.clock)),
        ]
        loop = RelayLoop(relay_over(services), queues, services.clock, settings.relay_poll_s, others)
        leftovers = partial(services.leftovers.run, settings.relay_poll_s)
        callbacks = partial(services.money.callback_sweep.serve, settings.relay_poll_s)
        receipts = partial(services.telling.receipt_sweep.serve, settings.relay_poll_s)
        try:
            async with beside(services, heart("relay", services.clock), leftovers, callbacks, receipts):
                log.info("relay_ready", channels=[str(channel) for channel in sorted(offered(settings))])
                await run(loop, stop, listen_url(settings))
        finally:
            with suppress(RedisError, OSError):
                await close_queues(queues)


def listen_url(settings: Settings) -> str | None:
    """Where LISTEN reaches PostgreSQL itself; None: nowhere, the clock is enough."""
    if settings.database_listen_url is not None or settings.database_pooler:
        return reveal(settings.database_listen_url)
    return reveal(settings.database_url)


async def run(loop: RelayLoop, stop: asyncio.Event, url: str | None) -> None:
    """The loop and its ear, until asked to stop."""
    working = asyncio.create_task(loop.work())
    tasks = [working, *([asyncio.create_task(listen(url, loop.wake, loop.clock))] if url else [])]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.stopping = True
        loop.wake.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(working), loop.poll_s + LISTEN_TIMEOUT_S)
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


class More(Enum):
    """When the next pass is worth it, if nothing wakes us."""

    NOW = "now"
    SOON = "soon"
    LATER = "later"


@dataclass(slots=True)
class RelayLoop:
    """One relay. Each pass may be repeated, so an interrupted one is no harm."""

    relay: Relay
    queues: ArqRedis
    clock: Clock
    poll_s: float
    others: Sequence[Pokes] = ()
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False

    async def work(self) -> None:
        """Pass after pass; at once while there is more, else when woken or at the next poll."""
        while not self.stopping:
            self.wake.clear()
            wait_s = await self._try()
            if wait_s and not self.stopping:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self.wake.wait()

    async def _try(self) -> float:
        """How long to wait for the next pass; after a failure that time is over already."""
        try:
            return {More.NOW: 0.0, More.SOON: min(FULL_S, self.poll_s), More.LATER: self.poll_s}[await self.pass_once()]
        except Unavailable as error:
            log.warning("relay_waits", reason=error.code)
        except (RedisError, OSError) as error:
            log.warning("relay_waits", reason=f"redis: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - whatever one pass runs into, the next begins afresh
            log.exception("relay_failed")
        await self.clock.sleep(self.poll_s)
        return 0.0

    async def pass_once(self) -> More:
        """Keep what was promised, sweep, give out what is due; is there more to do at once?"""
        kept = await self.relay.expand()
        await self.relay.sweep()
        followed = await self._follow()
        room = await self._room()
        pokes = await self.relay.due(room)
        await self._give_out(pokes)
        for other in self.others:
            await other.give_out(self.queues)
        if kept == BATCH or followed == AT_ONCE:
            return More.NOW
        given = Counter(poke.queue for poke in pokes)
        return More.SOON if any(given[queue] >= most for queue, most in room.items()) else More.LATER

    async def _follow(self) -> int:
        """See to what ended. Whatever that runs into, what is due is given out all the same."""
        try:
            return await self.relay.following.round()
        except Unavailable as error:
            log.warning("following_waits", reason=error.code)
        except Exception:  # noqa: BLE001 - the next pass begins afresh
            log.exception("following_failed")
        return 0

    async def _room(self) -> dict[Queue, int]:
        """How many more each line may hold. What is due waits in the database, where each organisation has its share
        and an urgent one comes first; a line is only as long as its workers need not to wait for us.
        """
        asked = [(queue, await self.queues.zcard(QueueName(queue).key)) for queue in Queue]
        return {queue: max(0, LINE - waiting) for queue, waiting in asked}

    async def _give_out(self, pokes: list[Poke]) -> None:
        """Tell the workers. The job's id holds the attempt: a copy of a job that waits or runs is refused by arq, and
        one that slips through finds nothing to claim.
        """
        for given, poke in enumerate(pokes):
            try:
                await self.queues.enqueue_job(
                    deliver.NAME,
                    str(poke.org_id),
                    str(poke.id),
                    poke.request_id,
                    _job_id=f"d:{poke.id}:{poke.attempt}",
                    _queue_name=QueueName(poke.queue).key,
                )
            except (RedisError, OSError):
                await self.relay.untold(pokes[given:])
                raise
            token = request_id.set(poke.request_id)
            log.debug("delivery_given_out", delivery_id=str(poke.id), attempt=poke.attempt)
            request_id.reset(token)


async def listen(url: str, wake: asyncio.Event, clock: Clock) -> None:
    """Wake on every NOTIFY, on a connection of its own that is made again whenever it breaks."""
    wait_s = FIRST_RETRY_S
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=LISTEN_TIMEOUT_S)
            try:
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _connection, gone=gone: gone.set())
                await connection.add_listener(CHANNEL, lambda *_: wake.set())
                wait_s = FIRST_RETRY_S
                await gone.wait()
            finally:
                await _close(connection)
        except (*NO_CONNECTION, asyncpg.PostgresError) as error:
            log.warning("listen_broken", reason=type(error).__name__)
        await clock.sleep(wait_s)
        wait_s = min(wait_s * 2, LONGEST_RETRY_S)


async def _close(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    try:
        await connection.close(timeout=LISTEN_TIMEOUT_S)
    except (*NO_CONNECTION, asyncpg.PostgresError):
        connection.terminate()
