"""The real worker, but it dies at a point of a delivery's attempt: ``python -m tests.e2e.mortal_worker POINT``.

A program of the tests. It assembles the worker as its own command does and gives it a checkpoint; the product's own
knows no such thing.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from waypost.notifications.ports import Checkpoint
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost_workers.main import work
from waypost_workers.queues import QueueName

POINTS = ("before_claim", "after_claim", "after_write", "after_accept", "after_finish", "after_post")


def dying_at(wanted: str) -> Checkpoint:
    """Killed as by ``kill -9`` at that point, the first time it comes to it."""

    def checkpoint(point: str) -> None:
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def dying_by_chance(probability: float) -> Checkpoint:
    """The same at any point, now and then."""

    def checkpoint(_point: str) -> None:
        if random.random() < probability:  # noqa: S311 - no secret
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


if __name__ == "__main__":
    settings = Settings.from_env(os.environ)
    configure_logs(settings.log_level, settings.log_format)
    how = sys.argv[1]
    asyncio.run(work(settings, list(QueueName), dying_at(how) if how in POINTS else dying_by_chance(float(how))))
