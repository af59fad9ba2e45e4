"""Receivers and the limit: the yardstick's C programs, compiled for the run; our own receivers where they are not."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import ROOT, cpu_s
from loadtest.stand import free_port

JOIN_WITHIN_S = 120
QUIET_SHARE = 0.1  # of a core: what a server uses at most that has nothing more to answer
LOOK_S = 0.25
LISTENS_AFTER_LOOKS = 250
LIMIT_BEGINS_S = 3.0  # it waits a second before it sends, and a little more before it ends
LIMIT_MOST_S = 15e-6  # a message, on a slow machine


@dataclass(frozen=True, slots=True)
class Tools:
    """The compiled programs; None for what is not here."""

    siolimit: Path | None = None
    sioflood: Path | None = None


async def build(yardstick: Path | None, folder: Path) -> Tools:
    """Compile what the yardstick holds; what is missing is said."""
    found: dict[str, Path] = {}
    if shutil.which("gcc") is None:
        say("without the C programs: gcc is not on PATH")
        return Tools()
    for name in ("siolimit", "sioflood"):
        if yardstick is None or not (yardstick / f"{name}.c").is_file():
            say(f"without {name}: there is no {name}.c; name its folder with --yardstick")
            continue
        source, program = yardstick / f"{name}.c", folder / name
        gcc = await asyncio.create_subprocess_exec("gcc", "-O2", "-w", "-o", program, source)
        if await gcc.wait() != 0:
            raise LoadtestError(f"gcc could not compile {source}")
        found[name] = program
    return Tools(**found)


@dataclass(slots=True)
class Flood:
    """Members that have connected; those of ``sioflood`` may still wait for the ack of what they sent."""

    process: asyncio.subprocess.Process
    count: int

    async def result(self, *, to_the_end: bool = True) -> dict[str, Any]:
        """What they heard, once their time is over. ``LoadtestError`` when they were not all there (to the end)."""
        async with asyncio.timeout(JOIN_WITHIN_S):
            out, _ = await self.process.communicate()
        found: dict[str, Any] = json.loads(out)
        if found["joined"] != self.count or (to_the_end and found["closed"]):
            raise LoadtestError(f"of {self.count} members {found['joined']} joined and {found['closed']} were cut")
        return found


@asynccontextmanager
async def members(
    tools: Tools, url: str, count: int, seconds: float, *, join: list[object] | None = None, token: str = ""
) -> AsyncIterator[Flood]:
    """So many that stay for so long; each has sent ``join``."""
    parts = urlsplit(url)
    event = json.dumps(join) if join else ""
    if tools.sioflood is not None:
        command = [str(tools.sioflood), parts.hostname or "", str(parts.port), "/socket.io/", str(count)]
        command += [str(seconds), event, json.dumps({"token": token})]
    else:
        command = [sys.executable, "-m", "loadtest.crowd", url, str(count), str(seconds), event, token]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        await _joined(process)
        yield Flood(process, count)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _joined(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None  # noqa: S101 - for the types
    said = []
    async with asyncio.timeout(JOIN_WITHIN_S):
        while line := (await process.stderr.readline()).decode(errors="replace").strip():
            if line.startswith("joined"):
                return
            said.append(line)
    raise LoadtestError(f"the members could not connect: {' / '.join(said[-3:]) or 'no word'}")


async def quiet(pid: int, within_s: float, *, of_a_core: float = QUIET_SHARE) -> None:
    """Wait until a server uses less than that. ``LoadtestError`` when it never does."""
    loop = asyncio.get_running_loop()
    until, before = loop.time() + within_s, cpu_s(pid)
    while True:
        await asyncio.sleep(LOOK_S)
        now = cpu_s(pid)
        if now - before <= of_a_core * LOOK_S:
            return
        if loop.time() > until:
            raise LoadtestError(f"the server was still busy {within_s:g} s later")
        before = now


async def limit(tools: Tools, count: int, messages: int, *, frames_a_send: int = 1) -> dict[str, Any]:
    """The physical limit: one ready frame to each of ``count`` sockets by plain send(2)."""
    assert tools.siolimit is not None  # noqa: S101 - for the types
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(tools.siolimit), str(port), str(count), str(messages), str(frames_a_send), stdout=asyncio.subprocess.PIPE
    )
    try:
        await _listens(port)
        hold_s = LIMIT_BEGINS_S + count * messages * LIMIT_MOST_S
        async with members(tools, f"http://127.0.0.1:{port}", count, hold_s, join=["join", {}]) as crowd:
            async with asyncio.timeout(JOIN_WITHIN_S):
                out, _ = await process.communicate()
            heard = await crowd.result(to_the_end=False)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    found: dict[str, Any] = json.loads(out)
    if heard["messages"] != found["deliveries"]:
        raise LoadtestError(f"the limit sent {found['deliveries']} messages, {heard['messages']} came")
    return {"us_per_delivery": found["cpu_us_per_delivery"], "deliveries": int(found["deliveries"])}


async def _listens(port: int) -> None:
    """The program takes every connection for a member, so it is not asked but looked up (Linux)."""
    for _ in range(LISTENS_AFTER_LOOKS):
        if f":{port:04X} 00000000:0000 0A" in _connections():
            return
        await asyncio.sleep(0.02)
    raise LoadtestError(f"siolimit does not listen on port {port}")


def _connections() -> str:
    return Path("/proc/net/tcp").read_text()
