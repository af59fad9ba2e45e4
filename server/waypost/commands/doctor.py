"""``waypost doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

import typer

from waypost.commands import probes
from waypost.commands.common import read_settings
from waypost.commands.findings import Finding, report
from waypost.commands.rounds import house
from waypost.kernel.errors import AppError
from waypost.platform import migrations
from waypost.platform.embedded import EmbeddedError, default_data_dir
from waypost.platform.embedded.binaries import find_postgres, find_valkey
from waypost.platform.pages import WEB
from waypost.settings import Settings

LITTLE_ROOM_MB = 1024


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(
    data: Annotated[Path | None, typer.Option(help="The data folder of `waypost up`.")] = None,
) -> None:
    """Look at everything that Waypost needs and say what is missing. The exit status is 1 if something is.

    Where the settings name no database, a `waypost up` that runs on the data folder is looked at.
    """
    folder = data or default_data_dir()
    report(asyncio.run(_look(read_settings(), read_settings(folder), folder)))


async def _look(own: Settings, remembered: Settings, data: Path) -> list[Finding]:
    live = own if own.database_url is not None or not await _answers(remembered) else remembered
    return [finding async for finding in _findings(live, data)]


async def _answers(settings: Settings) -> bool:
    """Does a ``waypost up`` run on the folder? Its settings stay there when it ends."""
    if settings.database_url is None:
        return False
    try:
        async with probes.opened(settings):
            return True
    except AppError:
        return False


async def _findings(settings: Settings, data: Path) -> AsyncIterator[Finding]:
    yield Finding("Python", ".".join(map(str, sys.version_info[:3])))
    yield _try("dbmate", migrations.dbmate)
    if settings.database_url is not None:
        async for finding in house(settings):
            yield finding
    else:
        yield _program("PostgreSQL", lambda: str(find_postgres(settings.postgres_bin).server))
    if settings.redis_url is not None:
        yield await probes.redis(settings)
    else:
        yield _program("Valkey", lambda: str(find_valkey(settings.valkey_bin).server))
    if settings.smtp_host is not None:
        yield await probes.mail(settings)
    yield _data_folder(settings, data)
    yield _room(data)
    built = (WEB / "index.html").is_file()
    yield Finding("dashboard", "built" if built else "not built", None if built else "make web")


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except AppError as error:
        return Finding(what, "not found", error.detail)


def _program(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except EmbeddedError as error:
        return Finding(what, "no server program found", str(error))


def _data_folder(settings: Settings, data: Path) -> Finding:
    """The folder of ``waypost up``: whose PostgreSQL wrote it, and can the one that is here read it?"""
    version = data / "postgres" / "PG_VERSION"
    if not version.is_file():
        return Finding("data folder", f"{data} ({'empty' if data.exists() else 'not made yet'})")
    wrote = version.read_text().strip()
    found = f"{data}, written by PostgreSQL {wrote}"
    try:
        here = str(find_postgres(settings.postgres_bin).major)
    except EmbeddedError:
        return Finding("data folder", found)
    cure = f"PostgreSQL {here} cannot read it: dump with {wrote}, restore into a new folder (docs/runbook.md)"
    return Finding("data folder", found, None if wrote == here else cure)


def _room(data: Path) -> Finding:
    """How much the disk still takes, where the data is or would be."""
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free_mb = shutil.disk_usage(there).free // 2**20
    cure = None if free_mb >= LITTLE_ROOM_MB else f"make room on the disk of {there}"
    return Finding("disk", f"{free_mb:,} MiB free".replace(",", " "), cure)
