"""Pure: what is kept of a device between its batches, and how new fixes join those that are there.

Nearly every batch is newer than all that came before: ``extend`` then judges it by the last few fixes, which are kept
beside the device. For any other the stored fixes around it are read, and ``join`` judges all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from waypost.tracking.domain import BY_ITSELF, UNFIT, Fix, Flag, Order
from waypost.tracking.judgement import CONTEXT, LOOK, Anchor, Point, drift, is_near_in_time, jumps

JUMP, DRIFT = int(Flag.SPEED_JUMP), int(Flag.DRIFT)
BY_NEIGHBOURS = JUMP | DRIFT
MAX_STREAMS = 4
REACH = LOOK + 2  # how many places from a new fix a verdict may change

_in_order = attrgetter("raw_ms", "latitude_e7", "longitude_e7")


class Stored(msgspec.Struct, array_like=True, gc=False):
    """What of a stored fix its neighbours are judged by."""

    raw_ms: int
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None
    speed_mps: float | None
    flags: int


class Trail(msgspec.Struct, array_like=True):
    """What is kept of a device. ``tail``: its last fixes that are fit to be neighbours, in order."""

    tail: list[Stored] = []
    anchor: tuple[int, int, int] | None = None  # slot, latitude, longitude
    position: Order | None = None  # of the newest good fix
    clocks: dict[str, list[int]] = {}  # stream -> its last offsets

    def note_clock(self, stream: str, samples: list[int]) -> None:
        """Keep a stream's last offsets; of many streams those heard last."""
        self.clocks.pop(stream, None)
        self.clocks[stream] = samples
        while len(self.clocks) > MAX_STREAMS:
            del self.clocks[next(iter(self.clocks))]


def in_order(fixes: Iterable[Fix]) -> list[Fix]:
    """By the device's own time, then by place."""
    return sorted(fixes, key=_in_order)


def extend(trail: Trail, fixes: Sequence[Fix], max_mps: float) -> bool:
    """Judge fixes, in order and newer than all that are stored, and take them into the trail.

    False, and nothing is changed, when they change the verdict on a stored one: then ``join`` must judge.
    """
    fresh = [fix for fix in fixes if not fix.flags & UNFIT]
    if not fresh:
        return True
    tail = trail.tail
    known = len(tail)
    chain: list[Point] = [*tail, *fresh]
    verdicts = jumps(chain, max_mps)
    if known and not _stands(tail, chain, verdicts):
        return False
    anchor = Anchor(*trail.anchor) if trail.anchor else None
    for fix, is_jump in zip(fresh, verdicts[known:], strict=True):
        if is_jump:
            fix.flags |= JUMP
        else:
            is_drift, anchor = drift(fix, anchor)
            if is_drift:
                fix.flags |= DRIFT
    _keep(trail, [*tail, *map(_stored, fresh[-CONTEXT:])], anchor)
    return True


def _stands(tail: Sequence[Stored], chain: Sequence[Point], verdicts: Sequence[bool]) -> bool:
    """Are the verdicts on the last stored fix, and on the first of its run, what they were?"""
    known = len(tail)
    if verdicts[known - 1] != bool(tail[-1].flags & JUMP) and is_near_in_time(chain[known - 1], chain[known]):
        return False
    begin = known - 1
    while begin > 0 and is_near_in_time(tail[begin - 1], tail[begin]):
        begin -= 1
    is_start = begin > 0 or known < CONTEXT
    return not is_start or verdicts[begin] == bool(tail[begin].flags & JUMP)


def _keep(trail: Trail, tail: list[Stored], anchor: Anchor | None) -> None:
    trail.tail = tail[-CONTEXT:]
    trail.anchor = (anchor.slot, anchor.latitude_e7, anchor.longitude_e7) if anchor else None


def join(
    trail: Trail,
    stored: Sequence[Stored],
    fresh: Sequence[Fix],
    max_mps: float,
    *,
    starts: bool,
    ends: bool,
    reaches: bool,
) -> list[tuple[Stored, int]]:
    """Judge fixes that came late, with the stored ones around them; which of those change, and to what flags.

    ``stored``: in order, from the beginning of ten minutes to the end of ten minutes, with 2 * CONTEXT neighbours on
    each side; ``starts``, ``ends``: nothing that could be a neighbour is stored before, after them; ``reaches``: they
    hold the newest, so the trail is brought up to date.
    """
    new = [fix for fix in fresh if not fix.flags & UNFIT]
    chain: list[Stored | Fix] = sorted([*(fix for fix in stored if not fix.flags & UNFIT), *new], key=_in_order)
    verdicts = _settled(chain, jumps(chain, max_mps), starts=starts, ends=ends)
    changed: list[tuple[Stored, int]] = []
    anchor: Anchor | None = None
    for point, is_jump in zip(chain, verdicts, strict=True):
        flags = point.flags & ~BY_NEIGHBOURS
        if is_jump:
            flags |= JUMP
        else:
            is_drift, anchor = drift(point, anchor)
            flags |= DRIFT if is_drift else 0
        if isinstance(point, Fix):
            point.flags = flags
        elif flags != point.flags:
            changed.append((point, flags))
    if reaches:
        after = {id(point): flags for point, flags in changed}
        last = [_stored(point, after.get(id(point))) for point in chain[-CONTEXT:]]
        _keep(trail, last, anchor)
    return changed


def judge_imported(stored: Sequence[Stored], fresh: Sequence[Fix], max_mps: float) -> None:
    """Judge what an import brings by all that is stored around it; of the stored ones it changes nothing."""
    fit = [fix for fix in fresh if not fix.flags & BY_ITSELF]
    chain: list[Stored | Fix] = sorted([*(one for one in stored if not one.flags & BY_ITSELF), *fit], key=_in_order)
    anchor: Anchor | None = None
    for point, is_jump in zip(chain, jumps(chain, max_mps), strict=True):
        verdict = JUMP
        if not is_jump:
            is_drift, anchor = drift(point, anchor)
            verdict = DRIFT if is_drift else 0
        if isinstance(point, Fix):
            point.flags |= verdict


def _settled(chain: Sequence[Stored | Fix], verdicts: list[bool], *, starts: bool, ends: bool) -> list[bool]:
    """The verdicts near the new fixes; elsewhere, where neighbours may not have been read, those that are stored."""
    near = _near_new(chain)
    last = len(chain) - 1
    for index, point in enumerate(chain):
        if isinstance(point, Fix):
            continue
        if index not in near or (index == 0 and not starts) or (index == last and not ends):
            verdicts[index] = bool(point.flags & JUMP)
    return verdicts


def _near_new(chain: Sequence[Stored | Fix]) -> set[int]:
    """The places whose verdict a new fix may change: few steps from it, and none of them over a day's silence."""
    near: set[int] = set()
    for steps in (range(len(chain)), range(len(chain) - 1, -1, -1)):
        left, before = 0, None
        for index in steps:
            point = chain[index]
            if isinstance(point, Fix):
                left = REACH + 1
            elif before is not None and not is_near_in_time(*sorted((before, point), key=_in_order)):
                left = 0
            if left:
                near.add(index)
                left -= 1
            before = point
    return near


def _stored(point: Stored | Fix, flags: int | None = None) -> Stored:
    return Stored(
        point.raw_ms,
        point.latitude_e7,
        point.longitude_e7,
        point.accuracy_m,
        point.speed_mps,
        point.flags if flags is None else flags,
    )
