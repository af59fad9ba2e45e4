"""A connection to a mail server that an organisation named: only to where the guard allows, judged on the very address
that is then used.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver

from waypost.platform.guarded import AddressRefused, Guard


@dataclass(frozen=True, slots=True)
class Joining:
    """Finds a server's addresses and connects to the first that answers."""

    guard: Guard
    names: AbstractResolver

    async def join(self, host: str, port: int) -> socket.socket:
        """A connected socket. ``AddressRefused``: it has no address that may be called; else the last ``OSError``."""
        found = await self.names.resolve(host, port, socket.AF_UNSPEC)
        last: OSError = AddressRefused()
        for each in found:
            if not self.guard.allows(each["host"]):
                continue
            try:
                return await _connected(each["family"], (each["host"], port))
            except OSError as error:
                last = error
        raise last


async def _connected(family: int, to: tuple[str, int]) -> socket.socket:
    made = socket.socket(family=family, type=socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, to)
    except BaseException:
        made.close()
        raise
    return made
