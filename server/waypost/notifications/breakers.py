"""A breaker for each provider: out when half of its calls fail or are slow, asked once after half a minute.

Each worker has its own; nothing is shared, so none waits for another to find out. What a provider's health is worth
falls fast and comes back slowly, and shifts the split between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from interlock import CircuitBreaker, CircuitOpenError, Config, State

from waypost.kernel.clock import Clock

OPEN_S: Final = 30.0
PROBE_S: Final = 5.0  # while one probe is under way the others come again after this
LEAST_CALLS, WINDOW = 8, 40
SLOW_PART: Final = 0.5  # of the time that a try may take
WORST, ON_FAILURE, ON_SLOWNESS, ON_SUCCESS = 0.05, 0.7, 0.9, 0.02
MOST_KEPT: Final = 10_000


class _Failed(Exception):
    """What a breaker is told of a call that failed."""


class _NoVerdict(BaseException):
    """What a breaker is told of a call that says nothing of the provider."""


@dataclass(slots=True)
class Watched:
    """A provider as this worker knows it. ``told``: the state that was last passed on."""

    breaker: CircuitBreaker
    health: float = 1.0
    told: State = State.CLOSED


@dataclass(slots=True)
class Ticket:
    """Leave for one call, to be settled or given back in the task that got it."""

    key: UUID
    watched: Watched
    clock: Clock
    slow_s: float
    since: float
    used: bool = False

    def settle(self, *, failed: bool) -> State | None:
        """How the call went; the breaker's state, if that is a new one that people should see."""
        if self.used:
            return None
        self.used, watched = True, self.watched
        error = _Failed() if failed else None
        watched.breaker.__exit__(type(error) if error else None, error, None)
        if failed:
            watched.health = max(WORST, watched.health * ON_FAILURE)
        elif self.clock.monotonic() - self.since >= self.slow_s:
            watched.health = max(WORST, watched.health * ON_SLOWNESS)
        else:
            watched.health = min(1.0, watched.health + ON_SUCCESS)
        state = watched.breaker.state
        if state is watched.told or state is State.HALF_OPEN:
            return None
        watched.told = state
        return state

    def give_back(self) -> None:
        """No call was made."""
        if not self.used:
            self.used = True
            self.watched.breaker.__exit__(_NoVerdict, _NoVerdict(), None)


@dataclass(slots=True)
class Breakers:
    """Those of one worker. ``timeout_s``: how long a try may take."""

    clock: Clock
    timeout_s: float
    kept: dict[UUID, Watched] = field(default_factory=dict)

    def admit(self, key: UUID) -> Ticket | float:
        """Leave to call it, or in how many seconds to ask again."""
        watched = self._of(key)
        try:
            watched.breaker.__enter__()
        except CircuitOpenError as error:
            return error.retry_after or PROBE_S
        return Ticket(key, watched, self.clock, self._slow_s, self.clock.monotonic())

    def health(self, key: UUID) -> float:
        """From 0.05 to 1."""
        watched = self.kept.get(key)
        return watched.health if watched is not None else 1.0

    @property
    def _slow_s(self) -> float:
        return self.timeout_s * SLOW_PART

    def _of(self, key: UUID) -> Watched:
        watched = self.kept.get(key)
        if watched is None:
            if len(self.kept) >= MOST_KEPT:
                del self.kept[next(iter(self.kept))]
            watched = self.kept[key] = Watched(CircuitBreaker(name=str(key), config=self._config(), clock=self.clock))
        return watched

    def _config(self) -> Config:
        return Config(
            failure_rate_threshold=0.5,
            slow_call_rate_threshold=0.5,
            slow_call_duration_threshold=self._slow_s,
            minimum_number_of_calls=LEAST_CALLS,
            window_size=WINDOW,
            wait_duration_in_open=OPEN_S,
            permitted_calls_in_half_open=1,
            max_concurrent_probes=1,
        )
