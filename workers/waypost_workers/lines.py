"""arq's workers, one for each queue that a process serves, and how they come to rest.

What arq does is designed around (read in 0.28): it ends a job at an ordinary exception, so ours raise none; a shutdown
counts as a try, so tries are as good as endless and our own count stands in the row; after a kill a job is held for the
longest time-out of *all* functions of its worker, so long jobs have a worker of their own; its health key is one per
queue, so we keep a heartbeat; it has no priorities, so there are several queues; cancelling by id poisons the next job
of that id, so that is off; it asks about each job that runs already, one question after another, before it comes to one
that does not, so those are left out beforehand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from arq.constants import in_progress_key_prefix
from arq.typing import WorkerCoroutine
from arq.worker import Function, Worker
from arq.worker import func as function
from redis.exceptions import RedisError

from waypost.settings import Settings
from waypost.webhooks.sending import TURN_S
from waypost.wiring_ground import needed
from waypost_workers.functions import jobs, lookups, prompts, registrations, reversals, statements, webhooks
from waypost_workers.functions.deliver import NAME, deliver
from waypost_workers.queues import QueueName, decode, encode, open_queues

POLL_S = 0.05
CANCEL_AGAIN_S = 0.1
JOB_TIMEOUT_S = 120.0  # a turn takes 10 s; to read a large file once more at the end takes longer
ENDLESS_TRIES = 1_000_000
MARGIN_S = 5.0
READ_AT_ONCE = 1000  # more than all workers of a queue together have at work: those stand at its head


@dataclass(frozen=True, slots=True)
class Line:
    """What the worker of a queue runs."""

    functions: Sequence[Function]
    at_once: int
    timeout_s: float
    read_at_once: int = READ_AT_ONCE


class LineWorker(Worker):
    """arq's, but hundreds of jobs that run, here or elsewhere, delay no other: one question finds them all."""

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Begin those that do not run; arq makes sure of each once more."""
        if not job_ids:
            return
        async with self.pool.pipeline(transaction=False) as pipe:
            for each in job_ids:
                pipe.exists(in_progress_key_prefix + each.decode())
            running = await pipe.execute()
        await super().start_jobs([each for each, runs in zip(job_ids, running, strict=True) if not runs])


def lines(settings: Settings) -> Mapping[QueueName, Line]:
    """All queues. A try to send never outlives its lease."""
    send = [function(_coroutine(deliver), name=NAME)]
    run_job = [
        function(_coroutine(jobs.run_job), name=jobs.NAME),
        function(_coroutine(statements.read_statement), name=statements.NAME),
    ]
    ask = function(_coroutine(prompts.ask), name=prompts.NAME)
    reverse = function(_coroutine(reversals.ask), name=reversals.NAME)
    register = function(_coroutine(registrations.tell), name=registrations.NAME)
    look_up = function(_coroutine(lookups.look_up), name=lookups.NAME)
    send_webhook = function(_coroutine(webhooks.send), name=webhooks.NAME)
    return {
        QueueName.URGENT: Line([*send, ask, reverse, register], 50, settings.delivery_lease_s),
        QueueName.BULK: Line([*send, look_up], 20, settings.delivery_lease_s),
        QueueName.JOBS: Line(run_job, 4, JOB_TIMEOUT_S),
        QueueName.WEBHOOKS: Line([send_webhook], 1000, settings.delivery_lease_s + TURN_S + MARGIN_S, 5 * READ_AT_ONCE),
    }


def _coroutine(of: Any) -> WorkerCoroutine:
    return of  # type: ignore[no-any-return]  # arq's protocol asks for a dict as the first argument


def build(settings: Settings, queue: QueueName, context: Mapping[str, Any]) -> Worker:
    """arq's worker of one queue; the caller runs and closes it."""
    line = lines(settings)[queue]
    return LineWorker(
        functions=list(line.functions),
        queue_name=queue.key,
        redis_pool=open_queues(needed(settings).redis_url),
        ctx=dict(context),
        max_jobs=line.at_once,
        job_timeout=line.timeout_s,
        queue_read_limit=line.read_at_once,
        poll_delay=POLL_S,
        max_tries=ENDLESS_TRIES,
        keep_result=0,
        handle_signals=False,
        allow_abort_jobs=False,
        job_serializer=encode,
        job_deserializer=decode,
    )


async def run(workers: Sequence[Worker], stop: asyncio.Event, grace_s: float) -> None:
    """Work until asked to stop, or until Redis is lost (then its error is raised, and somebody starts us again).

    Either way what is being sent gets ``grace_s`` to come to its end.
    """
    running = [asyncio.create_task(worker.async_run()) for worker in workers]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for worker in workers:
            worker.allow_pick_jobs = False
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(_rest(worker) for worker in workers))
        await _cancel(stopping, *running, *(job for worker in workers for job in worker.tasks.values()))
        ends = await asyncio.gather(*running, return_exceptions=True)
        for worker in workers:
            worker.tasks.clear()  # closing awaits them once more, and would raise the end of one that was cancelled
            with suppress(RedisError, OSError):
                await worker.close()
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    """Until they have ended: a cancellation that comes while redis-py connects is swallowed there."""
    while unfinished := [task for task in tasks if not task.done()]:
        for task in unfinished:
            task.cancel()
        await asyncio.wait(unfinished, timeout=CANCEL_AGAIN_S)


async def _rest(worker: Worker) -> None:
    """Until its jobs have ended; meanwhile arq may begin one that it had picked already."""
    while unfinished := [task for task in worker.tasks.values() if not task.done()]:
        await asyncio.wait(unfinished)
