"""From settings to services: adapters first, then the use cases. For both processes and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

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
from waypost.identity.members import Members, Organisations
from waypost.identity.operator import Operator
from waypost.identity.passwords import passwords
from waypost.identity.rules import Rules
from waypost.identity.service import Identity
from waypost.identity.sessions import Sessions, Terms
from waypost.identity.throttle import Throttle
from waypost.identity.watch import Watch
from waypost.invoices import notices as invoice_notices
from waypost.jobs.ports import Checkpoint as JobCheckpoint
from waypost.jobs.ports import JobKind, JobRules, pass_by
from waypost.jobs.runner import Runner
from waypost.jobs.service import Jobs
from waypost.kernel.clock import Clock, SystemClock
from waypost.kernel.remembered import Remembered
from waypost.laybys import notices as layby_notices
from waypost.laybys.orders import Arrivals
from waypost.laybys.ports import Ground
from waypost.notifications.addresses import ChannelName, Contact
from waypost.notifications.deliveries import Deliveries
from waypost.notifications.domain import Pace
from waypost.notifications.following import Following
from waypost.notifications.keeping import Keeper
from waypost.notifications.kinds import OF_INVOICES, OF_LAYBYS, OF_TRIPS, PAYMENT_FAILED
from waypost.notifications.lookups import ListMessages, LookUps
from waypost.notifications.ports import Channel, Checkpoint, Guard, pass_on
from waypost.notifications.relay import Relay
from waypost.notifications.render import renderer
from waypost.notifications.resending import Resending
from waypost.notifications.service import FIGURES_AT_ONCE, Notifications, outbox_waits_s
from waypost.notifications.stuck import Stuck
from waypost.notifications.words.service import Words
from waypost.payments import notices as payment_notices
from waypost.payments.asking import Asking
from waypost.payments.ports import PromptProvider
from waypost.platform.cache import Cache, Kind, sizes
from waypost.platform.database import SYSTEM, Database, PoolSize, open_database
from waypost.platform.health import OK, Finding, Health, Probe
from waypost.platform.limits import Limiter
from waypost.platform.metrics import Metrics
from waypost.platform.redis import BusRedis, check_redis, open_bus_redis, open_redis
from waypost.platform.secretbox import SecretBox
from waypost.platform.work import AtWork
from waypost.realtime.broadcast import Paces
from waypost.realtime.bus import RedisBus
from waypost.realtime.door import Door
from waypost.realtime.drain import Drain
from waypost.realtime.fanout import Options
from waypost.realtime.figures import figures
from waypost.realtime.hub import Hub
from waypost.realtime.leftovers import Leftovers
from waypost.realtime.limits import Counts, Most
from waypost.realtime.presence import Presence
from waypost.realtime.presence_store import WatcherStore
from waypost.realtime.service import Realtime
from waypost.settings import BadSettings, Settings, reveal
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
from waypost.trips import notices
from waypost.trips.export import TripsExport
from waypost.trips.service import Trips
from waypost.trips.watching import Watching
from waypost.webhooks import sending as webhook_sending
from waypost.webhooks.ports import Poster
from waypost.wiring_money import Footing, Money, money_over
from waypost.wiring_sending import Sending, sending_over
from waypost.wiring_telling import Footing as TellingFooting
from waypost.wiring_telling import Telling as NoticeTelling
from waypost.wiring_telling import export_ready, telling_over

# A fleet's tick is shared by who publishes and by the nodes of who watches, so that both together take no longer.
OF_PUBLISHER = 0.2

# What may be exported and reported; a feature brings its kinds.
JOB_KINDS: Mapping[str, JobKind] = {"export.trips": TripsExport(), **REPORTS}

# Asked as a notice is about to be sent: why it must not go out any more. Money that has moved is told in any case.
GUARDS: Mapping[str, Guard] = {
    **dict.fromkeys(OF_TRIPS, notices.unwanted),
    **dict.fromkeys(OF_LAYBYS, layby_notices.unwanted),
    PAYMENT_FAILED: payment_notices.unwanted,
    **dict.fromkeys(OF_INVOICES, invoice_notices.unwanted),
}


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
    hub = _hub(settings, clock, bus_redis, identity)
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
    _watch(metrics, database, realtime, leftovers, cache)
    for figure in figures(hub):
        metrics.gauge(*figure)
    tracking = Tracking(database, clock, rules, commit, quality, DeviceShares(clock))
    money = money_over(
        Footing(
            database, clock, told, rules, box, need.signing_key, _parts(settings.payment_roots), trips, layby_figures
        )
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        redis=redis,
        health=Health(clock, (*_probes(database, redis, bus_redis, settings), Probe("server", drain.ready))),
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
        organisations=Organisations(database, clock, rules),
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


def _parts(text: str) -> frozenset[str]:
    """Of a setting that is a list divided by commas."""
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _hub(settings: Settings, clock: Clock, redis: BusRedis, identity: Identity) -> Hub:
    most = Most(settings.sockets_per_person, settings.sockets_per_organisation, settings.sockets_per_address)
    origins = sorted(_parts(settings.socket_origins))
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
            redis, deliver, declare, history_events=settings.history_events, history_s=settings.history_s
        ),
    )


def _watch(metrics: Metrics, database: Database, realtime: Realtime, leftovers: Leftovers, cache: Cache) -> None:
    metrics.watch_pools(database)
    metrics.gauge("waypost_cache_values", "Values in this process's cache.", lambda: sum(sizes(cache).values()))
    metrics.gauge("waypost_events_waiting", "Events that wait to be published.", realtime.queue.qsize)
    metrics.gauge("waypost_events_dropped", "Events that were dropped since the start.", lambda: realtime.dropped)
    promised = "Promised events that nobody has published yet."
    metrics.gauge("waypost_promised_events_waiting", promised, lambda: leftovers.waiting.events)


def _probes(database: Database, redis: Redis, bus: BusRedis, settings: Settings) -> tuple[Probe, ...]:
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


def offered(settings: Settings) -> frozenset[ChannelName]:
    """The channels of this installation."""
    there = {ChannelName.CONSOLE: bool(settings.console_channel), ChannelName.EMAIL: settings.smtp_host is not None}
    return frozenset(channel for channel, is_there in there.items() if is_there)


def _pace(settings: Settings) -> Pace:
    return Pace(
        lease_s=settings.delivery_lease_s,
        send_timeout_s=settings.delivery_send_timeout_s,
        retry_base_s=settings.delivery_retry_base_s,
        repoke_s=settings.relay_repoke_s,
    )


def relay_over(services: Services) -> Relay:
    """The use cases of a relay process."""
    ground = services.database, services.clock, services.realtime
    keeper = Keeper(
        services.clock, services.realtime, offered(services.settings), renderer(), services.telling.event_sink
    )
    following = Following(*ground, services.book, services.rules, keeper)
    return Relay(*ground, services.book, keeper, following, _pace(services.settings))


def deliveries_over(
    services: Services, channels: Mapping[str, Channel], checkpoint: Checkpoint = pass_on
) -> Deliveries:
    """The use cases of a worker that sends; ``channels`` are the worker's, since no server may send."""
    settings = services.settings
    on = Sending(
        services.database,
        services.clock,
        services.realtime,
        services.limiter,
        services.rules,
        services.telling.providers,
        Words(renderer()),
        services.telling.tokens,
        GUARDS,
        _pace(settings),
    )
    return sending_over(on, channels, checkpoint)


def webhook_sender_over(services: Services, poster: Poster, checkpoint: Checkpoint = pass_on) -> webhook_sending.Sender:
    """The use cases of a worker that sends to subscribers; ``poster`` is the worker's, since no server may send."""
    settings = services.settings
    return webhook_sending.Sender(
        services.database,
        services.clock,
        services.box,
        services.telling.webhooks.alarms,
        poster,
        webhook_sending.Pace(settings.delivery_send_timeout_s, settings.delivery_lease_s, settings.relay_repoke_s),
        checkpoint=checkpoint,
    )


def webhook_dues_over(services: Services) -> webhook_sending.Dues:
    """What a relay does for subscribers."""
    return webhook_sending.Dues(services.settings.relay_repoke_s, services.clock)


def lookups_over(services: Services, list_messages: ListMessages) -> LookUps:
    """The use cases of a worker that asks providers of messages; ``list_messages`` is the worker's."""
    return LookUps(services.database, services.clock, services.realtime, services.telling.providers, list_messages)


def asking_over(services: Services, provider: PromptProvider) -> Asking:
    """The use cases of a worker that asks phones; ``provider`` is the worker's, since no server may ask."""
    money, settings = services.money, services.settings
    return Asking(
        services.database,
        services.clock,
        services.box,
        money.providers,
        money.callback_work,
        provider,
        settings.public_url,
        timedelta(seconds=settings.delivery_lease_s),
    )


def job_rules(settings: Settings) -> JobRules:
    """How jobs are run, as the settings say."""
    return JobRules(
        lease=timedelta(seconds=settings.job_lease_s),
        at_once=settings.jobs_at_once,
        file_kept=timedelta(days=settings.keep_job_files_days),
        row_kept=timedelta(days=settings.keep_jobs_days),
    )


def job_runner_over(services: Services, checkpoint: JobCheckpoint = pass_by) -> Runner:
    """The use cases of a worker that runs jobs."""
    rules = job_rules(services.settings)
    told = export_ready(services.clock)
    return Runner(services.database, services.clock, services.realtime, JOB_KINDS, rules, checkpoint, told)


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
