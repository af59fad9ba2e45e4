"""The command ``waypost-worker``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial

import msgpack
from arq.connections import ArqRedis
from arq.worker import Worker
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from waypost.kernel.errors import AppError
from waypost.platform.redis import check_redis
from waypost.platform.telemetry import configure_logs, log
from waypost.settings import Settings
from waypost.tracking.upkeep import Upkeep
from waypost.wiring import needed, open_services
from waypost_workers.schedule import CRON

USAGE = """usage: waypost-worker

Runs timed work (and, as they come, deliveries and jobs). Takes its settings from WAYPOST_... variables, the same as
`waypost serve`; any number of workers may run. Ends on SIGTERM when what is running has finished.
"""
POLL_S = 0.05
QUEUE = "waypost:urgent"


def main() -> None:
    """Entry point of the installed command."""
    if sys.argv[1:]:
        sys.stdout.write(USAGE)
        raise SystemExit(0 if sys.argv[1] in {"-h", "--help"} else 2)
    try:
        settings = Settings.from_env(os.environ)
        configure_logs(settings.log_level, settings.log_format)
        asyncio.run(work(settings))
    except AppError as error:
        sys.stderr.write(f"waypost-worker: {error.detail}\n")
        raise SystemExit(1) from None
    except (RedisError, OSError) as error:
        sys.stderr.write(f"waypost-worker: Redis went away: {error}; start me again\n")
        raise SystemExit(1) from None


async def work(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM."""
    async with open_services(settings) as services:
        await check_redis(services.redis)
        worker = build_worker(settings, Upkeep(services.database, services.clock))
        task = asyncio.ensure_future(worker.async_run())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        log.info("worker_ready")
        try:
            await task
        except asyncio.CancelledError:
            log.info("stopping")
        finally:
            await worker.close()


def build_worker(settings: Settings, upkeep: Upkeep) -> Worker:
    """arq's worker with our serialiser: msgpack, never pickle, so that who writes Redis runs no code here."""
    redis = ArqRedis(
        ConnectionPool.from_url(needed(settings)[1]),
        job_serializer=partial(msgpack.packb, default=repr),
        job_deserializer=msgpack.unpackb,
        default_queue_name=QUEUE,
    )
    return Worker(
        cron_jobs=CRON,
        queue_name=QUEUE,
        redis_pool=redis,
        ctx={"upkeep": upkeep},
        poll_delay=POLL_S,
        handle_signals=False,
        keep_result=0,
        allow_abort_jobs=False,
        job_serializer=partial(msgpack.packb, default=repr),
        job_deserializer=msgpack.unpackb,
    )


if __name__ == "__main__":
    main()
