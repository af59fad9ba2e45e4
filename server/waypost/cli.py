"""The command ``waypost``."""

from __future__ import annotations

import typer

from waypost.commands import doctor, migrate, serve, up, user
from waypost.replay import command as replay

app = typer.Typer(
    name="waypost",
    help="Waypost: real-time tracking and notification for businesses that deliver.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
up.register(app)
serve.register(app)
migrate.register(app)
user.register(app)
replay.register(app)
doctor.register(app)


def main() -> None:
    """Entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
