"""What the services stand on: the settings that must be there, the hub, what is watched and probed."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from redis.asyncio import Redis

from waypost.identity.service import Identity
from waypost.kernel.clock import Clock
from waypost.notifications.service import outbox_waits_s
from waypost.platform.cache import Cache, sizes
from waypost.platform.database import SYSTEM, Database
from waypost.platform.health import OK, Finding, Probe
from waypost.platform.metrics import Metrics
from waypost.platform.redis import BusRedis, check_redis
from waypost.platform.work import AtWork
from waypost.realtime.broadcast import Paces
from waypost.realtime.bus import RedisBus
from waypost.realtime.door import Door
from waypost.realtime.fanout import Options
from waypost.realtime.hub import Hub
from waypost.realtime.leftovers import Leftovers
from waypost.realtime.limits import Counts, Most
from waypost.realtime.service import Realtime
from waypost.settings import BadSettings, Settings, reveal

# A fleet's tick is shared by who publishes and by the nodes of who watches, so that both together take no longer.
OF_PUBLISHER = 0.2


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


def parts(text: str) -> frozenset[str]:
    """Of a setting that is a list divided by commas."""
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def the_hub(settings: Settings, clock: Clock, redis: BusRedis, identity: Identity) -> Hub:
    """Rooms, bus and door, as the settings say."""
    most = Most(settings.sockets_per_person, settings.sockets_per_organisation, settings.sockets_per_address)
    origins = sorted(parts(settings.socket_origins))
    return Hub(
        Door(identity.admit, clock, Counts(most), asyncio.Semaphore(max(1, settings.pool_max * 2 // 5))),
        clock,
        Options(
            origins=origins or None,
            connect_timeout_s=settings.socket_join_s,
            tick_s=settings.socket_tick_ms / 1000,
        ),
        Paces(settings.fleet_tick_ms / 1000 * (1 - OF_PUBLISHER), settings.crowd, settings.crowd_tick_ms / 1000),
        lambda deliver, declare: RedisBus(
            redis,
            deliver,
            declare,
            history_events=settings.history_events,
            history_bytes=settings.history_bytes,
            history_s=settings.history_s,
        ),
    )


def watch(metrics: Metrics, database: Database, realtime: Realtime, leftovers: Leftovers, cache: Cache) -> None:
    """Gauges of pools, caches and of what waits to be published."""
    metrics.watch_pools(database)
    metrics.gauge("waypost_cache_values", "Values in this process's cache.", lambda: sum(sizes(cache).values()))
    metrics.gauge("waypost_events_waiting", "Events that wait to be published.", realtime.queue.qsize)
    metrics.gauge("waypost_events_dropped", "Events that were dropped since the start.", lambda: realtime.dropped)
    promised = "Promised events that nobody has published yet."
    metrics.gauge("waypost_promised_events_waiting", promised, lambda: leftovers.waiting.events)


def probes(database: Database, redis: Redis, bus: BusRedis, settings: Settings) -> tuple[Probe, ...]:
    """What ``/readyz`` asks of everything outside this process."""

    async def ask_database() -> Finding:
        async with database.transaction(SYSTEM) as conn:
            await conn.fetchval("SELECT 1")
        return Finding(OK)

    async def ask_redis() -> Finding:
        await check_redis(redis)
        return Finding(OK)

    async def ask_bus() -> Finding:
        for seed in bus.seeds:
            await check_redis(seed)
        return Finding(OK)

    own_bus = (Probe("bus", ask_bus),) if settings.bus_url is not None else ()
    workers = AtWork(database, "worker", settings.heartbeat_s)
    relays = AtWork(database, "relay", settings.heartbeat_s, outbox_waits_s)
    return (
        Probe("database", ask_database),
        Probe("redis", ask_redis),
        *own_bus,
        Probe("workers", workers.ask, needed=False),
        Probe("relays", relays.ask, needed=False),
    )
