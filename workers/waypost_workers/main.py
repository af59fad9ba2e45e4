"""The command ``waypost-worker``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from waypost.jobs.ports import Checkpoint as JobCheckpoint
from waypost.jobs.ports import pass_by
from waypost.kernel.errors import AppError
from waypost.notifications.ports import Checkpoint, pass_on
from waypost.platform import migrations
from waypost.platform.guarded import Guard
from waypost.platform.heartbeats import heart
from waypost.platform.redis import check_redis
from waypost.platform.telemetry import configure_logs, log
from waypost.settings import BadSettings, Settings
from waypost.wiring import open_services
from waypost.wiring_work import (
    asking_over,
    comparison_over,
    deliveries_over,
    job_runner_over,
    lookups_over,
    registering_over,
    reversing_over,
    webhook_sender_over,
)
from waypost_workers import lines, relay
from waypost_workers.channels import open_channels
from waypost_workers.channels.daraja import daraja
from waypost_workers.channels.gateways import gateways
from waypost_workers.channels.sms import MessageLists
from waypost_workers.channels.webhook import webhook_poster
from waypost_workers.process import beside, stop_on_signals
from waypost_workers.queues import QueueName
from waypost_workers.schedule import scheduler_over

HELP = """Sends what is due and runs timed work; with "relay", keeps the outbox and gives work to the workers. Takes
its settings from WAYPOST_... variables, the same as `waypost serve`; any number of either may run. Ends on SIGTERM when
what is being sent has come to its end."""


def main() -> None:
    """Entry point of the installed command."""
    asked = _arguments().parse_args()
    try:
        settings = Settings.from_env(os.environ)
    except BadSettings as error:
        sys.stderr.write(f"waypost-worker: {error.detail}\n")
        raise SystemExit(2) from None
    try:
        configure_logs(settings.log_level, settings.log_format)
        asyncio.run(relay.serve(settings) if asked.command == "relay" else work(settings, _queues(asked.queue)))
    except AppError as error:
        sys.stderr.write(f"waypost-worker: {error.detail}\n")
        raise SystemExit(1) from None
    except RedisError as error:
        sys.stderr.write(f"waypost-worker: Redis went away: {error}; start me again\n")
        raise SystemExit(1) from None
    except OSError as error:
        sys.stderr.write(f"waypost-worker: {error}\n")
        raise SystemExit(1) from None


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="waypost-worker", description=HELP)
    parser.add_argument("command", nargs="?", choices=["work", "relay"], default="work", help="[default: work]")
    parser.add_argument(
        "--queue",
        action="append",
        choices=[str(queue) for queue in QueueName],
        help="work on this queue only; may be given more than once [default: all of them]",
    )
    return parser


def _queues(asked: Sequence[str] | None) -> Sequence[QueueName]:
    return [QueueName(name) for name in dict.fromkeys(asked)] if asked else list(QueueName)


async def work(
    settings: Settings,
    queues: Sequence[QueueName],
    checkpoint: Checkpoint = pass_on,
    job_checkpoint: JobCheckpoint = pass_by,
) -> None:
    """Work on these queues until SIGINT or SIGTERM; who works on jobs sees to the timed runs too."""
    stop = stop_on_signals()
    async with (
        open_services(settings) as services,
        daraja(services.clock, settings.delivery_send_timeout_s) as provider,
        open_channels(services, checkpoint) as channels,
        gateways(
            Guard.of(settings.webhook_allowed_networks), services.clock, settings.delivery_send_timeout_s
        ) as reached,
        webhook_poster(
            Guard.of(settings.webhook_allowed_networks), services.clock, settings.delivery_send_timeout_s
        ) as poster,
    ):
        await migrations.check(services.database)
        await check_redis(services.redis)
        lists = MessageLists(reached)
        context = {
            "deliveries": deliveries_over(services, channels, checkpoint),
            "job_runner": job_runner_over(services, job_checkpoint),
            "statement_reader": services.money.statement_reader,
            "asking": asking_over(services, provider),
            "reversing": reversing_over(services, provider),
            "registering": registering_over(services, provider),
            "lookups": lookups_over(services, lists.to),
            "webhook_sender": webhook_sender_over(services, poster, checkpoint),
        }
        workers = [lines.build(settings, queue, context) for queue in queues]

        def detail() -> Mapping[str, object]:
            return {"queues": [str(queue) for queue in queues], "running": sum(len(w.job_tasks) for w in workers)}

        scheduler = scheduler_over(services, job_checkpoint, comparison_over(services, lists))
        timed = [scheduler.serve] if QueueName.JOBS in queues else []
        async with beside(services, heart("worker", services.clock, detail), *timed):
            log.info("worker_ready", queues=[str(queue) for queue in queues])
            await lines.run(workers, stop, settings.delivery_lease_s)


if __name__ == "__main__":
    main()
