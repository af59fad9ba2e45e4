"""P9 and P10 in a storm: payments are booked at a steady rate while everything that can die does.

Workers and relays are killed and asked to stop, Redis is emptied and killed, PostgreSQL is killed, the gateway refuses,
limits, cuts lines, and its receipts come late, twice, reversed or never. After it every booked payment has told its
customer by SMS and e-mail, or somebody can read why not. What the providers noted before they answered is the proof.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests import laid_by
from tests.e2e.commands import free_port, serving
from tests.e2e.test_delivery_kills import QUICK, waits_for_a_person
from tests.e2e.workers import MORTAL, RELAY, WORKER, begin, finish, running
from tests.fakes import accepts
from tests.fakes.faces import http as gateway
from tests.fakes.mail import Fault
from tests.fakes.plays import Chance, Play, Receipt, Script
from tests.fakes.provider import FakeProvider, fake_provider
from tests.notices import World, telling
from tests.servers import Servers
from tests.waiting import until
from waypost.kernel.errors import Unavailable
from waypost.notifications.providers.accounts import HttpConfig
from waypost.notifications.providers_register import New
from waypost.notifications.seen_domain import DeliveryFilter
from waypost.notifications.states import State

LAYBYS, PAYMENTS_EACH = 25, 50
SHORT_S, A_MINUTE_S = 12.0, 60.0
DRAINED_WITHIN_S = 240
FINAL = {"sent", "delivered", "undelivered", "failed", "dead", "cancelled", "expired", "suppressed"}
TAKEN = {"sent", "delivered", "undelivered"}
LATE, TWICE = Receipt("DELIVRD", after_s=1.5), Receipt("DELIVRD", copies=2)
# What the gateway does beside taking a message and reporting it at once; the shares are the reference's.
CHANCES = (
    Chance(0.08, Play("unavailable", face="http")),
    Chance(0.04, Play("limit", face="http")),
    Chance(0.02, Play("bad", face="http")),
    Chance(0.02, Play("drop", face="http", receipts=())),
    Chance(0.02, Play("drop", face="http", receipts=(LATE,))),
    Chance(0.01, Play("silent", face="http", receipts=())),
    Chance(0.02, Play("cut", face="http")),
    Chance(0.05, Play(face="http", receipts=(Receipt("DELIVRD", before=True),))),
    Chance(0.05, Play(face="http", receipts=(TWICE,))),
    Chance(0.05, Play(face="http", receipts=(Receipt("UNDELIV"), Receipt("DELIVRD")))),
    Chance(0.05, Play(face="http", receipts=(Receipt("DELIVRD"), Receipt("ACCEPTD")))),
    Chance(0.10, Play(face="http", receipts=())),
)
MAIL_FAULTS = (Fault.NOT_NOW, Fault.ACCEPT_THEN_DROP, Fault.DROP, Fault.NEVER)


@dataclass(slots=True)
class Storm:
    """The pauses are the storm's own rhythm; nothing is waited for by them."""

    world: World
    servers: Servers
    fake: FakeProvider
    env: dict[str, str]
    seconds: float
    laybys: list[UUID]
    dice: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - no secret
    ends_at: float = 0
    booked: int = 0
    befell: Counter[str] = field(default_factory=Counter)

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends_at - asyncio.get_running_loop().time())

    async def run(self) -> None:
        self.ends_at = asyncio.get_running_loop().time() + self.seconds
        self.world.mail.chance = self.fault
        self.fake.plays.script = self.fake.script = Script(chances=CHANCES)
        parts = [self.workers, self.stopped_workers, self.relays, self.relays, self.payments, self.servers_die]
        await asyncio.gather(*(part() for part in parts))
        self.fake.plays.script = self.fake.script = Script()

    def fault(self) -> Fault | None:
        return self.dice.choice(MAIL_FAULTS) if self.left_s and self.dice.random() < 0.12 else None

    async def payments(self) -> None:
        """A customer pays 1.00 at the counter, some 25 times a second, while there is a database."""
        turns = count()
        while self.left_s and next(turns) < LAYBYS * PAYMENTS_EACH:
            try:
                await laid_by.pay(self.world.org, self.laybys[self.booked % len(self.laybys)], 1_00)
                self.booked += 1
            except Unavailable:
                await asyncio.sleep(0.1)
            await asyncio.sleep(self.dice.uniform(0.0, 0.08))

    async def workers(self) -> None:
        """One that dies by itself at a point of its work, again and again."""
        while self.left_s:
            process = await begin(*MORTAL, "0.01", env=self.env)
            try:
                await asyncio.wait_for(process.wait(), self.left_s)
                self.befell["workers killed"] += 1
            except TimeoutError:
                await finish(process)

    async def stopped_workers(self) -> None:
        while self.left_s:
            process = await begin(*WORKER, env=self.env)
            await asyncio.sleep(min(self.left_s, self.dice.uniform(3, 6)))
            await finish(process)
            self.befell["workers stopped"] += 1

    async def relays(self) -> None:
        while self.left_s:
            process = await begin(*RELAY, env=self.env)
            await asyncio.sleep(min(self.left_s, self.dice.uniform(2, 6)))
            await finish(process, self.dice.choice([signal.SIGKILL, signal.SIGTERM]))
            self.befell["relays ended"] += 1

    async def servers_die(self) -> None:
        """In turn, so that the short form meets each."""
        for turn in count():
            await asyncio.sleep(min(self.left_s, 2.5))
            if not self.left_s:
                return
            await (self.redis_is_emptied, self.redis_dies, self.postgres_dies)[turn % 3]()

    async def redis_is_emptied(self) -> None:
        await self.world.services.redis.flushall()
        self.befell["Redis emptied"] += 1

    async def redis_dies(self) -> None:
        await killed(self.servers.stack.valkey)
        self.befell["Redis killed"] += 1

    async def postgres_dies(self) -> None:
        await killed(self.servers.stack.postgres)
        self.befell["PostgreSQL killed"] += 1


async def killed(server: Any) -> None:
    """As by ``kill -9``; it comes back with what it had promised to keep."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not server.alive)
    await server.start()


async def by_gateway(world: World, fake: FakeProvider) -> str:
    """An account with a gateway that cannot drop a repeat; its reports' token."""
    config = HttpConfig(
        f"{fake.url}/gateway/plain", headers={"X-Key": gateway.KEY},
        body='{"to": "{{ to }}", "from": "{{ from }}", "text": "{{ text }}", "id": "{{ id }}"}', ok_path="status",
        ok_values=("OK",), id_path="messages.0.id", receipt_our_id="ref", receipt_their_id="messageId",
        receipt_status="state", receipt_delivered=("DELIVRD",), receipt_undelivered=("UNDELIV",),
    )  # fmt: skip
    new = New("gateway", config, sender=gateway.SENDER)
    return (await world.services.telling.providers.add(world.org.owner, new))[1]


async def some_laybys(world: World) -> list[UUID]:
    """Of customers with a phone and a mailbox each."""
    made = []
    for number in range(LAYBYS):
        customer = await world.customer(
            f"Customer {number}", phone=f"+2637712{number:05}", email=f"c{number}@example.com"
        )
        made.append((await laid_by.layby(world.org, customer_id=customer)).layby.id)
    return made


@dataclass(slots=True)
class Ground:
    """What a storm stands on."""

    world: World
    servers: Servers
    fake: FakeProvider
    env: dict[str, str]
    log: Path


@pytest.fixture
async def ground(durable: Servers, tmp_path: Path) -> AsyncIterator[Ground]:
    """On servers that lose nothing: what PostgreSQL says it has committed is the promise that is tested."""
    name = await durable.create_database()
    environment = durable.environment(name) | QUICK | {"WAYPOST_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    async with AsyncExitStack() as exits:
        log = tmp_path / "accepted.jsonl"
        fake = await exits.enter_async_context(fake_provider(log=log))
        world = await exits.enter_async_context(telling(environment))
        yield Ground(world, durable, fake, environment | world.mail.environment, log)
    await durable.drop_database(name)


async def storm(ground: Ground, seconds: float) -> None:
    world = ground.world
    token = await by_gateway(world, ground.fake)
    laybys = await some_laybys(world)
    port = free_port()
    async with serving(ground.env, port) as server:
        ground.fake.report_to["http"] = f"{server.url}/api/v1/callbacks/messages/{token}/status"
        raged = Storm(world, ground.servers, ground.fake, ground.env, seconds, laybys)
        await raged.run()
        async with running(*WORKER, env=ground.env), running(*RELAY, env=ground.env):
            await until(lambda: drained(world), DRAINED_WITHIN_S)
        await ground.fake.settled()
    print(f"\n{raged.booked} payments; {dict(raged.befell)}")  # noqa: T201 - shown when it fails, or with -s
    assert {"Redis emptied", "Redis killed", "PostgreSQL killed", "workers stopped", "relays ended"} <= set(
        raged.befell
    )
    await check(ground)


async def drained(world: World) -> bool:
    """Nothing waits, and nothing is under way."""
    try:
        (open_ones,) = await world.query("SELECT count(*) FROM outbox WHERE processed_at IS NULL")
        rows = await world.rows()
    except Unavailable:
        return False
    return open_ones["count"] == 0 and all(row["state"] in FINAL or stays_in_doubt(row) for row in rows)


def stays_in_doubt(row: Mapping[str, Any]) -> bool:
    return row["state"] == "in_doubt" and (row["channel"] == "sms" or waits_for_a_person(row))


async def check(ground: Ground) -> None:
    """Every committed payment, every delivery, every accept."""
    world = ground.world
    rows, attempts = await world.rows(), await world.attempts()
    (paid,) = await world.query("SELECT count(*) FROM payments WHERE kind = 'payment' AND balance_minor IS NOT NULL")
    told = await world.query(
        """SELECT n.id, array_agg(d.channel ORDER BY d.channel) AS channels FROM notifications n
             JOIN deliveries d ON d.org_id = n.org_id AND d.notification_id = n.id
            WHERE n.kind IN ('payment_received', 'layby_created') GROUP BY n.id"""
    )
    assert len(told) == paid["count"] > LAYBYS
    assert {tuple(row["channels"]) for row in told} == {("email", "sms")}
    by_sms = Counter(each.reference for each in accepts.read(ground.log))
    assert [reference for reference, times in by_sms.items() if times > 1] == []  # nobody was sent one twice
    by_mail = Counter(reference.strip("<>").partition("@")[0] for reference in world.mail.references)
    for row in rows:
        own = [each for each in attempts if each["delivery_id"] == row["id"]]
        assert len(own) == row["attempt"]
        unsure = sum(each["outcome"] == "unknown" for each in own)
        times = (by_sms if row["channel"] == "sms" else by_mail).pop(str(row["id"]), 0)
        if row["channel"] != "in_app":
            assert times >= (row["state"] in TAKEN), "it counts as sent, and nobody took it"
            assert times <= unsure + (row["state"] in TAKEN), "it went out again, though nothing was in doubt"
    assert not by_sms
    assert not by_mail
    listed = await world.services.notifications.deliveries(
        world.org.owner, DeliveryFilter(state=State.IN_DOUBT), 200, None
    )
    assert len(listed.data) == sum(row["state"] == "in_doubt" for row in rows)
    print(Counter((row["channel"], row["state"]) for row in rows))  # noqa: T201


@pytest.mark.timeout(600)
async def test_a_short_storm_loses_nothing_and_sends_nothing_twice(ground: Ground):
    await storm(ground, SHORT_S)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_a_long_storm_loses_nothing_and_sends_nothing_twice(ground: Ground, request: pytest.FixtureRequest):
    """As long as `--minutes` says."""
    await storm(ground, A_MINUTE_S * float(request.config.getoption("--minutes") or 1))
