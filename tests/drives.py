"""Drives that hypothesis makes up: what a device may have measured, and in what order and pieces it may come."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hypothesis import strategies as st

from waypost.tracking.domain import Fix, Flag
from waypost.tracking.judgement import NEIGHBOUR_MS as DAY
from waypost.tracking.judgement import SLOT_MS

HOUR = 3_600_000
FAR_E7, EDGE_E7 = 9_000_000, 1_800_000_000
T = 1_760_000_000_000 // SLOT_MS * SLOT_MS


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fix to be: so long after a beginning, so far from a place. ``flags``: those that it has by itself."""

    ms: int
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None = None
    speed_mps: float | None = None
    flags: int = 0

    def fix(self) -> Fix:
        """As it is screened, ``T`` being the beginning."""
        return Fix(
            0, T + self.ms, self.latitude_e7, self.longitude_e7, self.accuracy_m, self.speed_mps, None, None, None,
            self.flags, None, recorded_ms=T + self.ms,
        )  # fmt: skip


# Steps from one fix to the next: none, around a second, around ten minutes, around a day, and long silences.
SHORT = st.one_of(
    st.sampled_from([0, 0, 1, 999, 1000, 1001]),
    st.integers(0, 90_000),
    st.sampled_from([SLOT_MS - 1, SLOT_MS, SLOT_MS + 1, SLOT_MS // 2]),
    st.sampled_from([HOUR, 6 * HOUR, 6 * HOUR + 1, 7 * HOUR]),
)
GAPS = SHORT | st.sampled_from([23 * HOUR, DAY - 1, DAY, DAY + 1, 3 * DAY, 14 * DAY])
LATITUDES = st.one_of(
    st.sampled_from([0, 0, 0, 500, 1000, 5000, 60_000]), st.integers(0, 3000), st.sampled_from([FAR_E7, 2 * FAR_E7])
)
LONGITUDES = st.sampled_from([0, 0, 0, 0, 2000, FAR_E7, EDGE_E7, -EDGE_E7])
ACCURACIES = st.sampled_from([None, None, 5.0, 30.0, 150.0])
SPEEDS = st.sampled_from([None, None, 0.0, 0.5, 12.0, 40.0])
FLAGS = st.sampled_from([0, 0, 0, 0, 0, int(Flag.CLOCK_SKEW), int(Flag.MOCK), int(Flag.POOR_ACCURACY)])


@st.composite
def drives(draw: st.DrawFn, largest: int = 50, *, least: int = 0, longest_ms: int | None = None) -> list[Drawn]:
    """A device's fixes in order, no two of one time and place. Few kinds of steps make a drive; many make a mess."""
    gaps = st.sampled_from(draw(st.lists(GAPS, min_size=1, max_size=6)))
    step = st.tuples(gaps, LATITUDES, LONGITUDES, ACCURACIES, SPEEDS, FLAGS)
    steps = draw(st.lists(step, min_size=least, max_size=largest))
    times = accumulate((step[0] for step in steps), initial=draw(st.sampled_from([0, 1, SLOT_MS - 1, SLOT_MS // 2])))
    found = {
        (ms, step[1], step[2]): Drawn(ms, *step[1:])
        for ms, step in zip(times, steps, strict=False)
        if longest_ms is None or ms <= longest_ms
    }
    return list(found.values())


ORDERS = ["as it was", "backwards", "any", "a few late", "halves"]


@st.composite
def deliveries(
    draw: st.DrawFn, largest: int = 50, *, least: int = 0, longest_ms: int | None = None
) -> tuple[list[Drawn], list[list[Drawn]]]:
    """A drive, and the batches in which it comes: shuffled in one way or another, in any sizes, some of it again."""
    drive = draw(drives(largest, least=least, longest_ms=longest_ms))
    chance = draw(st.randoms(use_true_random=False))
    order = _shuffled(drive, draw(st.sampled_from(ORDERS)), chance)
    batches = list(_batches(order, draw(st.lists(st.integers(1, 12), max_size=20))))
    for number in draw(st.lists(st.integers(0, 20), max_size=3)):
        if batches:
            batches.insert(chance.randrange(len(batches) + 1), batches[number % len(batches)])
    return drive, batches


def _shuffled(drive: Sequence[Drawn], how: str, chance: random.Random) -> list[Drawn]:
    order = list(drive)
    if how == "backwards":
        return order[::-1]
    if how == "any":
        chance.shuffle(order)
    if how == "a few late":
        for _ in range(min(3, len(order))):
            order.append(order.pop(chance.randrange(len(order))))
    if how == "halves":
        return order[1::2] + order[::2]
    return order


def _batches(order: Sequence[Drawn], sizes: Sequence[int]) -> Iterator[list[Drawn]]:
    rest, left = list(order), list(sizes)
    while rest:
        size = left.pop() if left else 7
        yield rest[:size]
        rest = rest[size:]
