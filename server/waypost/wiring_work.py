"""The use cases of the processes that work: relays, and workers that send, ask, look up and run jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from waypost.invoices import notices as invoice_notices
from waypost.jobs.ports import Checkpoint as JobCheckpoint
from waypost.jobs.ports import pass_by
from waypost.jobs.runner import Runner
from waypost.laybys import notices as layby_notices
from waypost.notifications.addresses import ChannelName
from waypost.notifications.comparing import Comparison, Lists
from waypost.notifications.deliveries import Deliveries
from waypost.notifications.domain import Pace
from waypost.notifications.following import Following
from waypost.notifications.keeping import Keeper
from waypost.notifications.kinds import OF_INVOICES, OF_LAYBYS, OF_TRIPS, PAYMENT_FAILED
from waypost.notifications.lookups import ListMessages, LookUps
from waypost.notifications.ports import Channel, Checkpoint, Guard, pass_on
from waypost.notifications.relay import Relay
from waypost.notifications.render import renderer
from waypost.notifications.words.service import Words
from waypost.payments import notices as payment_notices
from waypost.payments.asking import Asking
from waypost.payments.ports import AddressProvider, PromptProvider, ReversalProvider
from waypost.payments.registering import Registering
from waypost.payments.reversing import Reversing
from waypost.settings import Settings
from waypost.trips import notices
from waypost.webhooks import sending as webhook_sending
from waypost.webhooks.ports import Poster
from waypost.wiring import JOB_KINDS, Services, job_rules
from waypost.wiring_sending import Sending, sending_over
from waypost.wiring_telling import export_ready

# Asked as a notice is about to be sent: why it must not go out any more. Money that has moved is told in any case.
GUARDS: Mapping[str, Guard] = {
    **dict.fromkeys(OF_TRIPS, notices.unwanted),
    **dict.fromkeys(OF_LAYBYS, layby_notices.unwanted),
    PAYMENT_FAILED: payment_notices.unwanted,
    **dict.fromkeys(OF_INVOICES, invoice_notices.unwanted),
}


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
        services.clock, services.realtime, offered(services.settings), Words(renderer()), services.telling.event_sink
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
        Words(renderer(), settings.public_url),
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


def comparison_over(services: Services, lists: Lists) -> Comparison:
    """The nightly comparison of messages with their providers; ``lists`` is the worker's."""
    ground = services.database, services.clock, services.realtime
    return Comparison(*ground, services.rules, services.telling.providers, lists)


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


def reversing_over(services: Services, provider: ReversalProvider) -> Reversing:
    """The use case of a worker that asks for reversals; ``provider`` as above."""
    money, settings = services.money, services.settings
    return Reversing(
        services.database,
        services.clock,
        money.bookings.publisher,
        services.box,
        money.providers,
        provider,
        settings.public_url,
        timedelta(seconds=settings.delivery_lease_s),
    )


def registering_over(services: Services, provider: AddressProvider) -> Registering:
    """The use case of a worker that tells providers our addresses; ``provider`` as above."""
    lease = timedelta(seconds=services.settings.delivery_lease_s)
    register, public_url = services.money.providers, services.settings.public_url
    return Registering(services.database, services.clock, services.box, register, provider, public_url, lease)


def job_runner_over(services: Services, checkpoint: JobCheckpoint = pass_by) -> Runner:
    """The use cases of a worker that runs jobs."""
    rules = job_rules(services.settings)
    told = export_ready(services.clock)
    return Runner(services.database, services.clock, services.realtime, JOB_KINDS, rules, checkpoint, told)
