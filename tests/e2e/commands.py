"""Our commands as processes of their own: started, read, ended by their own process id."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.waiting import until

WAYPOST = (sys.executable, "-m", "waypost.cli")
READY_S = 40.0
READY = re.compile(r"is ready after [\d.]+ s: (http://\S+)")
GENTLE_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of Waypost, and what a test adds."""
    return (
        {k: v for k, v in os.environ.items() if not k.startswith("WAYPOST_")} | {"COLUMNS": "200"} | dict(extra or {})
    )


def runs(pid: int) -> bool:
    """Whether a process runs: one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def tree(pid: int) -> dict[int, str]:
    """A process and all below it: process id -> command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    commands = {}
    for each in found:
        with suppress(OSError):
            commands[each] = Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return commands


@dataclass(slots=True)
class Running:
    """A running command and what it has said so far."""

    process: asyncio.subprocess.Process
    out: Path
    err: Path
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return self.out.read_text(errors="replace")

    @property
    def complaint(self) -> str:
        return self.err.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ended(self, within_s: float = GENTLE_S) -> int:
        """Its exit status, once it has ended."""
        return await asyncio.wait_for(self.process.wait(), within_s)

    async def kill(self) -> None:
        """As by ``kill -9``."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def says(self, pattern: re.Pattern[str], within_s: float = READY_S) -> re.Match[str]:
        """The first match in its output; AssertionError when it ends before that."""

        def look() -> re.Match[str] | None:
            found = pattern.search(self.text)
            assert found or self.process.returncode is None, f"it ended: {self.text}\n{self.complaint}"
            return found

        found = await until(look, within_s)
        assert found is not None
        return found


@asynccontextmanager
async def running(*arguments: object, env: Mapping[str, str], cwd: Path | None = None) -> AsyncIterator[Running]:
    """``waypost ARGUMENTS``; ended at the end, by force if it must be."""
    with tempfile.TemporaryDirectory(prefix="waypost-out-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        files = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in (out, err)]
        try:
            process = await asyncio.create_subprocess_exec(
                *(*WAYPOST, *map(str, arguments)), env=dict(env), cwd=cwd, stdin=asyncio.subprocess.DEVNULL,
                stdout=files[0], stderr=files[1], start_new_session=True,
            )  # fmt: skip
        finally:
            for file in files:
                os.close(file)
        command = Running(process, out, err)
        try:
            yield command
        finally:
            if process.returncode is None:
                command.send(signal.SIGTERM)
                with suppress(TimeoutError):
                    await command.ended()
            if process.returncode is None:
                await command.kill()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it said."""

    status: int
    text: str
    complaint: str


async def waypost(
    *arguments: object, env: Mapping[str, str], cwd: Path | None = None, within_s: float = 60
) -> Finished:
    """Run to the end."""
    async with running(*arguments, env=env, cwd=cwd) as command:
        status = await command.ended(within_s)
        return Finished(status, command.text, command.complaint)


async def get(url: str, token: str | None = None) -> tuple[int, Any]:
    """An answer's status and JSON; status 0 when nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
            session.get(url, headers=headers) as response,
        ):
            return response.status, await response.json(content_type=None)
    except aiohttp.ClientConnectionError:
        return 0, None


async def sign_in(url: str, password: str, **who: str) -> dict[str, Any]:
    """The answer of the sign-in with that phone or email."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v1/auth/login", json={"password": password, **who}) as response,
    ):
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def is_ready(url: str) -> bool:
    return (await get(f"{url}/readyz"))[0] == 200


@asynccontextmanager
async def up(
    data: Path, *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> AsyncIterator[Running]:
    """``waypost up`` on that folder and a free port, ready."""
    options = ("up", "--data", data, "--port", 0, *arguments)
    async with running(*options, env=clean_environment(env), cwd=cwd or data.parent) as command:
        command.url = (await command.says(READY))[1]
        yield command


@asynccontextmanager
async def serving(env: Mapping[str, str], port: int | None = None) -> AsyncIterator[Running]:
    """``waypost serve`` over running servers, ready."""
    port = port or free_port()
    async with running("serve", "--port", port, env=clean_environment(env)) as command:
        command.url = f"http://127.0.0.1:{port}"

        async def ready() -> bool:
            assert command.process.returncode is None, f"it ended: {command.text}\n{command.complaint}"
            return await is_ready(command.url)

        await until(ready, READY_S)
        yield command
