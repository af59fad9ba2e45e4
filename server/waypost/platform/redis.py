"""The door to Redis or Valkey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from waypost.kernel.errors import AppError
from waypost.platform.database import NO_ADDRESS

CONNECT_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 50
CLUSTER = "+cluster"


class RedisUnusable(AppError):
    """Redis cannot be used."""

    code = "redis-unusable"


@dataclass(frozen=True, slots=True)
class BusRedis:
    """What carries the bus: one server, or of a cluster some nodes that know the others."""

    seeds: tuple[Redis, ...]
    is_cluster: bool = False

    def at(self, host: str, port: int) -> Redis:
        """A client for another node of the cluster, signed in as for the first; who asked closes it."""
        pool = self.seeds[0].connection_pool
        options = {**pool.connection_kwargs, "host": host, "port": port}
        options.pop("event_dispatcher", None)  # each pool has its own
        own = ConnectionPool(pool.connection_class, pool.max_connections, **options)
        return Redis.from_pool(own)

    async def aclose(self) -> None:
        """Close what the seeds opened."""
        for seed in self.seeds:
            await seed.aclose()


def open_redis(url: str, setting: str = "WAYPOST_REDIS_URL") -> Redis:
    """A client; connects when it is used. ``RedisUnusable`` when the address is none."""
    options: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        client: Redis = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
            client_name="waypost",
            **options,
        )
    except ValueError as error:
        raise RedisUnusable(f"cannot use {setting}: {NO_ADDRESS}") from error
    return client


def open_bus_redis(url: str, setting: str = "WAYPOST_BUS_URL") -> BusRedis:
    """What carries the bus; connects when it is used. ``RedisUnusable`` when the address is none.

    ``redis+cluster://[user:password@]host:port,host:port`` (``rediss+cluster`` with TLS) names nodes of a cluster; any
    other address is one server's.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.endswith(CLUSTER):
        return BusRedis((open_redis(url, setting),))
    sign_in, at, hosts = rest.partition("/")[0].rpartition("@")
    urls = [f"{scheme.removesuffix(CLUSTER)}://{sign_in}{at}{host}" for host in hosts.split(",")]
    if not all(_has_host(each) for each in urls):
        raise RedisUnusable(f"cannot use {setting}: {NO_ADDRESS}")
    return BusRedis(tuple(open_redis(each, setting) for each in urls), is_cluster=True)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


async def check_redis(client: Redis) -> None:
    """One question and answer. ``RedisUnusable`` with one clear line."""
    try:
        await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        raise RedisUnusable(f"cannot use Redis: {error}") from error
