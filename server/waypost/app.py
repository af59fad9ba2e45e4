"""The server's application: every edge on one aiohttp app, and the tasks that live as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any
from uuid import UUID

from aiohttp import web

from waypost.analytics.http import AnalyticsRoutes
from waypost.directory.domain import CustomerNotFound
from waypost.directory.guesses import TooManyUnknown
from waypost.directory.http import DirectoryRoutes
from waypost.directory.http_devices import DeviceRoutes
from waypost.directory.service import BOOKKEEPERS
from waypost.identity.domain import TokenExpired, TokenInvalid
from waypost.identity.http import IdentityRoutes
from waypost.identity.http_logo import LogoPictures, LogoRoutes
from waypost.identity.http_members import InvitationRoutes, MemberRoutes, OrganisationRoutes
from waypost.invoices import told as invoices_told
from waypost.invoices.domain import InvoiceNotFound
from waypost.invoices.http import InvoiceRoutes
from waypost.invoices.http_papers import InvoicePaperRoutes
from waypost.jobs import told as jobs_told
from waypost.jobs.http import JobRoutes
from waypost.kernel.principal import Principal
from waypost.laybys import told as laybys_told
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.http import LaybyRoutes
from waypost.laybys.http_documents import LaybyPaperRoutes
from waypost.laybys.http_moves import LaybyMoveRoutes
from waypost.laybys.http_rules import RuleRoutes
from waypost.laybys.http_sweeps import SweepRoutes
from waypost.ledger.http import LedgerRoutes
from waypost.notifications import told as notifications_told
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent.http import ConsentRoutes, CustomerLookup
from waypost.notifications.consent.page import StopPage
from waypost.notifications.dev_page import DevOutbox
from waypost.notifications.http import NotificationRoutes, Trail
from waypost.notifications.http_alerts import AlertRoutes
from waypost.notifications.http_providers import MessageProviderRoutes
from waypost.notifications.http_stuck import StuckRoutes
from waypost.notifications.inbox import told as inbox_told
from waypost.notifications.inbox.http import InboxRoutes
from waypost.notifications.push.http import PushRoutes
from waypost.notifications.receipts.http import MessageReceiptRoutes
from waypost.notifications.words.http import TemplateRoutes
from waypost.payments import told as payments_told
from waypost.payments.domain import PaymentNotFound
from waypost.payments.http import PaymentRoutes
from waypost.payments.http_callbacks import CallbackRoutes
from waypost.payments.http_documents import ReceiptRoutes
from waypost.payments.http_prompts import PromptRoutes
from waypost.payments.http_providers import ProviderRoutes
from waypost.payments.http_reversals import ReversalRoutes
from waypost.payments.http_signed import SignedRoutes
from waypost.payments.http_statements import StatementRoutes
from waypost.platform.addresses import Proxies, addresses
from waypost.platform.asyncapi import EventDescription
from waypost.platform.bodies import MAX_BODY_BYTES
from waypost.platform.caching import caching
from waypost.platform.docs import DocsRoutes
from waypost.platform.gate import Rates, known_queries, rate_limits, refusals
from waypost.platform.health import HealthRoutes
from waypost.platform.idempotency import idempotency
from waypost.platform.metrics import MetricsRoutes, measured
from waypost.platform.openapi import Description
from waypost.platform.pages import Pages
from waypost.platform.routes import Route
from waypost.platform.telemetry import log
from waypost.platform.web import authentication, problems
from waypost.realtime import told as hub_told
from waypost.realtime.catalogue import Catalogue
from waypost.tracking import told as tracking_told
from waypost.tracking.healing import Healing
from waypost.tracking.http import TrackingRoutes
from waypost.tracking.http_apps import AppHeaderRoutes, AppRoutes
from waypost.tracking.http_imports import ImportRoutes
from waypost.tracking.http_quality import QualityRoutes
from waypost.tracking.http_streets import StreetRoutes
from waypost.tracking.http_tracks import TrackRoutes
from waypost.tracking.sight import SightWatch
from waypost.tracking.socket import TrackingEvents
from waypost.trips import told as trips_told
from waypost.trips.domain import TripNotFound
from waypost.trips.http import TripRoutes
from waypost.webhooks.http import WebhookRoutes, sent_events
from waypost.wiring import Services
from waypost.wiring_work import offered

DESCRIPTION = Description(
    "Waypost", version("waypost"), refusals=(TokenInvalid, TokenExpired, TooManyUnknown), sent=sent_events()
)
EVENTS = EventDescription("Waypost", version("waypost"))

# What tells clients of something.
TELLERS = (
    hub_told, trips_told, tracking_told, notifications_told, inbox_told, jobs_told, laybys_told, invoices_told,
    payments_told,
)  # fmt: skip

LEFTOVERS_EVERY_S = 10.0  # a relay looks every second
FINISH_S = 1.0


def route_table(services: Services) -> list[Route]:
    """Every route of every feature."""
    return [
        *HealthRoutes(services.health).routes(),
        *IdentityRoutes(services.identity).routes(),
        *OrganisationRoutes(services.organisations, services.audit).routes(),
        *LogoRoutes(services.logos).routes(),
        *MemberRoutes(services.members).routes(),
        *InvitationRoutes(services.invitations, services.settings.public_url).routes(),
        *DirectoryRoutes(services.directory).routes(),
        *DeviceRoutes(services.directory.devices, services.settings.public_url).routes(),
        *TripRoutes(services.trips, services.watching).routes(),
        *TrackingRoutes(services.tracking).routes(),
        *TrackRoutes(services.tracks).routes(),
        *ImportRoutes(services.imports).routes(),
        *StreetRoutes(services.streets).routes(),
        *QualityRoutes(services.quality_reports).routes(),
        *AppRoutes(services.app_reports, services.apps, services.clock, services.settings.owntracks_grace).routes(),
        *AppHeaderRoutes(
            services.app_reports, services.apps, services.clock, services.settings.owntracks_grace
        ).routes(),
        *NotificationRoutes(
            services.notifications, services.resending, services.clock, notice_trails(services)
        ).routes(),
        *StuckRoutes(services.notifications, services.stuck).routes(),
        *JobRoutes(services.jobs).routes(),
        *_money_routes(services),
        *_telling_routes(services),
        *MetricsRoutes(services.metrics, _metrics_token(services)).routes(),
    ]


def notice_trails(services: Services) -> list[Trail]:
    """What notices are about, with the ids of all that belongs to it."""

    async def of_trip(principal: Principal, trip_id: UUID) -> Sequence[UUID]:
        return [(await services.trips.find(principal, trip_id)).id]

    async def of_layby(principal: Principal, layby_id: UUID) -> Sequence[UUID]:
        found = await services.money.laybys.find(principal, layby_id)
        return [found.layby.id, *await services.money.payments.ids_of_layby(principal, layby_id)]

    async def of_invoice(principal: Principal, invoice_id: UUID) -> Sequence[UUID]:
        return [(await services.money.invoices.find(principal, invoice_id)).id]

    async def of_payment(principal: Principal, payment_id: UUID) -> Sequence[UUID]:
        return [row.id for row in (await services.money.payments.find(principal, payment_id)).rows]

    async def of_customer(principal: Principal, customer_id: UUID) -> Sequence[UUID]:
        return [(await services.directory.customers.find(principal, customer_id)).id]

    return [
        Trail("/api/v1/trips/{trip_id}/notifications", "trip_id", of_trip, TripNotFound),
        Trail("/api/v1/laybys/{layby_id}/notifications", "layby_id", of_layby, LaybyNotFound),
        Trail("/api/v1/payments/{payment_id}/notifications", "payment_id", of_payment, PaymentNotFound),
        Trail("/api/v1/invoices/{invoice_id}/notifications", "invoice_id", of_invoice, InvoiceNotFound),
        Trail("/api/v1/customers/{customer_id}/notifications", "customer_id", of_customer, CustomerNotFound,
              customer=True, roles=BOOKKEEPERS),
    ]  # fmt: skip


def _money_routes(services: Services) -> list[Route]:
    """Those of money. Paths that are whole words come before the ids that they could be."""
    money, public_url = services.money, services.settings.public_url
    return [
        *LedgerRoutes(money.ledger).routes(),
        *InvoiceRoutes(money.invoices, money.issuing).routes(),
        *AlertRoutes(money.alerts).routes(),
        *RuleRoutes(money.rule_book).routes(),
        *SweepRoutes(money.sweeps).routes(),
        *AnalyticsRoutes(money.figures).routes(),
        *StatementRoutes(money.statements, money.reconciliations).routes(),
        *CallbackRoutes(money.callbacks, money.reviews, refusals(services.limiter, _rates(services))).routes(),
        *SignedRoutes(money.callbacks, refusals(services.limiter, _rates(services))).routes(),
        *PromptRoutes(money.prompts).routes(),
        *ReversalRoutes(money.reversals).routes(),
        *PaymentRoutes(
            money.payments, money.opening, money.refunds, money.credit, money.unmatched, money.bills
        ).routes(),
        *ProviderRoutes(money.providers, money.registrations, public_url).routes(),
        *InvoicePaperRoutes(money.invoice_papers, money.press).routes(),
        *LaybyPaperRoutes(money.layby_papers, money.press).routes(),
        *ReceiptRoutes(money.receipts, money.press).routes(),
        *LaybyRoutes(money.laybys, money.desk).routes(),  # the last ones: /laybys/{layby_id} is any word
        *LaybyMoveRoutes(money.desk, money.changes, money.goods, money.cancelling, money.orders).routes(),
    ]


def _telling_routes(services: Services) -> list[Route]:
    """Those of notices and of webhooks. Paths that are whole words come before the ids that they could be."""
    telling = services.telling
    return [
        *InboxRoutes(telling.inbox).routes(),
        *ConsentRoutes(
            telling.preferences, telling.suppressions, CustomerLookup(services.book.find, CustomerNotFound)
        ).routes(),
        *MessageReceiptRoutes(
            telling.receipts, telling.heard, refusals(services.limiter, _rates(services)), services.settings.public_url
        ).routes(),
        *TemplateRoutes(telling.templates).routes(),
        *PushRoutes(telling.push).routes(),
        *MessageProviderRoutes(telling.providers, telling.provider_trials, services.settings.public_url).routes(),
        *WebhookRoutes(telling.webhooks, telling.webhook_log).routes(),
    ]


def event_table(services: Services) -> Catalogue:
    """Every event of every feature."""
    tracking = TrackingEvents(services.hub, services.tracking, services.trips)
    return Catalogue.of(
        [*services.hub.own_commands(TokenInvalid, TokenExpired), *tracking.commands()],
        [event for feature in TELLERS for event in feature.TOLD],
    )


def describe_events(services: Services) -> dict[str, Any]:
    """The AsyncAPI document."""
    events = event_table(services)
    return EVENTS.document(events.commands, events.told)


def build_app(services: Services) -> web.Application:
    """All routes and socket events over ``services``, which the caller opens and closes."""
    rates = _rates(services)
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        handler_args={"auto_decompress": False},  # platform/bodies.py does it, within its limit
        middlewares=[
            measured(services.metrics),
            problems,
            addresses(Proxies.of(services.settings.trusted_proxies)),
            authentication(services.identity.authenticate, refusals(services.limiter, rates)),
            rate_limits(services.limiter, rates),
            known_queries,
            caching,
            idempotency(services.database, services.box, services.clock),
        ],
    )
    services.hub.stack.attach(app)
    routes = route_table(services)
    docs = DocsRoutes(DESCRIPTION, routes, lambda: describe_events(services)).routes()
    app.add_routes([route.definition() for route in [*routes, *docs, *_pages(services)]])
    services.hub.serve(event_table(services).commands)
    app.cleanup_ctx.append(lambda _app: _background(services))
    app.on_shutdown.append(lambda _app: services.hub.stack.close())
    return app


def _pages(services: Services) -> list[Route]:
    """What is no part of the API. The developer's page only where its channel is on."""
    logos = LogoPictures(services.logos, services.limiter, services.settings.rate_address)
    pages = [*StopPage(services.telling.stopping).routes(), *logos.routes(), *Pages().routes()]
    if ChannelName.CONSOLE in offered(services.settings):
        pages += DevOutbox(services.notifications).routes()
    return pages


def _metrics_token(services: Services) -> str | None:
    secret = services.settings.metrics_token
    return secret.get_secret_value() if secret is not None else None


def _rates(services: Services) -> Rates:
    settings = services.settings
    return Rates(
        person=settings.rate_person,
        organisation=settings.rate_organisation,
        address=settings.rate_address,
        costly=settings.rate_costly,
        free=settings.rate_free_roles,
    )


async def _background(services: Services) -> AsyncIterator[None]:
    """What runs beside the requests: hub, publisher, watch over who is connected, counters. A failure of one is logged
    and ends the server.
    """
    watch = services.watch.run(services.settings.revocation_poll_s, services.hub.principals, services.hub.cut)

    healing = Healing(services.database, services.clock, services.realtime, services.hub.live, services.hub.logged)
    sight = SightWatch(services.hub, services.trips, services.clock)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(services.hub.run())
            tasks.create_task(services.realtime.run())
            tasks.create_task(watch)
            tasks.create_task(services.quality.run())
            tasks.create_task(services.presence.run(services.hub.stack.broadcast))
            tasks.create_task(services.leftovers.run(LEFTOVERS_EVERY_S))
            tasks.create_task(healing.run())
            tasks.create_task(sight.run(services.settings.revocation_poll_s))

    task = asyncio.create_task(run())
    task.add_done_callback(_fail_loudly)
    yield
    await services.realtime.finish(FINISH_S)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _fail_loudly(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background_failed", exc_info=task.exception())
        raise SystemExit(1)
