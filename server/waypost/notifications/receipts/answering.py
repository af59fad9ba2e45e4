"""HELP, and its like in other languages: one answer a day to a number, whatever else it has asked for or stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from waypost.identity.domain import Selling
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications.addresses import facts_of, is_address
from waypost.notifications.consent.domain import keyword
from waypost.notifications.kinds import HELP_ANSWER, KINDS
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.receipts import storage_answers as storage
from waypost.notifications.states import MAX_ATTEMPTS
from waypost.platform.database import Connection
from waypost.platform.telemetry import request_id

# A word of one language asks in that; HELP and INFO are everybody's.
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({"AYUDA": "es", "AJUDA": "pt", "AIDE": "fr"})


@dataclass(frozen=True, slots=True)
class Answering:
    """``selling``: of the organisation that was asked."""

    clock: Clock
    selling: Selling

    async def help(self, conn: Connection, account: ProviderAccount, theirs: str, text: str) -> bool:
        """Answer who wrote ``text``; False: not once more today, so that two machines cannot talk for ever, or it came
        from what is no number.
        """
        if not is_address(account.channel, theirs):
            return False
        now = self.clock.now()
        mark = hashlib.sha256(theirs.encode()).hexdigest()[:16]
        facts = facts_of(None) | {"contact": self.selling.shop_phone or self.selling.shop_email or ""}
        return await storage.answer(
            conn, account, new_id(self.clock), new_id(self.clock), kind=HELP_ANSWER, key=f"help:{mark}:{now:%Y-%m-%d}",
            locale=locale_of(text, self.selling.locale), facts=facts, address=theirs, budget=MAX_ATTEMPTS,
            valid_until=now + KINDS[HELP_ANSWER].validity, request_id=request_id.get(), now=now,
        )  # fmt: skip


def locale_of(text: str, ours: str) -> str:
    """Of the word that they wrote, with our region where that is our language; else ours."""
    language = LANGUAGES.get(keyword(text))
    return ours if language in (None, ours.partition("-")[0].lower()) else str(language)
