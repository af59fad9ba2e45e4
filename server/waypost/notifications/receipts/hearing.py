"""What people write to us: kept; STOP and START obeyed at once, HELP answered, anything else shown to staff. In the
caller's transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from waypost.identity.domain import normal_phone
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications.addresses import ChannelName
from waypost.notifications.alert_domain import MESSAGE_RECEIVED
from waypost.notifications.alerts import alert
from waypost.notifications.consent import asking
from waypost.notifications.consent import storage as consent
from waypost.notifications.consent.domain import Meant, Why, meaning, same_form, sender_of
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.providers.reports import Answered, OptedOut
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.answering import Answering
from waypost.notifications.receipts.domain import Disposition, Receipt
from waypost.notifications.receipts.doors import Accounts
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher

LONGEST_TEXT = 10_000
SHORT_CODE = 6  # digits at most: a network's, and nobody's number anywhere
# What a person who writes START takes back.
RESTARTED = (Why.STOP, Why.OPTED_OUT)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Takes in what people say. ``country``: of a number without its country's code; ``answering``: HELP."""

    clock: Clock
    publisher: Publisher
    accounts: Accounts
    answering: Answering

    async def heard(
        self, conn: Connection, row: Receipt, account: ProviderAccount, answered: Answered, country: str | None
    ) -> Disposition:
        """A message of theirs. May be repeated."""
        theirs = number_of(answered.from_address, country)
        ours, meant = await self._ours(conn, account, answered.to_address), meaning(answered.text)
        kept = replace(
            answered, from_address=theirs, to_address=same_form(answered.to_address), text=_text(answered.text)
        )
        if not await storage.add_inbound(conn, row, new_id(self.clock), kept, meant):
            return Disposition.STALE
        if meant is Meant.STOP:
            await self._stop(conn, account, theirs, ours, Why.STOP, "inbound")
        elif meant is Meant.START:
            await self._start(conn, account, theirs, ours)
        elif answered.is_answered:
            pass
        elif meant is not Meant.HELP or not await self.answering.help(conn, account, theirs, answered.text):
            await self._tell_staff(conn, row, theirs)
        return Disposition.APPLIED

    async def told_the_provider(
        self, conn: Connection, account: ProviderAccount, said: OptedOut, country: str | None
    ) -> Disposition:
        """Somebody has told the provider itself, which tells us."""
        theirs = number_of(said.address, country)
        ours = await self._ours(conn, account, said.sender or "")
        if said.wanted:
            await self._start(conn, account, theirs, ours)
        else:
            await self._stop(conn, account, theirs, ours, Why.OPTED_OUT, account.provider)
        return Disposition.APPLIED

    async def _ours(self, conn: Connection, account: ProviderAccount, written_to: str) -> str:
        """Which of the organisation's senders they mean: the number that they wrote to, where it is one; else that of
        the account by which it came.
        """
        to = same_form(written_to)
        senders = {sender_of(each) for each in await self.accounts.of(conn, account.org_id, ChannelName.SMS)}
        return to if to and to in senders else sender_of(account)

    async def _stop(
        self, conn: Connection, account: ProviderAccount, theirs: str, ours: str, why: Why, source: str
    ) -> None:
        await asking.suppress(
            conn, account.org_id, channel=account.channel, address=theirs, sender=ours, reason=why, source=source,
            clock=self.clock,
        )  # fmt: skip

    async def _start(self, conn: Connection, account: ProviderAccount, theirs: str, ours: str) -> None:
        await consent.end_of(
            conn, account.org_id, channel=account.channel, address=theirs, sender=ours, reasons=RESTARTED,
            now=self.clock.now(), why="start",
        )  # fmt: skip

    async def _tell_staff(self, conn: Connection, row: Receipt, theirs: str) -> None:
        """Once a day of each number; the messages themselves are in their list."""
        mark = hashlib.sha256(theirs.encode()).hexdigest()[:16]
        key = f"{MESSAGE_RECEIVED}:{mark}:{row.received_at:%Y-%m-%d}"
        await alert(
            conn, self.publisher, self.clock, row.org_id, kind=MESSAGE_RECEIVED, key=key, subject_kind="receipt",
            subject_id=row.id,
        )  # fmt: skip


def number_of(text: str, country: str | None) -> str:
    """A phone number in E.164, as deliveries have it; what is none, such as a sender's name, in its one form.

    A gateway may leave out the plus, or write the number as it is dialled in its ``country``.
    """
    plain = same_form(text)
    if plain.isdigit() and len(plain) <= SHORT_CODE:
        return plain
    return normal_phone(plain, country) or plain


def _text(text: str) -> str:
    """As PostgreSQL keeps it."""
    return text.replace("\x00", "")[:LONGEST_TEXT]
