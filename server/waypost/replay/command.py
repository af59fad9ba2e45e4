"""The command ``waypost replay``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from waypost.replay.devices import ReplayError
from waypost.replay.dispatcher import Login
from waypost.replay.forms import FormName
from waypost.replay.lines import Program
from waypost.replay.rows import TraceError
from waypost.replay.session import Replay, Target
from waypost.replay.simulate import HARARE

PASSWORD_VARIABLE = "WAYPOST_REPLAY_PASSWORD"  # noqa: S105 - its name, not its value
BAD_USE = 2
FASTEST_ASKED = 1000
EXAMPLES = """
Play recorded GPS traces as real client devices: each vehicle becomes a phone that sends its fixes in batches as if the
recording happened now, defects included, and keeps them until the server has answered.

FILES are CSV, GPX or GeoJSON, plain or .gz, or folders of them. Examples:

    waypost replay data/capmetro-2017-04-18.csv.gz --vehicles 20 --align --phone +263771234567

    waypost replay --simulate 10 --devices devices.jsonl --loop
"""


def replay(
    files: list[Path],
    *,
    url: str = "http://127.0.0.1:8080",
    speed: float | None = None,
    vehicles: int | None = None,
    loop: bool = False,
    transport: Literal["http", "socket"] = "http",
    form: FormName = "json",
    devices: Path | None = None,
    login: Login | None = None,
    align: bool = False,
    batch_s: float = 3.0,
    duration_s: float | None = None,
    max_gap_s: float | None = None,
    fix_every_s: float | None = None,
    simulate: int = 0,
    centre: tuple[float, float] = HARARE,
) -> int:
    """Play to the end, or until a signal: the exit status, 0, or 1 if nothing was accepted.

    Raises ReplayError or TraceError if it cannot begin. Inside a running loop use `session.Replay` instead.
    """
    program = Program(tuple(files), vehicles, speed, align, loop, max_gap_s, fix_every_s, simulate, centre)
    target = Target(url, transport, devices, login, batch_s, form)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_signal(Replay(program, target, duration_s)))


def app_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Traces, or folders of them.", metavar="FILES")] = None,
    url: Annotated[str, typer.Option(help="Address of the server.")] = "http://127.0.0.1:8080",
    speed: Annotated[str, typer.Option(help="Times the recorded speed, or 'auto': for each file as fast as makes its "
                                            "fixes come about every 4 s and its vehicles still plausible.")] = "auto",
    vehicles: Annotated[int | None, typer.Option(help="Play so many vehicles, in turns over the files; those with the "
                                                      "most fixes first.", min=1)] = None,
    simulate: Annotated[int, typer.Option(help="Add so many simulated vans.", min=0)] = 0,
    around: Annotated[str, typer.Option(help="Where simulated vans drive: LATITUDE,LONGITUDE.")] = "-17.8292,31.0522",
    align: Annotated[bool, typer.Option("--align/--keep-times", help="Begin with every vehicle at once, or keep the "
                                                                     "times between the vehicles of a file.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end of a recording.")] = False,
    max_gap: Annotated[float | None, typer.Option(help="Shorten longer silences of a vehicle to so many seconds of the "
                                                       "replay.", min=1)] = None,
    fix_every: Annotated[float | None, typer.Option(help="Play each file so fast that its fixes come about every so "
                                                         "many seconds, plausible or not (60 times at most).",
                                                    min=0.5)] = None,
    transport: Annotated[str, typer.Option(help="How devices send: http or socket (Socket.IO).")] = "http",
    form: Annotated[str, typer.Option(help="In what form: json, msgpack, or columns (a tenth of the bytes).")] = "json",
    devices: Annotated[Path | None, typer.Option(help='Devices to play as: JSON lines {"vehicle", "token", "tripId"}; '
                                                      "matched by vehicle, else in the file's order.")] = None,
    phone: Annotated[str | None, typer.Option(help="Sign in as this dispatcher and make a driver, a device and a trip "
                                                   f"for each vehicle. {PASSWORD_VARIABLE} or a prompt.")] = None,
    email: Annotated[str | None, typer.Option(help="Sign in by e-mail instead.")] = None,
    batch: Annotated[float, typer.Option(help="Seconds between two batches of a device.", min=0.1)] = 3.0,
    duration: Annotated[float | None, typer.Option(help="Stop after so many seconds.", min=0.1)] = None,
) -> None:  # fmt: skip
    """Play recorded GPS traces as real client devices."""
    try:
        status = replay(
            files or [], url=url, speed=_speed(speed), vehicles=vehicles, simulate=simulate, centre=_centre(around),
            align=align, loop=loop, max_gap_s=max_gap, fix_every_s=fix_every, transport=_transport(transport),
            form=_form(form), devices=devices,
            login=None if devices else _login(phone, email), batch_s=batch, duration_s=duration,
        )  # fmt: skip
    except (ReplayError, TraceError) as error:
        typer.echo(f"waypost replay: {error}", err=True)
        raise typer.Exit(BAD_USE) from error
    raise typer.Exit(status)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("replay", help=EXAMPLES)(app_command)


async def _until_signal(replaying: Replay) -> int:
    """The first signal asks for an orderly end; the default handlers come back for a second one."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends it without the summary
            loop.add_signal_handler(number, ask)
    return await replaying.run(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _speed(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= FASTEST_ASKED:
        raise ReplayError(f"--speed {text}: expected 'auto' or a number above 0, at most {FASTEST_ASKED}")
    return speed


def _centre(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise ReplayError(f"--around {text}: expected LATITUDE,LONGITUDE") from None
    return latitude, longitude


def _transport(text: str) -> Literal["http", "socket"]:
    match text:
        case "http" | "socket":
            return text
    raise ReplayError(f"--transport {text}: expected http or socket")


def _form(text: str) -> FormName:
    match text:
        case "json" | "msgpack" | "columns":
            return text
    raise ReplayError(f"--form {text}: expected json, msgpack or columns")


def _login(phone: str | None, email: str | None) -> Login | None:
    if not phone and not email:
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password and not sys.stdin.isatty():
        raise ReplayError(f"no password: set {PASSWORD_VARIABLE}")
    return Login(password or typer.prompt("Password", hide_input=True), phone, email)
