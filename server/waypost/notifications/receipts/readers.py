"""Who reads what each kind of provider sends. A new provider is a pure file in ``providers/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from waypost.notifications.providers import africastalking, dsn, generic_http, mail, twilio
from waypost.notifications.providers.accounts import ProviderAccount, ProviderName
from waypost.notifications.providers.reports import Call, Reader, Reading


@dataclass(frozen=True, slots=True)
class Of:
    """A provider's two functions."""

    is_genuine: Callable[[Call, ProviderAccount], bool]
    read_call: Callable[[Call, ProviderAccount], Reading]

    def genuine(self, call: Call, account: ProviderAccount) -> bool:
        return self.is_genuine(call, account)

    def read(self, call: Call, account: ProviderAccount) -> Reading:
        return self.read_call(call, account)


def _says_nothing(_call: Call, _account: ProviderAccount) -> Reading:
    return Reading(trouble=dsn.NOT_UNDERSTOOD)


READERS: Final[Mapping[ProviderName, Reader]] = {
    ProviderName.TWILIO: Of(twilio.genuine, twilio.read_call),
    ProviderName.AFRICASTALKING: Of(africastalking.genuine, africastalking.read_call),
    ProviderName.HTTP: Of(generic_http.genuine, generic_http.read_call),
    ProviderName.SMTP: Of(mail.genuine, mail.read_call),
    ProviderName.APPRISE: Of(lambda _call, _account: False, _says_nothing),
}
