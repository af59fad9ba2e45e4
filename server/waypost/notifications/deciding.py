"""The questions that are asked of a delivery as its turn comes, in their order; each "no" is a reason on its row.

What passes with time holds it and counts no attempt; what does not, ends it. They are asked in the transaction that
claims it, so that what is queued obeys what was said meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import jinja2

from waypost.identity.domain import OrgSettings
from waypost.kernel.clock import Clock
from waypost.notifications import storage
from waypost.notifications.addresses import ChannelName, is_address
from waypost.notifications.choosing import BY_ACCOUNT, NO_PROVIDER, PROVIDER_GONE, Choice, Chooser, Hold, eligible
from waypost.notifications.consent import asking
from waypost.notifications.consent.domain import REFUSALS, Why, sender_of
from waypost.notifications.domain import Due, Text
from waypost.notifications.kinds import BY_ONE_ACCOUNT, KINDS, Kind
from waypost.notifications.ports import Guard
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.quiet import quiet_until
from waypost.notifications.spend import Spending
from waypost.notifications.states import Event
from waypost.notifications.throttles import Held, Throttles
from waypost.notifications.words.service import Words
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

QUIET, CHANNEL_OFF = "held_quiet_hours", "channel_off"
STOPPED: Final = REFUSALS[Why.STOP]
ASK_AGAIN_S: Final = 30.0  # another worker may have what this one lacks
LEAVES_THE_HOUSE = frozenset({ChannelName.SMS, ChannelName.EMAIL, ChannelName.PUSH, ChannelName.OTHER})
HAVE_ACCOUNTS = frozenset({ChannelName.SMS, ChannelName.EMAIL, ChannelName.OTHER})


class Accounts(Protocol):
    """The ways out that an organisation has: the register of providers."""

    async def of(self, conn: Connection, org_id: UUID, channel: ChannelName) -> Sequence[ProviderAccount]:
        """Those of a channel that are not archived."""
        ...


@dataclass(frozen=True, slots=True)
class Stop:
    """It does not go out now, or at all."""

    event: Event
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """It goes out: what is said, and by whom. ``test``: it does not leave the house."""

    text: Text
    choice: Choice
    test: bool = False


@dataclass(frozen=True, slots=True)
class Deciding:
    """``channels``: those that this worker can send by."""

    clock: Clock
    guards: Mapping[str, Guard]
    words: Words
    accounts: Accounts
    chooser: Chooser
    throttles: Throttles
    spending: Spending
    channels: Collection[str]

    async def decide(self, conn: Connection, due: Due, rules: OrgSettings) -> Go | Stop:
        """Ask them all; the first "no" is the answer. Who has a ``Go`` settles its ticket, or gives all of it back."""
        kind, test = KINDS[due.kind], rules.telling.test_mode and due.channel in LEAVES_THE_HOUSE
        if (no := self._too_late(due)) is not None:
            return no
        accounts = [] if test or due.channel not in HAVE_ACCOUNTS else await self._accounts(conn, due)
        no = await self._refused(conn, due, kind, accounts)
        no = no or self._quiet(due, kind, rules)
        if no is not None:
            return no
        now = await self._guarded(conn, due)
        if isinstance(now, Stop):
            return now
        text = await self._text(conn, due, rules, now)
        if isinstance(text, Stop):
            return text
        choice = Choice(None) if test else await self._choice(conn, due, kind, rules, accounts)
        if isinstance(choice, Stop):
            return choice
        return await self._within_throttles(due, kind, rules, Go(text, choice, test))

    def _too_late(self, due: Due) -> Stop | None:
        if due.cancelled_at is not None:
            return Stop(Event.GUARDED, "cancelled")
        return Stop(Event.TOO_LATE, "valid_until") if self.clock.now() > due.valid_until else None

    async def _accounts(self, conn: Connection, due: Due) -> Sequence[ProviderAccount]:
        accounts = await self.accounts.of(conn, due.org_id, due.channel)
        if due.kind in BY_ONE_ACCOUNT:
            return [account for account in accounts if account.id == due.subject_id]
        if due.channel is not ChannelName.OTHER:
            return accounts
        return [account for account in accounts if str(account.id) == due.address]  # it names the account itself

    async def _refused(
        self, conn: Connection, due: Due, kind: Kind, accounts: Sequence[ProviderAccount]
    ) -> Stop | None:
        """Can it be reached there, do they want it, and may they be written to?"""
        if not due.address and due.channel is not ChannelName.CONSOLE:
            return Stop(Event.WITHHELD, "no_address")
        if not is_address(due.channel, due.address):
            return Stop(Event.WITHHELD, "bad_address")
        reason = await asking.refusal(conn, due, kind, {sender_of(account) for account in accounts})
        return Stop(Event.WITHHELD, reason) if reason is not None else None

    def _quiet(self, due: Due, kind: Kind, rules: OrgSettings) -> Stop | None:
        if not kind.quiet:
            return None
        until = quiet_until(rules.telling, due.time_zone or rules.time_zone, self.clock.now())
        return Stop(Event.HELD, QUIET, until) if until is not None else None

    async def _guarded(self, conn: Connection, due: Due) -> Stop | Mapping[str, str]:
        """Is it still true? Then the facts that are others by now."""
        guard = self.guards.get(due.kind)
        said = await guard(conn, due) if guard is not None else None
        return Stop(Event.GUARDED, said) if isinstance(said, str) else said or {}

    async def _text(self, conn: Connection, due: Due, rules: OrgSettings, now: Mapping[str, str]) -> Text | Stop:
        """A retry says what the first try said; unless that was surely not sent, and facts may be others by now."""
        if due.text is not None and (due.doubted or not now):
            return due.text
        facts = {**due.facts, **now}
        try:
            return await self.words.text(
                conn, due.org_id, due.kind, due.channel, due.locale, facts, address=due.address, selling=rules.selling
            )
        except jinja2.TemplateError:
            log.exception("render_failed", kind=due.kind, delivery_id=str(due.id))
            return Stop(Event.UNFIT, "render_failed")

    async def _choice(
        self, conn: Connection, due: Due, kind: Kind, rules: OrgSettings, accounts: Sequence[ProviderAccount]
    ) -> Choice | Stop:
        if due.channel not in self.channels:
            return self._hold(Hold(CHANNEL_OFF, self.clock.now() + timedelta(seconds=ASK_AGAIN_S)))
        if (cap := await self.spending.held(conn, due, kind, rules)) is not None:
            return self._hold(cap)
        if not accounts and due.channel in BY_ACCOUNT:
            return Stop(Event.UNFIT, NO_PROVIDER)
        tries = await storage.tries(conn, due)
        able = eligible(due, accounts, tries)
        if able is None:
            return Stop(Event.UNFIT, PROVIDER_GONE)
        if len(accounts) > 1:  # of a single one it is known that it is not stopped
            stopped = await asking.stopped_senders(conn, due)
            if not (able := [account for account in able if sender_of(account) not in stopped]):
                return Stop(Event.WITHHELD, STOPPED)
        chosen = await self.chooser.choose(due, able, tries)
        return self._hold(chosen) if isinstance(chosen, Hold) else chosen

    async def _within_throttles(self, due: Due, kind: Kind, rules: OrgSettings, go: Go) -> Go | Stop:
        """Asked last: only what goes out is counted, by all of them or by none."""
        if due.channel not in LEAVES_THE_HOUSE:
            return go
        try:
            counted = await self.throttles.ask(due, kind, rules.telling)
        except BaseException:
            await self.give_back(go)
            raise
        if not isinstance(counted, Held):
            return replace(go, choice=replace(go.choice, counted=go.choice.counted + counted))
        await self.give_back(go)
        return Stop(Event.HELD, counted.reason, self.clock.now() + timedelta(seconds=counted.wait_s))

    async def give_back(self, go: Go) -> None:
        """It does not go out after all: neither breaker nor throttles count it."""
        go.choice.give_back()
        await self.throttles.give_back(go.choice.counted)

    def _hold(self, hold: Hold) -> Stop:
        return Stop(Event.HELD, hold.reason, hold.until)
