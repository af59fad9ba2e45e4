"""One look at one thing, and what to do about it: what ``doctor`` and ``check-config`` say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import typer

from waypost.commands.common import FAILED
from waypost.kernel.errors import AppError


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report; ``cure`` None: all is well."""

    what: str
    found: str
    cure: str | None = None


def report(findings: Iterable[Finding], bad: str = "missing") -> None:
    """Print a line each, and under what is not well what to do; ends with status 1 if there was any."""
    ill = False
    for finding in findings:
        typer.echo(f"{bad if finding.cure else 'ok':8} {finding.what:14} {finding.found}")
        if finding.cure:
            ill = True
            for line in finding.cure.splitlines():
                typer.echo(f"{'':8} {'':14} -> {line}")
    if ill:
        raise typer.Exit(FAILED)


async def asked(what: str, question: Callable[[], Awaitable[str]], cure: str) -> Finding:
    """What the question found; where it fails, why, and the cure."""
    try:
        return Finding(what, await question())
    except AppError as error:
        return Finding(what, error.detail, cure)
