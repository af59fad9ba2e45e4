"""Trying to send one delivery: claim, send, finish. The row decides, never the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.identity.domain import OrgSettings
from waypost.kernel.clock import Clock
from waypost.notifications import states, storage
from waypost.notifications.addresses import ChannelName
from waypost.notifications.alert_domain import FAILOVER
from waypost.notifications.alerts import alert
from waypost.notifications.announce import Announcer
from waypost.notifications.choosing import Choice
from waypost.notifications.consent.tokens import ReportTo, Stop, Tokens
from waypost.notifications.deciding import Deciding, Go
from waypost.notifications.deciding import Stop as Halt
from waypost.notifications.domain import Due, Message, Pace, Text
from waypost.notifications.finishing import Claimed, Finishing, say
from waypost.notifications.kinds import KINDS
from waypost.notifications.ports import Channel, Checkpoint, pass_on
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.spend import day_of
from waypost.notifications.states import Event, Outcome, OutcomeKind, State
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

TEST = "test"  # the provider of what does not leave the house


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What a worker does with a delivery. ``channels``: those that this worker can send by; ``rules``: an
    organisation's settings.
    """

    database: Database
    clock: Clock
    publisher: Publisher
    channels: Mapping[str, Channel]
    rules: Callable[[UUID], Awaitable[OrgSettings]]
    deciding: Deciding
    finishing: Finishing
    tokens: Tokens
    pace: Pace
    checkpoint: Checkpoint = pass_on

    async def attempt(self, org_id: UUID, delivery_id: UUID) -> None:
        """Try once to send. Safe to call twice, late, for nothing, and from two workers at once."""
        self.checkpoint("before_claim")
        claimed = await self._claim(org_id, delivery_id)
        if claimed is None:
            return
        try:
            self.checkpoint("after_claim")
            outcome = await self._send(claimed)  # no connection to the database is held meanwhile
            if outcome.kind is OutcomeKind.ACCEPTED:
                self.checkpoint("after_accept")
            await self.finishing.finish(claimed, outcome)
        finally:
            claimed.choice.give_back()
        self.checkpoint("after_finish")

    async def _claim(self, org_id: UUID, delivery_id: UUID) -> Claimed | None:
        """Take it for one attempt; None when it is not to be sent: not due, another's, held, no longer wanted."""
        rules, now = await self.rules(org_id), self.clock.now()  # no lock waits for a cache
        claimed, gone, decided = None, None, None
        try:
            async with self.database.transaction(SYSTEM) as conn:
                due = await storage.lock_due(conn, org_id, delivery_id, now)
                if due is None:
                    return None
                decided = await self.deciding.decide(conn, due, rules)
                if isinstance(decided, Go):
                    claimed = await self._take(conn, due, decided, rules, now)
                else:
                    gone = await self._stop(conn, due, decided, now)
        except BaseException:
            await self._give_back(decided)
            raise
        if claimed is None:
            await self._give_back(decided)
        if gone is not None:
            say(due.id, due.channel, *gone, attempt=due.attempt)
        return claimed

    async def _give_back(self, decided: Go | Halt | None) -> None:
        if isinstance(decided, Go):
            await self.deciding.give_back(decided)

    async def _take(self, conn: Connection, due: Due, go: Go, rules: OrgSettings, now: datetime) -> Claimed | None:
        choice = go.choice
        attempt = await storage.claim(
            conn, due, go.text, provider=TEST if go.test else self._provider(due.channel, choice),
            lease_s=self.pace.lease_s, now=now, provider_id=choice.provider_id, repeatable=choice.repeatable,
        )  # fmt: skip
        if attempt is None:
            return None
        if choice.instead_of is not None:
            await self._tell_failover(conn, due, choice.instead_of, rules, now)
        return Claimed(self._message(due, attempt, go.text, choice, rules), choice, rules, go.test)

    def _provider(self, channel: ChannelName, choice: Choice) -> str:
        """Its name on the attempt's row."""
        return str(choice.account.provider) if choice.account is not None else self.channels[channel].provider

    async def _stop(self, conn: Connection, due: Due, no: Halt, now: datetime) -> tuple[State, str] | None:
        """Not now, or not at all; the new state, unless it waits as before."""
        announcer = Announcer(self.publisher, self.clock)
        if no.event is Event.HELD and no.until is not None:
            await storage.hold(conn, due, no.reason, no.until, now)
            if no.reason != due.reason:
                await announcer.moved(conn, due, State.PENDING, no.reason)
            return None
        event = Event.DOUBT_STAYS if due.doubted else no.event
        state = states.NEXT[State.PENDING, event]
        await storage.give_up(conn, due, event, no.reason, now)
        await announcer.moved(conn, due, state, no.reason)
        return state, no.reason

    async def _tell_failover(
        self, conn: Connection, due: Due, failed: ProviderAccount, rules: OrgSettings, now: datetime
    ) -> None:
        """That another provider steps in would hide one that is dead: staff are told, once a day."""
        key, facts = f"failover:{failed.id}:{day_of(rules, now)}", {"name": failed.name, "channel": str(due.channel)}
        await alert(
            conn, self.publisher, self.clock, due.org_id, kind=FAILOVER, key=key, subject_kind="message_provider",
            subject_id=failed.id, facts=facts,
        )  # fmt: skip

    async def _send(self, claimed: Claimed) -> Outcome:
        """Hand it to its channel, for less time than the lease lasts. What we do not understand is unknown."""
        message = claimed.message
        if claimed.test:
            return Outcome(OutcomeKind.ACCEPTED, reference=f"{TEST}-{message.delivery_id}")
        try:
            async with asyncio.timeout(self.pace.send_timeout_s):
                return await self.channels[message.channel].send(message)
        except TimeoutError:
            return Outcome(OutcomeKind.UNKNOWN, "timeout", provider_failed=True)
        except Exception:  # noqa: BLE001 - whatever a channel runs into: it may have sent
            log.exception("channel_failed", channel=message.channel, delivery_id=str(message.delivery_id))
            return Outcome(OutcomeKind.UNKNOWN, "channel_failed")

    def _message(self, due: Due, attempt: int, text: Text, choice: Choice, rules: OrgSettings) -> Message:
        return Message(
            org_id=due.org_id,
            delivery_id=due.id,
            notification_id=due.notification_id,
            kind=due.kind,
            channel=due.channel,
            address=due.address,
            recipient=due.recipient,
            sender=rules.telling.sender_name or due.facts.get("business", ""),
            attempt=attempt,
            budget=due.budget,
            text=text,
            doubted=due.doubted,
            account=choice.account,
            reply_to=rules.telling.reply_to,
            stop_url=self._stop_url(due),
            report_url=self._report_url(due, choice),
            valid_until=due.valid_until,
        )

    def _stop_url(self, due: Due) -> str | None:
        kind = KINDS[due.kind]
        if kind.required or due.channel is not ChannelName.EMAIL:
            return None
        return self.tokens.stop_url(
            Stop(due.org_id, due.customer_id, due.user_id, kind.group, due.channel, due.address)
        )

    def _report_url(self, due: Due, choice: Choice) -> str | None:
        if choice.account is None:
            return None
        return self.tokens.report_url(ReportTo(due.org_id, choice.account.id, due.id))
