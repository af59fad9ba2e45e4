"""Which fixes are new, and what they and the stored ones around them say of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from waypost.platform.database import Connection
from waypost.tracking import storage_ingest as storage
from waypost.tracking import trail
from waypost.tracking.domain import Fix
from waypost.tracking.judgement import NEIGHBOUR_MS
from waypost.tracking.work import Work

WINDOW_GAP_MS = 6 * 3_600_000  # late fixes further apart than this are judged each with its own surroundings
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
    return known


async def _windows(conn: Connection, work: Work, fixes: Sequence[Fix]) -> list[Window]:
    """The spans to read around fixes that came late, none of which overlaps another.

    Of a device whose trail is not known the newest that is stored is read too, so that it is known from now on.
    """
    newest = work.newest_raw_ms
    clusters: list[tuple[int, int, list[Fix]]] = []
    for fix in fixes:
        if clusters and fix.raw_ms - clusters[-1][1] <= WINDOW_GAP_MS:
            clusters[-1] = (clusters[-1][0], fix.raw_ms, [*clusters[-1][2], fix])
        else:
            clusters.append((fix.raw_ms, fix.raw_ms, [fix]))
    if not work.is_known and newest is not None and newest > clusters[-1][1]:
        clusters.append((newest, newest, []))
    windows: list[Window] = []
    end = newest  # that could be a neighbour
    if work.is_known:
        end = work.trail.tail[-1].raw_ms if work.trail.tail else None
    last_before = 0
    for first_ms, last_ms, late in clusters:
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
        windows.append(replace(found, reaches=end is None or end <= found.to_ms))
        last_before = last_ms
    return windows
