"""One timetable plays all vehicles and loses nothing."""

# ruff: noqa: S311 - movement and jitter, no secrets

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import chain, count, pairwise
from random import Random

import pytest
from rich.console import Console

from waypost.replay.client import Device
from waypost.replay.display import Display, summary
from waypost.replay.rows import Row
from waypost.replay.runner import Runner, Timetable
from waypost.replay.stats import Stats
from waypost.replay.timeline import Slot
from waypost.replay.transports import Unreachable
from waypost.replay.verdicts import Answer
from waypost.replay.wire import Envelope, Outcome

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    """Time passes only by sleeping, and then at once."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at_s - 1000)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)


@dataclass
class Line:
    """A transport that remembers what arrived and when; ``script`` says what the first sendings get."""

    clock: Clock
    script: list[Answer | None] = field(default_factory=list)  # None: no answer
    arrived: list[tuple[float, Envelope]] = field(default_factory=list)

    async def send(self, envelope: Envelope) -> Answer:
        await asyncio.sleep(0)
        self.arrived.append((self.clock.at_s, envelope))
        answer = self.script.pop(0) if self.script else Answer(200, Outcome(len(envelope.locations)))
        if answer is None:
            raise Unreachable("no connection")
        return answer

    async def close(self) -> None: ...

    @property
    def numbers(self) -> list[list[int]]:
        return [[one.n for one in envelope.locations] for _, envelope in self.arrived]


@dataclass
class World:
    clock: Clock = field(default_factory=Clock)
    stats: Stats = field(default_factory=Stats)
    lines: dict[str, Line] = field(default_factory=dict)

    def device(self, vehicle: str, *script: Answer | None) -> Device:
        line = self.lines[vehicle] = Line(self.clock, list(script))
        return Device(vehicle, f"stream-{vehicle}", line, self.clock, self.stats, Random(vehicle))

    def runner(self, lines: list[tuple[Device, list[Slot]]], **more: float) -> Runner:
        return Runner([(device, iter(slots)) for device, slots in lines], self.clock, self.stats, **more)


@pytest.fixture
def world() -> World:
    return World()


def every(spacing_s: float, fixes: int) -> list[Slot]:
    return [Slot(at * spacing_s, at * spacing_s, Row("v", 0, 1.0, 2.0)) for at in range(fixes)]


def test_a_timetable_runs_what_is_due_in_order_of_time():
    table, ran = Timetable(), []
    for due in (3.0, 1.0, 2.0, 9.0):
        table.at(due, lambda due=due: ran.append(due))
    table.run_due(3.0)
    assert ran == [1.0, 2.0, 3.0]
    assert table.nap_s(3.0) == 0.25
    assert table.nap_s(8.9) == pytest.approx(0.1)


async def test_all_fixes_of_all_vehicles_are_sent_and_the_run_ends_by_itself(world):
    lines = [(world.device(f"v{n}"), every(1.5, 40)) for n in range(100)]
    await world.runner(lines).run(asyncio.Event())
    assert all(list(chain(*line.numbers)) == list(range(1, 41)) for line in world.lines.values())
    assert (world.stats.played, world.stats.accepted, world.stats.resent) == (4000, 4000, 0)


async def test_no_fix_is_stamped_later_than_its_sending(world):
    await world.runner([(world.device("v"), every(0.7, 50))]).run(asyncio.Event())
    for at_s, envelope in world.lines["v"].arrived:
        sending = NOON + timedelta(seconds=at_s - 1000)
        assert all(datetime.fromisoformat(one.timestamp) <= sending for one in envelope.locations)


async def test_a_clock_that_was_set_back_makes_no_fix_of_the_future(world):
    device = world.device("v")
    runner = world.runner([(device, every(1, 3))])
    world.clock.now = lambda: NOON - timedelta(hours=1) if world.clock.at_s > 1000.5 else NOON
    await runner.run(asyncio.Event())
    stamps = [one.timestamp for _, envelope in world.lines["v"].arrived for one in envelope.locations]
    assert stamps == ["2026-11-22T12:00:00.000Z"] + ["2026-11-22T11:00:00.000Z"] * 2


async def test_batches_of_a_device_are_about_batch_s_apart_and_devices_do_not_beat_together(world):
    lines = [(world.device(f"v{n}"), every(1, 60)) for n in range(50)]
    await world.runner(lines).run(asyncio.Event())
    times = [at_s for at_s, _ in world.lines["v7"].arrived]
    assert all(2.5 < b - a < 3.8 for a, b in pairwise(times[:-1]))
    firsts = sorted(line.arrived[0][0] % 3 for line in world.lines.values())
    assert firsts[-1] - firsts[0] > 2


async def test_a_batch_is_sent_again_with_the_same_numbers_until_it_is_answered(world):
    device = world.device("v", None, Answer(503, retry_after_s=20), Answer(500))
    await world.runner([(device, every(1, 30))]).run(asyncio.Event())
    numbers = world.lines["v"].numbers
    assert numbers[0] == numbers[1] == numbers[2] == numbers[3]
    assert list(chain(*numbers[3:])) == list(range(1, 31))
    times = [at_s for at_s, _ in world.lines["v"].arrived]
    assert times[1] - times[0] >= 1
    assert times[2] - times[1] >= 20
    sent_at = [envelope.sent_at for _, envelope in world.lines["v"].arrived]
    assert sent_at == sorted(set(sent_at))
    assert world.stats.errors == {"no connection": 1, "503": 1, "500": 1}


async def test_a_device_that_may_not_send_stops_and_the_others_go_on(world):
    lines = [(world.device("bad", Answer(401, code="token-revoked")), every(1, 30)), (world.device("v"), every(1, 30))]
    await world.runner(lines).run(asyncio.Event())
    assert len(world.lines["bad"].arrived) == 1
    assert world.stats.stopped == {"bad": "401 token-revoked"}
    assert world.stats.accepted == 30


async def test_a_batch_that_can_never_be_stored_is_dropped_and_counted(world):
    await world.runner([(world.device("v", Answer(422, code="invalid")), every(1, 9))]).run(asyncio.Event())
    assert world.stats.dropped == len(world.lines["v"].numbers[0])
    assert world.stats.accepted + world.stats.dropped == 9


async def test_told_to_stop_it_sends_what_the_phones_still_hold(world):
    endless = (Slot(float(at), float(at), Row("v", 0, 1.0, 2.0)) for at in count())
    device = world.device("v")
    await Runner([(device, endless)], world.clock, world.stats, duration_s=31.0).run(asyncio.Event())
    assert world.stats.accepted == world.stats.played >= 31
    assert world.clock.at_s - 1000 < 33


async def test_told_to_stop_it_does_not_wait_for_a_server_that_is_away(world):
    device = world.device("v", *[None] * 99)
    runner = world.runner([(device, every(1, 10_000))], duration_s=300.0)
    await runner.run(asyncio.Event())
    assert world.clock.at_s - 1000 < 306
    assert len(device.outbox) == world.stats.played


async def test_the_display_prints_a_line_each_10_seconds_where_there_is_no_terminal(world):
    out = StringIO()
    device = world.device("v")
    display = Display(world.stats, world.clock, Console(file=out), lambda: 1)
    shown = asyncio.create_task(display.show())
    await world.runner([(device, every(1, 5))]).run(asyncio.Event())
    shown.cancel()
    first = out.getvalue().splitlines()[0]
    assert first.startswith("time 0:1")
    assert "vehicles" in first
    assert "sent" in first


def test_the_summary_tells_rejections_and_stops_by_reason():
    stats = Stats(played=3, sent=3, accepted=1)
    stats.rejected.update(["zero_island", "zero_island"])
    stats.stopped.update(a="401 unauthenticated", b="401 unauthenticated")
    text = summary(stats, 3725)
    assert "played 3 fixes in 1:02:05" in text
    assert "2 zero_island" in text
    assert "2 401 unauthenticated" in text
    assert "dropped" not in text
