"""What the commands share: settings, one clear line for an expected failure, a fast loop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from waypost.kernel.errors import AppError
from waypost.platform import keyfile
from waypost.platform.embedded import default_data_dir
from waypost.settings import Settings

if TYPE_CHECKING:
    from waypost.wiring import Services

T = TypeVar("T")
Data = Annotated[
    Path | None, typer.Option(help="Data folder of a running `waypost up` whose database is meant, if none is set.")
]
Org = Annotated[str, typer.Option(help="The organisation's name or id.")]
REMEMBERED = frozenset(
    {
        "WAYPOST_DATABASE_URL",
        "WAYPOST_REDIS_URL",
        "WAYPOST_SIGNING_KEY_FILE",
        "WAYPOST_ENCRYPTION_KEYS_FILE",
        "WAYPOST_DATABASE_OWNER_URL",
        "WAYPOST_CONSOLE_CHANNEL",
    }
)
FAILED = 1
BAD_USE = 2


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Say why on stderr and end, without a traceback."""
    typer.echo(f"waypost: {message}", err=True)
    raise typer.Exit(status)


def read_settings(data: Path | None = None, **overrides: object) -> Settings:
    """The settings of the environment; options given on the command line (not None) go before it.

    Where the environment names no database, those of the ``waypost up`` that runs on ``data`` fill in.
    """
    env = dict(os.environ)
    if data is not None and not {"WAYPOST_DATABASE_URL", "WAYPOST_DATABASE_URL_FILE"} & env.keys():
        env = remembered(data) | env
    env.update({f"WAYPOST_{name.upper()}": str(value) for name, value in overrides.items() if value is not None})
    try:
        return Settings.from_env(env)
    except AppError as error:
        fail(error.detail, BAD_USE)


def operator_settings(data: Path | None) -> Settings:
    """For commands of the operator: without settings those of the ``waypost up`` of this account are meant."""
    return read_settings(data or default_data_dir())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns, each as wide as its widest cell; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def remember(folder: Path, env: Mapping[str, str]) -> None:
    """Keep, for the other commands on this machine, how the parts of a running ``waypost up`` are reached (0600)."""
    lines = [f"{name}={env[name]}" for name in sorted(env) if name in REMEMBERED]
    keyfile.write_private(folder / "environment", "\n".join(lines).encode() + b"\n")


def remembered(folder: Path) -> dict[str, str]:
    """What ``waypost up`` kept in its data folder; nothing if it never ran there."""
    try:
        lines = (folder / "environment").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on uvloop where there is one. An expected failure is one line and status 1."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(main)
    except AppError as error:
        fail(error.detail)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@asynccontextmanager
async def services_of(settings: Settings) -> AsyncIterator[Services]:
    """All services, over a database that is at this version; ``MigrationFailed`` when it is not."""
    from waypost.platform import migrations
    from waypost.wiring import open_services

    async with open_services(settings) as services:
        await migrations.check(services.database)
        yield services


def loop_factory() -> Any:
    """uvloop's loop, or None for asyncio's own (Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
