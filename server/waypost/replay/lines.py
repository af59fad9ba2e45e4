"""From what was asked for to one time line a vehicle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from random import Random

from waypost.replay.recordings import Recording
from waypost.replay.simulate import HARARE, van
from waypost.replay.timeline import PLAUSIBLE_MPS, Slot, Timing, auto_speed, live, play

SPREAD_S = 10.0  # over which vehicles that all begin at once do so


@dataclass(frozen=True, slots=True)
class Program:
    """What is played, and how. ``speed`` None means one for each file, by `auto_speed`."""

    files: tuple[Path, ...] = ()
    vehicles: int | None = None
    speed: float | None = None
    align: bool = False
    loop: bool = False
    max_gap_s: float | None = None
    fix_every_s: float | None = None  # speed by file: fixes come about that often, plausible or not
    simulate: int = 0
    centre: tuple[float, float] = HARARE  # latitude, longitude of the simulated vans


def van_names(vans: int) -> list[str]:
    """What the simulated vans are called."""
    return [f"van-{number:02}" for number in range(1, vans + 1)]


def recorded_lines(
    recordings: Sequence[Recording], program: Program, random: Random, say: Callable[[str], None]
) -> list[Iterator[Slot]]:
    """A time line for each recording, in their order; ``say`` is told the speed of each file."""
    lines: dict[str, Iterator[Slot]] = {}
    for source, members in groupby(sorted(recordings, key=lambda r: str(r.source)), key=lambda r: r.source):
        group = list(members)
        names = [recording.name for recording in group]
        speed = _speed(group, program)
        say(f"{source.name}: {len(group)} vehicles at {speed:.3g} times the recorded speed")
        spreads_s = [random.uniform(0, SPREAD_S) for _ in group] if program.align else None
        timing = Timing(speed, program.max_gap_s, program.loop)
        lines.update(zip(names, play(group, timing, spreads_s), strict=True))
    return [lines[recording.name] for recording in recordings]


def simulated_lines(program: Program, random: Random) -> list[Iterator[Slot]]:
    """An endless time line for each simulated van."""
    lines = []
    for name in van_names(program.simulate):
        own = Random(random.getrandbits(64))  # noqa: S311 - movement, not a secret
        lines.append(live(van(name, own, program.centre), random.uniform(0, SPREAD_S)))
    return lines


def _speed(group: Sequence[Recording], program: Program) -> float:
    if program.speed is not None:
        return program.speed
    if program.fix_every_s is not None:
        return auto_speed(group, target_s=program.fix_every_s)
    return auto_speed(group, plausible_mps=PLAUSIBLE_MPS)
