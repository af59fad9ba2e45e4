"""Members that stop reading: what becomes of them, seen from their own end and from the kernel's table (Linux)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.sockets import Socket

RECEIVE_BYTES = 65_536  # of their own sockets, which else take some MB more of what they do not read
LOOK_S = 0.1
ESTABLISHED = "01"


@dataclass(slots=True)
class Member:
    """``told``: it heard that it is too slow."""

    told: bool = False

    def note(self, payload: bytes) -> None:
        self.told = self.told or payload.startswith(b'42["error",{"code":"slow-client"')


@dataclass(frozen=True, slots=True)
class Stalling:
    """Those of one room. ``port``: of their server."""

    port: int
    members: Sequence[Member]
    sockets: Sequence[Socket]

    @classmethod
    @asynccontextmanager
    async def of(
        cls, url: str, token: str, count: int, join: Callable[[Socket], Awaitable[None]]
    ) -> AsyncIterator[Stalling]:
        """So many that have joined and still read; they leave at the end."""
        async with AsyncExitStack() as exits:
            made, sockets = [Member() for _ in range(count)], list[Socket]()
            for each in made:
                sockets.append(await Socket.to(url, token, heard=each.note))
                exits.callback(sockets[-1].close)
                await join(sockets[-1])
            yield cls(urlsplit(url).port or 80, made, sockets)

    def stop_reading(self) -> None:
        for each in self.sockets:
            if (transport := each.transport) is not None:
                kernel = transport.get_extra_info("socket")
                kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
                transport.pause_reading()

    async def read_on(self, count: int, within_s: float) -> int:
        """The first of them read again, until the server hangs up; how many heard why they were cut."""
        for each in self.sockets[:count]:
            if (transport := each.transport) is not None:
                transport.resume_reading()
        await asyncio.wait([each.closed for each in self.sockets[:count]], timeout=within_s)
        return sum(each.told for each in self.members[:count])

    async def aborted(self, within_s: float) -> int:
        """How many of those who never read on the server has hung up on, once that is all of them or time is over."""
        rest = {_port(each) for each in self.sockets if not each.closed.done()}
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while (left := self._held(rest)) and loop.time() < until:  # noqa: ASYNC110 - the kernel's table
            await asyncio.sleep(LOOK_S)
        return len(rest) - left

    def orphans(self) -> float:
        """What the kernel still holds to send to them for no process, MiB."""
        rest = {_port(each) for each in self.sockets if not each.closed.done()}
        found = ends(self.port, Path("/proc/net/tcp").read_text())
        return round(sum(waiting for port, (state, waiting) in found.items() if port in rest) / 2**20, 1)

    def _held(self, ports: set[int]) -> int:
        found = ends(self.port, Path("/proc/net/tcp").read_text())
        return sum(found[port][0] == ESTABLISHED for port in ports if port in found)


def ends(port: int, connections: str) -> Mapping[int, tuple[str, int]]:
    """A server's ends by their clients' ports: state, and how many bytes wait to be sent; of ``/proc/net/tcp``."""
    found = {}
    for line in connections.splitlines()[1:]:
        _, here, there, state, queues, *_ = line.split()
        if int(here.rpartition(":")[2], 16) == port:
            found[int(there.rpartition(":")[2], 16)] = (state, int(queues.partition(":")[0], 16))
    return found


def _port(of: Socket) -> int:
    assert of.transport is not None  # noqa: S101 - for the types
    return int(of.transport.get_extra_info("sockname")[1])
