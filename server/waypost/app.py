"""The server's application: every edge on one aiohttp app, and the tasks that live as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from waypost.directory.http import DirectoryRoutes
from waypost.identity.http import IdentityRoutes
from waypost.platform.health import HealthRoutes
from waypost.platform.pages import Pages
from waypost.platform.routes import Route
from waypost.platform.telemetry import log
from waypost.platform.web import MAX_BODY_BYTES, authentication, problems
from waypost.tracking.http import TrackingRoutes
from waypost.tracking.socket import TrackingEvents
from waypost.trips.http import TripRoutes
from waypost.wiring import Services


def route_table(services: Services) -> list[Route]:
    """Every route of every feature."""
    return [
        *HealthRoutes(services.health).routes(),
        *IdentityRoutes(services.identity).routes(),
        *DirectoryRoutes(services.directory).routes(),
        *TripRoutes(services.trips).routes(),
        *TrackingRoutes(services.tracking).routes(),
    ]


def build_app(services: Services) -> web.Application:
    """All routes and socket events over ``services``, which the caller opens and closes."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[problems, authentication(services.identity.authenticate)],
    )
    services.hub.sio.attach(app)
    routes = route_table(services)
    app.add_routes([route.definition() for route in [*routes, *Pages().routes()]])
    TrackingEvents(services.hub, services.tracking, services.trips).register()
    app.cleanup_ctx.append(lambda _app: _background(services))
    app.on_shutdown.append(lambda _app: services.hub.close())
    return app


async def _background(services: Services) -> AsyncIterator[None]:
    """The hub, the publisher and the watch over withdrawn devices; a failure of one is logged and ends the server."""
    watch = services.devices.watch(
        services.settings.revocation_poll_s, services.hub.connected_devices, services.hub.cut_devices
    )

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(services.hub.run())
            tasks.create_task(services.realtime.run())
            tasks.create_task(watch)

    task = asyncio.create_task(run())
    task.add_done_callback(_fail_loudly)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _fail_loudly(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background_failed", exc_info=task.exception())
        raise SystemExit(1)
