"""Socket.IO by HTTP long-polling, as a client does it that no WebSocket reaches."""

from __future__ import annotations

import asyncio
import json

from loadtest.client import Connection
from loadtest.errors import LoadtestError

BETWEEN = "\x1e"  # packets of one answer (Engine.IO 4)
OK = 200


class Polling:
    """One client: it joins, then polls until it is stopped."""

    def __init__(self, connection: Connection, token: str) -> None:
        self.connection, self.token = connection, token
        self.where = "/socket.io/?EIO=4&transport=polling"
        self.events = self.bytes_out = 0

    @classmethod
    async def to(cls, url: str, token: str) -> Polling:
        """Signed in."""
        made = cls(await Connection.to(url), token)
        (opened,) = await made._get()
        made.where += f"&sid={json.loads(opened[1:])['sid']}"
        await made._post("40" + json.dumps({"token": token}))
        await made._until("40")
        return made

    async def join(self, event: str, body: object) -> None:
        """Its ack has come."""
        await self._post("420" + json.dumps([event, body]))
        await self._until("430")

    async def run(self) -> None:
        """Poll, count events, answer heartbeats."""
        while True:
            await self._take(await self._get())

    async def _until(self, begin: str) -> None:
        while True:
            packets = await self._take(await self._get())
            if any(packet.startswith(begin) for packet in packets):
                return

    async def _take(self, packets: list[str]) -> list[str]:
        for packet in packets:
            self.events += packet.startswith("42")
            if packet == "2":
                await self._post("3")
        return packets

    async def _get(self) -> list[str]:
        return (await self._ask(f"GET {self.where} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())).split(BETWEEN)

    async def _post(self, packet: str) -> None:
        head = f"POST {self.where} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain;charset=UTF-8"
        await self._ask(f"{head}\r\nContent-Length: {len(packet)}\r\n\r\n{packet}".encode())

    async def _ask(self, request: bytes) -> str:
        self.bytes_out += len(request)
        status, answer = await self.connection.ask(request)
        if status != OK:
            raise LoadtestError(f"a poll was answered {status}: {answer[:200].decode(errors='replace')}")
        return answer.decode()

    @property
    def bytes_in(self) -> int:
        return self.connection.bytes_in

    def close(self) -> None:
        self.connection.close()


async def members(
    url: str, token: str, count: int, event: str, body: object
) -> tuple[list[Polling], asyncio.Task[None]]:
    """So many in a room, and the task in which they poll."""
    made = []
    for _ in range(count):
        made.append(await Polling.to(url, token))
        await made[-1].join(event, body)

    async def all_of_them() -> None:
        await asyncio.gather(*(member.run() for member in made))

    return made, asyncio.create_task(all_of_them())
