"""The door to Redis or Valkey."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from waypost.kernel.errors import AppError
from waypost.platform.database import NO_ADDRESS

CONNECT_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 50


class RedisUnusable(AppError):
    """Redis cannot be used."""

    code = "redis-unusable"


def open_redis(url: str) -> Redis:
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
        raise RedisUnusable(f"cannot use WAYPOST_REDIS_URL: {NO_ADDRESS}") from error
    return client


async def check_redis(client: Redis) -> None:
    """One question and answer. ``RedisUnusable`` with one clear line."""
    try:
        await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        raise RedisUnusable(f"cannot use Redis: {error}") from error
