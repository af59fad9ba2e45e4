"""When each row of a recording is sent, as if it happened now. Pure: seconds from the start of the replay.

Two times belong to a row. Its *stamp* is its recorded time moved and scaled. It is *sent* at its stamp, but never
before the rows that stand before it in the file: so a row that was late when recorded is late again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, count, pairwise
from math import inf
from statistics import median
from typing import NamedTuple

from waypost.replay.geometry import distance_m
from waypost.replay.recordings import Recording
from waypost.replay.rows import Row

FASTEST = 60.0
PLAUSIBLE_MPS = 60.0  # a server may take movement above 70 m/s for a jump and keep it out of its live view
USUAL_SHARE = 0.95  # of the movement in a recording that must stay plausible


class Slot(NamedTuple):
    """One row on the replay's time line: both in seconds from its start; ``stamp_s`` <= ``send_s``."""

    send_s: float
    stamp_s: float
    row: Row


@dataclass(frozen=True, slots=True)
class Timing:
    """How recordings are played. ``max_gap_s`` (of the replay, not of the recording) shortens longer silences."""

    speed: float = 1.0
    max_gap_s: float | None = None
    loop: bool = False


def offsets_s(recorded_ms: Sequence[int], origin_ms: int, timing: Timing) -> list[float]:
    """The stamp of each row, in file order: (recorded - origin) / speed, silences beyond ``max_gap_s`` cut short.

    Rows before the origin get a stamp before the start. Equal times stay equal, and no two change their order.
    """
    scale = 1000 * timing.speed
    if timing.max_gap_s is None:
        return [(recorded - origin_ms) / scale for recorded in recorded_ms]
    limit_ms = timing.max_gap_s * scale
    times_ms = sorted({origin_ms, *recorded_ms})
    steps_ms = (min(after - before, limit_ms) for before, after in pairwise(times_ms))
    kept_ms = dict(zip(times_ms, accumulate(steps_ms, initial=0.0), strict=True))
    return [(kept_ms[recorded] - kept_ms[origin_ms]) / scale for recorded in recorded_ms]


def slots(recording: Recording, stamps_s: Sequence[float], *, begin_s: float, period_s: float | None) -> Iterator[Slot]:
    """The recording's rows from ``begin_s`` on; again every ``period_s``, without end, unless that is None."""
    sends_s = list(accumulate(stamps_s, max, initial=0.0))[1:]
    for lap in count() if period_s is not None else (0,):
        shift_s = begin_s + lap * (period_s or 0.0)
        for at, (send_s, stamp_s) in enumerate(zip(sends_s, stamps_s, strict=True)):
            yield Slot(send_s + shift_s, stamp_s + shift_s, recording.row(at))


def play(group: Sequence[Recording], timing: Timing, spreads_s: Sequence[float] | None = None) -> list[Iterator[Slot]]:
    """The time lines of a file's recordings, one each.

    With ``spreads_s`` each recording begins by itself, that many seconds after the start; without, they keep the times
    between them. Looping, a file that is kept together begins again when its last recording has ended.
    """
    if spreads_s is not None:
        return [_alone(recording, timing, spread_s) for recording, spread_s in zip(group, spreads_s, strict=True)]
    origin_ms = min(recording.recorded_ms[0] for recording in group)
    stamps = [offsets_s(recording.recorded_ms, origin_ms, timing) for recording in group]
    period_s = _period_s(chain.from_iterable(stamps)) if timing.loop else None
    return [slots(recording, stamps_s, begin_s=0.0, period_s=period_s)
            for recording, stamps_s in zip(group, stamps, strict=True)]  # fmt: skip


def live(rows: Iterator[Row], begin_s: float) -> Iterator[Slot]:
    """Rows that are made as they are needed, their times counted from 0: each at its own time after ``begin_s``."""
    for row in rows:
        at_s = begin_s + row.recorded_ms / 1000
        yield Slot(at_s, at_s, row)


def _alone(recording: Recording, timing: Timing, begin_s: float) -> Iterator[Slot]:
    stamps_s = offsets_s(recording.recorded_ms, recording.recorded_ms[0], timing)
    return slots(recording, stamps_s, begin_s=begin_s, period_s=_period_s(stamps_s) if timing.loop else None)


def _period_s(stamps_s: Iterable[float]) -> float:
    """From one beginning to the next: the whole recording and a second, so that no two laps share a moment."""
    return max(chain((0.0,), stamps_s)) + 1.0


def auto_speed(group: Sequence[Recording], target_s: float = 4.0, plausible_mps: float | None = None) -> float:
    """The speed at which a file's usual spacing becomes about ``target_s`` seconds, within 1 to 60.

    With ``plausible_mps`` it is lower where most of the movement would otherwise look faster than that.
    """
    spacings_s = _spacings_s(group)
    wanted = median(spacings_s) / target_s if spacings_s else 1.0
    if plausible_mps is not None:
        usual_mps = _usual_mps(group)
        wanted = min(wanted, plausible_mps / usual_mps if usual_mps > 0 else inf)
    return min(max(wanted, 1.0), FASTEST)


def _spacings_s(group: Sequence[Recording]) -> list[float]:
    """Between neighbours in time of each recording, those at one moment left out."""
    return [(after - before) / 1000
            for recording in group
            for ordered in (sorted(set(recording.recorded_ms)),)
            for before, after in pairwise(ordered)]  # fmt: skip


def _usual_mps(group: Sequence[Recording]) -> float:
    """The speed that `USUAL_SHARE` of the moves between neighbours in the file stay under; standing apart."""
    speeds_mps = sorted(
        moved_m * 1000 / (after.recorded_ms - before.recorded_ms)
        for recording in group
        for before, after in pairwise(recording)
        if after.recorded_ms > before.recorded_ms and (moved_m := distance_m(before, after)) > 0
    )
    return speeds_mps[int(len(speeds_mps) * USUAL_SHARE)] if speeds_mps else 0.0
