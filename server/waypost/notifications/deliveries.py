"""Trying to send one delivery: claim, send, finish. The row decides, never the queue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import jinja2

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.notifications import states, storage
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import Due, Message, Pace, Text
from waypost.notifications.ports import Channel, Checkpoint, Guard, pass_on
from waypost.notifications.render import Renderer
from waypost.notifications.states import Event, Outcome, OutcomeKind, State, Verdict
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

FIRST_PATIENCE_S, LONGEST_PATIENCE_S = 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What a worker does with a delivery. ``channels``: those that this worker can send by."""

    database: Database
    clock: Clock
    publisher: Publisher
    channels: Mapping[str, Channel]
    guards: Mapping[str, Guard]
    renderer: Renderer
    pace: Pace
    jitter: Callable[[], float] = random.random
    checkpoint: Checkpoint = pass_on

    async def attempt(self, org_id: UUID, delivery_id: UUID) -> None:
        """Try once to send. Safe to call twice, late, for nothing, and from two workers at once."""
        self.checkpoint("before_claim")
        message = await self._claim(org_id, delivery_id)
        if message is None:
            return
        self.checkpoint("after_claim")
        outcome = await self._send(message)  # no connection to the database is held meanwhile
        if outcome.kind is OutcomeKind.ACCEPTED:
            self.checkpoint("after_accept")
        await self._finish(message, outcome)
        self.checkpoint("after_finish")

    async def _claim(self, org_id: UUID, delivery_id: UUID) -> Message | None:
        """Take it for one attempt; None when it is not to be sent: not due, another's, no longer wanted."""
        now, message, gone = self.clock.now(), None, None
        async with self.database.transaction(SYSTEM) as conn:
            due = await storage.lock_due(conn, org_id, delivery_id, now)
            if due is None:
                return None
            decided = await self._decide(conn, due)
            if isinstance(decided, Text):
                message = await self._take(conn, due, decided, now)
            else:
                event, reason = decided
                event = Event.DOUBT_STAYS if due.doubted else event
                gone = states.NEXT[State.PENDING, event], reason
                await storage.give_up(conn, due, event, reason, now)
                await Announcer(self.publisher, self.clock).moved(conn, due, *gone)
        if gone is not None:
            _say(due.id, due.channel, *gone, attempt=due.attempt)
        return message

    async def _take(self, conn: Connection, due: Due, text: Text, now: datetime) -> Message | None:
        channel = self.channels.get(due.channel)
        provider = channel.provider if channel is not None else "none"
        attempt = await storage.claim(conn, due, text, provider=provider, lease_s=self.pace.lease_s, now=now)
        return _message(due, attempt, text) if attempt is not None else None

    async def _decide(self, conn: Connection, due: Due) -> Text | tuple[Event, str]:
        """What is to be said, or why nothing is said any more."""
        if due.cancelled_at is not None:
            return Event.GUARDED, "cancelled"
        if self.clock.now() > due.valid_until:
            return Event.TOO_LATE, "valid_until"
        guard = self.guards.get(due.kind)
        if guard is not None and (reason := await guard(conn, due)) is not None:
            return Event.GUARDED, reason
        if due.text is not None:
            return due.text
        try:
            return self.renderer.render(due.kind, due.locale, due.facts)
        except jinja2.TemplateError:
            log.exception("render_failed", kind=due.kind, delivery_id=str(due.id))
            return Event.UNFIT, "render_failed"

    async def _send(self, message: Message) -> Outcome:
        """Hand it to its channel, for less time than the lease lasts. What we do not understand is unknown."""
        channel = self.channels.get(message.channel)
        if channel is None:
            return Outcome(OutcomeKind.NOT_SENT, "channel_off")
        try:
            async with asyncio.timeout(self.pace.send_timeout_s):
                return await channel.send(message)
        except TimeoutError:
            return Outcome(OutcomeKind.UNKNOWN, "timeout")
        except Exception:  # noqa: BLE001 - whatever a channel runs into: it may have sent
            log.exception("channel_failed", channel=message.channel, delivery_id=str(message.delivery_id))
            return Outcome(OutcomeKind.UNKNOWN, "channel_failed")

    async def _finish(self, message: Message, outcome: Outcome) -> None:
        """Write what became of it. While the database is away this waits as long as the lease may last: what we know
        now, nobody else can find out later.
        """
        verdict = states.after_attempt(
            outcome,
            tried=message.tried,
            now=self.clock.now(),
            base_s=self.pace.retry_base_s,
            jitter=self.jitter(),
            doubted=message.doubted,
        )
        if await self._settle_at_last(message, verdict, outcome):
            _say(message.delivery_id, message.channel, verdict.state, verdict.reason, attempt=message.attempt)

    async def _settle_at_last(self, message: Message, verdict: Verdict, outcome: Outcome) -> bool:
        """What a provider says of itself must never hide that it took the message: the second time without it."""
        until, wait_s = self.clock.monotonic() + self.pace.lease_s - self.pace.send_timeout_s, FIRST_PATIENCE_S
        while self.clock.monotonic() < until:
            try:
                return await self._settle(message, verdict, outcome)
            except Unavailable:
                await self.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_PATIENCE_S)
            except Exception:  # noqa: BLE001 - whatever it is that cannot be written
                log.exception("delivery_unsettled", delivery_id=str(message.delivery_id), outcome=outcome.kind)
                if outcome.reference is None:
                    return False
                outcome = replace(outcome, reference=None)
        log.error("delivery_unsettled", delivery_id=str(message.delivery_id), outcome=outcome.kind)
        return False

    async def _settle(self, message: Message, verdict: Verdict, outcome: Outcome) -> bool:
        async with self.database.transaction(SYSTEM) as conn:
            now = self.clock.now()
            ids = message.org_id, message.delivery_id, message.attempt
            settled = await storage.settle(conn, *ids, verdict, outcome, now)
            if settled:
                await Announcer(self.publisher, self.clock).moved(conn, message, verdict.state, verdict.reason)
            return settled


def _say(delivery_id: UUID, channel: str, state: State, reason: str | None, *, attempt: int) -> None:
    """Ids and words of our own; never an address or a text."""
    say = log.warning if state in {State.DEAD, State.FAILED, State.IN_DOUBT} else log.info
    why = {"reason": reason} if reason else {}
    say(f"delivery_{state}", delivery_id=str(delivery_id), channel=str(channel), attempt=attempt, **why)


def _message(due: Due, attempt: int, text: Text) -> Message:
    return Message(
        org_id=due.org_id,
        delivery_id=due.id,
        notification_id=due.notification_id,
        kind=due.kind,
        channel=due.channel,
        address=due.address,
        recipient=due.recipient,
        sender=due.facts.get("business", ""),
        attempt=attempt,
        budget=due.budget,
        text=text,
        doubted=due.doubted,
    )
