"""`/livez` and `/readyz`: is the process alive; can it serve, and if not, what is missing since when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from aiohttp import web

from waypost.kernel.clock import Clock
from waypost.kernel.errors import AppError
from waypost.platform.codec import Instant, instant_or_none
from waypost.platform.routes import Route
from waypost.platform.telemetry import log
from waypost.platform.web import reply

PATIENCE_S = 0.8  # an answer within a second even when everything hangs
GIVEN_UP_S = 5.0  # a question that hangs is asked anew after that
OK = "ok"


class Alive(msgspec.Struct, rename="camel"):
    """The process runs."""

    status: str = "alive"


class Part(msgspec.Struct, rename="camel", omit_defaults=True):
    """One thing that the server leans on. ``state``: "ok", or what is wrong with it; ``since``: when that began."""

    state: str
    since: Instant | None = None
    needed: bool = True  # False: without it we serve all the same, but somebody should look
    lag_s: float | None = None  # how long the oldest piece of its work has waited


class Readiness(msgspec.Struct, rename="camel"):
    """Can it serve, and what is missing."""

    status: str
    parts: dict[str, Part]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: "ok", or what is wrong; how far behind it is, where it has work."""

    state: str
    lag_s: float | None = None


SILENT = Finding("does not answer")


@dataclass(slots=True)
class Probe:
    """One question. At most one is under way; who asks meanwhile waits for that one's answer, or not longer."""

    name: str
    ask: Callable[[], Awaitable[Finding]]  # an AppError says what is wrong too: by its code
    needed: bool = True
    asking: asyncio.Task[Finding] | None = None
    wrong_since: datetime | None = None

    def begin(self) -> asyncio.Task[Finding]:
        if self.asking is None or self.asking.done():
            self.asking = asyncio.create_task(self._answer(), name=f"probe {self.name}")
        return self.asking

    async def _answer(self) -> Finding:
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                return await self.ask()
        except TimeoutError:
            return SILENT
        except AppError as error:
            return Finding(error.code)
        except Exception:  # noqa: BLE001 - a probe that fails is an answer too
            log.exception("probe_failed", probe=self.name)
            return Finding("probe-failed")


@dataclass(frozen=True, slots=True)
class Health:
    """All probes of a process. A hung one is left to end by itself: the answer does not wait for it."""

    clock: Clock
    probes: tuple[Probe, ...] = field(default_factory=tuple)

    async def look(self) -> Mapping[str, Part]:
        """The state of each part, within a second."""
        tasks = [probe.begin() for probe in self.probes]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)
        return {probe.name: self._part(probe, task) for probe, task in zip(self.probes, tasks, strict=True)}

    def _part(self, probe: Probe, task: asyncio.Task[Finding]) -> Part:
        found = task.result() if task.done() and not task.cancelled() else SILENT
        if found.state == OK:
            probe.wrong_since = None
        elif probe.wrong_since is None:
            probe.wrong_since = self.clock.now()
        return Part(found.state, instant_or_none(probe.wrong_since), probe.needed, found.lag_s)

    async def close(self) -> None:
        """End what is still asking."""
        asking = [probe.asking for probe in self.probes if probe.asking is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """For balancers and people; tells no secret."""

    health: Health

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/livez", self.live, answer=Alive, public=True),
            Route("GET", "/readyz", self.ready, answer=Readiness, public=True, other_answers={503: Readiness}),
        ]

    async def live(self, _request: web.Request) -> web.Response:
        """Does the process run?"""
        return reply(Alive())

    async def ready(self, _request: web.Request) -> web.Response:
        """Can it serve? 503 while something that it needs is missing."""
        parts = dict(await self.health.look())
        good = all(part.state == OK for part in parts.values() if part.needed)
        return reply(Readiness("ready" if good else "not ready", parts), status=200 if good else 503)
