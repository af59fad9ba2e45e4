"""From settings to services: adapters first, then the use cases. For both processes and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from waypost.analytics.forgetting import Forgetting
from waypost.analytics.reports import REPORTS
from waypost.analytics.service import LaybyFigures
from waypost.directory.contacts import ContactBook
from waypost.directory.device_apps import AppSettings, DeviceApps
from waypost.directory.devices import Devices
from waypost.directory.guesses import Guesses
from waypost.directory.service import Directory
from waypost.identity import tokens
from waypost.identity.audit import Audit
from waypost.identity.domain import OrgSettings
from waypost.identity.invitations import Invitations
from waypost.identity.logos import Logos
from waypost.identity.members import Members, Organisations
from waypost.identity.operator import Operator
from waypost.identity.passwords import passwords
from waypost.identity.rules import Rules
from waypost.identity.service import Identity
from waypost.identity.sessions import Sessions, Terms
from waypost.identity.throttle import Throttle
from waypost.identity.watch import Watch
from waypost.jobs.ports import JobKind, JobRules
from waypost.jobs.service import Jobs
from waypost.kernel.clock import Clock, SystemClock
from waypost.kernel.remembered import Remembered
from waypost.laybys.orders import Arrivals
from waypost.laybys.ports import Ground
from waypost.notifications.addresses import Contact
from waypost.notifications.caps import Caps
from waypost.notifications.resending import Resending
from waypost.notifications.service import FIGURES_AT_ONCE, Notifications
from waypost.notifications.stuck import Stuck
from waypost.platform.cache import Cache, Kind
from waypost.platform.database import Database, PoolSize, open_database
from waypost.platform.health import Health, Probe
from waypost.platform.limits import Limiter
from waypost.platform.metrics import Metrics
from waypost.platform.redis import BusRedis, open_bus_redis, open_redis
from waypost.platform.secretbox import SecretBox
from waypost.realtime.drain import Drain
from waypost.realtime.figures import figures
from waypost.realtime.hub import Hub
from waypost.realtime.leftovers import Leftovers
from waypost.realtime.presence import Presence
from waypost.realtime.presence_store import WatcherStore
from waypost.realtime.service import Realtime
from waypost.settings import Settings, reveal
from waypost.tracking.app_reports import AppReports
from waypost.tracking.commit import GroupCommit
from waypost.tracking.imports import Imports
from waypost.tracking.quality import Quality
from waypost.tracking.quality_reports import QualityReports
from waypost.tracking.service import Tracking
from waypost.tracking.shares import DeviceShares, WaitingRoom
from waypost.tracking.street_map import StreetMap
from waypost.tracking.telling import Telling
from waypost.tracking.tracks import Tracks
from waypost.trips.export import TripsExport
from waypost.trips.service import Trips
from waypost.trips.watching import Watching
from waypost.wiring_ground import OF_PUBLISHER, Needed, needed, parts, probes, the_hub, watch
from waypost.wiring_money import Footing, Money, money_over
from waypost.wiring_telling import Footing as TellingFooting
from waypost.wiring_telling import Telling as NoticeTelling
from waypost.wiring_telling import telling_over

# What may be exported and reported; a feature brings its kinds.
JOB_KINDS: Mapping[str, JobKind] = {"export.trips": TripsExport(), **REPORTS}


@dataclass(frozen=True, slots=True, repr=False)  # it would go through the whole house
class Services:
    """Everything a process may use."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    health: Health
    metrics: Metrics
    cache: Cache
    rules: Rules
    book: ContactBook
    limiter: Limiter
    box: SecretBox
    devices: Devices
    apps: DeviceApps
    sessions: Sessions
    identity: Identity
    operator: Operator
    organisations: Organisations
    logos: Logos
    members: Members
    invitations: Invitations
    watch: Watch
    audit: Audit
    directory: Directory
    trips: Trips
    tracking: Tracking
    tracks: Tracks
    imports: Imports
    streets: StreetMap
    quality: Quality
    app_reports: AppReports
    quality_reports: QualityReports
    jobs: Jobs
    notifications: Notifications
    stuck: Stuck
    resending: Resending
    hub: Hub
    drain: Drain
    presence: Presence
    watching: Watching
    leftovers: Leftovers
    realtime: Realtime
    money: Money
    telling: NoticeTelling


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Connect and assemble; closes what it opened. ``BadSettings`` names what is missing for these processes."""
    clock = clock or SystemClock()
    need = needed(settings)
    redis = open_redis(need.redis_url)
    bus_url = reveal(settings.bus_url)
    bus_redis = open_bus_redis(bus_url) if bus_url else BusRedis((redis,))
    try:
        database = await open_database(
            need.database_url,
            reveal(settings.database_system_url),
            PoolSize(settings.pool_min, settings.pool_max, settings.pool_wait_s, pooler=settings.database_pooler),
        )
        try:
            services = _assemble(settings, clock, database, redis, bus_redis, need)
            try:
                yield services
            finally:
                await services.telling.receipts.close()
                await services.money.callbacks.close()
                await services.tracking.commit.close()
                await services.health.close()
                await services.cache.close()
                await services.hub.bus.close()
        finally:
            await database.close()
    finally:
        await bus_redis.aclose()
        await redis.aclose()


def _assemble(
    settings: Settings, clock: Clock, database: Database, redis: Redis, bus_redis: BusRedis, need: Needed
) -> Services:
    metrics = Metrics()
    cache = Cache(redis, clock, metrics.cache_read)
    customers: Kind[Contact | None] = Kind(
        "customers", Contact | None, settings.cache_customers_s, settings.cache_customers
    )
    orgs: Kind[OrgSettings] = Kind("rules", OrgSettings, settings.cache_rules_s, settings.cache_rules)
    rules = Rules(database, cache, orgs, also=(customers,))
    book = ContactBook(database, cache, customers)
    devices = Devices(database, clock, Remembered(clock), Guesses(clock))
    app_settings: Kind[AppSettings] = Kind(
        "apps", AppSettings, settings.cache_device_apps_s, settings.cache_device_apps
    )
    box = SecretBox.of(need.encryption_keys)
    apps = DeviceApps(database, cache, app_settings, box)
    access_tokens = tokens.AccessTokens(tokens.signing_key(need.signing_key))
    terms = Terms(
        access=timedelta(seconds=settings.access_token_s),
        refresh=timedelta(days=settings.refresh_token_days),
        grace=timedelta(seconds=settings.refresh_grace_s),
    )
    sessions = Sessions(database, clock, access_tokens, need.signing_key.encode(), terms, Remembered(clock))
    limiter = Limiter(redis, clock)
    throttle = Throttle(limiter, settings.sign_ins_per_account, settings.sign_ins_per_address)
    hashing = passwords()
    identity = Identity(database, clock, access_tokens, hashing, devices, sessions, throttle, rules)
    hub = the_hub(settings, clock, bus_redis, identity)
    members = Members(database, clock, sessions)
    presence = Presence(WatcherStore(hub.bus.shards), members.names, clock)
    hub.rooms.entered.append(presence.entered)
    hub.rooms.left.append(presence.left)
    drain = Drain(hub, clock, settings.drain_notice_s, settings.drain_sockets_s)
    leftovers = Leftovers(database, hub.bus, clock)
    realtime = Realtime(hub.bus, clock, settings.fleet_tick_ms / 1000 * OF_PUBLISHER, leftovers.forget)
    layby_figures = LaybyFigures(database, clock, rules, cache)
    told = Forgetting(realtime, layby_figures.forget)  # each change of a layby or payment
    trips = Trips(database, clock, realtime, (Arrivals(Ground(clock, told)).trip_moved,))
    quality = Quality(database, clock)
    room = WaitingRoom(settings.ingest_waiting)
    commit = GroupCommit(database, Telling(realtime).tell, settings.ingest_window_ms / 1000, room)
    watch(metrics, database, realtime, leftovers, cache)
    for figure in figures(hub):
        metrics.gauge(*figure)
    tracking = Tracking(database, clock, rules, commit, quality, DeviceShares(clock))
    money = money_over(
        Footing(
            database, clock, told, rules, box, need.signing_key, parts(settings.payment_roots), trips, layby_figures
        )
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        redis=redis,
        health=Health(clock, (*probes(database, redis, bus_redis, settings), Probe("server", drain.ready))),
        metrics=metrics,
        cache=cache,
        rules=rules,
        book=book,
        limiter=limiter,
        box=box,
        devices=devices,
        apps=apps,
        sessions=sessions,
        identity=identity,
        operator=Operator(database, clock, identity.passwords),
        organisations=Organisations(database, clock, rules, (Caps(clock).changed,)),
        logos=Logos(database, clock, rules),
        members=members,
        invitations=Invitations(database, clock, hashing, sessions, throttle),
        watch=Watch((sessions, devices), clock),
        audit=Audit(database),
        directory=Directory.over(database, clock, book, apps),
        trips=trips,
        tracking=tracking,
        tracks=Tracks(database),
        imports=Imports(database, clock, rules, tracking),
        streets=StreetMap(database),
        quality=quality,
        app_reports=AppReports.over(tracking),
        quality_reports=QualityReports(database, clock, rules),
        jobs=Jobs(database, clock, realtime, JOB_KINDS, job_rules(settings)),
        notifications=Notifications(database, clock, rules, asyncio.Semaphore(FIGURES_AT_ONCE)),
        stuck=Stuck(database, clock, realtime),
        resending=Resending(database, clock),
        hub=hub,
        drain=drain,
        presence=presence,
        watching=Watching(trips, presence, members.names),
        leftovers=leftovers,
        realtime=realtime,
        money=money,
        telling=telling_over(
            TellingFooting(settings, database, clock, realtime, rules, box, limiter, need.signing_key, book.find)
        ),
    )


def job_rules(settings: Settings) -> JobRules:
    """How jobs are run, as the settings say."""
    return JobRules(
        lease=timedelta(seconds=settings.job_lease_s),
        at_once=settings.jobs_at_once,
        file_kept=timedelta(days=settings.keep_job_files_days),
        row_kept=timedelta(days=settings.keep_jobs_days),
    )
