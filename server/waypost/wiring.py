"""From settings to services: adapters first, then the use cases. For both processes and for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from redis.asyncio import Redis

from waypost.directory.devices import Devices
from waypost.directory.service import Directory
from waypost.identity import tokens
from waypost.identity.audit import Audit
from waypost.identity.service import Identity, passwords
from waypost.kernel.clock import Clock, SystemClock
from waypost.platform.database import SYSTEM, Database, open_database
from waypost.platform.health import OK, Health, Probe
from waypost.platform.limits import Limiter
from waypost.platform.redis import check_redis, open_redis
from waypost.platform.secretbox import SecretBox
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
    health: Health
    limiter: Limiter
    box: SecretBox
    devices: Devices
    identity: Identity
    audit: Audit
    directory: Directory
    trips: Trips
    tracking: Tracking
    hub: Hub
    realtime: Realtime


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Connect and assemble; closes what it opened. ``BadSettings`` names what is missing for these processes."""
    clock = clock or SystemClock()
    need = needed(settings)
    redis = open_redis(need.redis_url)
    try:
        database = await open_database(
            need.database_url,
            reveal(settings.database_system_url),
            minimum=min(settings.pool_min, settings.pool_max),
            maximum=settings.pool_max,
        )
        try:
            services = _assemble(settings, clock, database, redis, need)
            try:
                yield services
            finally:
                await services.health.close()
        finally:
            await database.close()
    finally:
        await redis.aclose()


def _assemble(settings: Settings, clock: Clock, database: Database, redis: Redis, need: Needed) -> Services:
    devices = Devices(database, clock)
    access_tokens = tokens.AccessTokens(tokens.signing_key(need.signing_key))
    identity = Identity(database, clock, access_tokens, passwords(), devices, settings.access_token_s)
    hub = Hub(redis, identity.authenticate)
    realtime = Realtime(hub.bus, clock, settings.fleet_tick_ms / 1000)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        redis=redis,
        health=Health(clock, _probes(database, redis)),
        limiter=Limiter(need.redis_url, clock),
        box=SecretBox.of(need.encryption_keys),
        devices=devices,
        identity=identity,
        audit=Audit(database),
        directory=Directory(database, clock),
        trips=Trips(database, clock, realtime),
        tracking=Tracking(database, clock, realtime),
        hub=hub,
        realtime=realtime,
    )


def _probes(database: Database, redis: Redis) -> tuple[Probe, ...]:
    async def ask_database() -> str:
        async with database.transaction(SYSTEM) as conn:
            await conn.fetchval("SELECT 1")
        return OK

    async def ask_redis() -> str:
        await check_redis(redis)
        return OK

    return Probe("database", ask_database), Probe("redis", ask_redis)


class Needed(NamedTuple):
    """What a server or worker cannot do without."""

    database_url: str
    redis_url: str
    signing_key: str
    encryption_keys: str


def needed(settings: Settings) -> Needed:
    """The settings that must be there; ``BadSettings`` names all that are missing in one message."""
    values = {
        "WAYPOST_DATABASE_URL": reveal(settings.database_url),
        "WAYPOST_REDIS_URL": reveal(settings.redis_url),
        "WAYPOST_SIGNING_KEY": reveal(settings.signing_key),
        "WAYPOST_ENCRYPTION_KEYS": reveal(settings.encryption_keys),
    }
    if missing := [name for name, value in values.items() if not value]:
        lines = [f"  {name} is not set" for name in missing]
        raise BadSettings("\n".join(["these settings are missing (`waypost up` brings all of them itself):", *lines]))
    return Needed(*(str(value) for value in values.values()))
