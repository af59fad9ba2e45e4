"""HTTP edge of webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from waypost.kernel.errors import invalid_field
from waypost.platform.openapi import SentEvent
from waypost.platform.routes import Cache, Route
from waypost.platform.web import (
    PRINCIPAL,
    BadQuery,
    if_match,
    path_id,
    read_body,
    read_optional_body,
    read_query,
    reply,
    reply_page,
    reply_versioned,
)
from waypost.webhooks import bodies, wire
from waypost.webhooks.catalogue import ALL, SUBJECT, TYPES, EventType
from waypost.webhooks.domain import (
    DeliveryFilter,
    TooManyWebhooks,
    Webhook,
    WebhookArchived,
    WebhookDeliveryNotFound,
    WebhookDeliveryUnderWay,
    WebhookNotFound,
    WebhookOff,
)
from waypost.webhooks.log import WebhookLog
from waypost.webhooks.register import OWNERS, Webhooks

PATH: Final = "/api/v1/webhooks"
TYPES_PATH: Final = PATH + "/event-types"  # before the ids that it could be
ONE: Final = PATH + "/{webhook_id}"
DELIVERY: Final = ONE + "/deliveries/{webhook_delivery_id}"
FIXED: Final = WebhookNotFound, WebhookArchived


class WebhookRoutes:
    """Subscribers of an organisation, and what was sent to them."""

    def __init__(self, webhooks: Webhooks, log: WebhookLog) -> None:
        self.webhooks, self.log = webhooks, log

    def routes(self) -> list[Route]:
        return [
            Route("GET", TYPES_PATH, self.list_event_types, answer=wire.WebhookEventTypes, cache=Cache.PRIVATE),
            Route("GET", PATH, self.list_webhooks, answer=wire.Webhook, listing=True, query=wire.WebhooksQuery,
                  roles=OWNERS),
            Route("POST", PATH, self.add_webhook, status=201, answer=wire.WebhookWithSecret, body=wire.NewWebhook,
                  roles=OWNERS, errors=(TooManyWebhooks,), idempotent=True, versioned=True),
            Route("GET", ONE, self.get_webhook, answer=wire.Webhook, roles=OWNERS,
                  errors=(WebhookNotFound,), versioned=True),
            Route("PATCH", ONE, self.change_webhook, answer=wire.Webhook, body=wire.WebhookChange, roles=OWNERS,
                  errors=FIXED, versioned=True),
            Route("DELETE", ONE, self.archive_webhook, status=204, roles=OWNERS, errors=(WebhookNotFound,)),
            Route("POST", ONE + "/rotate-secret", self.rotate_secret, answer=wire.WebhookWithSecret, roles=OWNERS,
                  errors=FIXED, idempotent=True),
            Route("POST", ONE + "/test", self.test_webhook, status=202, answer=wire.WebhookDeliveryShown,
                  body=wire.WebhookTestOf, body_optional=True, roles=OWNERS, errors=(*FIXED, WebhookOff),
                  idempotent=True),
            Route("POST", ONE + "/replay", self.replay, status=202, answer=wire.WebhookReplayed, body=wire.Replay,
                  roles=OWNERS, errors=(*FIXED, WebhookOff, WebhookDeliveryNotFound, WebhookDeliveryUnderWay),
                  idempotent=True),
            Route("GET", ONE + "/deliveries", self.list_deliveries, answer=wire.WebhookDelivery, listing=True,
                  query=wire.WebhookDeliveriesQuery, roles=OWNERS, errors=(WebhookNotFound,)),
            Route("GET", DELIVERY, self.get_delivery, answer=wire.WebhookDeliveryShown, roles=OWNERS,
                  errors=(WebhookNotFound, WebhookDeliveryNotFound)),
        ]  # fmt: skip

    async def list_event_types(self, _request: web.Request) -> web.Response:
        """The types of events that a webhook may want, each with an example."""
        return reply(wire.WebhookEventTypes([wire.WebhookEventType.of(each, example_of(each)) for each in ALL]))

    async def list_webhooks(self, request: web.Request) -> web.Response:
        """The organisation's webhooks."""
        query = read_query(request, wire.WebhooksQuery)
        page = await self.webhooks.list(request[PRINCIPAL], query.limit, query.cursor, archived=query.archived)
        return reply_page(request, page, wire.Webhook.from_domain)

    async def add_webhook(self, request: web.Request) -> web.Response:
        """Add a webhook; the secret by which its receiver checks signatures is in this answer and in no later one."""
        body = await read_body(request, wire.NewWebhook)
        added = await self.webhooks.add(request[PRINCIPAL], name=body.name, url=body.url, events=body.events)
        return reply_versioned(wire.WebhookWithSecret.of(added), added.version, status=201)

    async def get_webhook(self, request: web.Request) -> web.Response:
        """One webhook, without its secrets, and how it fares."""
        return _reply(await self.webhooks.find(request[PRINCIPAL], _webhook_id(request)))

    async def change_webhook(self, request: web.Request) -> web.Response:
        """Change a webhook, or switch it off and on. Switched on, it begins anew; replay what it has missed."""
        body, expected = await read_body(request, wire.WebhookChange), if_match(request)
        webhook_id = _webhook_id(request)
        return _reply(await self.webhooks.change(request[PRINCIPAL], webhook_id, body.values(), expected=expected))

    async def archive_webhook(self, request: web.Request) -> web.Response:
        """Put a webhook away for good: nothing is sent to it any more; its log stays."""
        await self.webhooks.archive(request[PRINCIPAL], _webhook_id(request))
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def rotate_secret(self, request: web.Request) -> web.Response:
        """A new secret; for a day the present one signs beside it."""
        changed = await self.webhooks.rotate(request[PRINCIPAL], _webhook_id(request))
        return reply_versioned(wire.WebhookWithSecret.of(changed), changed.version)

    async def test_webhook(self, request: web.Request) -> web.Response:
        """Send an example event, of invented facts; its delivery shows how it went."""
        body = await read_optional_body(request, wire.WebhookTestOf)
        if body.type not in TYPES:
            raise invalid_field("type", "there is no such event")
        logged = await self.log.test(request[PRINCIPAL], _webhook_id(request), body.type)
        return reply(wire.WebhookDeliveryShown.of(logged), status=202)

    async def replay(self, request: web.Request) -> web.Response:
        """Send once more: one delivery, or what happened since a moment and was not taken, at most 1,000 a call."""
        body, webhook_id = await read_body(request, wire.Replay), _webhook_id(request)
        since, until = body.span()
        if body.delivery_id is not None:
            replayed = await self.log.replay_one(request[PRINCIPAL], webhook_id, body.delivery_id)
        else:
            replayed = await self.log.replay(request[PRINCIPAL], webhook_id, since, until, taken=body.taken)
        return reply(wire.WebhookReplayed.from_domain(replayed), status=202)

    async def list_deliveries(self, request: web.Request) -> web.Response:
        """What was sent to a webhook, or is to be; newest first."""
        query = read_query(request, wire.WebhookDeliveriesQuery)
        page = await self.log.list(
            request[PRINCIPAL], _webhook_id(request), _filter(query), query.limit, query.cursor
        )  # fmt: skip
        return reply_page(request, page, wire.WebhookDelivery.from_domain)

    async def get_delivery(self, request: web.Request) -> web.Response:
        """One delivery: what is sent, and each try with its answer."""
        delivery_id = path_id(request, "webhook_delivery_id", WebhookDeliveryNotFound)
        logged = await self.log.find(request[PRINCIPAL], _webhook_id(request), delivery_id)
        return reply(wire.WebhookDeliveryShown.of(logged))


def example_of(event_type: EventType) -> dict[str, Any]:
    """The body of an example event, for the description."""
    body = bodies.body_of(bodies.sample(event_type), UUID(SUBJECT), 42, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    return msgspec.json.decode(body, type=dict[str, Any])


def sent_events() -> list[SentEvent]:
    """What subscribers are sent, for the API's description."""
    return [SentEvent(each.name, each.words, each.version, each.data, example_of(each)) for each in ALL]


def _webhook_id(request: web.Request) -> UUID:
    return path_id(request, "webhook_id", WebhookNotFound)


def _filter(query: wire.WebhookDeliveriesQuery) -> DeliveryFilter:
    try:
        return query.to_domain()
    except ValueError as error:
        raise BadQuery(str(error)) from error


def _reply(webhook: Webhook) -> web.Response:
    return reply_versioned(wire.Webhook.from_domain(webhook), webhook.version)
