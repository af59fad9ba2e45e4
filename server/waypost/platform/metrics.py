"""`/metrics`: what a process counts, for Prometheus. Never a label that names a person, a thing or an address."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from waypost.kernel.errors import Denied
from waypost.platform.addresses import is_from_here
from waypost.platform.database import Database, Pool
from waypost.platform.routes import Cache, Route, row_of
from waypost.platform.web import TokenMissing, bearer

BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10)


class NotForYou(Denied):
    """`/metrics` is read from this machine, or with the token of `WAYPOST_METRICS_TOKEN`."""

    code = "metrics-denied"


@dataclass(frozen=True, slots=True, eq=False)
class PoolGauges(Collector):
    """Used, idle and waiting, of each pool."""

    database: Database

    def collect(self) -> Iterable[GaugeMetricFamily]:
        held = GaugeMetricFamily("waypost_pool_connections", "Database connections.", labels=["pool", "state"])
        for name, pool in self._pools().items():
            idle = pool.get_idle_size()
            held.add_metric([name, "idle"], idle)
            held.add_metric([name, "used"], pool.get_size() - idle)
            held.add_metric([name, "most"], pool.get_max_size())
        yield held
        yield GaugeMetricFamily(
            "waypost_pool_waiting", "Requests that wait for a database connection.", self.database.waits.now
        )

    def _pools(self) -> Mapping[str, Pool]:
        if self.database.system_pool is self.database.pool:
            return {"main": self.database.pool}
        return {"main": self.database.pool, "system": self.database.system_pool}


@dataclass(slots=True)
class Metrics:
    """The figures of one process; each registry is its own, so that tests may hold several."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Histogram = field(init=False)
    cache_reads: Counter = field(init=False)
    timers: dict[tuple[str, str, str], Histogram] = field(default_factory=dict)  # labels() looks up under a lock
    children: dict[tuple[str, str], Counter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        self.requests = Histogram(
            "waypost_request_seconds",
            "Time to answer, by the route's template.",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=BUCKETS_S,
        )
        self.cache_reads = Counter(
            "waypost_cache_reads",
            "Reads of the caches: where the answer was.",
            ["kind", "from"],
            registry=self.registry,
        )

    def cache_read(self, kind: str, where: str) -> None:
        """A value of ``kind`` was in "memory", in "redis", or had to come from the "database"."""
        counter = self.children.get((kind, where))
        if counter is None:
            counter = self.children[kind, where] = self.cache_reads.labels(kind, where)
        counter.inc()

    def took(self, method: str, route: str, status: str, seconds: float) -> None:
        """A request was answered."""
        histogram = self.timers.get((method, route, status))
        if histogram is None:
            histogram = self.timers[method, route, status] = self.requests.labels(method, route, status)
        histogram.observe(seconds)

    def watch_pools(self, database: Database) -> None:
        self.registry.register(PoolGauges(database))

    def gauge(self, name: str, words: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody asks."""
        Gauge(name, words, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)


def measured(metrics: Metrics) -> Middleware:
    """Time every answer. Stands outside all others, so that refusals count too."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, status = time.perf_counter(), "gone"
        try:
            response = await handler(request)
            status = str(response.status)
        finally:
            row = row_of(request)
            route, method = (row.path, row.method) if row is not None else ("other", "other")
            metrics.took(method, route, status, time.perf_counter() - began)
        return response

    return middleware


@dataclass(frozen=True, slots=True)
class MetricsRoutes:
    """``token`` None: only this machine may read."""

    metrics: Metrics
    token: str | None

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/metrics", self.read, public=True, cache=Cache.NO_STORE, content_type="text/plain",
                  errors=(TokenMissing, NotForYou))
        ]  # fmt: skip

    async def read(self, request: web.Request) -> web.Response:
        """Figures of this process, in Prometheus' text form."""
        if self.token is not None:
            if not hmac.compare_digest(bearer(request).encode(errors="replace"), self.token.encode()):
                raise NotForYou
        elif not is_from_here(request):
            raise NotForYou
        headers = {"Cache-Control": Cache.NO_STORE.value}
        return web.Response(body=self.metrics.text(), content_type="text/plain", charset="utf-8", headers=headers)
