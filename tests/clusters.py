"""A Valkey Cluster on this machine for a test: nodes that may be killed, each with a third of the slots."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from tests.servers import folder
from tests.waiting import until
from waypost.platform.embedded.binaries import find_valkey
from waypost.platform.embedded.ports import LOOPBACK, free_port
from waypost.realtime.scripts import channel_of

SLOTS = 16384
NODE_TIMEOUT_MS = 1000
PASSWORD = "a password of the tests"


@dataclass(slots=True)
class ClusterNode:
    """One server of the cluster."""

    port: int
    bus_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": self.port, "bind": LOOPBACK, "dir": self.folder, "save": "", "appendonly": "no",
            "cluster-enabled": "yes", "cluster-port": self.bus_port, "cluster-node-timeout": NODE_TIMEOUT_MS,
            "requirepass": PASSWORD, "primaryauth": PASSWORD, "logfile": self.folder / "log",
            "cluster-require-full-coverage": "no", "repl-diskless-sync-delay": 0,
        }  # fmt: skip
        given = [each for name, value in options.items() for each in (f"--{name}", str(value))]
        self.process = subprocess.Popen([str(find_valkey().server), *given])

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> Redis:
        return Redis(host=LOOPBACK, port=self.port, password=PASSWORD)

    async def ask(self, *command: object) -> object:
        """One command and its answer."""
        async with self.client() as client:
            return await client.execute_command(*command)


@dataclass(slots=True)
class Cluster:
    """Primaries first, then as many replicas of the first as were asked for."""

    nodes: list[ClusterNode]

    @property
    def url(self) -> str:
        """Of two nodes: the others have to be found."""
        hosts = ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://:{PASSWORD.replace(' ', '%20')}@{hosts}"

    def owner_of(self, room: str) -> ClusterNode:
        """Who has the room from the beginning."""
        return self.nodes[key_slot(channel_of(room).encode()) * 3 // SLOTS]

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    async def move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """A slot with all its keys, as the operator's tools do it."""
        ids = [(await node.ask("CLUSTER MYID")).decode() for node in (source, target)]
        await target.ask("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        await source.ask("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
        while keys := await source.ask("CLUSTER GETKEYSINSLOT", slot, 100):
            await source.ask(
                "MIGRATE", LOOPBACK, target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys
            )  # fmt: skip
        for node in (target, source):
            await node.ask("CLUSTER SETSLOT", slot, "NODE", ids[1])


@asynccontextmanager
async def running_cluster(*, replicas: int = 0) -> AsyncIterator[Cluster]:
    """Three primaries that know each other, and replicas of the first."""
    with folder() as path:
        cluster = Cluster([_made(path, number) for number in range(3 + replicas)])
        try:
            await _started(cluster.nodes)
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def lasting_cluster() -> Iterator[Cluster]:
    """The same for several tests, each with a loop of its own."""
    with folder() as path:
        cluster = Cluster([_made(path, number) for number in range(3)])
        try:
            asyncio.run(_started(cluster.nodes))
            yield cluster
        finally:
            cluster.stop()


async def _started(nodes: Sequence[ClusterNode]) -> None:
    for node in nodes:
        node.start()
    await asyncio.gather(*(until(lambda node=node: _answers(node)) for node in nodes))
    await _joined(nodes)


def _made(path: Path, number: int) -> ClusterNode:
    own = path / f"node-{number}"
    own.mkdir()
    return ClusterNode(free_port(), free_port(), own)


async def _joined(nodes: Sequence[ClusterNode]) -> None:
    first = nodes[0]
    for number, node in enumerate(nodes[:3]):
        await node.ask("CLUSTER ADDSLOTSRANGE", -(-number * SLOTS // 3), -(-(number + 1) * SLOTS // 3) - 1)
    for number, node in enumerate(nodes):
        await node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        await node.ask("CLUSTER MEET", LOOPBACK, first.port, first.bus_port)
    await asyncio.gather(*(until(lambda node=node: _knows(node, len(nodes))) for node in nodes))
    first_id = await first.ask("CLUSTER MYID")
    for node in nodes[3:]:
        await node.ask("CLUSTER REPLICATE", first_id)
        await until(lambda node=node: _follows(node))


async def _answers(node: ClusterNode) -> bool:
    if node.has_ended:  # somebody has taken its port meanwhile
        node.port, node.bus_port = free_port(), free_port()
        node.start()
    with suppress(RedisError, OSError):
        return bool(await node.ask("PING"))
    return False


async def _knows(node: ClusterNode, count: int) -> bool:
    async with node.client() as client:
        info = await client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(count)


async def _follows(node: ClusterNode) -> bool:
    async with node.client() as client:
        info = await client.info("replication")
        return bool(info["role"] == "slave" and info["master_link_status"] == "up")
