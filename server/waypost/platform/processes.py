"""Child programs of one process tree: started, named in our output, watched, restarted, stopped."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import TextIO

from waypost.platform.console import LAST_WORDS_S, QUEUED_LINES, Console, Lines
from waypost.platform.embedded.spawn import die_with_parent

FIRST_DELAY_S, LONGEST_DELAY_S, PROVEN_S = 0.5, 30.0, 60.0
KEPT_LINES = 20
NOT_STARTED = 127
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)

Ready = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A child that ended unasked. ``exit_code`` is minus the signal's number where a signal ended it."""

    name: str
    exit_code: int
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        """Read as one line."""
        how = f"signal {-self.exit_code}" if self.exit_code < 0 else f"status {self.exit_code}"
        return f"{self.name} ended with {how}: {self.last_lines[-1] if self.last_lines else 'it said nothing'}"


class ProcessFailed(Exception):
    """A child did not start, ended before it was ready, or was not ready in time."""

    def __init__(self, failure: Failure, why: str = "") -> None:
        super().__init__(why or str(failure))
        self.failure = failure


def next_delay(previous_s: float | None, lived_s: float) -> float:
    """Seconds to wait before a restart: 0.5, doubling to 30, and 0.5 again after a life of a minute."""
    if previous_s is None or lived_s >= PROVEN_S:
        return FIRST_DELAY_S
    return min(previous_s * 2, LONGEST_DELAY_S)


@dataclass(slots=True)
class Child:
    """One name under supervision, over all its lives."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None
    group: str
    restart: bool
    death_signal: Signals
    grace_s: float | None
    colour: int
    starting: bool = False
    process: Process | None = None
    tending: asyncio.Task[None] | None = None
    asked_to_end: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    @property
    def pid(self) -> int | None:
        """The process id of its present life; None between two."""
        return self.process.pid if self.process and self.process.returncode is None else None

    def failure(self) -> Failure:
        """Its last end."""
        code = self.process.returncode if self.process else None
        return Failure(self.name, NOT_STARTED if code is None else code, tuple(self.lines))


class Supervisor:
    """Starts programs that cannot outlive us (Linux), shows their lines as ``name | line``, stops them in reverse.

    Use it on the main thread's loop: the kernel ends a child with the *thread* that started it. Each child is in a
    session of its own, so a Ctrl-C reaches only us. ``stop()`` awaits every task that was made here.
    """

    def __init__(self, out: TextIO | None = None, *, grace_s: float = 10.0) -> None:
        self.grace_s = grace_s
        self._out = out
        self._console: Console | None = None
        self._children: dict[str, Child] = {}
        self._failures: deque[Failure] = deque(maxlen=QUEUED_LINES)
        self._failure_came = asyncio.Event()
        self._started = 0
        self._width = 0

    async def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        *,
        ready: Ready | None = None,
        ready_within_s: float = 60.0,
        restart: bool = False,
        group: str | None = None,
        death_signal: Signals = Signals.SIGTERM,
        grace_s: float | None = None,
    ) -> Child:
        """Start a program and wait until ``ready()`` has returned; ProcessFailed when it ends first, or is too slow.

        ``env`` None is our own environment. With ``restart`` a later end is no failure: it is started again after
        ``next_delay``. Children of one ``group`` (by default each is its own) are stopped together.
        ``death_signal`` is what it gets when we die: SIGKILL for one that must surely be gone. ``grace_s``: how long it
        may take to end when asked, where that is not the supervisor's own.
        """
        if (known := self._children.get(name)) and known.tending and not known.tending.done():
            raise ValueError(f"there is already a child named {name}")
        self._console = self._console or Console(self._out or sys.stdout)
        self._width, self._started = max(self._width, len(name)), self._started + 1
        colour = COLOURS[self._started % len(COLOURS)]
        child = Child(name, [str(arg) for arg in argv], env, group or name, restart, death_signal, grace_s, colour)
        child.starting = ready is not None
        output = await self._spawn(child)
        self._children[name] = child
        child.tending = asyncio.create_task(self._tend(child, output), name=f"tend {name}")
        if ready is not None:
            await self._until_ready(child, child.tending, ready, ready_within_s)
        return child

    async def failed(self) -> Failure:
        """The next child that ended unasked, each once, the oldest first; waits until there is one."""
        while not self._failures:
            self._failure_came.clear()
            await self._failure_came.wait()
        return self._failures.popleft()

    async def stop(self, group: str | None = None) -> None:
        """End all children, or one group's: the group that was started last goes first. May be repeated."""
        groups = dict.fromkeys(child.group for child in self._children.values())
        for each in reversed([name for name in groups if group in (None, name)]):
            members = [child for child in self._children.values() if child.group == each]
            await asyncio.gather(*(self._end(child) for child in members))
        if not self._children and self._console is not None:
            console, self._console = self._console, None
            await console.close()

    async def _until_ready(self, child: Child, tending: asyncio.Task[None], ready: Ready, within_s: float) -> None:
        waiting = asyncio.ensure_future(ready())
        try:
            await asyncio.wait({waiting, tending}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                late = f"{child.name} was not ready within {within_s:g} s" if child.pid else ""
                raise ProcessFailed(child.failure(), late)
            waiting.result()
        except BaseException:
            waiting.cancel()
            await asyncio.gather(waiting, self._end(child), return_exceptions=True)
            raise
        child.starting = False
        if tending.done():
            self._report(child.failure())

    async def _spawn(self, child: Child) -> tuple[asyncio.ReadTransport, Lines]:
        """A new life; its output is a pipe of ours: asyncio's own holds back the news of its end until it closes."""
        reading, writing = os.pipe()
        transport, lines = await asyncio.get_running_loop().connect_read_pipe(
            lambda: Lines(lambda line: self._say(child, line)), os.fdopen(reading, "rb", 0)
        )
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.argv,
                env=child.env,
                stdin=DEVNULL,
                stdout=writing,
                stderr=STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(child.death_signal),
            )
        except BaseException as error:
            transport.close()
            if not isinstance(error, OSError):
                raise
            words = f"{child.argv[0]}: {error.strerror or error}"
            raise ProcessFailed(Failure(child.name, NOT_STARTED, (words,))) from error
        finally:
            os.close(writing)
        return transport, lines

    async def _tend(self, child: Child, output: tuple[asyncio.ReadTransport, Lines]) -> None:
        """One child from its first life to its last."""
        loop, delay_s = asyncio.get_running_loop(), None
        while True:
            born = loop.time()
            await self._live(child, *output)
            if child.asked_to_end or child.starting:
                return
            if not child.restart:
                self._report(child.failure())
                return
            delay_s = next_delay(delay_s, loop.time() - born)
            self._say(child, f"{child.failure()}; it is started again in {delay_s:g} s")
            await asyncio.sleep(delay_s)
            try:
                output = await self._spawn(child)
            except ProcessFailed as failed:
                self._report(failed.failure)
                return

    async def _live(self, child: Child, transport: asyncio.ReadTransport, lines: Lines) -> None:
        """Until it has ended and its last words are read; a grandchild that holds the pipe is not waited for long."""
        try:
            if child.process is not None:
                await child.process.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await lines.closed.wait()
        finally:
            transport.close()

    async def _end(self, child: Child) -> None:
        """SIGTERM, and SIGKILL to all of its session when that is not enough. One that is gone already is fine."""
        child.asked_to_end = True
        process, tending = child.process, child.tending
        if process is None or tending is None:
            return
        if child.pid is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait({tending}, timeout=self.grace_s if child.grace_s is None else child.grace_s)
        if child.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, Signals.SIGKILL)
            await process.wait()
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        self._children.pop(child.name, None)

    def _report(self, failure: Failure) -> None:
        self._failures.append(failure)
        self._failure_came.set()

    def _say(self, child: Child, line: str) -> None:
        child.lines.append(line)
        if self._console is None:
            return
        prefix = f"{child.name:<{self._width}} |"
        if self._console.colours:
            prefix = f"\x1b[{child.colour}m{prefix}\x1b[0m"
        self._console.write(f"{prefix} {line}")
