"""A whole replay: traces, devices, the run, the summary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal
from uuid import uuid4

import aiohttp
from rich.console import Console
from rich.progress import Progress

from waypost.kernel.clock import Clock, SystemClock
from waypost.replay.client import Device
from waypost.replay.devices import Credential, ReplayError, match, read_devices
from waypost.replay.dispatcher import Dispatcher, Login, check_reachable, make_devices
from waypost.replay.display import Display, summary
from waypost.replay.forms import FORMS, FormName
from waypost.replay.lines import Program, recorded_lines, simulated_lines, van_names
from waypost.replay.runner import SENDERS, Runner
from waypost.replay.stats import Stats
from waypost.replay.timeline import Slot
from waypost.replay.traces import load
from waypost.replay.transports import HttpTransport, SocketTransport, Transport, http_session

Line = tuple[Device, Iterator[Slot]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where it is played to, and as whom: the devices of a file, or new ones made by a dispatcher who signs in."""

    url: str
    transport: Literal["http", "socket"] = "http"
    devices: Path | None = None
    login: Login | None = None
    batch_s: float = 3.0
    form: FormName = "json"


@dataclass(slots=True)
class Replay:
    """One replay. `run` once."""

    program: Program
    target: Target
    duration_s: float | None = None
    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=Random)
    console: Console = field(default_factory=Console)
    stats: Stats = field(default_factory=Stats)

    async def run(self, stop: asyncio.Event) -> int:
        """Play until the end, the duration or ``stop``; 0, or 1 if the server accepted nothing.

        Raises ReplayError or TraceError if it cannot begin.
        """
        names, slots = self._vehicles()
        sockets = len(names) if self.target.transport == "socket" else 0
        async with http_session(SENDERS + sockets) as session:
            credentials = await self._credentials(session, names)
            lines = self._lines(session, names, slots, credentials)
            began_s = self.clock.monotonic()
            try:
                await self._play(lines, stop)
            finally:
                for device, _ in lines:
                    await device.transport.close()
        self._say(summary(self.stats, self.clock.monotonic() - began_s))
        return 0 if self.stats.accepted else 1

    async def _play(self, lines: Sequence[Line], stop: asyncio.Event) -> None:
        runner = Runner(lines, self.clock, self.stats, self.duration_s)
        display = Display(self.stats, self.clock, self.console, lambda: runner.playing)
        async with asyncio.TaskGroup() as group:
            shown = group.create_task(display.show())
            await runner.run(stop)
            shown.cancel()

    def _vehicles(self) -> tuple[list[str], list[Iterator[Slot]]]:
        """The names of all vehicles and their time lines."""
        if not self.program.files and not self.program.simulate:
            raise ReplayError("nothing to play: give trace files, or --simulate N")
        recordings = load(self.program.files, self.program.vehicles, self._say) if self.program.files else []
        slots = recorded_lines(recordings, self.program, self.random, self._say)
        slots += simulated_lines(self.program, self.random)
        return [recording.name for recording in recordings] + van_names(self.program.simulate), slots

    async def _credentials(self, session: aiohttp.ClientSession, names: Sequence[str]) -> Sequence[Credential | None]:
        if self.target.devices is not None:
            matched = match(names, read_devices(self.target.devices))
            await check_reachable(session, self.target.url)
            return matched
        if self.target.login is None:
            raise ReplayError("no devices: give --devices FILE, or sign in with --phone or --email")
        dispatcher = Dispatcher(session, self.target.url, self.target.login, self.clock, self.random)
        label = f"{self.clock.now():%Y-%m-%d %H:%M:%S}"
        with Progress(console=self.console, transient=True) as progress:
            task = progress.add_task("making devices and trips", total=len(names))
            made: Callable[[int], None] = lambda n: progress.update(task, completed=n)  # noqa: E731
            return await make_devices(dispatcher, names, label, made)

    def _lines(
        self,
        session: aiohttp.ClientSession,
        names: Sequence[str],
        slots: Sequence[Iterator[Slot]],
        credentials: Sequence[Credential | None],
    ) -> list[Line]:
        lines = [(self._device(session, name, credential), line)
                 for name, line, credential in zip(names, slots, credentials, strict=True) if credential]  # fmt: skip
        if len(lines) < len(names):
            self._say(f"{len(names) - len(lines)} of {len(names)} vehicles are not played: there is no device for them")
        return lines

    def _device(self, session: aiohttp.ClientSession, name: str, credential: Credential) -> Device:
        url, token, form = self.target.url, credential.token, FORMS[self.target.form]
        transport: Transport = (
            SocketTransport(session, url, token, form)
            if self.target.transport == "socket"
            else HttpTransport(session, url, token, self.clock, form)
        )
        random = Random(self.random.getrandbits(64))  # noqa: S311 - jitter, not a secret
        return Device(name, str(uuid4()), transport, self.clock, self.stats, random, credential.trip_id,
                      self.target.batch_s)  # fmt: skip

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
