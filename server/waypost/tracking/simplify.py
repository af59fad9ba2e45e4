"""Leaving out fixes that a line through the others shows as well: in one pass, with two fixes in memory. Pure.

Sleeve fitting (Zhao and Saalfeld, "Linear-time sleeve-fitting polyline simplification algorithms", 1997). From the last
fix that was kept, each later one allows the directions in which a line passes it within the tolerance; a fix is kept as
soon as the next lies outside of what all before it allow, or nearer than one of them (the way turned back). So each fix
that is left out is within the tolerance of the line, straight in longitude and latitude, between the two kept around.
Which fixes are kept goes by place alone, not by time; the first and the last always are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from waypost.tracking.judgement import HALF_TURN_E7, METRES_PER_E7

LATITUDE, LONGITUDE = 3, 4  # where a row has them, in 1e-7 degree
# Within so much of the last kept fix a degree of longitude has one length, to half a per cent up to 60 degrees north.
LONGEST_M = 15_000.0
MARGIN = 0.99  # for that, and for rounding


class Simplifier:
    """Takes rows a part at a time and gives back those to keep; ``tolerance_m``: the most that a line may be off."""

    def __init__(self, tolerance_m: float) -> None:
        self._tolerance_m = tolerance_m * MARGIN
        self._anchor: Any = None  # the last one that was kept
        self._candidate: Any = None  # the last one that may still be left out
        self._scale = 1.0
        self._far_m = 0.0
        self._middle = self._half = 0.0  # directions that are allowed: middle ± half; half >= pi: all

    def feed(self, rows: Sequence[Any]) -> list[Any]:
        """The rows that are kept for sure, in order."""
        kept: list[Any] = []
        for row in rows:
            if self._anchor is None:
                self._keep(row)
                kept.append(row)
            elif not self._passes(row):
                kept.append(self._candidate)
                self._keep(self._candidate)
                self._passes(row)  # the first after a kept one always does, or is too far for any line
            self._candidate = row
        return kept

    def end(self) -> list[Any]:
        """The last row, where it is not kept yet."""
        last = [] if self._candidate is self._anchor else [self._candidate]
        self._anchor = self._candidate = None
        return last

    def _keep(self, row: Any) -> None:
        self._anchor = row
        self._scale = math.cos(math.radians(row[LATITUDE] / 1e7))
        self._far_m, self._half = 0.0, math.pi

    def _passes(self, row: Any) -> bool:
        """Can the line from the anchor end here? Then narrow what later ones may do by it."""
        east = row[LONGITUDE] - self._anchor[LONGITUDE]
        if abs(east) > HALF_TURN_E7:
            east -= math.copysign(2 * HALF_TURN_E7, east)
        x = east * self._scale * METRES_PER_E7
        y = (row[LATITUDE] - self._anchor[LATITUDE]) * METRES_PER_E7
        distance_m = math.hypot(x, y)
        if distance_m < self._far_m:
            return False
        if distance_m <= self._tolerance_m:
            return True  # as near to the anchor itself
        direction = math.atan2(y, x)
        off = math.remainder(direction - self._middle, math.tau)
        if self._half < math.pi and (abs(off) > self._half or distance_m > LONGEST_M):
            return False
        self._far_m = distance_m
        self._narrow(direction, off, math.asin(self._tolerance_m / distance_m))
        return True

    def _narrow(self, direction: float, off: float, reach: float) -> None:
        """To the directions that pass this one too."""
        if self._half >= math.pi:
            self._middle, self._half = direction, reach
            return
        low, high = max(-self._half, off - reach), min(self._half, off + reach)
        self._middle, self._half = self._middle + (low + high) / 2, (high - low) / 2
