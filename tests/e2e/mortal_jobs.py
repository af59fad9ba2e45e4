"""The real worker, but it dies at a checkpoint of a job: ``python -m tests.e2e.mortal_jobs NAME FRACTION``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost_workers.main import work
from waypost_workers.queues import QueueName


def main(name: str, fraction: float) -> None:
    def die(at: str, done: float) -> None:
        if at == name and done >= fraction:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings.from_env(os.environ)
    configure_logs("INFO", "json")
    asyncio.run(work(settings, list(QueueName), job_checkpoint=die))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
