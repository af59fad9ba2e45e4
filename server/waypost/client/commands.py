"""Commands that are sent until the server has answered, over however many connections that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from waypost.client.link import Link, Unreachable
from waypost.client.membership import Ack
from waypost.kernel.clock import Clock

ANSWER_WITHIN_S = 15.0
RETRY_S = 3.0
MAX_WAITING = 1_000


class TooManyWaiting(Exception):
    """A thousand commands have no answer yet."""


class Ended(Exception):
    """There will be no connection any more; whether what was sent was done is unknown."""


@dataclass(slots=True)
class Line:
    """The connection of the moment. ``online``: there is one; ``ended``: there will be none."""

    link: Link | None = None
    online: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> Link:
        """Until there is a connection. ``Ended``."""
        while True:
            if self.link is not None:
                return self.link
            waits = [asyncio.create_task(event.wait()) for event in (self.online, self.ended)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
            if self.ended.is_set():
                raise Ended


@dataclass(slots=True)
class Commands:
    """One after another, in the order in which they were given."""

    line: Line
    clock: Clock
    new_id: Callable[[], str] = lambda: str(uuid4())
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    async def send(self, event: str, data: object) -> Ack:
        """The answer: a yes, or a no that repeating does not help against. ``TooManyWaiting``, ``Ended``.

        A command may arrive twice. A batch of fixes is known by its ``stream`` and ``n``; every other gets an ``id``
        that stays the same each time.
        """
        if self._waiting >= MAX_WAITING:
            raise TooManyWaiting
        own = {"id": self.new_id(), **data} if event != "tracking:ping" and isinstance(data, Mapping) else data
        self._waiting += 1
        try:
            async with self._turn:
                return await self._until_answered(event, own)
        finally:
            self._waiting -= 1

    async def _until_answered(self, event: str, data: object) -> Ack:
        while True:
            link = await self.line.wait()
            try:
                ack = await link.call(event, data, ANSWER_WITHIN_S)
            except Unreachable:
                await self.clock.sleep(0 if link.lost.is_set() else RETRY_S)
                continue
            error = ack.get("error") or {}
            if ack.get("ok") or not error.get("retry"):
                return ack
            await self.clock.sleep(max(RETRY_S, float(error.get("retryAfter") or 0)))
