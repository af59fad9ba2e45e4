"""The end of an attempt: what its outcome makes of the delivery, its cost, its address and its provider's health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from waypost.identity.domain import OrgSettings
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.notifications import alerts, states, storage, storage_spend
from waypost.notifications.alert_domain import PROVIDER_DOWN
from waypost.notifications.announce import Announcer
from waypost.notifications.choosing import Choice
from waypost.notifications.consent import asking
from waypost.notifications.consent.domain import Why, sender_of
from waypost.notifications.domain import Message, Pace, Used
from waypost.notifications.spend import Spending, used_by
from waypost.notifications.states import Event, Outcome, OutcomeKind, State, Verdict
from waypost.notifications.storage import End
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

FIRST_PATIENCE_S, LONGEST_PATIENCE_S = 0.2, 2.0
OF_ONE_SENDER = frozenset({Why.STOP, Why.OPTED_OUT})
OPEN, CLOSED = "open", "closed"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours for one attempt. ``test``: it does not leave the house."""

    message: Message
    choice: Choice
    rules: OrgSettings
    test: bool = False


@dataclass(frozen=True, slots=True)
class Finishing:
    """Writes what became of an attempt."""

    database: Database
    clock: Clock
    publisher: Publisher
    pace: Pace
    spending: Spending
    jitter: Callable[[], float]

    async def finish(self, claimed: Claimed, outcome: Outcome) -> None:
        """Write it. While the database is away this waits as long as the lease may last: what we know now, nobody else
        can find out later.
        """
        message = claimed.message
        change = self._settle_ticket(claimed.choice, outcome)
        verdict = states.after_attempt(
            outcome,
            tried=message.tried,
            now=self.clock.now(),
            base_s=self.pace.retry_base_s,
            jitter=self.jitter(),
            doubted=message.doubted,
            others=claimed.choice.others,
        )
        if await self._settle_at_last(claimed, verdict, outcome):
            say(message.delivery_id, message.channel, verdict.state, verdict.reason, attempt=message.attempt)
        if change is not None:
            await self._tell_health(claimed, change)

    def _settle_ticket(self, choice: Choice, outcome: Outcome) -> str | None:
        """Let its breaker know; the state that it is in now, if people should see that."""
        state = choice.ticket.settle(failed=outcome.provider_failed) if choice.ticket is not None else None
        return str(state) if state is not None else None

    async def _settle_at_last(self, claimed: Claimed, verdict: Verdict, outcome: Outcome) -> bool:
        """What a provider says of itself must never hide that it took the message: the second time without it."""
        until, wait_s = self.clock.monotonic() + self.pace.lease_s - self.pace.send_timeout_s, FIRST_PATIENCE_S
        delivery_id = str(claimed.message.delivery_id)
        while self.clock.monotonic() < until:
            try:
                return await self._settle(claimed, verdict, outcome)
            except Unavailable:
                await self.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_PATIENCE_S)
            except Exception:  # noqa: BLE001 - whatever it is that cannot be written
                log.exception("delivery_unsettled", delivery_id=delivery_id, outcome=outcome.kind)
                bare = Outcome(outcome.kind, outcome.reason, status=outcome.status)
                if outcome == bare:
                    return False
                outcome = bare
        log.error("delivery_unsettled", delivery_id=delivery_id, outcome=outcome.kind)
        return False

    async def _settle(self, claimed: Claimed, verdict: Verdict, outcome: Outcome) -> bool:
        message, accepted = claimed.message, outcome.kind is OutcomeKind.ACCEPTED
        used = used_by(message, outcome) if accepted else Used()
        async with self.database.transaction(SYSTEM) as conn:
            end = await storage.settle(conn, message, verdict, outcome, used, self.clock.now())
            if end is End.NOT_OURS:
                return False
            if accepted and not claimed.test:
                await self.spending.add(conn, message, used, claimed.rules)
            if outcome.suppress is not None:
                await self._suppress(conn, message, outcome.suppress, outcome.reason)
            if end is End.MOVED:
                await self._announce(conn, claimed, verdict)
            return end is End.MOVED

    async def _announce(self, conn: Connection, claimed: Claimed, verdict: Verdict) -> None:
        """With the receipt that is made up, where nothing has left the house."""
        message, announcer = claimed.message, Announcer(self.publisher, self.clock)
        await announcer.moved(conn, message, verdict.state, verdict.reason)
        if claimed.test:
            now, reason = self.clock.now(), "simulated"
            ids = message.org_id, message.delivery_id
            await storage.report(conn, *ids, Event.DELIVERED, reason=reason, now=now)
            await announcer.moved(conn, message, State.DELIVERED, reason)

    async def _suppress(self, conn: Connection, message: Message, reason: str, detail: str | None) -> None:
        """The provider says that this address must not be written to: by that sender of ours, or by none."""
        account = message.account
        await asking.suppress(
            conn, message.org_id, channel=message.channel, address=message.address,
            sender=sender_of(account) if account is not None and reason in OF_ONE_SENDER else "", reason=reason,
            source=str(account.provider) if account is not None else str(message.channel), detail=detail,
            clock=self.clock,
        )  # fmt: skip

    async def _tell_health(self, claimed: Claimed, state: str) -> None:
        """A provider is out, or well again: for people to see. Not worth waiting for."""
        try:
            async with self.database.transaction(SYSTEM) as conn:
                await self._write_health(conn, claimed, state)
        except Unavailable as error:
            log.warning("health_untold", reason=error.code)

    async def _write_health(self, conn: Connection, claimed: Claimed, state: str) -> None:
        message, key, now = claimed.message, claimed.choice.provider_id, self.clock.now()
        if key is None:
            return
        began = await storage_spend.outage(conn, message.org_id, key)
        name = message.account.name if message.account is not None else "SMTP"
        detail: dict[str, object] = {"channel": str(message.channel)}
        if not await storage_spend.note_health(conn, message.org_id, key, state, now, detail):
            return
        log.warning("provider_health", provider_id=str(key), state=state)
        if state == CLOSED and began is not None:
            await alerts.over(
                conn, self.publisher, self.clock, message.org_id, key=_outage_key(key, began.isoformat()), by=None,
                resolution="well again",
            )  # fmt: skip
        if state == OPEN:
            await alerts.alert(
                conn, self.publisher, self.clock, message.org_id, kind=PROVIDER_DOWN,
                key=_outage_key(key, now.isoformat()), subject_kind="message_provider", subject_id=key,
                facts={"name": name, "channel": str(message.channel)},
            )  # fmt: skip


def _outage_key(provider_id: UUID, since: str) -> str:
    return f"provider_down:{provider_id}:{since}"


def say(delivery_id: UUID, channel: str, state: State, reason: str | None, *, attempt: int) -> None:
    """Ids and words of our own; never an address or a text."""
    tell = log.warning if state in {State.DEAD, State.FAILED, State.IN_DOUBT} else log.info
    why = {"reason": reason} if reason else {}
    tell(f"delivery_{state}", delivery_id=str(delivery_id), channel=str(channel), attempt=attempt, **why)
