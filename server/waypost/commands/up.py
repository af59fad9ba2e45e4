"""``waypost up``: everything in one process tree, with one folder of data."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from waypost.commands.common import BAD_USE, fail, read_settings, remember
from waypost.commands.serve import address
from waypost.demo import Demo, DemoPlan, plan_demo
from waypost.kernel.errors import AppError
from waypost.platform import keyfile, migrations
from waypost.platform.embedded import EmbeddedError, EmbeddedStack, default_data_dir, provision
from waypost.platform.processes import ProcessFailed, Supervisor
from waypost.platform.secretbox import new_key
from waypost.replay.rows import TraceError
from waypost.settings import Settings, reveal

DEFAULT_TRACES = Path("../shared/data")
READY_POLL_S = 0.02
AFTER_SENDING_S = 5.0  # for what became of it to be written
PYTHON = (sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    data: Path
    demo: DemoPlan | None
    info: Path | None
    began: float = field(default_factory=time.monotonic)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("up")(up)


def up(
    data: Annotated[Path | None, typer.Option(help="Folder for all data [default: the user's data folder].")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [default: 8080].")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make a demo organisation and drive its vehicles.")] = False,
    traces: Annotated[
        Path | None, typer.Option(help=f"Folder of recorded traces for the demo [default: {DEFAULT_TRACES}, if there].")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Demo: times the recorded speed [default: by file].", min=0.1)
    ] = None,
    vehicles: Annotated[
        int | None, typer.Option(help="Demo: how many vehicles [default: 400 recorded, 25 simulated].", min=1, max=2000)
    ] = None,
    info: Annotated[Path | None, typer.Option(help="Demo: write address and logins there as JSON when ready.")] = None,
) -> None:
    """Start everything: PostgreSQL, Valkey, migrations, server, worker; stop it all with Ctrl-C.

    WAYPOST_DATABASE_URL and WAYPOST_REDIS_URL replace either embedded server.
    """
    settings = read_settings(host=host, port=port)
    if info is not None and not demo:
        fail("--info goes with --demo: it holds the demo's logins", BAD_USE)
    if traces is not None and not traces.exists():
        fail(f"--traces {traces}: there is no such file or folder", BAD_USE)
    if traces is None and DEFAULT_TRACES.is_dir():
        traces = DEFAULT_TRACES
    plan = DemoPlan(traces, speed, vehicles, private=not _is_loopback(settings.host)) if demo else None
    options = Options((data or default_data_dir()).expanduser().absolute(), plan, info)
    try:
        status = asyncio.run(_up(settings, options))
    except (AppError, EmbeddedError, ProcessFailed, TraceError) as error:
        fail(error.detail if isinstance(error, AppError) else str(error))
    except OSError as error:
        fail(f"{error.filename or options.data}: {error.strerror or error}")
    raise typer.Exit(status)


async def _up(settings: Settings, options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _ask_to_stop, stop)
    async with AsyncExitStack() as exits:
        port = _check_port(settings.host, settings.port)
        stack = EmbeddedStack(
            options.data,
            postgres=settings.database_url is None,
            valkey=settings.redis_url is None,
            postgres_bin=settings.postgres_bin,
            valkey_bin=settings.valkey_bin,
        )
        exits.push_async_callback(stack.stop)
        planning = (
            asyncio.create_task(asyncio.to_thread(plan_demo, options.demo, options.data)) if options.demo else None
        )
        await stack.start()
        if stop.is_set():
            return 0
        env = await _prepare(settings, options, stack, port)
        supervisor = Supervisor()
        exits.push_async_callback(supervisor.stop)
        url = address(_reachable(settings.host), port)
        await _start_parts(supervisor, env, url, stop, settings)
        demo = await _start_demo(supervisor, env, url, await planning) if planning is not None else None
        _announce(url, options, demo, shows_notices=_shows_notices(settings, options))
        return await _until_end(stop, stack, supervisor)


async def _prepare(settings: Settings, options: Options, stack: EmbeddedStack, port: int) -> dict[str, str]:
    """Roles, migrations, the signing key; the environment that all parts run in."""
    env = {**os.environ, "WAYPOST_HOST": settings.host, "WAYPOST_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    if settings.database_url is None:
        await provision(stack.postgres)
        env["WAYPOST_DATABASE_URL"] = stack.database_dsn()
        owner_url = stack.database_dsn(user="waypost_owner")
    else:
        owner_url = reveal(settings.database_owner_url) or str(reveal(settings.database_url))
    if settings.redis_url is None:
        env["WAYPOST_REDIS_URL"] = stack.redis_url()
    login = migrations.username(env["WAYPOST_DATABASE_URL"])
    system_login = migrations.username(reveal(settings.database_system_url))
    await migrations.up(owner_url, login=login, system_login=system_login)
    if settings.signing_key is None:
        env["WAYPOST_SIGNING_KEY_FILE"] = str(keyfile.ensure(options.data / "signing.key", keyfile.new_secret))
    if settings.encryption_keys is None:
        env["WAYPOST_ENCRYPTION_KEYS_FILE"] = str(keyfile.ensure(options.data / "encryption.keys", new_key))
    env["WAYPOST_CONSOLE_CHANNEL"] = str(_shows_notices(settings, options)).lower()
    remember(options.data, {**env, "WAYPOST_DATABASE_OWNER_URL": owner_url})
    return env


async def _start_parts(
    supervisor: Supervisor, env: Mapping[str, str], url: str, stop: asyncio.Event, settings: Settings
) -> None:
    """Server, worker and relay; each has the time to stop that its settings give it, and nobody is killed before."""
    send_s = settings.delivery_send_timeout_s + AFTER_SENDING_S
    serve_s = settings.drain_notice_s + settings.drain_sockets_s + settings.drain_s + AFTER_SENDING_S

    async def ready() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not stop.is_set():
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{url}/readyz") as response:
                        if response.ok:
                            return
                await asyncio.sleep(READY_POLL_S)

    async def workers() -> None:
        for name, arguments in (("worker", []), ("relay", ["relay"])):
            argv = [*PYTHON, "waypost_workers.main", *arguments]
            await supervisor.start(name, argv, env, restart=True, grace_s=max(send_s, supervisor.grace_s))

    starting = asyncio.create_task(workers())
    await supervisor.start("server", [*PYTHON, "waypost.cli", "serve"], env, ready=ready, grace_s=serve_s)
    await starting


async def _start_demo(supervisor: Supervisor, env: Mapping[str, str], url: str, demo: Demo) -> Demo:
    """Make what the demo needs, then let its drivers drive: clients like any other."""
    await demo.seed(Settings.from_env(env))
    await supervisor.start("drivers", [*PYTHON, "waypost.cli", *demo.replay_arguments(url)], env, restart=True)
    return demo


def _shows_notices(settings: Settings, options: Options) -> bool:
    """Is there the page with what customers are told? In the demo, and where no mail server is set."""
    if settings.console_channel is not None:
        return settings.console_channel
    return options.demo is not None or settings.smtp_host is None


def _announce(url: str, options: Options, demo: Demo | None, *, shows_notices: bool) -> None:
    seconds = time.monotonic() - options.began
    lines = [f"Waypost is ready after {seconds:.1f} s: {url}", f"  data in {options.data}"]
    if demo is not None:
        lines += demo.words()
        if options.info is not None:
            demo.write_info(options.info, url)
    else:
        lines.append(
            f"  add a person: waypost user add NAME --org BUSINESS --new-org --email ADDRESS --data {options.data}"
        )
    if shows_notices:
        lines.append(f"  what customers are told is shown at {url}/dev/outbox, on this machine only")
    lines.append("  stop with Ctrl-C")
    sys.stdout.write("\n".join(["", *lines, "", ""]))
    sys.stdout.flush()


async def _until_end(stop: asyncio.Event, stack: EmbeddedStack, supervisor: Supervisor) -> int:
    """0 when asked to stop; 1 when a part ended by itself."""
    asked = asyncio.create_task(stop.wait())
    broken = asyncio.create_task(stack.failed())
    failed = asyncio.create_task(supervisor.failed())
    done, rest = await asyncio.wait({asked, broken, failed}, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    if asked in done:
        return 0
    typer.echo(f"waypost: {next(iter(done)).result()}; stopping the rest", err=True)
    return 1


def _ask_to_stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(130)  # asked twice: the kernel ends the children with us
    stop.set()
    sys.stdout.write("\nstopping\n")
    sys.stdout.flush()


def _check_port(host: str, port: int) -> int:
    """The port to listen on; a taken one is told now, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fail(f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port")
        return int(probe.getsockname()[1])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """The address by which we ourselves reach a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
