"""Load on a server: as fast as it answers (closed), or at a constant rate whatever it does (open)."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest import wrk
from loadtest.client import Connection, phones
from loadtest.errors import LoadtestError
from loadtest.machine import children_cpu_s
from loadtest.percentiles import percentiles
from loadtest.world import Driven

START_BEFORE_MS = 20 * 3600 * 1000
OK = 200


@dataclass(frozen=True, slots=True)
class Drive:
    """What a load is made of. ``yardstick``: the folder with wrk's script; without it, or without wrk, ours is used."""

    url: str
    driven: Sequence[Driven]
    batch: int
    seconds: float
    connections: int = 32
    yardstick: Path | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it."""

    requests: int
    seconds: float
    client_cpu_s: float
    generator: str
    times_ms: dict[str, float]


async def closed(drive: Drive) -> Load:
    """Each connection sends its next request when its last was answered. ``LoadtestError`` when one was refused."""
    if wrk.why_not(drive.yardstick) is None:
        return await _by_wrk(drive)
    return await _by_ours(drive)


async def _by_wrk(drive: Drive) -> Load:
    assert drive.yardstick is not None  # noqa: S101 - for the types
    cpu = children_cpu_s()
    with tempfile.TemporaryDirectory(prefix="waypost-load-") as folder:
        trips = _written(Path(folder, "trips.txt"), drive.driven)
        run = await wrk.run(
            drive.yardstick, drive.url, trips, batch=drive.batch, seconds=drive.seconds, connections=drive.connections
        )
    times = {f"p{percent}_ms": ms for percent, ms in run.quantiles_ms.items()}
    return Load(run.requests, run.seconds, children_cpu_s() - cpu, "wrk", times)


def _written(path: Path, driven: Sequence[Driven]) -> Path:
    path.touch(0o600)
    path.write_text("".join(f"{each.line()}\n" for each in driven))
    return path


async def _by_ours(drive: Drive) -> Load:
    reporting = phones(drive.driven, int(time.time() * 1000) - START_BEFORE_MS)
    connections = [await Connection.to(drive.url) for _ in range(drive.connections)]
    took: list[float] = []
    cpu, began = own_cpu_s(), time.monotonic()

    async def go(number: int, connection: Connection) -> None:
        mine = reporting[number :: drive.connections]
        turn = 0
        while (sent := time.monotonic()) < began + drive.seconds:
            await _ask(connection, mine[turn % len(mine)].request(drive.batch))
            took.append(time.monotonic() - sent)
            turn += 1

    try:
        await _together(go(number, connection) for number, connection in enumerate(connections[: len(reporting)]))
    finally:
        for connection in connections:
            connection.close()
    return Load(len(took), time.monotonic() - began, own_cpu_s() - cpu, "ours", percentiles(took))


async def open_loop(drive: Drive, requests_per_s: float) -> Load:
    """Each of the drivers has a connection and its moment, again and again; a late answer delays nobody else's request.

    Times are from the moment a request was due, so a server that stalls is charged for all that was due meanwhile.
    """
    reporting = phones(drive.driven, int(time.time() * 1000) - START_BEFORE_MS)
    connections = [await Connection.to(drive.url) for _ in reporting]
    period = len(reporting) / requests_per_s
    took: list[float] = []
    cpu, began = own_cpu_s(), time.monotonic() + 0.1

    async def go(number: int, connection: Connection) -> None:
        due = began + number / requests_per_s
        while due < began + drive.seconds:
            request = reporting[number].request(drive.batch)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await _ask(connection, request)
            took.append(time.monotonic() - due)
            due += period

    try:
        await _together(go(number, connection) for number, connection in enumerate(connections))
    finally:
        for connection in connections:
            connection.close()
    return Load(len(took), time.monotonic() - began, own_cpu_s() - cpu, "ours", percentiles(took))


async def _together(phones_at_work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """To the end of all; the first failure ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in phones_at_work]
    try:
        await asyncio.gather(*tasks)
    except ConnectionError as error:
        raise LoadtestError(f"the server that is measured went away: {error}") from error
    finally:
        for task in tasks:
            task.cancel()


async def _ask(connection: Connection, request: bytes) -> None:
    status, answer = await connection.ask(request)
    if status != OK:
        raise LoadtestError(f"the server answered {status}: {answer[:200].decode(errors='replace')}")


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
