"""What carries a message out of the house. Only workers import these, so no request ever waits for a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Invalid
from waypost.notifications.addresses import ChannelName
from waypost.notifications.ports import Channel, Checkpoint, pass_on
from waypost.notifications.providers.accounts import SmtpConfig
from waypost.notifications.providers.checks import checked
from waypost.platform.guarded import Guard, Names, outside
from waypost.settings import BadSettings, Settings, reveal
from waypost.wiring import Services
from waypost.wiring_work import offered
from waypost_workers.channels.apprise import AppriseChannel, is_there
from waypost_workers.channels.console import Console
from waypost_workers.channels.email import Email, MailServer
from waypost_workers.channels.gateways import gateways
from waypost_workers.channels.joining import Joining
from waypost_workers.channels.mail_pool import MailPool
from waypost_workers.channels.push import Push
from waypost_workers.channels.sms import SmsChannel

LOOKUPS: Final = 8  # of mail servers' names, at once
OURS: Final = 0.95  # of the time for a try: what takes longer is ours to classify


@asynccontextmanager
async def open_channels(services: Services, checkpoint: Checkpoint = pass_on) -> AsyncIterator[Mapping[str, Channel]]:
    """Those of this installation, for as long as the block runs; what they keep open is closed then."""
    settings, clock = services.settings, services.clock
    timeout_s, guard = settings.delivery_send_timeout_s, Guard.of(settings.webhook_allowed_networks)
    found: dict[str, Channel] = {}
    async with AsyncExitStack() as open_ones:
        if ChannelName.CONSOLE in offered(settings):
            found[ChannelName.CONSOLE] = Console()
        names = Names(ThreadPoolExecutor(LOOKUPS, thread_name_prefix="mail-names"))
        open_ones.push_async_callback(names.close)
        mail = _mail(settings, clock, Joining(guard, names), checkpoint)
        open_ones.callback(mail.close)
        found[ChannelName.EMAIL] = mail
        reached = await open_ones.enter_async_context(gateways(guard, clock, timeout_s * OURS, checkpoint))
        found[ChannelName.SMS] = SmsChannel(reached)
        out = await open_ones.enter_async_context(outside(guard))
        found[ChannelName.PUSH] = Push(services.telling.push, out, clock, timeout_s, settings.public_url, checkpoint)
        if is_there():
            other = AppriseChannel(timeout_s)
            open_ones.callback(other.close)
            found[ChannelName.OTHER] = other
        yield found


def _mail(settings: Settings, clock: Clock, joining: Joining, checkpoint: Checkpoint) -> Email:
    """``joining``: to the servers that organisations name."""
    server = None
    if settings.smtp_host is not None:
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            user=settings.smtp_user,
            password=reveal(settings.smtp_password),
        )
    pool = MailPool(checkpoint=checkpoint)
    return Email(server, settings.smtp_from, settings.delivery_send_timeout_s, clock, pool, joining, _signing(settings))


def _signing(settings: Settings) -> SmtpConfig | None:
    """With what the house signs its mail. ``BadSettings`` when it cannot."""
    domain, selector, key = settings.smtp_dkim_domain, settings.smtp_dkim_selector, reveal(settings.smtp_dkim_key)
    if settings.smtp_host is None or (domain is None and selector is None and key is None):
        return None
    config = SmtpConfig(settings.smtp_host, dkim_domain=domain, dkim_selector=selector, dkim_key=key)
    try:
        checked(config, settings.smtp_from or "")
    except Invalid as error:
        raise BadSettings(f"  WAYPOST_SMTP_DKIM_...: {error.detail.removeprefix('config.')}") from error
    return config
