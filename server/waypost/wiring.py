"""From settings to services: adapters first, then the use cases. For both processes and for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from waypost.directory.devices import Devices
from waypost.directory.service import Directory
from waypost.identity import tokens
from waypost.identity.service import Identity, passwords
from waypost.kernel.clock import Clock, SystemClock
from waypost.platform.database import Database, open_database
from waypost.platform.redis import open_redis
from waypost.realtime.hub import Hub
from waypost.realtime.service import Realtime
from waypost.settings import BadSettings, Settings, reveal
from waypost.tracking.service import Tracking
from waypost.trips.service import Trips


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a process may use."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    devices: Devices
    identity: Identity
    directory: Directory
    trips: Trips
    tracking: Tracking
    hub: Hub
    realtime: Realtime


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Connect and assemble; closes what it opened. ``BadSettings`` names what is missing for these processes."""
    clock = clock or SystemClock()
    database_url, redis_url, key = needed(settings)
    redis = open_redis(redis_url)
    try:
        database = await open_database(
            database_url,
            reveal(settings.database_system_url),
            minimum=min(settings.pool_min, settings.pool_max),
            maximum=settings.pool_max,
        )
        try:
            yield _assemble(settings, clock, database, redis, key)
        finally:
            await database.close()
    finally:
        await redis.aclose()


def _assemble(settings: Settings, clock: Clock, database: Database, redis: Redis, key: str) -> Services:
    devices = Devices(database, clock)
    access_tokens = tokens.AccessTokens(tokens.signing_key(key))
    identity = Identity(database, clock, access_tokens, passwords(), devices, settings.access_token_s)
    hub = Hub(redis, identity.authenticate)
    realtime = Realtime(hub.bus, clock, settings.fleet_tick_ms / 1000)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        redis=redis,
        devices=devices,
        identity=identity,
        directory=Directory(database, clock),
        trips=Trips(database, clock, realtime),
        tracking=Tracking(database, clock, realtime),
        hub=hub,
        realtime=realtime,
    )


def needed(settings: Settings) -> tuple[str, str, str]:
    """What a server or worker cannot do without; all that is missing in one message."""
    values = {
        "WAYPOST_DATABASE_URL": reveal(settings.database_url),
        "WAYPOST_REDIS_URL": reveal(settings.redis_url),
        "WAYPOST_SIGNING_KEY": reveal(settings.signing_key),
    }
    if missing := [name for name, value in values.items() if not value]:
        lines = [f"  {name} is not set" for name in missing]
        raise BadSettings("\n".join(["these settings are missing (`waypost up` brings all of them itself):", *lines]))
    database_url, redis_url, key = (str(value) for value in values.values())
    return database_url, redis_url, key
