"""The servers that carry the bus: one, or the primaries of a cluster, each with the rooms of its partitions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import NoScriptError, RedisError

from waypost.platform.redis import BusRedis
from waypost.platform.telemetry import log
from waypost.realtime.scripts import PARTITIONS, Call, partition_of, tag, texts

NODE_ANSWERS_S = 1.0
SLOTS: Final = tuple(key_slot(tag(partition).encode()) for partition in range(PARTITIONS))
T = TypeVar("T")
_CHANCE: Final = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(eq=False, slots=True)
class Shard:
    """One server; ``shas``: its scripts, made for the life that it had when it was last asked."""

    redis: Redis
    shas: tuple[str, str] | None = None
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answers(self, calls: Sequence[Call]) -> list[Any]:
        """All calls in one pipeline; for a call that failed its error."""
        shas = self.shas or await self._load(None)
        answers = await self._pipeline(calls, shas)
        again = [call for call, answer in zip(calls, answers, strict=True) if isinstance(answer, NoScriptError)]
        if again:
            repeated = iter(await self._pipeline(again, await self._load(shas)))
            answers = [next(repeated) if isinstance(answer, NoScriptError) else answer for answer in answers]
        return answers

    async def _load(self, unknown: tuple[str, str] | None) -> tuple[str, str]:
        """Over one connection, which does not outlive the server's run: who says its name is who learns the scripts."""
        async with self.loading:
            if self.shas is None or self.shas == unknown:
                async with self.redis.client() as one:
                    info: dict[str, Any] = await one.info("server")
                    publish, read = [str(await one.script_load(text)) for text in texts(str(info["run_id"]))]
                self.shas = publish, read
            return self.shas

    async def _pipeline(self, calls: Sequence[Call], shas: tuple[str, str]) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command("EVALSHA", shas[call.script], len(call.keys), *call.keys, call.packed)
            return await pipe.execute(raise_on_error=False)

    async def is_there(self) -> bool:
        """Does it answer?"""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(NODE_ANSWERS_S):
                return bool(await self.redis.ping())
        return False

    async def publish(self, channel: str, message: str) -> None:
        """To who is subscribed at this server, kept nowhere."""
        await self.redis.execute_command("SPUBLISH", channel, message)  # type: ignore[no-untyped-call]

    def connection(self) -> AbstractConnection:
        """A new one of its own, not yet open."""
        connection: AbstractConnection = self.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        return connection


@dataclass(slots=True)
class Shards:
    """Which server has which partition. ``changed`` is set when that is another than before."""

    bus: BusRedis
    owners: list[Shard] = field(default_factory=list)  # by partition; of a cluster empty until it was asked
    known: dict[tuple[str, int], Shard] = field(default_factory=dict)
    retired: list[Shard] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        if not self.bus.is_cluster:
            self.owners = [Shard(self.bus.seeds[0])] * PARTITIONS

    def all(self) -> dict[Shard, list[int]]:
        """Every server that has a partition, and which."""
        found: dict[Shard, list[int]] = {}
        for partition, shard in enumerate(self.owners):
            found.setdefault(shard, []).append(partition)
        return found

    def groups(self, items: Sequence[T], rooms: Sequence[str]) -> Iterator[tuple[Shard, list[T]]]:
        """Which of these may share a call: on one server all, in a cluster those of a partition; in their order."""
        if not self.bus.is_cluster:
            yield self.owners[0], list(items)
            return
        found: dict[int, list[T]] = {}
        for item, room in zip(items, rooms, strict=True):
            found.setdefault(partition_of(room), []).append(item)
        for partition, of_partition in found.items():
            yield self.owners[partition], of_partition

    async def ready(self) -> None:
        """The cluster was asked at least once. RedisError or OSError when nobody answers."""
        if not self.owners:
            await self.refresh()

    async def refresh(self) -> None:
        """Ask the cluster who has what."""
        if not self.bus.is_cluster:
            return
        async with self.asking:
            addresses = await self._ask()
            before, self.known = self.known, {each: self._shard(each) for each in dict.fromkeys(addresses)}
            owners = [self.known[address] for address in addresses]
            if owners != self.owners:
                self.owners = owners
                self.changed.set()
            await self._retire([shard for address, shard in before.items() if address not in self.known])

    async def _retire(self, shards: list[Shard]) -> None:
        """Close them twice, now and the next time: a call that was under way may have opened a connection again."""
        again, self.retired = self.retired, shards
        for shard in [*again, *shards]:
            await shard.redis.aclose()

    def _shard(self, address: tuple[str, int]) -> Shard:
        return self.known.get(address) or Shard(self.bus.at(*address))

    async def _ask(self) -> list[tuple[str, int]]:
        """The address of each partition's primary, from the first node that tells, whichever that is."""
        nodes = [shard.redis for shard in self.known.values()]
        _CHANCE.shuffle(nodes)
        for node in [*nodes, *self.bus.seeds]:
            try:
                async with asyncio.timeout(NODE_ANSWERS_S):
                    answer = await node.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
                return _primaries(answer, node)
            except (RedisError, OSError, TimeoutError, LookupError, ValueError) as error:
                log.warning("cluster_node_silent", reason=type(error).__name__)
        raise RedisError("no node of the cluster tells who has what")

    async def close(self) -> None:
        """Close what was opened to the nodes of a cluster."""
        for shard in [*self.known.values(), *self.retired]:
            await shard.redis.aclose()


def _primaries(ranges: Sequence[Any], asked: Redis) -> list[tuple[str, int]]:
    """By partition. A node that does not know its own name is the one that was asked. LookupError: a slot has none."""
    own_host = str(asked.connection_pool.connection_kwargs["host"])
    found: list[tuple[str, int]] = []
    for slot in SLOTS:
        owners = [primary for first, last, primary, *_ in ranges if first <= slot <= last]
        host, port, *_ = owners[0]
        found.append((host.decode() if host else own_host, int(port)))
    return found
