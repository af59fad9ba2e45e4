"""``waypost secrets``: the keys under which secrets are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from waypost.commands.common import Data, read_settings, run, services_of
from waypost.platform.embedded import default_data_dir
from waypost.platform.secretbox import new_key
from waypost.settings import Settings

if TYPE_CHECKING:
    from waypost.platform.rotation import Rotated


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="The keys under which secrets are stored.", no_args_is_help=True)
    group.command("key")(key)
    group.command("rotate")(rotate)
    app.add_typer(group, name="secrets")


def key() -> None:
    """Print a new key. To rotate, put it before the others in WAYPOST_ENCRYPTION_KEYS."""
    typer.echo(new_key())


def rotate(data: Data = None) -> None:
    """Seal every stored secret anew under the first key of WAYPOST_ENCRYPTION_KEYS; then the old keys may go.

    Restart all servers and workers with the new key first. It may run beside them, and be repeated.
    """
    settings = read_settings(data or default_data_dir())
    rotated = run(_rotate(settings))
    count = rotated.renewed
    under = f"{count} {'secret is' if count == 1 else 'secrets are'} under the newest key"
    if not rotated.lost:
        return typer.echo(f"{under}; the older keys may go")
    lost = ", ".join(f"{table} {number}" for table, number in sorted(rotated.lost.items()))
    typer.echo(f"{under}. None of the keys fits: {lost}.", err=True)
    typer.echo("Put the key that they were sealed with back, and run this again. If it is lost, give these", err=True)
    typer.echo("settings anew: the runbook says where, under Change the encryption key.", err=True)
    raise typer.Exit(1)


async def _rotate(settings: Settings) -> Rotated:
    from waypost.platform.rotation import rotate as rotate_all

    async with services_of(settings) as services:
        return await rotate_all(
            services.database,
            services.box,
            lambda table, done: typer.echo(f"  {table}: {done}", err=True),
        )
