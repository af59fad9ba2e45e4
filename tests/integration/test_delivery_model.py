"""Random events on one delivery, in any order: the row always is where the state table says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.notices import ALL_DUE, LEASE_OUT, World, telling
from tests.servers import Servers
from waypost.kernel.errors import Conflict
from waypost.notifications import storage
from waypost.notifications.domain import Message, Used
from waypost.notifications.states import MAX_ATTEMPTS, NEXT, Event, Outcome, OutcomeKind, State, after_attempt
from waypost.platform.database import SYSTEM

OBSTACLES = [Event.HELD, Event.HELD, Event.WITHHELD, Event.GUARDED, Event.TOO_LATE, Event.UNFIT]
RECEIPTS = [Event.RECEIPT_SENT, Event.DELIVERED, Event.UNDELIVERED]
OUTCOMES = [OutcomeKind.ACCEPTED, OutcomeKind.NOT_SENT, OutcomeKind.REFUSED, OutcomeKind.UNKNOWN]
LOST = ("all_due", "claim", "lease_out", "sweep")
# Weighted, so that a run goes deep: what is rare in life (a lease that runs out, an answer two attempts late) is
# common here. A step of several parts is done part by part.
STEPS = st.one_of(
    st.sampled_from([("claim",), ("all_due", "claim"), ("all_due", "claim"), ("all_due", "sweep", "claim")]),
    st.sampled_from([("lease_out", "sweep"), ("all_due", "sweep"), ("lease_out",), ("sweep",), ("all_due",)]),
    st.sampled_from([("replay",), ("send_again",), ("let_be",), ("replay", "claim"), ("send_again", "claim")]),
    st.tuples(st.just("finish"), st.sampled_from(OUTCOMES), st.sampled_from([0, 0, 0, 1, 1, 2])),
    st.tuples(st.just("finish"), st.sampled_from([OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN]), st.just(0)),
    st.tuples(st.just("report"), st.sampled_from([*RECEIPTS, Event.ABSENT, Event.ABSENT])),
    st.tuples(st.just("stop"), st.sampled_from(OBSTACLES)),
    st.sampled_from([(*LOST, *then, "undelivered") for then in (("all_due", "sweep"), ("send_again",), ())]),
)
WITH_ARGUMENTS = {"finish", "report", "stop"}
# Where a receipt or a look-up leads, by the reference's words alone: the rank never falls, and the worst word stays.
REPORTED = {
    "receipt_sent": dict.fromkeys(("pending", "sending", "in_doubt", "failed"), "sent"),
    "delivered": dict.fromkeys(("pending", "sending", "in_doubt", "failed", "sent"), "delivered"),
    "undelivered": dict.fromkeys(("pending", "sending", "in_doubt", "sent", "delivered"), "undelivered"),
    "absent": {"in_doubt": "pending"},
}
STOPPED = {"withheld": "suppressed", "guarded": "cancelled", "too_late": "expired", "unfit": "failed"}


@dataclass(slots=True)
class Model:
    """What a delivery is, by the reference's words alone."""

    state: str = "pending"
    attempt: int = 0
    budget: int = MAX_ATTEMPTS
    due: bool = True
    lease_out: bool = False
    guarded: bool = False
    claims: list[int] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)  # attempts of which nobody knows what became

    def claim(self) -> None:
        if self.state == "pending" and self.due:
            if self.guarded:
                self.state, self.due = ("in_doubt", False) if self.unknown else ("cancelled", True)
            else:
                self.state, self.attempt, self.lease_out = "sending", self.attempt + 1, False
                self.claims.append(self.budget)

    def stop(self, event: Event) -> None:
        if self.state != "pending" or not self.due:
            return
        if event is Event.HELD:
            self.due = False
        elif self.unknown:
            self.state, self.due = "in_doubt", False
        else:
            self.state = STOPPED[event]

    def told_by(self, event: Event) -> bool:
        """Does that report move it? What waits did not arrive only as far as a try is in doubt, and no person has had
        it sent again since.
        """
        if self.state == "pending" and event is Event.UNDELIVERED:
            return any(attempt > self.budget - MAX_ATTEMPTS for attempt in self.unknown)
        return self.state in REPORTED[event]

    def report(self, event: Event) -> None:
        if not self.told_by(event):
            return
        after = REPORTED[event][self.state]
        self.unknown.discard(self.attempt)
        self.state = after
        if event is Event.ABSENT:
            self.due = True
            if self.attempt >= self.budget:
                self.state, self.due = ("in_doubt", False) if self.unknown else ("dead", True)

    def finish(self, kind: OutcomeKind, attempt: int) -> None:
        if attempt != self.attempt or attempt == 0:
            return
        if kind is OutcomeKind.ACCEPTED and self.state in ("sent", "delivered", "undelivered"):
            self.unknown.discard(attempt)  # a receipt has overtaken the answer
        if self.state not in ("sending", "in_doubt"):
            return
        if kind is OutcomeKind.NOT_SENT and attempt - (self.claims[attempt - 1] - MAX_ATTEMPTS) >= MAX_ATTEMPTS:
            self.state = "dead"
        else:
            self.state = {"accepted": "sent", "not_sent": "pending", "refused": "failed", "unknown": "in_doubt"}[kind]
        self.unknown = self.unknown - {attempt} | ({attempt} if kind is OutcomeKind.UNKNOWN else set())
        if self.unknown - {attempt} and self.state in ("dead", "failed"):
            self.state = "in_doubt"
        if self.state in ("pending", "in_doubt"):
            self.due = False

    def sweep(self) -> None:
        if self.state == "sending" and self.lease_out:
            self.state, self.due = "in_doubt", False
            self.unknown.add(self.attempt)
        elif self.state == "in_doubt" and self.due and self.attempt < self.budget:
            self.state = "pending"

    def person(self, doing: str) -> None:
        allowed = {"replay": ("failed", "dead"), "send_again": ("in_doubt",), "let_be": ("in_doubt",)}[doing]
        if self.state not in allowed:
            return
        if doing == "let_be":
            self.state = "failed"
        else:
            self.state, self.budget, self.due = "pending", self.attempt + MAX_ATTEMPTS, True


@dataclass(slots=True)
class Run:
    """The same events on a real row."""

    world: World
    delivery: UUID
    model: Model = field(default_factory=Model)
    messages: dict[int, Message] = field(default_factory=dict)

    async def step(self, step: tuple[Any, ...]) -> None:
        parts = [step] if step[0] in WITH_ARGUMENTS else [(name,) for name in step]
        for name, *rest in parts:
            await getattr(self, name)(*rest)
            await self.check()

    async def check(self) -> None:
        row = await self.world.row(self.delivery)
        assert (row["state"], row["attempt"], row["budget"]) == (
            self.model.state,
            self.model.attempt,
            self.model.budget,
        )
        assert (row["state"] == "sending") == (row["lease_until"] is not None)
        assert row["told_at"] is not None or row["state"] not in ("delivered", "undelivered")
        unknown = "SELECT attempt FROM attempts WHERE delivery_id = $1 AND outcome = 'unknown'"
        assert {r["attempt"] for r in await self.world.query(unknown, self.delivery)} == self.model.unknown
        assert (
            len(await self.world.query("SELECT FROM attempts WHERE delivery_id = $1", self.delivery)) == row["attempt"]
        )

    async def claim(self) -> None:
        self.model.claim()
        org_id, deliveries = self.world.org.org_id, self.world.deliveries
        async with self.world.services.database.transaction(SYSTEM) as conn:
            now = self.world.services.clock.now()
            if (due := await storage.lock_due(conn, org_id, self.delivery, now)) is None:
                return
            if self.model.guarded:
                event = Event.DOUBT_STAYS if due.doubted else Event.GUARDED
                await storage.give_up(conn, due, event, "model", now)
            else:
                text = deliveries.deciding.words.renderer.render(due.kind, due.locale, due.facts)
                attempt = await storage.claim(conn, due, text, provider="model", lease_s=60, now=now)
                assert attempt is not None
                self.messages[attempt] = Message(
                    due.org_id, due.id, due.notification_id, due.kind, due.channel, due.address, due.recipient, "",
                    attempt, due.budget, text, due.doubted,
                )  # fmt: skip

    async def stop(self, event: Event) -> None:
        self.model.stop(event)
        async with self.world.services.database.transaction(SYSTEM) as conn:
            now = self.world.services.clock.now()
            due = await storage.lock_due(conn, self.world.org.org_id, self.delivery, now)
            if due is not None and event is Event.HELD:
                await storage.hold(conn, due, "model", now + timedelta(hours=1), now)
            elif due is not None:
                await storage.give_up(conn, due, Event.DOUBT_STAYS if due.doubted else event, "model", now)

    async def report(self, event: Event) -> None:
        moves = self.model.told_by(event)
        self.model.report(event)
        async with self.world.services.database.transaction(SYSTEM) as conn:
            now = self.world.services.clock.now()
            moved = await storage.report(conn, self.world.org.org_id, self.delivery, event, reason="model", now=now)
        assert moved == (self.model.state if moves else None)

    async def undelivered(self) -> None:
        await self.report(Event.UNDELIVERED)

    async def finish(self, kind: OutcomeKind, late_by: int) -> None:
        attempt = max(0, self.model.attempt - late_by)
        self.model.finish(kind, attempt)
        if attempt == 0:
            return
        budget = self.model.claims[attempt - 1]
        now = self.world.services.clock.now()
        tried = attempt - (budget - MAX_ATTEMPTS)
        outcome = Outcome(kind, "model")
        message = self.messages[attempt]
        verdict = after_attempt(outcome, tried=tried, now=now, base_s=30, jitter=0, doubted=message.doubted)
        async with self.world.services.database.transaction(SYSTEM) as conn:
            await storage.settle(conn, message, verdict, outcome, Used(), now)

    async def lease_out(self) -> None:
        self.model.lease_out = self.model.state == "sending"
        await self.world.query(LEASE_OUT)

    async def sweep(self) -> None:
        self.model.sweep()
        await self.world.relay.sweep()

    async def all_due(self) -> None:
        self.model.due = True
        await self.world.query(ALL_DUE)

    async def _person(self, doing: str) -> None:
        self.model.person(doing)
        notifications, owner = self.world.services.stuck, self.world.org.owner
        try:
            if doing == "replay":
                await notifications.replay(owner, self.delivery, "model")
            else:
                await notifications.resolve(owner, self.delivery, "model", send_again=doing == "send_again")
        except Conflict:
            pass

    async def replay(self) -> None:
        await self._person("replay")

    async def send_again(self) -> None:
        await self._person("send_again")

    async def let_be(self) -> None:
        await self._person("let_be")


def test_the_model_knows_every_event_of_the_table():
    steps = {Event.CLAIM, Event.LEASE_OUT, Event.REPEAT, Event.DOUBT_STAYS, Event.SPENT, Event.REPLAY, Event.SEND_AGAIN,
             Event.LET_BE, Event.ACCEPTED, Event.NOT_SENT, Event.REFUSED, Event.UNKNOWN}  # fmt: skip
    assert steps | {*OBSTACLES, *RECEIPTS, Event.ABSENT} == set(Event)
    assert {state for state, _ in NEXT} | set(NEXT.values()) == set(State)


@pytest.fixture
def in_a_world(servers: Servers) -> Iterator[Callable[[Callable[[World], Coroutine[Any, Any, None]]], None]]:
    """Runs coroutines on one loop and in one world, since hypothesis knows no async."""
    with asyncio.Runner() as runner:
        name = runner.run(servers.create_database())
        opening = telling(servers.environment(name))
        world = runner.run(opening.__aenter__())
        try:
            yield lambda of: runner.run(of(world))
        finally:
            runner.run(opening.__aexit__(None, None, None))
            runner.run(servers.drop_database(name))


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(steps=st.lists(STEPS, min_size=12, max_size=40), guarded_after=st.integers(0, 120))
def test_whatever_happens_in_whatever_order_the_row_is_where_the_table_says(
    in_a_world: Callable[[Callable[[World], Coroutine[Any, Any, None]]], None], steps: list[Any], guarded_after: int
):
    async def run(world: World) -> None:
        delivery = await world.told()
        await world.query("DELETE FROM attempts WHERE delivery_id <> $1", delivery)
        await world.query("DELETE FROM deliveries WHERE id <> $1", delivery)
        one = Run(world, delivery)
        for number, step in enumerate(steps):
            one.model.guarded = number >= guarded_after
            await one.step(step)

    in_a_world(run)
