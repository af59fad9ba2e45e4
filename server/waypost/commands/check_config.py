"""``waypost check-config``: are the settings good, and enough for which part?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from waypost.commands import probes
from waypost.commands.common import Data, read_settings
from waypost.commands.findings import Finding, asked, report
from waypost.kernel.errors import AppError
from waypost.settings import BadSettings, Settings, reveal


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("check-config")(check_config)


def check_config(
    data: Data = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also try the database, Redis and the mail server.")
    ] = False,
) -> None:
    """Say what is wrong with the settings, all of it at once, and what is missing for `serve`, worker and relay.

    Tries nothing unless `--connect` is given. Exit status: 0 good, 1 something is missing or away, 2 bad values.
    """
    settings = read_settings(data)
    report(asyncio.run(_look(settings, connect=connect)))


async def _look(settings: Settings, *, connect: bool) -> list[Finding]:
    return [finding async for finding in _findings(settings, connect=connect)]


async def _findings(settings: Settings, *, connect: bool) -> AsyncIterator[Finding]:
    yield Finding("settings", f"{len(settings.model_fields_set)} set, none of them bad")
    complete = _needed(settings)
    yield complete
    if settings.encryption_keys is not None:
        yield _keys(settings)
    yield _channels(settings)
    if not connect:
        return
    if settings.database_url is not None:
        async for finding in _database(settings):
            yield finding
    if settings.redis_url is not None:
        yield await probes.redis(settings)
    if settings.smtp_host is not None:
        yield await probes.mail(settings)


def _needed(settings: Settings) -> Finding:
    from waypost.wiring_ground import needed

    what = "server, worker"
    try:
        needed(settings)
    except BadSettings as error:
        missing = [line.strip() for line in error.detail.splitlines()[1:]]
        return Finding(what, f"lack {len(missing)}", "\n".join([*missing, "(`waypost up` brings all of them itself)"]))
    return Finding(what, "have all that they cannot do without")


def _keys(settings: Settings) -> Finding:
    from waypost.platform.secretbox import BadKeys, SecretBox

    try:
        SecretBox.of(str(reveal(settings.encryption_keys)))
    except BadKeys as error:
        return Finding("encryption keys", "are none", error.detail)
    return Finding("encryption keys", "are keys")


def _channels(settings: Settings) -> Finding:
    from waypost.wiring_work import offered

    channels = sorted(offered(settings))
    if not channels:
        return Finding("notices", "go nowhere: neither WAYPOST_SMTP_HOST nor WAYPOST_CONSOLE_CHANNEL is set")
    return Finding("notices", f"go by {', '.join(channels)}")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with probes.opened(settings) as database:
            cure = "check WAYPOST_DATABASE_URL and the server"
            yield await asked("PostgreSQL", lambda: probes.version(database), cure)
            yield await probes.roles(database, second_login=settings.database_system_url is not None)
            migrated = await probes.migrated(database)
            yield migrated
            if migrated.cure is None:
                yield await probes.clocks(database, time.time())
    except AppError as error:
        yield Finding("PostgreSQL", error.detail, "check WAYPOST_DATABASE_URL and the server")
