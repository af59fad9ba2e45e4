"""The command ``waypost``."""

from __future__ import annotations

import typer

from waypost.commands import (
    check_config,
    doctor,
    erase,
    export,
    migrate,
    provider,
    relay,
    secrets,
    serve,
    templates,
    token,
    up,
    user,
)
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
relay.register(app)
migrate.register(app)
check_config.register(app)
user.register(app)
token.register(app)
export.register(app)
erase.register(app)
replay.register(app)
secrets.register(app)
doctor.register(app)
provider.register(app)
templates.register(app)


def main() -> None:
    """Entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
