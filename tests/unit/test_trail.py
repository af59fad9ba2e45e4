"""However a device's fixes are split and shuffled, the verdicts on them, and what is kept of it, are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.drives import DAY, FAR_E7, Drawn, T, deliveries, drives
from waypost.tracking.domain import UNFIT, Fix, Flag
from waypost.tracking.judgement import CONTEXT, SLOT_MS, Anchor, drift, jumps
from waypost.tracking.trail import MAX_STREAMS, Stored, Trail, extend, in_order, join

MAX_MPS = 70.0
READ = 2 * CONTEXT  # neighbours on each side, as the storage reads them
REACH_MS = (READ + 1) * DAY
Place = tuple[int, int, int]


@dataclass
class Store:
    """What stands for the table: reads around late fixes as few neighbours as the storage does."""

    rows: dict[Place, Stored] = field(default_factory=dict)
    trail: Trail = field(default_factory=Trail)
    newest: int | None = None
    joins: int = 0

    def add(self, batch: Sequence[Drawn]) -> None:
        fresh = {fix.place_key: fix for fix in (one.fix() for one in batch) if fix.place_key not in self.rows}
        fixes = in_order(fresh.values())
        if not fixes:
            return
        self.trail = msgspec.msgpack.decode(msgspec.msgpack.encode(self.trail), type=Trail)
        is_newer = self.newest is None or fixes[0].raw_ms > self.newest
        if not (is_newer and extend(self.trail, fixes, MAX_MPS)):
            self._join(fixes)
        for fix in fixes:
            self.rows[fix.place_key] = _stored(fix)
        self.newest = max(self.newest or 0, fixes[-1].raw_ms)

    def _join(self, fixes: list[Fix]) -> None:
        self.joins += 1
        rows = self.ordered()
        fit = [row for row in rows if not row.flags & UNFIT]
        first_ms, last_ms = fixes[0].raw_ms, fixes[-1].raw_ms
        before = [row.raw_ms for row in fit if first_ms - REACH_MS <= row.raw_ms < first_ms][-READ:]
        after = [row.raw_ms for row in fit if last_ms < row.raw_ms <= last_ms + REACH_MS][:READ]
        from_ms = (before[0] if before else first_ms) // SLOT_MS * SLOT_MS
        to_ms = ((after[-1] if after else last_ms) // SLOT_MS + 1) * SLOT_MS - 1
        around = [row for row in rows if from_ms <= row.raw_ms <= to_ms]
        reaches = not self.trail.tail or self.trail.tail[-1].raw_ms <= to_ms
        starts, ends = len(before) < READ, len(after) < READ or reaches
        for row, flags in join(self.trail, around, fixes, MAX_MPS, starts=starts, ends=ends, reaches=reaches):
            self.rows[_place(row)] = msgspec.structs.replace(row, flags=flags)

    def ordered(self) -> list[Stored]:
        return sorted(self.rows.values(), key=_place)

    def flags(self) -> dict[Place, int]:
        return {place: row.flags for place, row in self.rows.items()}


def _place(row: Stored) -> Place:
    return row.raw_ms, row.latitude_e7, row.longitude_e7


def _stored(fix: Fix) -> Stored:
    return Stored(*fix.place_key, fix.accuracy_m, fix.speed_mps, fix.flags)


def judged_at_once(drive: Sequence[Drawn]) -> tuple[dict[Place, int], Trail]:
    """The verdicts on the whole set, straight from the rules; and what should be kept of it."""
    fixes = in_order(one.fix() for one in drive)
    fit = [fix for fix in fixes if not fix.flags & UNFIT]
    anchor: Anchor | None = None
    for fix, is_jump in zip(fit, jumps(fit, MAX_MPS), strict=True):
        if is_jump:
            fix.flags |= Flag.SPEED_JUMP
            continue
        is_drift, anchor = drift(fix, anchor)
        if is_drift:
            fix.flags |= Flag.DRIFT
    kept = (anchor.slot, anchor.latitude_e7, anchor.longitude_e7) if anchor else None
    return {fix.place_key: fix.flags for fix in fixes}, Trail([_stored(fix) for fix in fit[-CONTEXT:]], kept)


def check(drive: list[Drawn], batches: list[list[Drawn]]) -> Store:
    flags, trail = judged_at_once(drive)
    store = Store()
    for batch in batches:
        store.add(batch)
    wrong = [
        (place[0] - T, *place[1:], got, flags[place]) for place, got in store.flags().items() if got != flags[place]
    ]
    assert not wrong, f"(ms, latitude, longitude, found, expected): {sorted(wrong)}"
    assert store.flags().keys() == flags.keys()
    assert (_last_run(store.trail.tail), store.trail.anchor) == (_last_run(trail.tail), trail.anchor)
    return store


def _last_run(tail: Sequence[Stored]) -> list[Stored]:
    """Those since the last day's silence: what was before it is nobody's neighbour."""
    begins = [n for n in range(1, len(tail)) if tail[n].raw_ms - tail[n - 1].raw_ms > DAY]
    return list(tail[begins[-1] if begins else 0 :])


NO_HURRY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
A_JUMP = [Drawn(0, 0, 0), Drawn(1000, FAR_E7, 0), Drawn(2000, 0, 0)]
BEHIND_A_MOCK = [
    Drawn(0, 0, 0),
    Drawn(1000, FAR_E7, 0),
    Drawn(3_600_000, 0, 0, flags=int(Flag.MOCK)),
    Drawn(3_601_000, 0, 0),
]
TIES = [Drawn(0, n * 1000, 0, 150.0, 0.0) for n in range(5)]


@settings(max_examples=300, **NO_HURRY)
@given(deliveries())
@example((A_JUMP, [[fix] for fix in A_JUMP]))
@example((A_JUMP, [[fix] for fix in A_JUMP[::-1]]))
@example((BEHIND_A_MOCK, [BEHIND_A_MOCK[:1], BEHIND_A_MOCK[2:3], BEHIND_A_MOCK[1:2], BEHIND_A_MOCK[3:]]))
@example((TIES, [TIES[3:], TIES[:2], TIES[1:3]]))
def test_any_order_and_split_gives_the_same_flags_and_trail(delivered: tuple[list[Drawn], list[list[Drawn]]]):
    check(*delivered)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=20_000, **NO_HURRY)
@given(deliveries(90))
def test_any_order_and_split_gives_the_same_flags_and_trail_in_twenty_thousand_drives(
    delivered: tuple[list[Drawn], list[list[Drawn]]],
):
    check(*delivered)


def steady(count: int, *, every_ms: int = 5000, begin_ms: int = 0) -> list[Drawn]:
    """A drive at 12 m/s."""
    return [Drawn(begin_ms + n * every_ms, n * every_ms * 12 // 11, 0, 5.0, 12.0) for n in range(count)]


def test_a_drive_in_order_is_never_read_back():
    drive = steady(100)
    store = check(drive, [drive[n : n + 7] for n in range(0, 100, 7)])
    assert store.joins == 0
    assert set(store.flags().values()) == {0}


def test_a_fix_that_its_successor_shows_to_be_a_jump_is_flagged_then():
    store = Store()
    store.add([Drawn(0, 0, 0), Drawn(10_000, 0, 10)])
    store.add([Drawn(20_000, FAR_E7, 0)])
    assert set(store.flags().values()) == {0}
    store.add([Drawn(30_000, 0, 20)])
    assert [row.flags for row in store.ordered()] == [0, 0, Flag.SPEED_JUMP, 0]


def test_a_late_neighbour_can_lift_a_jump_and_make_one():
    store = Store()
    store.add([Drawn(0, 0, 0), Drawn(20_000, FAR_E7, 0), Drawn(40_000, 0, 20)])
    assert [row.flags for row in store.ordered()] == [0, Flag.SPEED_JUMP, 0]
    store.add([Drawn(25_000, FAR_E7, 10)])
    assert [row.flags for row in store.ordered()] == [0, 0, 0, 0]
    store.add([Drawn(30_000, 0, 15)])  # now it is two and two: each of the four was near one of its neighbours
    assert [row.flags for row in store.ordered()] == [0, 0, 0, 0, 0]
    store.add([Drawn(22_000, 2 * FAR_E7, 0)])
    assert [row.flags for row in store.ordered()] == [0, Flag.SPEED_JUMP, Flag.SPEED_JUMP, Flag.SPEED_JUMP, 0, 0]


def test_what_is_unfit_by_itself_is_nobodys_neighbour():
    store = Store()
    store.add([Drawn(0, 0, 0), Drawn(10_000, FAR_E7, 0, flags=Flag.MOCK), Drawn(20_000, 0, 20)])
    store.add([Drawn(15_000, FAR_E7, 0, 500.0, flags=Flag.POOR_ACCURACY)])
    assert [row.flags for row in store.ordered()] == [0, Flag.MOCK, Flag.POOR_ACCURACY, 0]


def test_other_flags_stay_when_a_verdict_changes():
    store = Store()
    skewed = int(Flag.CLOCK_SKEW)
    store.add([Drawn(0, 0, 0, flags=skewed), Drawn(10_000, FAR_E7, 0, flags=skewed)])
    store.add([Drawn(20_000, 0, 20, flags=skewed)])
    assert [row.flags for row in store.ordered()] == [skewed, skewed | Flag.SPEED_JUMP, skewed]


def test_a_late_fix_becomes_the_anchor_of_those_after_it():
    store = Store()
    store.add([Drawn(60_000, 0, 0, 30.0, 0.0), Drawn(120_000, 100, 0, 30.0, 0.0)])
    assert [row.flags for row in store.ordered()] == [0, Flag.DRIFT]
    store.add([Drawn(0, 200, 0, 30.0, 0.0)])
    assert [row.flags for row in store.ordered()] == [0, Flag.DRIFT, Flag.DRIFT]


def test_what_changes_a_stored_verdict_is_left_to_join_with_nothing_changed():
    trail = Trail()
    assert extend(trail, [one.fix() for one in (Drawn(0, 0, 0), Drawn(10_000, FAR_E7, 0))], MAX_MPS)
    before, late = msgspec.msgpack.encode(trail), Drawn(20_000, 0, 20).fix()
    assert not extend(trail, [late], MAX_MPS)
    assert (msgspec.msgpack.encode(trail), late.flags) == (before, 0)


def test_of_many_streams_the_clocks_heard_last_are_kept():
    trail = Trail()
    for number in range(10):
        trail.note_clock("first", [number])
        trail.note_clock(str(number), [number])
    assert list(trail.clocks) == ["7", "8", "first", "9"]
    assert len(trail.clocks) == MAX_STREAMS
    assert trail.clocks["first"] == [9]


@given(
    drives(12),
    st.none() | st.tuples(*[st.integers(0, 2**40)] * 4),
    st.dictionaries(st.text(), st.lists(st.integers(-(2**62), 2**62))),
)
def test_a_trail_is_kept_as_it_is(
    drive: list[Drawn], position: tuple[int, int, int, int] | None, clocks: dict[str, list[int]]
):
    _, trail = judged_at_once(drive)
    kept = Trail(trail.tail, trail.anchor, position, clocks)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Trail) == kept
