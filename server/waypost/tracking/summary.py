"""A track in figures: how far, how long, where it stood, how fast at most. Pure, in one pass, in bounded memory.

A vehicle stands where its fixes of a minute lie within 30 m of their middle (or within twice what the phone says of its
accuracy), until two fixes in a row lie outside. A stop is one point of the way, so the jitter of a parked phone adds no
distance. Elsewhere the way goes over fixes that are further apart than their accuracy explains. How well that agrees
with labelled traces: tests/unit/test_track_summary.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from waypost.tracking.judgement import HALF_TURN_E7, METRES_PER_E7

STOP_S = 60.0
STOP_M, WIDEST_STOP_M = 30.0, 150.0
SURE = 2.0  # a phone's accuracy is the circle of two fixes in three; nearly all are in one twice as wide
STEP_M, LONGEST_STEP_M = 10.0, 50.0  # fixes nearer to each other are one point of the way
SILENT_S = 300.0  # between fixes further apart in time nobody knows what it did
MOST_WAITING = 240  # fixes of the last minute; of more only every other is kept
MOST_STOPS = 1000
EARTH_M = 6_371_008.8  # mean radius of WGS 84
# A receiver's wrong speed: far above what the way from the fix before says.
SPEED_FACTOR, SPEED_SLACK_MPS, SPEED_NEIGHBOUR_S = 3.0, 8.0, 30.0


@dataclass(slots=True)
class Spot:
    """A fix, as far as figures need it."""

    at: datetime
    latitude_e7: float
    longitude_e7: float
    accuracy_m: float
    speed_mps: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Where and when it stood."""

    latitude_e7: int
    longitude_e7: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """``moving_s`` + ``stopped_s`` + ``silent_s`` is the time from the first fix to the last."""

    fixes: int = 0
    since: datetime | None = None
    until: datetime | None = None
    distance_m: float = 0.0
    moving_s: float = 0.0
    stopped_s: float = 0.0
    silent_s: float = 0.0
    top_speed_mps: float | None = None
    stops: Sequence[Stop] = ()
    stops_left_out: int = 0


class Standing:
    """A stop that goes on: its middle, and since when."""

    def __init__(self, spots: Iterable[Spot]) -> None:
        first, *others = spots
        self.since = self.until = first.at
        self._first = first
        self._north = self._east = 0.0
        self._count = 1
        for spot in others:
            self.add(spot)

    def add(self, spot: Spot) -> None:
        self.until = spot.at
        self._count += 1
        self._north += spot.latitude_e7 - self._first.latitude_e7
        self._east += _east(self._first, spot)

    def middle(self) -> Spot:
        """As a point of the way that is left at ``until``."""
        latitude = self._first.latitude_e7 + self._north / self._count
        longitude = self._first.longitude_e7 + self._east / self._count
        wrapped = (longitude + HALF_TURN_E7) % (2 * HALF_TURN_E7) - HALF_TURN_E7
        return Spot(self.until, latitude, wrapped, 0.0)

    def holds(self, spot: Spot) -> bool:
        """Is it still here, as far as that fix can tell?"""
        return metres(self.middle(), spot) <= _reach_m(spot)

    def stop(self) -> Stop:
        middle = self.middle()
        return Stop(round(middle.latitude_e7), round(middle.longitude_e7), self.since, self.until)


class Tally:
    """Takes the fixes of a track in the order of their time."""

    def __init__(self) -> None:
        self._fixes = self._left_out = 0
        self._distance_m = self._moving_s = self._stopped_s = self._silent_s = 0.0
        self._top_mps: float | None = None
        self._stops: list[Stop] = []
        self._first: datetime | None = None
        self._before: Spot | None = None  # the fix before, for its speed
        self._waiting: deque[Spot] = deque()  # fixes of the last minute, in which a stop may be beginning
        self._standing: Standing | None = None
        self._outside: Spot | None = None  # of the stop: the last fix, when it alone was
        self._way: Spot | None = None  # the last point of the way
        self._passed: datetime | None = None  # up to where time is accounted for

    def add(
        self,
        at: datetime,
        latitude_e7: int,
        longitude_e7: int,
        accuracy_m: float | None = None,
        speed_mps: float | None = None,
        *,
        drifting: bool = False,
    ) -> None:
        """The next fix. ``drifting``: it says that the vehicle is still there, and does not count."""
        spot = Spot(at, latitude_e7, longitude_e7, accuracy_m or 0.0, None if drifting else speed_mps)
        if self._first is None:
            self._first = self._passed = at
        if not drifting:
            self._fixes += 1
            self._note_speed(spot)
            self._before = spot
        if self._standing is None:
            self._wait(spot)
        elif self._standing.holds(spot):
            self._standing.add(spot)
            self._outside = None
        elif self._outside is None:
            self._outside = spot
        else:
            self._leave([self._outside, spot])

    def summary(self) -> Summary:
        """The figures, once all fixes are in."""
        if self._standing is not None:
            self._leave([self._outside] if self._outside else [])
        while self._waiting:
            self._pass(self._waiting.popleft())
        return Summary(
            self._fixes,
            self._first if self._fixes else None,
            self._passed if self._fixes else None,
            self._distance_m,
            self._moving_s,
            self._stopped_s,
            self._silent_s,
            self._top_mps,
            tuple(self._stops),
            self._left_out,
        )

    def _wait(self, spot: Spot) -> None:
        waiting = self._waiting
        waiting.append(spot)
        while len(waiting) > 1 and seconds(waiting[1].at, spot.at) >= STOP_S:
            self._pass(waiting.popleft())
        if seconds(waiting[0].at, spot.at) >= STOP_S and _is_together(waiting):
            self._stand()
        elif len(waiting) > MOST_WAITING:
            for _ in range(0, len(waiting), 2):
                self._pass(waiting.popleft())
                waiting.append(waiting.popleft())

    def _stand(self) -> None:
        """What is waiting is a stop; the way leads to its middle."""
        self._account(self._waiting[0].at)
        self._standing = Standing(self._waiting)
        self._waiting.clear()

    def _leave(self, outside: Iterable[Spot]) -> None:
        assert self._standing is not None  # noqa: S101 - for the type checker
        stop, middle = self._standing.stop(), self._standing.middle()
        self._standing = self._outside = None
        if len(self._stops) < MOST_STOPS:
            self._stops.append(stop)
        else:
            self._left_out += 1
        self._stopped_s += seconds(stop.since, stop.until)
        self._passed = stop.until
        self._go(middle)
        for spot in outside:
            self._wait(spot)

    def _pass(self, spot: Spot) -> None:
        """It did not stand there."""
        self._account(spot.at)
        self._go(spot)

    def _account(self, at: datetime) -> None:
        passed_s = seconds(self._passed, at) if self._passed else 0.0
        if passed_s > SILENT_S:
            self._silent_s += passed_s
        else:
            self._moving_s += passed_s
        self._passed = at

    def _go(self, spot: Spot) -> None:
        if self._way is None:
            self._way = spot
        elif metres(self._way, spot) >= _step_m(self._way, spot):
            self._distance_m += haversine_m(self._way, spot)
            self._way = spot

    def _note_speed(self, spot: Spot) -> None:
        """The reported one, if the way bears it out; without one what the way says between fixes that are sure."""
        before = self._before
        speed, passed_s = spot.speed_mps, seconds(before.at, spot.at) if before else math.inf
        if before is not None and 0 < passed_s <= SPEED_NEIGHBOUR_S:
            apart_m = metres(before, spot)
            if speed is None and apart_m > LONGEST_STEP_M:
                speed = max(apart_m - before.accuracy_m - spot.accuracy_m, 0.0) / passed_s
            elif speed is not None and speed > SPEED_FACTOR * apart_m / passed_s + SPEED_SLACK_MPS:
                speed = None
        if speed is not None and (self._top_mps is None or speed > self._top_mps):
            self._top_mps = speed


def _is_together(spots: Sequence[Spot]) -> bool:
    if metres(spots[0], spots[-1]) > _reach_m(spots[0]) + _reach_m(spots[-1]):
        return False  # nearly always, and quickly
    here = Standing(spots)
    middle = here.middle()
    return all(metres(middle, spot) <= _reach_m(spot) for spot in spots)


def _reach_m(spot: Spot) -> float:
    """How far from the middle of a stop a fix may be that was taken there."""
    return max(STOP_M, min(SURE * spot.accuracy_m, WIDEST_STOP_M))


def _step_m(a: Spot, b: Spot) -> float:
    return min(max(STEP_M, a.accuracy_m, b.accuracy_m), LONGEST_STEP_M)


def seconds(a: datetime, b: datetime) -> float:
    return (b - a).total_seconds()


def _east(a: Spot, b: Spot) -> float:
    """How far ``b`` is to the east, in 1e-7 degree, the short way round."""
    east = b.longitude_e7 - a.longitude_e7
    return east - math.copysign(2 * HALF_TURN_E7, east) if abs(east) > HALF_TURN_E7 else east


def metres(a: Spot, b: Spot) -> float:
    """Equirectangular: for what is near."""
    x = _east(a, b) * math.cos(math.radians((a.latitude_e7 + b.latitude_e7) / 2e7))
    return math.hypot(x, b.latitude_e7 - a.latitude_e7) * METRES_PER_E7


def haversine_m(a: Spot, b: Spot) -> float:
    """Along a great circle of a sphere of WGS 84's mean radius; up to 0.5 % from the ellipsoid."""
    phi_a, phi_b = math.radians(a.latitude_e7 / 1e7), math.radians(b.latitude_e7 / 1e7)
    half = math.radians(_east(a, b) / 1e7) / 2
    h = math.sin((phi_b - phi_a) / 2) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))
