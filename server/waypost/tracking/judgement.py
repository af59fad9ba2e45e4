"""Pure rules that look at a fix's neighbours: was it a jump, is it the drift of a parked phone?

The verdicts follow from the set of a device's fixes alone, never from the order in which they came: a late neighbour is
judged as if it had been there from the start. They are local too, so that few fixes need be read again for a late one:

- ``speed_jump`` looks at the neighbours in the order of the device's own time, not more than a day away;
- ``drift`` looks back to the last place that was none, within the same ten minutes of the clock, so that a parked
  vehicle's position is renewed every ten minutes.

Fixes whose own merits keep them out (poor accuracy, mock) are nobody's neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

METRES_PER_E7 = 0.011_131_949_079  # of a great circle, WGS 84 equator
HALF_TURN_E7 = 1_800_000_000
SHORTEST_MS = 1000  # phones tell whole seconds
NEIGHBOUR_MS = 86_400_000
SLOT_MS = 600_000
PARKED_MPS = 0.5
LOOK = 3  # how many neighbours a fix at an end may look past

# How many neighbours on each side decide about a fix, and are to be read with a late one.
CONTEXT = 6


class Place(Protocol):
    """Where something is."""

    @property
    def latitude_e7(self) -> int: ...
    @property
    def longitude_e7(self) -> int: ...


class Point(Place, Protocol):
    """What of a fix is judged."""

    @property
    def raw_ms(self) -> int: ...
    @property
    def accuracy_m(self) -> float | None: ...
    @property
    def speed_mps(self) -> float | None: ...


def metres(a: Place, b: Place) -> float:
    """Between two places; equirectangular, within 0.5 % up to 500 km."""
    dlon = abs(a.longitude_e7 - b.longitude_e7)
    if dlon > HALF_TURN_E7:
        dlon = 2 * HALF_TURN_E7 - dlon
    x = dlon * math.cos(math.radians((a.latitude_e7 + b.latitude_e7) / 2e7))
    return math.hypot(x, a.latitude_e7 - b.latitude_e7) * METRES_PER_E7


def implied_mps(a: Point, b: Point) -> float:
    """The least speed that explains two fixes: between the edges of their accuracy circles, over a second at least."""
    apart_m = metres(a, b) - (a.accuracy_m or 0) - (b.accuracy_m or 0)
    return max(apart_m, 0) / max(abs(b.raw_ms - a.raw_ms), SHORTEST_MS) * 1000


def is_too_fast(a: Point, b: Point, max_mps: float) -> bool:
    """Is ``b`` further from ``a`` than ``max_mps`` carries?"""
    took_ms = b.raw_ms - a.raw_ms
    reach_e7 = max_mps * (took_ms if took_ms > SHORTEST_MS else SHORTEST_MS) / (1000 * METRES_PER_E7)
    if abs(a.latitude_e7 - b.latitude_e7) + abs(a.longitude_e7 - b.longitude_e7) <= reach_e7:
        return False  # nearly always, and without trigonometry
    return implied_mps(a, b) > max_mps


def is_near_in_time(a: Point, b: Point) -> bool:
    return b.raw_ms - a.raw_ms <= NEIGHBOUR_MS


def jumps(chain: Sequence[Point], max_mps: float) -> list[bool]:
    """Which of the fixes, in order, are jumps. The first and the last of ``chain`` have no neighbour beyond it.

    Too fast from one neighbour and to the other; with one alone, too fast and at odds with the reported speed.
    """
    fast = [is_too_fast(a, b, max_mps) for a, b in pairwise(chain)]
    verdicts = [False] * len(chain)
    if True not in fast:
        return verdicts
    near = [is_near_in_time(a, b) for a, b in pairwise(chain)]
    for i in range(1, len(chain) - 1):
        verdicts[i] = fast[i - 1] and near[i - 1] and fast[i] and near[i]
    for begin, end in _runs(near, len(chain)):
        inner = verdicts[begin:end]
        run = chain[begin:end]
        verdicts[begin] = _first_is_jump(run, inner, max_mps)
        verdicts[end - 1] = _last_is_jump(run, inner, max_mps)
    return verdicts


def _runs(near: Sequence[bool], count: int) -> Iterable[tuple[int, int]]:
    begin = 0
    for index, together in enumerate(near):
        if not together:
            yield begin, index + 1
            begin = index + 1
    yield begin, count


def _last_is_jump(run: Sequence[Point], inner: Sequence[bool], max_mps: float) -> bool:
    """Judged by the last before it that is no jump."""
    for back in range(len(run) - 2, max(len(run) - 2 - LOOK, -1), -1):
        if not inner[back]:
            return _is_at_odds(run[-1], run[back], max_mps)
    return False


def _first_is_jump(run: Sequence[Point], inner: Sequence[bool], max_mps: float) -> bool:
    """Judged by the next that is no jump, if that one agrees with its own next: of two that differ the first stays."""
    following = [i for i in range(1, min(len(run), 1 + LOOK)) if not inner[i]][:1]
    for i in following:
        if i + 1 < len(run) and not is_too_fast(run[i], run[i + 1], max_mps):
            return _is_at_odds(run[0], run[i], max_mps)
    return False


def _is_at_odds(end: Point, neighbour: Point, max_mps: float) -> bool:
    implied = implied_mps(neighbour, end)
    return implied > max_mps and end.speed_mps is not None and 2 * end.speed_mps < implied


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last place that was no drift, and the ten minutes it holds for."""

    slot: int
    latitude_e7: int
    longitude_e7: int


def drift(point: Point, anchor: Anchor | None) -> tuple[bool, Anchor]:
    """Is it the drift of a parked phone, not out of its own accuracy circle? And the anchor for the next."""
    slot = point.raw_ms // SLOT_MS
    if (
        anchor is not None
        and anchor.slot == slot
        and point.accuracy_m is not None
        and (point.speed_mps is None or point.speed_mps < PARKED_MPS)
        and metres(anchor, point) < point.accuracy_m
    ):
        return True, anchor
    return False, Anchor(slot, point.latitude_e7, point.longitude_e7)
