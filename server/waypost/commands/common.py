"""What the commands share: settings, one clear line for an expected failure, a fast loop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from waypost.kernel.errors import AppError
from waypost.settings import Settings

T = TypeVar("T")
FAILED = 1
BAD_USE = 2


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Say why on stderr and end, without a traceback."""
    typer.echo(f"waypost: {message}", err=True)
    raise typer.Exit(status)


def read_settings(**overrides: object) -> Settings:
    """The settings of the environment; options given on the command line (not None) go before it."""
    env = dict(os.environ)
    env.update({f"WAYPOST_{name.upper()}": str(value) for name, value in overrides.items() if value is not None})
    try:
        return Settings.from_env(env)
    except AppError as error:
        fail(error.detail, BAD_USE)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on uvloop where there is one. An expected failure is one line and status 1."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(main)
    except AppError as error:
        fail(error.detail)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def loop_factory() -> Any:
    """uvloop's loop, or None for asyncio's own (Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
