"""``waypost doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from waypost.commands.common import read_settings
from waypost.kernel.errors import AppError
from waypost.platform import migrations
from waypost.platform.database import open_database
from waypost.platform.embedded import EmbeddedError, default_data_dir
from waypost.platform.embedded.binaries import find_postgres, find_valkey
from waypost.platform.pages import WEB
from waypost.platform.redis import check_redis, open_redis
from waypost.settings import Settings, reveal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``cure`` None: all is well."""

    what: str
    found: str
    cure: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(
    data: Annotated[Path | None, typer.Option(help="The data folder of `waypost up`.")] = None,
) -> None:
    """Look at everything that Waypost needs and say what is missing. The exit status is 1 if something is."""
    settings = read_settings()
    findings = list(_findings(settings, data or default_data_dir()))
    for finding in findings:
        mark = "missing" if finding.cure else "ok"
        typer.echo(f"{mark:8} {finding.what:14} {finding.found}")
        if finding.cure:
            typer.echo(f"{'':8} {'':14} -> {finding.cure}")
    if any(finding.cure for finding in findings):
        raise typer.Exit(1)


def _findings(settings: Settings, data: Path) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", version)
    yield _try("dbmate", migrations.dbmate)
    if url := reveal(settings.database_url):
        yield _ask("PostgreSQL", _ask_database(url), "check WAYPOST_DATABASE_URL and the server")
    else:
        yield _program("PostgreSQL", lambda: str(find_postgres(settings.postgres_bin).server))
    if url := reveal(settings.redis_url):
        yield _ask("Redis", _ask_redis(url), "check WAYPOST_REDIS_URL and the server")
    else:
        yield _program("Valkey", lambda: str(find_valkey(settings.valkey_bin).server))
    yield _data_folder(settings, data)
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


def _ask(what: str, question: Coroutine[Any, Any, str], cure: str) -> Finding:
    try:
        return Finding(what, asyncio.run(question))
    except AppError as error:
        return Finding(what, error.detail, cure)


async def _ask_database(url: str) -> str:
    database = await open_database(url, maximum=1)
    try:
        async with database.pool.acquire() as conn:
            return f"PostgreSQL {await conn.fetchval('SHOW server_version')}"
    finally:
        await database.close()


async def _ask_redis(url: str) -> str:
    redis = open_redis(url)
    try:
        await check_redis(redis)
        return "answers"
    finally:
        await redis.aclose()


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
