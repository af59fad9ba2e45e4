"""``waypost migrate up`` and ``status``."""

from __future__ import annotations

import typer

from waypost.commands.common import BAD_USE, Data, fail, read_settings, run
from waypost.platform import migrations
from waypost.settings import Settings, reveal


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="Bring the database to this version, or say where it is.", no_args_is_help=True)
    group.command("up")(up)
    group.command("status")(status)
    app.add_typer(group, name="migrate")


def up(data: Data = None) -> None:
    """Apply what is pending. Safe to repeat, and from several machines at once."""
    settings = read_settings(data)
    login = migrations.username(reveal(settings.database_url))
    system_login = migrations.username(reveal(settings.database_system_url))
    applied = run(migrations.up(_owner_url(settings), login=login, system_login=system_login))
    typer.echo(f"applied {', '.join(applied)}" if applied else "nothing to do: the database is at this version")


def status(data: Data = None) -> None:
    """List the migrations; the exit status is 1 while some are pending."""
    known = run(migrations.status(_owner_url(read_settings(data))))
    for migration in known:
        state = f"{migration.applied_at:%Y-%m-%d %H:%M:%S}" if migration.applied_at else "pending"
        typer.echo(f"{migration.path.name:40} {state}{'  CHANGED SINCE' if migration.changed else ''}")
    if any(migration.applied_at is None or migration.changed for migration in known):
        raise typer.Exit(1)


def _owner_url(settings: Settings) -> str:
    url = reveal(settings.database_owner_url) or reveal(settings.database_url)
    if url is None:
        fail("set WAYPOST_DATABASE_OWNER_URL or WAYPOST_DATABASE_URL (`waypost up` migrates by itself)", BAD_USE)
    return url
