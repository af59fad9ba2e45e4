"""Bodies of webhooks. A secret is in the answer that makes it and in no later one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.kernel.errors import invalid_field
from waypost.platform.codec import LATEST, NO_NUL, SOME_TEXT, Instant, instant, instant_or_none, utc
from waypost.platform.queries import PageQuery
from waypost.webhooks import domain
from waypost.webhooks.catalogue import TEST, EventType
from waypost.webhooks.domain import State, Switch

Name = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]
Url = Annotated[str, Meta(min_length=8, max_length=2000, pattern=SOME_TEXT)]
EventName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
Moment = Annotated[datetime, Meta(tz=True)]
Events = Annotated[list[EventName], Meta(min_length=1, max_length=100)]


class WebhooksQuery(PageQuery):
    """``archived``: those put away instead."""

    archived: bool = False


class WebhookDeliveriesQuery(PageQuery):
    """``type``: of the event; ``since``, ``until``: when it happened."""

    state: State | None = None
    type: EventName | None = None
    since: Moment | None = None
    until: Moment | None = None

    def to_domain(self) -> domain.DeliveryFilter:
        """``ValueError`` for a moment beyond all plans."""
        since, until = (utc(at) if at is not None else None for at in (self.since, self.until))
        return domain.DeliveryFilter(self.state, self.type, since, until)


class NewWebhook(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``url``: https, where the world can reach it; ``events``: types, or ``*`` for all that there are and will be."""

    url: Url
    events: Events
    name: Name = ""


class WebhookChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; what is left out stays. ``state`` off: what waits is not sent."""

    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    state: Switch | UnsetType = UNSET

    def values(self) -> dict[str, Any]:
        """The fields that are named."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class WebhookTestOf(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``type``: of which an example is sent."""

    type: EventName = TEST


class Replay(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Either one delivery, or all since a moment (up to ``until``, else now) that were not taken; ``taken``: those that
    were, too.
    """

    delivery_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None
    taken: bool = False

    def span(self) -> tuple[datetime, datetime | None]:
        """``Invalid`` unless exactly one of the two is asked for."""
        if (self.since is None) == (self.delivery_id is None):
            raise invalid_field("since", "give either since or deliveryId")
        return _checked("since", self.since) or LATEST, _checked("until", self.until)


class WebhookSecretShown(msgspec.Struct, rename="camel", omit_defaults=True):
    """A secret: how it ends, and until when one that was replaced signs beside the new one."""

    ends_with: str
    until: Instant | None = None


class Webhook(msgspec.Struct, rename="camel", omit_defaults=True):
    """A subscriber. ``failing_since``: since then nothing was taken; ``slow_until``: it rests until then; ``problem``:
    its secrets cannot be read, so nothing is sent until it has a new one.
    """

    id: UUID
    name: str
    url: str
    events: list[str]
    state: Literal["on", "off"]
    secrets: list[WebhookSecretShown]
    created_at: Instant
    version: int
    off_reason: str | None = None
    off_at: Instant | None = None
    failing_since: Instant | None = None
    slow_until: Instant | None = None
    archived_at: Instant | None = None
    problem: Literal["secret-unreadable"] | None = None

    @classmethod
    def from_domain(cls, webhook: domain.Webhook) -> Webhook:
        w = webhook
        return cls(
            w.id, w.name, w.url, list(w.events), w.state.value,
            [WebhookSecretShown(each.secret[-4:], instant_or_none(each.until)) for each in w.secrets],
            instant(w.created_at), w.version, w.off_reason, instant_or_none(w.off_at),
            instant_or_none(w.health.failing_since), instant_or_none(w.health.slow_until),
            instant_or_none(w.archived_at), None if w.secrets else "secret-unreadable",
        )  # fmt: skip


class WebhookWithSecret(Webhook, kw_only=True):
    """The same with the new secret, by which the receiver checks signatures; it is in no later answer."""

    secret: str

    @classmethod
    def of(cls, webhook: domain.Webhook) -> WebhookWithSecret:
        shown = Webhook.from_domain(webhook)
        values = {name: getattr(shown, name) for name in Webhook.__struct_fields__}
        return cls(**values, secret=webhook.secrets[0].secret)


class WebhookDelivery(msgspec.Struct, rename="camel", omit_defaults=True):
    """One event to one webhook. ``id``: of this delivery; ``event_id``: what it carries as ``webhook-id``; ``status``:
    the last answer's; ``due_at``: when it is tried next.
    """

    id: UUID
    event_id: UUID
    type: str
    sequence: int
    happened_at: Instant
    state: State
    attempts: int
    created_at: Instant
    updated_at: Instant
    reason: str | None = None
    status: int | None = None
    due_at: Instant | None = None

    @classmethod
    def from_domain(cls, delivery: domain.Delivery) -> WebhookDelivery:
        d = delivery
        due_at = instant(d.due_at) if d.state is State.PENDING else None
        return cls(
            d.id, d.event_id, d.type, d.seq, instant(d.happened_at), d.state, d.attempt, instant(d.created_at),
            instant(d.updated_at), d.reason, d.status, due_at,
        )  # fmt: skip


class WebhookAttempt(msgspec.Struct, rename="camel", omit_defaults=True):
    """One try. ``answer``: the first kilobyte of what came back."""

    attempt: int
    started_at: Instant
    finished_at: Instant | None = None
    outcome: str | None = None
    reason: str | None = None
    status: int | None = None
    latency_ms: int | None = None
    answer: str | None = None

    @classmethod
    def from_domain(cls, a: domain.Attempt) -> WebhookAttempt:
        return cls(
            a.attempt, instant(a.started_at), instant_or_none(a.finished_at), a.outcome, a.reason, a.status,
            a.latency_ms, a.answer,
        )  # fmt: skip


class WebhookDeliveryShown(WebhookDelivery, kw_only=True):
    """The same with the body that is sent, as text, and each try."""

    body: str
    tries: list[WebhookAttempt]

    @classmethod
    def of(cls, logged: domain.Logged) -> WebhookDeliveryShown:
        shown = WebhookDelivery.from_domain(logged.delivery)
        values = {name: getattr(shown, name) for name in WebhookDelivery.__struct_fields__}
        return cls(**values, body=logged.body, tries=[WebhookAttempt.from_domain(each) for each in logged.attempts])


class WebhookReplayed(msgspec.Struct, rename="camel"):
    """``count``: how many are sent again; ``more``: there are others, for another call."""

    count: int
    more: bool

    @classmethod
    def from_domain(cls, replayed: domain.Replayed) -> WebhookReplayed:
        return cls(replayed.count, replayed.more)


class WebhookEventType(msgspec.Struct, rename="camel"):
    """A type of event that a webhook may want. ``example``: the body of one."""

    type: str
    version: int
    description: str
    example: dict[str, Any]

    @classmethod
    def of(cls, event_type: EventType, example: dict[str, Any]) -> WebhookEventType:
        return cls(event_type.name, event_type.version, event_type.words, example)


class WebhookEventTypes(msgspec.Struct, rename="camel"):
    """All types there are."""

    data: list[WebhookEventType]


def _checked(field: str, at: datetime | None) -> datetime | None:
    try:
        return utc(at) if at is not None else None
    except ValueError as error:
        raise invalid_field(field, str(error)) from error
