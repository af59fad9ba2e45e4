"""``waypost relay``: keeps the outbox and gives work to the workers; it becomes ``waypost-worker relay``."""

from __future__ import annotations

import os
import sys

import typer

from waypost.commands.common import read_settings

# By name: the server's package never imports the workers'.
PROGRAM = (sys.executable, "-m", "waypost_workers.main", "relay")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("relay")(relay)


def relay() -> None:
    """Keep the outbox: make notifications of what was promised, and give what is due to the workers.

    Any number may run, each beside any number of `waypost-worker`. Ends on SIGTERM.
    """
    read_settings()  # bad ones are told here, with status 2, as by every command
    os.execv(PROGRAM[0], PROGRAM)  # noqa: S606 - no shell, our own interpreter
