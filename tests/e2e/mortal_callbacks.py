"""The real server, but it dies at a point of a callback's way: ``python -m tests.e2e.mortal_callbacks POINT PORT``.

A program of the tests. It assembles the server as its own command does and gives it a checkpoint; the product's own
knows no such thing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace

from aiohttp import web

from waypost.app import build_app
from waypost.platform.telemetry import configure_logs
from waypost.settings import Settings
from waypost.wiring import open_services

# Nothing is kept yet; its raw bytes are committed; a transaction has taken it; it is booked; that is committed.
POINTS = ("received", "stored", "taken", "booked", "committed")


async def serve(settings: Settings, wanted: str, port: int) -> None:
    """Until the first time that it comes to that point: killed as by ``kill -9``."""

    def checkpoint(point: str) -> None:
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_services(settings) as services:
        callbacks = services.money.callbacks
        callbacks.checkpoint = checkpoint
        callbacks.work = replace(callbacks.work, checkpoint=checkpoint)
        runner = web.AppRunner(build_app(services), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    settings = Settings.from_env(os.environ)
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(serve(settings, sys.argv[1], int(sys.argv[2])))
