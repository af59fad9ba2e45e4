"""P9 with real kills: a worker that dies at any point of an attempt loses no notice and sends none twice by itself.

The processes are the real ones; the mail server's list of what it took, noted before each answer, is the proof.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from tests.e2e.workers import MORTAL, RELAY, WORKER, begin, finish, running
from tests.fakes.mail import Fault
from tests.notices import World, telling
from tests.waiting import until
from waypost.notifications.states import NEVER

QUICK = {
    "WAYPOST_DELIVERY_SEND_TIMEOUT_S": "1",
    "WAYPOST_DELIVERY_LEASE_S": "2",
    "WAYPOST_DELIVERY_RETRY_BASE_S": "0.3",
    "WAYPOST_RELAY_POLL_S": "0.1",
    "WAYPOST_RELAY_REPOKE_S": "0.5",
    "WAYPOST_HEARTBEAT_S": "0.2",
}
WITHIN_S = 60
FINAL = {"sent", "failed", "dead", "cancelled", "expired", "suppressed"}


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment, **QUICK) as opened:
        yield opened


def environment_of(world: World, environment: dict[str, str]) -> dict[str, str]:
    return {**environment, **QUICK, **world.mail.environment}


async def the_delivery(world: World) -> Any:
    rows = await world.rows()
    return rows[0] if rows else None


async def reaches(world: World, state: str) -> Any:
    """The one delivery, once it is in that state."""

    async def look() -> Any:
        row = await the_delivery(world)
        return row if row is not None and row["state"] == state else None

    return await until(look, WITHIN_S)


# What the row says and what the server took when the worker is dead, and how often it took it in the end.
CASES = {
    "before_claim": ("pending", 0, 1),
    "after_claim": ("sending", 0, 1),
    "after_write": ("sending", None, None),  # whether the server has read it, nobody knows
    "after_accept": ("sending", 1, 2),
    "after_finish": ("sent", 1, 1),
}


@pytest.mark.parametrize("point", CASES)
async def test_a_worker_killed_at_a_point_of_an_attempt_loses_nothing(
    world: World, environment: dict[str, str], point: str
):
    state, taken, in_the_end = CASES[point]
    env = environment_of(world, environment)
    await world.trip(await world.customer())
    async with running(*RELAY, env=env):
        mortal = await begin(*MORTAL, point, env=env)
        assert await asyncio.wait_for(mortal.wait(), WITHIN_S) == -signal.SIGKILL
        row = await the_delivery(world)
        if state != "sending":
            assert row["state"] == state
        else:  # the sweep may have seen it already
            assert (row["state"], row["attempt"]) in {("sending", 1), ("in_doubt", 1), ("pending", 1)}
        assert taken is None or len(world.mail.accepted) == taken
        await world.services.redis.flushall()  # and Redis is emptied on top
        async with running(*WORKER, env=env):
            row = await reaches(world, "sent")
    assert len(world.mail.accepted) in ({1, 2} if in_the_end is None else {in_the_end})
    assert len(set(world.mail.references)) == 1
    outcomes = [(a["outcome"], a["reason"]) for a in await world.attempts()]
    assert (
        outcomes
        == {
            "before_claim": [("accepted", None)],
            "after_claim": [("unknown", "lease_ran_out"), ("accepted", None)],
            "after_write": [("unknown", "lease_ran_out"), ("accepted", None)],
            "after_accept": [("unknown", "lease_ran_out"), ("accepted", None)],
            "after_finish": [("accepted", None)],
        }[point]
    )


async def test_a_worker_killed_after_it_wrote_and_before_it_was_answered_leaves_it_in_doubt(
    world: World, environment: dict[str, str]
):
    """The fifth point lies in the mail server's hands: it has the message, and kills who sent it."""
    env = environment_of(world, environment)
    await world.trip(await world.customer())
    worker = await begin(*WORKER, env=env)
    world.mail.before_answer = lambda _mail: os.kill(worker.pid, signal.SIGKILL)
    async with running(*RELAY, env=env):
        assert await asyncio.wait_for(worker.wait(), WITHIN_S) == -signal.SIGKILL
        assert (await the_delivery(world))["state"] in {"sending", "in_doubt", "pending"}
        world.mail.before_answer = lambda _mail: None
        async with running(*WORKER, env=env):
            row = await reaches(world, "sent")
    assert row["attempt"] == 2
    first, second = world.mail.references
    assert first == second


async def test_two_workers_and_two_relays_send_one_mail_each(world: World, environment: dict[str, str]):
    env = environment_of(world, environment)
    async with AsyncExitStack() as exits:
        for module in (WORKER, WORKER, RELAY, RELAY):
            await exits.enter_async_context(running(*module, env=env))
        for _ in range(30):
            await world.trip(await world.customer())

        async def all_sent() -> bool:
            rows = await world.rows()
            return len(rows) == 30 and all(row["state"] == "sent" for row in rows)

        await until(all_sent, WITHIN_S)
    assert len(world.mail.accepted) == len(set(world.mail.references)) == 30


async def test_a_worker_asked_to_stop_finishes_what_it_is_sending(world: World, environment: dict[str, str]):
    env = environment_of(world, environment) | {
        "WAYPOST_DELIVERY_SEND_TIMEOUT_S": "20",
        "WAYPOST_DELIVERY_LEASE_S": "60",
    }
    world.mail.faults.append(Fault.ACCEPT_SLOWLY)
    await world.trip(await world.customer())
    worker = await begin(*WORKER, env=env)
    async with running(*RELAY, env=env):
        await until(lambda: world.mail.accepted, WITHIN_S)
        worker.send_signal(signal.SIGTERM)
        await until(lambda: hearts(world, "worker", busy=True), WITHIN_S)
        assert worker.returncode is None
        world.mail.released.set()
        assert await asyncio.wait_for(worker.wait(), WITHIN_S) == 0
    row = await the_delivery(world)
    assert (row["state"], row["attempt"]) == ("sent", 1)


async def hearts(world: World, kind: str, *, busy: bool = False) -> list[Any]:
    rows = await world.query("SELECT * FROM heartbeats WHERE kind = $1", kind)
    return [row for row in rows if not busy or '"running":1' in row["detail"].replace(" ", "")]


async def test_workers_and_relays_keep_a_heartbeat_and_take_it_away_when_they_stop(
    world: World, environment: dict[str, str]
):
    env = environment_of(world, environment)
    async with running(*WORKER, env=env), running(*RELAY, env=env):
        (first,) = await until(lambda: hearts(world, "worker"), WITHIN_S)
        await until(lambda: hearts(world, "relay"), WITHIN_S)

        async def has_beaten() -> bool:
            (now,) = await hearts(world, "worker")
            return bool(now["beat_at"] > first["beat_at"])

        await until(has_beaten, WITHIN_S)
    assert await hearts(world, "worker") + await hearts(world, "relay") == []


async def test_a_worker_that_loses_redis_ends_with_a_line_and_the_relay_goes_on(
    world: World, environment: dict[str, str]
):
    """arq's worker ends with its connection; what starts it again is the supervisor. Its jobs' promise is the row's."""
    env = environment_of(world, environment)
    worker = await begin(*WORKER, env=env)
    async with running(*RELAY, env=env) as relay:
        await until(lambda: hearts(world, "worker"), WITHIN_S)
        await until(lambda: hearts(world, "relay"), WITHIN_S)

        async def cut() -> bool:
            await world.services.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            return worker.returncode is not None

        await until(cut, WITHIN_S)
        assert await worker.wait() == 1
        await world.trip(await world.customer())
        async with running(*WORKER, env=env):
            await reaches(world, "sent")
        assert relay.returncode is None
    assert len(world.mail.accepted) == 1


FAULTS = [Fault.NOT_NOW, Fault.ACCEPT_THEN_DROP, Fault.DROP, Fault.NEVER]


@dataclass(slots=True)
class Storm:
    """Trips start while workers and relays die at random, Redis is emptied, and the mail server has bad moments."""

    world: World
    env: dict[str, str]
    seconds: float
    dice: Random
    ends_at: float = 0

    @property
    def rages(self) -> bool:
        return asyncio.get_running_loop().time() < self.ends_at

    def fault(self) -> Fault | None:
        return self.dice.choice(FAULTS) if self.rages and self.dice.random() < 0.12 else None

    async def workers(self) -> None:
        """One that dies by itself at a point of its work, again and again."""
        while self.rages:
            process = await begin(*MORTAL, "0.02", env=self.env)
            try:
                await asyncio.wait_for(process.wait(), max(0, self.ends_at - asyncio.get_running_loop().time()))
            except TimeoutError:
                await finish(process)

    async def relays(self) -> None:
        """One that is killed, or asked to stop, every few seconds."""
        while self.rages:
            process = await begin(*RELAY, env=self.env)
            await asyncio.sleep(self.dice.uniform(1.5, 5))
            await finish(process, self.dice.choice([signal.SIGKILL, signal.SIGTERM]))

    async def trips(self) -> None:
        while self.rages:
            await self.world.trip(await self.world.customer())
            await asyncio.sleep(self.dice.uniform(0, 0.1))

    async def floods(self) -> None:
        while self.rages:
            await asyncio.sleep(self.dice.uniform(0.5, self.seconds / 4))
            await self.world.services.redis.flushall()

    async def run(self) -> None:
        """The pauses are the storm's own rhythm; nothing is waited for by them."""
        self.ends_at = asyncio.get_running_loop().time() + self.seconds
        self.world.mail.chance = self.fault
        parts = [self.workers, self.workers, self.relays, self.relays, self.trips, self.floods]
        await asyncio.gather(*(part() for part in parts))


def waits_for_a_person(row: Mapping[str, Any]) -> bool:
    """In doubt, and not to be repeated by itself: the last try was, or an earlier one is not known to have failed."""
    return row["state"] == "in_doubt" and (row["attempt"] == row["budget"] or row["due_at"] >= NEVER)


async def check_all_accounted_for(world: World, env: dict[str, str]) -> Counter[str]:
    async def settled() -> bool:
        rows = await world.rows()
        (missing,) = await world.query("SELECT count(*) FROM outbox WHERE processed_at IS NULL")
        return missing["count"] == 0 and all(row["state"] in FINAL or waits_for_a_person(row) for row in rows)

    async with running(*WORKER, env=env), running(*RELAY, env=env):
        await until(settled, 120)
    rows, attempts = await world.rows(), await world.attempts()
    (promised,) = await world.query("SELECT count(*) FROM outbox")
    assert len(rows) == promised["count"]
    taken = Counter(world.mail.references)
    for row in rows:
        times = taken.pop(f"<{row['id']}@jacaranda.example>", 0)
        own = [a for a in attempts if a["delivery_id"] == row["id"]]
        unsure = sum(a["outcome"] == "unknown" for a in own)
        assert times <= unsure + (row["state"] == "sent"), "it went out again though nothing was in doubt"
        assert times >= (row["state"] == "sent"), "sent, but the server never took it"
        assert len(own) == row["attempt"]
    assert not taken
    return Counter(row["state"] for row in rows)


@pytest.mark.timeout(180)
async def test_a_short_storm_of_kills_and_floods_loses_no_notice(world: World, environment: dict[str, str]):
    env = environment_of(world, environment)
    await Storm(world, env, 5, Random(7)).run()  # noqa: S311 - no secret
    states = await check_all_accounted_for(world, env)
    assert states["sent"] > 0


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_long_storm_of_kills_and_floods_loses_no_notice(world: World, environment: dict[str, str]):
    env = environment_of(world, environment)
    await Storm(world, env, 60, Random(42)).run()  # noqa: S311 - no secret
    states = await check_all_accounted_for(world, env)
    assert states["sent"] > 100
