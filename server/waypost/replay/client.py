"""One device: a phone that keeps its fixes until the server has answered for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from waypost.kernel.clock import Clock
from waypost.replay.outbox import Batch, Outbox
from waypost.replay.rows import Row
from waypost.replay.stats import Stats
from waypost.replay.transports import Transport, Unreachable
from waypost.replay.verdicts import Answer, Move, Verdict, backoff_s, judge
from waypost.replay.wire import Envelope

JITTER_SHARE = 0.1  # of the time between two batches


@dataclass(slots=True)
class Device:
    """A vehicle's phone. Not for two tasks at once: one `turn` must end before the next."""

    vehicle: str
    stream: str  # a UUID: the numbers of its fixes never repeat within it
    transport: Transport
    clock: Clock
    stats: Stats
    random: Random
    trip_id: str | None = None
    batch_s: float = 3.0
    outbox: Outbox = field(default_factory=Outbox)
    stopped: bool = False
    _phase: float = field(init=False)  # of its timer, so that devices do not beat together
    not_before_s: float = 0.0  # monotonic: what its last answer allows

    def __post_init__(self) -> None:
        self._phase = self.random.random()

    def take(self, row: Row, stamp_ms: int) -> None:
        """Buffer a fix; a device that had to stop takes none."""
        if self.stopped:
            return
        before = self.outbox.dropped
        self.outbox.add(row, stamp_ms)
        self.stats.dropped += self.outbox.dropped - before

    def next_turn_s(self) -> float:
        """When to send next, in monotonic seconds: the next beat of its own timer that its last answer allows."""
        earliest_s = max(self.clock.monotonic(), self.not_before_s)
        beats = int(earliest_s / self.batch_s - self._phase) + 1
        return (beats + self._phase) * self.batch_s + self.random.random() * JITTER_SHARE * self.batch_s

    async def turn(self) -> bool:
        """Send one batch; True when there may be more to send (then at `next_turn_s`)."""
        batch = self.outbox.head()
        if batch is None or self.stopped:
            return False
        self._count(batch)
        verdict = await self._attempt(batch)
        self.not_before_s = self.clock.monotonic() + verdict.wait_s
        self._act(batch, verdict)
        return verdict.move is not Move.STOP and len(self.outbox) > 0

    def _count(self, batch: Batch) -> None:
        batch.attempts += 1
        self.stats.requests += 1
        if batch.attempts == 1:
            self.stats.sent += len(batch.locations)
        else:
            self.stats.resent += len(batch.locations)

    async def _attempt(self, batch: Batch) -> Verdict:
        sent_at = int(self.clock.now().timestamp() * 1000)
        began_s = self.clock.monotonic()
        try:
            answer = await self.transport.send(Envelope(sent_at, self.stream, batch.locations, self.trip_id))
        except Unreachable as error:
            return Verdict(Move.AGAIN, backoff_s(batch.attempts, self.random.random()), str(error))
        self._note(answer, began_s)
        return judge(answer, batch.attempts, self.random.random())

    def _note(self, answer: Answer, began_s: float) -> None:
        if answer.outcome is not None:
            at_s = self.clock.monotonic()
            self.stats.stored(self.vehicle, answer.outcome, latency_s=at_s - began_s, at_s=at_s)

    def _act(self, batch: Batch, verdict: Verdict) -> None:
        if verdict.reason:
            self.stats.errors[verdict.reason] += 1
        if verdict.move is Move.DONE:
            self.outbox.settle()
        elif verdict.move is Move.STOP:
            self.stopped = True
            self.stats.stopped[self.vehicle] = verdict.reason
        elif verdict.move is Move.DROP or (verdict.move is Move.SPLIT and not self.outbox.split()):
            self.stats.dropped += len(batch.locations)
            self.outbox.settle()
