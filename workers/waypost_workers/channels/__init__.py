"""What carries a message out of the house. Only workers import these, so no request ever waits for a provider."""

from __future__ import annotations

from collections.abc import Mapping

from waypost.kernel.clock import Clock
from waypost.notifications.addresses import ChannelName
from waypost.notifications.ports import Channel
from waypost.settings import Settings, reveal
from waypost.wiring import offered
from waypost_workers.channels.console import Console
from waypost_workers.channels.email import Email, MailServer


def channels_of(settings: Settings, clock: Clock) -> Mapping[str, Channel]:
    """The channels that the settings turn on."""
    found: dict[str, Channel] = {}
    if ChannelName.CONSOLE in offered(settings):
        found[ChannelName.CONSOLE] = Console()
    if settings.smtp_host is not None and settings.smtp_from is not None:
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            user=settings.smtp_user,
            password=reveal(settings.smtp_password),
        )
        found[ChannelName.EMAIL] = Email(server, settings.smtp_from, settings.delivery_send_timeout_s, clock)
    return found
