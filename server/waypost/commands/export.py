"""``waypost export``: the same files that jobs make, straight into a file here."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from waypost.commands.common import BAD_USE, Data, Org, fail, operator_settings, run, services_of
from waypost.jobs.domain import Asked, Step
from waypost.settings import Settings

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    group = typer.Typer(help="Write an organisation's data into a file.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("trips")(trips)
    app.add_typer(group, name="export")


def trips(
    org: Org,
    out: Annotated[Path, typer.Option(help="The file to write, replaced when all is there; - for standard output.")],
    since: Annotated[
        datetime | None, typer.Option("--from", formats=FORMATS, help="Made at or after; UTC, if without an offset.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=FORMATS, help="Made before; the same.")] = None,
    status: Annotated[str | None, typer.Option(help="Only trips of this status.")] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin with a byte order mark, for some spreadsheets.")] = False,
    data: Data = None,
) -> None:
    """Write the trips that an organisation sees as CSV: its own, and those that it receives."""
    if out != STDOUT and not out.absolute().parent.is_dir():
        fail(f"--out {out}: there is no folder {out.absolute().parent}", BAD_USE)
    asked = Asked("trips", "csv", _utc(since), _utc(until), status, bom)
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        fail("--from is not before --to", BAD_USE)
    settings = operator_settings(data)
    try:
        with nullcontext(sys.stdout.buffer) if out == STDOUT else _whole(out) as file:
            rows = run(_write(settings, org, asked, file))
    except BrokenPipeError:  # whoever reads us has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except OSError as error:
        fail(f"--out {out}: {error.strerror or error}")
    typer.echo(f"{rows} trips written to {'standard output' if out == STDOUT else out}", err=True)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


@contextmanager
def _whole(out: Path) -> Iterator[BinaryIO]:
    """A file beside it that takes its place at the end: what is called ``out`` is whole, or the one from before."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(out)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


async def _write(settings: Settings, org: str, asked: Asked, file: BinaryIO) -> int:
    done, tell = 0, _teller()
    async with aclosing(_steps(settings, org, asked)) as steps:
        async for step, total in steps:
            file.write(step.data)
            done += step.rows
            tell(done, total)
    file.flush()
    return done


async def _steps(settings: Settings, org: str, asked: Asked) -> AsyncGenerator[tuple[Step, int | None], None]:
    """Chunk by chunk, each in its own transaction, as a worker takes them."""
    from waypost.wiring import JOB_KINDS

    kind = JOB_KINDS[f"export.{asked.what}"]
    async with services_of(settings) as services:
        org_id = await services.operator.organisation(org)
        async with services.database.transaction(org_id) as conn:
            plan = await kind.plan(conn, org_id, asked, services.clock.now())
            total = await kind.count(conn, org_id, plan)
        cursor: object | None = None
        while True:
            async with services.database.transaction(org_id) as conn:
                step = await kind.step(conn, org_id, plan, cursor)
            yield step, total
            if (cursor := step.cursor) is None:
                return


def _teller() -> Callable[[int, int | None], None]:
    """How far it is, on a terminal."""
    if not sys.stderr.isatty():
        return lambda _done, _total: None

    def tell(done: int, total: int | None) -> None:
        of = f" of {total} ({done * 100 // total} %)" if total else ""
        sys.stderr.write(f"\r\x1b[K{done}{of}")
        sys.stderr.write("\r\x1b[K" if total is not None and done >= total else "")
        sys.stderr.flush()

    return tell
