"""Sending: a worker's turn at one webhook. The row decides, never the queue."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.secretbox import SecretBox
from waypost.platform.telemetry import log
from waypost.webhooks import rules, storage
from waypost.webhooks import storage_sending as sending
from waypost.webhooks.alarms import Alarms
from waypost.webhooks.domain import Due, OffReason, State, Switch, Wake, Webhook
from waypost.webhooks.ports import Checkpoint, Poster, pass_on
from waypost.webhooks.rules import Outcome, Verdict

TURN_S: Final = 10.0  # after that the line goes to others; what is still due, the relay gives out again
UNREADABLE: Final = "secret_unreadable"
FIRST_PATIENCE_S, LONGEST_PATIENCE_S = 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go: all from settings. ``timeout_s``: of one try."""

    timeout_s: float
    lease_s: float
    again_s: float


@dataclass(frozen=True, slots=True)
class Sender:
    """What a worker does for webhooks."""

    database: Database
    clock: Clock
    box: SecretBox
    alarms: Alarms
    poster: Poster
    pace: Pace
    jitter: Callable[[], float] = random.random
    checkpoint: Checkpoint = pass_on

    async def turn(self, org_id: UUID, webhook_id: UUID, delivery_id: UUID) -> int:
        """Try this delivery once, then others of its webhook that are due, for a while; how many. Safe to call twice,
        late, for nothing, and from several workers at once: no more than a few are ever under way.
        """
        until, count = self.clock.monotonic() + TURN_S, 0
        wanted: UUID | None = delivery_id
        while await self.attempt(org_id, webhook_id, wanted):
            wanted, count = None, count + 1
            if self.clock.monotonic() >= until:
                break
        return count

    async def attempt(self, org_id: UUID, webhook_id: UUID, delivery_id: UUID | None = None) -> bool:
        """Try one delivery once: this one, or the one that is due for longest; False: there was none to try."""
        self.checkpoint("before_claim")
        due = await self._claim(org_id, webhook_id, delivery_id)
        if due is None:
            return False
        self.checkpoint("after_claim")
        outcome = await self._post(due)  # no connection to the database is held meanwhile
        self.checkpoint("after_post")
        await self._finish(due, outcome)
        self.checkpoint("after_finish")
        return True

    async def _post(self, due: Due) -> Outcome:
        """What cannot be signed is not sent: that is a failed try as others are, until there is a new secret."""
        if due.secrets:
            return await self.poster.post(due)
        log.error("webhook_unreadable", webhook_id=str(due.webhook_id))
        return Outcome(taken=False, reason=UNREADABLE)

    async def _claim(self, org_id: UUID, webhook_id: UUID, delivery_id: UUID | None) -> Due | None:
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            webhook = await storage.find(conn, self.box, org_id, webhook_id, lock=True)
            if webhook is None or not await self._has_room(conn, webhook):
                if delivery_id is not None:
                    await sending.unpoke(conn, [(org_id, delivery_id)])
                return None
            lease_s, again_s = self.pace.lease_s, self.pace.again_s
            return await sending.claim(conn, webhook, delivery_id, now, lease_s=lease_s, again_s=again_s)

    async def _has_room(self, conn: Connection, webhook: Webhook) -> bool:
        """May one more be sent to it now?"""
        if webhook.state is Switch.OFF or webhook.archived_at is not None:
            return False
        slow_until = webhook.health.slow_until
        if slow_until is not None and slow_until > self.clock.now():
            return False
        return await sending.under_way(conn, webhook) < rules.at_once(webhook.health)

    async def _finish(self, due: Due, outcome: Outcome) -> None:
        """Write what became of it. While the database is away this waits as long as the lease may last."""
        tried = rules.tried(due.attempt, due.budget)
        verdict = rules.after_try(outcome, tried=tried, now=self.clock.now(), jitter=self.jitter())
        until, wait_s = self.clock.monotonic() + self.pace.lease_s - self.pace.timeout_s, FIRST_PATIENCE_S
        while self.clock.monotonic() < until:
            try:
                await self._settle(due, verdict, outcome)
            except Unavailable:
                await self.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_PATIENCE_S)
            else:
                return
        log.error("webhook_unsettled", delivery_id=str(due.id), taken=outcome.taken)

    async def _settle(self, due: Due, verdict: Verdict, outcome: Outcome) -> None:
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            webhook = None
            if not outcome.taken or await sending.is_failing(conn, due):
                webhook = await storage.find(conn, self.box, due.org_id, due.webhook_id, lock=True)
            if not await sending.settle(conn, due, verdict, outcome, now):
                return
            if webhook is not None:
                await self._fared(conn, webhook, outcome)
        _say(due, verdict, outcome)

    async def _fared(self, conn: Connection, webhook: Webhook, outcome: Outcome) -> None:
        """Note how a locked webhook fares, and switch it off where nobody is there any more."""
        now = self.clock.now()
        health = rules.health_after(webhook.health, outcome, now, self.jitter())
        await storage.fared(conn, webhook, health)
        reason = rules.off_after(health, outcome, now)
        if reason is not None and webhook.state is Switch.ON and webhook.archived_at is None:
            await self._switch_off(conn, webhook, reason)

    async def _switch_off(self, conn: Connection, webhook: Webhook, reason: OffReason) -> None:
        now = self.clock.now()
        await storage.switch(conn, webhook, Switch.OFF, reason, now)
        await storage.cancel_waiting(conn, webhook, "webhook_off", now)
        await self.alarms.off(conn, webhook, reason, now)
        log.warning("webhook_off", webhook_id=str(webhook.id), reason=str(reason))


@dataclass(frozen=True, slots=True)
class Dues:
    """What the relay does for webhooks: gives out what is due, lets out again what nobody finishes."""

    again_s: float
    clock: Clock

    async def due(self, conn: Connection, limit: int) -> list[Wake]:
        """Of each webhook no more than may be under way; they count as told from now on."""
        now = self.clock.now()
        first_wait = rules.WAITS[0]
        for delivery_id in await sending.sweep(conn, now, now + first_wait, limit):
            log.warning("webhook_lease_ran_out", delivery_id=str(delivery_id))
        return await sending.poke(conn, now, self.again_s, limit)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """The workers could not be told of these: they are due as before."""
        await sending.unpoke(conn, [(wake.org_id, wake.id) for wake in wakes])


def _say(due: Due, verdict: Verdict, outcome: Outcome) -> None:
    """Ids and words of our own; never an address or a body."""
    say = log.warning if verdict.state in {State.DEAD, State.FAILED} else log.info
    why = {"reason": verdict.reason} if verdict.reason else {}
    say(
        f"webhook_{verdict.state}", delivery_id=str(due.id), webhook_id=str(due.webhook_id), attempt=due.attempt,
        status=outcome.status, **why,
    )  # fmt: skip
