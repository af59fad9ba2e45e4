"""Which fixes are new, and what they and the stored ones around them say of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from waypost.platform.database import Connection
from waypost.tracking import storage_ingest as storage
from waypost.tracking import trail
from waypost.tracking.domain import IMPORTED, UNFIT, Fix
from waypost.tracking.judgement import NEIGHBOUR_MS
from waypost.tracking.work import Work

WINDOW_GAP_MS = 1_800_000  # late fixes further apart than this are judged each with its own surroundings
Place: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A span of a device's stored fixes, to be judged with those that came late into it.

    ``starts``, ``ends``: nothing that could be a neighbour is before, after it; ``reaches``: it holds the newest.
    """

    from_ms: int
    to_ms: int
    starts: bool
    ends: bool
    late: Sequence[Fix]
    reaches: bool = False


async def judge(conn: Connection, work: Work) -> None:
    """Find out which fixes are new and what their neighbours say of them, and of the neighbours themselves."""
    if not work.is_known:
        work.newest_raw_ms, work.trail.position = await storage.stored_of(conn, work.device)
        work.position_before = work.trail.position
    seen: set[Place] = set()
    fixes: list[Fix] = []
    for batch in work.batches:
        for fix in batch.fixes:
            if fix.place_key not in seen:
                seen.add(fix.place_key)
                fixes.append(fix)
                batch.stored.append(fix)
    if not fixes:
        return
    fixes = trail.in_order(fixes)
    newest = work.newest_raw_ms
    max_mps = work.batches[0].limits.max_speed_mps
    is_newer = newest is None or fixes[0].raw_ms > newest
    is_newer = is_newer and not any(batch.is_history for batch in work.batches)
    if not (is_newer and (work.is_known or newest is None) and trail.extend(work.trail, fixes, max_mps)):
        known = await _join_stored(conn, work, fixes, max_mps)
        for batch in work.batches:
            batch.stored = [fix for fix in batch.stored if fix.place_key not in known]
    work.is_known = True
    work.newest_raw_ms = max(fixes[-1].raw_ms, newest or 0)


async def _join_stored(conn: Connection, work: Work, fixes: Sequence[Fix], max_mps: float) -> set[Place]:
    """Judge together with what is stored around them; which of them are stored already."""
    known: set[Place] = set()
    for window in await _windows(conn, work, fixes):
        stored = await storage.stored_between(conn, work.device, window.from_ms, window.to_ms)
        places = {(fix.raw_ms, fix.latitude_e7, fix.longitude_e7) for fix in stored}
        fresh = [fix for fix in window.late if fix.place_key not in places]
        known |= places
        if fresh or not work.is_known:
            changed = trail.join(
                work.trail,
                stored,
                fresh,
                max_mps,
                starts=window.starts,
                ends=window.ends or window.reaches,
                reaches=window.reaches,
            )
            work.changed += changed
            trail.judge_imported(stored, [fix for fix in fresh if fix.flags & IMPORTED], max_mps)
    return known


async def _windows(conn: Connection, work: Work, fixes: Sequence[Fix]) -> list[Window]:
    """The spans to read around fixes that came late, none of which overlaps another.

    Of a device whose trail is not known the newest that is stored is read too, so that it is known from now on.
    """
    newest = work.newest_raw_ms
    clusters: list[list[Fix]] = []
    for fix in fixes:
        if clusters and fix.raw_ms - clusters[-1][-1].raw_ms <= WINDOW_GAP_MS:
            clusters[-1].append(fix)
        else:
            clusters.append([fix])
    spans = [(cluster[0].raw_ms, cluster[-1].raw_ms, cluster) for cluster in clusters]
    if not work.is_known and newest is not None and newest > fixes[-1].raw_ms:
        spans.append((newest, newest, []))
    windows: list[Window] = []
    # The newest that is, or may be, fit to be a neighbour: in its window the trail ends.
    stored_fit = [fix.raw_ms for fix in work.trail.tail[-1:]] if work.is_known else [newest or 0]
    end = max([*stored_fit, *(fix.raw_ms for fix in fixes if not fix.flags & UNFIT)], default=0)
    last_before = 0
    for first_ms, last_ms, late in spans:
        found = Window(*await storage.window(conn, work.device, first_ms, last_ms), late)
        before = windows[-1] if windows else None
        # With too few stored between them to fill either's surroundings, two clusters are neighbours of each other.
        is_near = before is not None and before.ends and first_ms - last_before <= NEIGHBOUR_MS
        if before is not None and (is_near or found.from_ms <= before.to_ms):
            windows.pop()
            found = Window(
                before.from_ms,
                max(found.to_ms, before.to_ms),
                before.starts,
                found.ends,
                [*before.late, *late],
            )
        windows.append(replace(found, reaches=found.from_ms <= end <= found.to_ms))
        last_before = last_ms
    return windows
