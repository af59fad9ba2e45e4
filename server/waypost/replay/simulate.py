"""Simulated vans, for when there are no traces. Pure, given a ``random.Random``.

A van drives along a street grid (blocks of 120 to 200 m), brakes for corners, calls at doors, loses its signal now and
then, and its phone measures with noise, repeats a fix at times and runs its battery down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, hypot, radians, sin
from random import Random

from waypost.replay.geometry import moved
from waypost.replay.rows import Row

HARARE = (-17.8292, 31.0522)
TOP_MPS = 16.0
CORNER_MPS = 4.0
CRAWL_MPS = 0.8
PULL_MPSS, BRAKE_MPSS = 1.5, 2.5
BLOCK_M = (120.0, 200.0)
REACH_M = 4_000.0  # from the centre; a van beyond it turns back
STOP_S = (30.0, 180.0)
TUNNEL_S = (40.0, 120.0)
NOISE_M = 4.0  # standard deviation of a fix, in each direction
STOP_SHARE, TUNNEL_SHARE, REPEAT_SHARE = 0.08, 0.004, 0.005  # of the blocks, of the fixes, of the fixes
DRAIN_PCT_S = 100 / (9 * 3600)  # a phone that navigates lasts a working day
STRAIGHT_SHARE = 0.6  # of the corners
LEFT_OR_RIGHT = (90, 270)


@dataclass(slots=True)
class _Van:
    random: Random
    north_m: float
    east_m: float
    heading_deg: int  # along the grid
    speed_mps: float = 0.0
    left_m: float = 0.0  # of the present block
    standing_s: float = 0.0
    call_s: float = 0.0  # to stand at the end of the block
    turn_deg: int = 0  # at the end of the block
    limit_mps: float = field(default=TOP_MPS)

    def drive(self, seconds: float) -> None:
        """Move on by as many seconds, a fraction of a second at a time."""
        while seconds > 0:
            step_s = min(seconds, 0.5)
            seconds -= step_s
            if self.standing_s > 0:
                self.standing_s -= step_s
            else:
                self._roll(step_s)

    def _roll(self, step_s: float) -> None:
        if self.left_m <= 0:
            self._next_block()
        end_mps = CRAWL_MPS if self.call_s else CORNER_MPS if self.turn_deg else self.limit_mps
        braking_m = max(0.0, self.speed_mps**2 - end_mps**2) / (2 * BRAKE_MPSS)
        if self.left_m <= braking_m + self.speed_mps * step_s:
            self.speed_mps = max(min(end_mps, self.speed_mps), self.speed_mps - BRAKE_MPSS * step_s)
        else:
            self.speed_mps = min(self.limit_mps, self.speed_mps + PULL_MPSS * step_s)
        length_m = self.speed_mps * step_s
        self.north_m += length_m * cos(radians(self.heading_deg))
        self.east_m += length_m * sin(radians(self.heading_deg))
        self.left_m -= length_m

    def _next_block(self) -> None:
        self.heading_deg = (self.heading_deg + self.turn_deg) % 360
        if self.call_s:
            self.speed_mps, self.standing_s = 0.0, self.call_s
        self.call_s = self.random.uniform(*STOP_S) if self.random.random() < STOP_SHARE else 0.0
        self.left_m = self.random.uniform(*BLOCK_M)
        self.limit_mps = self.random.uniform(0.6, 1.0) * TOP_MPS
        self.turn_deg = self._turn()

    def _turn(self) -> int:
        """Straight on more often than not; back towards the centre when far from it."""
        if hypot(self.north_m, self.east_m) > REACH_M:
            return max((0, *LEFT_OR_RIGHT), key=self._homeward)
        return 0 if self.random.random() < STRAIGHT_SHARE else self.random.choice(LEFT_OR_RIGHT)

    def _homeward(self, turn_deg: int) -> float:
        heading = radians(self.heading_deg + turn_deg)
        return -(self.north_m * cos(heading) + self.east_m * sin(heading))


def van(name: str, random: Random, centre: tuple[float, float] = HARARE) -> Iterator[Row]:
    """An endless drive around ``centre`` (latitude, longitude): a row every 3 to 5 s, the first at 0 ms."""
    spread_m = REACH_M / 2
    state = _Van(random, random.uniform(-spread_m, spread_m), random.uniform(-spread_m, spread_m),
                 random.choice((0, 90, 180, 270)))  # fmt: skip
    at_s = 0.0
    battery_pct = random.uniform(60, 100)
    while True:
        row = _fix(name, state, centre, at_s, battery_pct)
        yield row
        if random.random() < REPEAT_SHARE:
            yield row
        pause_s = random.uniform(*TUNNEL_S) if random.random() < TUNNEL_SHARE else random.uniform(3, 5)
        state.drive(pause_s)
        at_s += pause_s
        battery_pct = max(1.0, battery_pct - pause_s * DRAIN_PCT_S)


def _fix(name: str, state: _Van, centre: tuple[float, float], at_s: float, battery_pct: float) -> Row:
    random = state.random
    latitude, longitude = moved(
        *centre, north_m=state.north_m + random.gauss(0, NOISE_M), east_m=state.east_m + random.gauss(0, NOISE_M)
    )
    moving = state.speed_mps > 0 and state.standing_s <= 0
    return Row(
        name,
        round(at_s * 1000),
        round(latitude, 6),
        round(longitude, 6),
        round(min(TOP_MPS, max(0.0, state.speed_mps + random.gauss(0, 0.3))), 1) if moving else 0.0,
        round((state.heading_deg + random.gauss(0, 4)) % 360, 1) % 360 if moving else None,
        round(max(3.0, random.gauss(NOISE_M * 1.8, 2)), 1),
        round(battery_pct),
    )
