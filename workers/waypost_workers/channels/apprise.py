"""Whatever else Apprise speaks to (chats, pagers), with the extra of that name: to one place an account.

It says yes or no and nothing of why, so a no is in doubt: it may have gone out.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from waypost.notifications.domain import Message
from waypost.notifications.providers.accounts import AppriseConfig
from waypost.notifications.providers.checks import apprise_service
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.telemetry import log

AT_ONCE: Final = 4
OURS: Final = 0.9  # part of the time that a try may take


def is_there() -> bool:
    """Is the package installed?"""
    return find_spec("apprise") is not None


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apprise")


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """The channel. Apprise waits while it sends, so in threads of its own; ``timeout_s``: of a whole try."""

    timeout_s: float
    threads: ThreadPoolExecutor = field(default_factory=_threads)
    provider: str = "apprise"

    async def send(self, message: Message) -> Outcome:
        """Try once."""
        config = message.account.config if message.account is not None else None
        if not isinstance(config, AppriseConfig) or apprise_service(config.url) is None:
            return Outcome(OutcomeKind.REFUSED, "apprise_not_set_up")
        place = asyncio.get_running_loop().run_in_executor(
            self.threads, _notify, config.url, message.text.subject, message.text.body, self.timeout_s
        )
        try:
            async with asyncio.timeout(self.timeout_s * OURS):
                said = await place
        except TimeoutError:
            return Outcome(OutcomeKind.UNKNOWN, "apprise_timeout", provider_failed=True)
        except Exception as error:  # noqa: BLE001 - its plug-ins raise what they come across
            log.warning("apprise_failed", delivery_id=str(message.delivery_id), error=type(error).__name__)
            return Outcome(OutcomeKind.UNKNOWN, "apprise_failed", provider_failed=True)
        if said is None:
            return Outcome(OutcomeKind.REFUSED, "apprise_not_set_up")
        if not said:
            return Outcome(OutcomeKind.UNKNOWN, "apprise_failed", provider_failed=True)
        return Outcome(OutcomeKind.ACCEPTED)

    def close(self) -> None:
        """What is under way is left alone."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def _notify(url: str, title: str, body: str, timeout_s: float) -> bool | None:
    """None: the address is none that Apprise can use."""
    import apprise

    asset = apprise.AppriseAsset(app_id="Waypost", app_desc="Waypost", async_mode=False)
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return None
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s / 2
    return bool(service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))
