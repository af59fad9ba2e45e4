"""A node's links to the servers of the bus: one to each, renewed whenever it breaks or the cluster has changed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from waypost.platform.telemetry import log
from waypost.realtime.alone import Alone
from waypost.realtime.link import AWAY, Link
from waypost.realtime.live import LiveRooms
from waypost.realtime.record import ANSWER_TIMEOUT_S, Record
from waypost.realtime.scripts import PARTITIONS, Unreadable, partition_of, unpacked
from waypost.realtime.shards import Shard, Shards

RECONNECT_S: Final = (0.2, 1.0)  # the first wait and the longest; each is a random part of it
_CHANCE: Final = random.Random()  # noqa: S311 - spreads nodes, guards nothing


@dataclass(slots=True)
class Listening:
    """Has the live rooms heard, each over the link of its partition."""

    shards: Shards
    record: Record
    live: LiveRooms
    alone: Alone
    links: dict[int, Link] = field(default_factory=dict)  # by partition

    def want(self, room: str) -> None:
        """A room that has come to be live."""
        link = self.links.get(partition_of(room))
        if link is not None:
            link.want(room)

    def drop(self, room: str) -> None:
        """One that is not any more."""
        link = self.links.get(partition_of(room))
        if link is not None:
            link.drop(room)

    async def run(self) -> None:
        """A link to each server that has a partition; all anew when it is known that one has others."""
        while True:
            with suppress(*AWAY):
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await self.shards.ready()
            self.shards.changed.clear()
            async with asyncio.TaskGroup() as tasks:
                links = [tasks.create_task(self._keep_link(*each)) for each in self.shards.all().items()]
                if links:
                    await self.shards.changed.wait()
                else:
                    self.alone.lost(range(PARTITIONS))
                for link in links:
                    link.cancel()
            await _jitter(RECONNECT_S[0 if links else 1])

    async def _keep_link(self, shard: Shard, partitions: Sequence[int]) -> None:
        loop, wait_s = asyncio.get_running_loop(), RECONNECT_S[0]
        while True:
            began = loop.time()
            try:
                await self._linked(shard, partitions)
            except AWAY as error:
                if wait_s == RECONNECT_S[0]:
                    log.warning("bus_interrupted", reason=type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever breaks a connection, there is another one
                log.exception("bus_link_failed")
            (self.alone.found if await shard.is_there() else self.alone.lost)(partitions)
            stood = loop.time() - began > 2 * ANSWER_TIMEOUT_S
            wait_s = RECONNECT_S[0] if stood else min(wait_s * 2, RECONNECT_S[1])
            await _jitter(wait_s)
            await self.record.look_around()

    async def _linked(self, shard: Shard, partitions: Sequence[int]) -> None:
        opened = partial(self.alone.found, partitions)
        link = Link(shard.connection(), partitions[0], self._hear, self.live.confirm, shard.publish, opened)
        self.links |= dict.fromkeys(partitions, link)
        try:
            for room in self.live.rooms:
                if self.links.get(partition_of(room)) is link:
                    link.want(room)
            await link.run()
        finally:
            for partition in partitions:
                self.links.pop(partition, None)
            for room in link.rooms.values():
                self.live.interrupt(room)

    def _hear(self, room: str, data: bytes) -> None:
        try:
            self.live.hear(unpacked(room, data))
        except Unreadable as error:
            log.warning("bus_message_unreadable", room_size=len(room), reason=str(error))


async def _jitter(longest_s: float) -> None:
    await asyncio.sleep(_CHANCE.uniform(0, longest_s))
