"""Workers and relays as processes of their own, and what the database says of their work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.e2e.commands import clean_environment

WORKER = ("waypost_workers.main",)
RELAY = ("waypost_workers.main", "relay")
MORTAL = ("tests.e2e.mortal_worker",)
ENDS_WITHIN_S = 30
ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("server", "workers", "."))


async def begin(*module: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """``python -m MODULE ARGUMENTS`` on this checkout's code."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, env=clean_environment(env) | {"PYTHONPATH": PATHS},
        stdin=asyncio.subprocess.DEVNULL, stdout=None if os.environ.get("SHOW") else asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


async def finish(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> int:
    """Its status, once it has ended by that signal, or by itself before."""
    with suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        return await asyncio.wait_for(process.wait(), ENDS_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


@asynccontextmanager
async def running(*module: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The same, ended with the block."""
    process = await begin(*module, env=env)
    try:
        yield process
    finally:
        await finish(process)
