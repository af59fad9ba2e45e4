"""Many devices' batches in one transaction: whose each fix is, which are new, what they say of their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from waypost.directory.domain import assignment_at
from waypost.identity.domain import TrackingLimits
from waypost.kernel.errors import AppError
from waypost.platform.database import Connection
from waypost.tracking import clocks, domain, rejections, rows, trail
from waypost.tracking import storage_ingest as storage
from waypost.tracking.domain import IMPORTED, UNFIT, Fix, Flag, Order, Rejected, moment, ms_of
from waypost.tracking.judgement import NEIGHBOUR_MS
from waypost.tracking.rejections import Rejection
from waypost.tracking.reporter import Reporter
from waypost.tracking.storage_ingest import Device
from waypost.tracking.trail import Stored, Trail
from waypost.trips import service as trips
from waypost.trips.domain import Past, TripNotFound, run_of

WINDOW_GAP_MS = 6 * 3_600_000  # late fixes further apart than this are judged each with its own surroundings
_CLOCK_SKEW = int(Flag.CLOCK_SKEW)
_OWN_FLAGS = UNFIT | IMPORTED  # what no neighbour and no clock has to do with


def _nothing(_index: int) -> bytes:
    return b""


Place: TypeAlias = tuple[int, int, int]
TripKey: TypeAlias = tuple[UUID, UUID]  # organisation, trip


@dataclass(slots=True, eq=False)
class Batch:
    """What one device reported at once, screened; a try to book it fills in the second half.

    ``is_history``: an import, whose fixes are never live and say themselves whose they are. ``records``: the text of
    those rejected, by index.
    """

    reporter: Reporter
    received_ms: int
    limits: TrackingLimits
    screened: list[Fix]
    refused: list[Rejected]
    repeats: int = 0
    named: UUID | None = None
    stream: str = ""
    sent_ms: int | None = None
    source: str = "api"
    is_history: bool = False
    records: Callable[[int], bytes] = _nothing

    is_distrusted: bool = False  # what is kept of the device is not what is stored
    tries: int = 0
    fixes: list[Fix] = field(default_factory=list)  # those that may be new
    rejected: list[Rejected] = field(default_factory=list)
    stored: list[Fix] = field(default_factory=list)
    error: AppError | None = None
    latest_ms: int | None = None  # of the device, once this is stored
    offset_ms: int | None = None  # its clock against ours, as this batch shows it

    @property
    def device(self) -> Device:
        return self.reporter.org_id, self.reporter.device_id

    def begin(self) -> None:
        """Begin a try: nothing that an earlier one has found out counts."""
        if self.tries:
            for fix in self.screened:
                fix.flags = fix.flags & _OWN_FLAGS | (_CLOCK_SKEW if fix.said_ms is not None else 0)
                if not self.is_history:
                    fix.trip_id = fix.destination_org_id = None
        self.tries += 1
        self.fixes, self.rejected, self.stored = self.screened, list(self.refused), []
        self.error = self.latest_ms = self.offset_ms = None


@dataclass(slots=True, eq=False)
class Work:
    """A device's batches of one transaction."""

    device: Device
    batches: list[Batch]
    newest_raw_ms: int | None
    trail: Trail
    is_known: bool  # is the trail what the stored fixes say?
    position_before: Order | None = None
    changed: list[tuple[Stored, int]] = field(default_factory=list)
    best: Fix | None = None  # the device's new position, if there is one
    is_reset: bool = False

    @property
    def received_ms(self) -> int:
        return self.batches[-1].received_ms


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


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A trip of which verdicts have changed. ``times``: of its fixes that turned out to be jumps."""

    destination_org_id: UUID | None
    times: list[int]


@dataclass(frozen=True, slots=True)
class Booked:
    """What a transaction did, for who tells of it after the commit."""

    works: Sequence[Work]
    trips_moved: Collection[UUID]
    trips_reset: Mapping[TripKey, Fix | None]
    withdrawn: Mapping[TripKey, Withdrawn]
    vehicles: Mapping[UUID, tuple[str | None, datetime | None]]


async def book(conn: Connection, batches: Sequence[Batch]) -> Booked:
    """Store what is new of these batches, in the caller's transaction (the system scope).

    A batch that names a trip which is not its driver's gets its ``error`` and stores nothing; any other failure is the
    whole transaction's.
    """
    for batch in batches:
        batch.begin()
    works = await _take_turns(conn, batches)
    for work in works:
        for batch in work.batches:
            _set_times(batch, work.trail)
    await _say_whose(conn, works)
    await _drop_known_keys(conn, works)
    for work in works:
        await _judge(conn, work)
        _see_positions(work)
    changes = [(work.device, fix, flags) for work in works for fix, flags in work.changed]
    withdrawn = await _change_flags(conn, works, changes) if changes else {}
    if withdrawn:
        await storage.lock_trip_positions(conn, withdrawn)
    encoded = [rows.encode(*work.device, batch.received_ms, batch.stored) for work in works for batch in work.batches]
    if any(encoded):
        await storage.add_fixes(conn, encoded)
    trips_moved, vehicles = await storage.settle(conn, _trails(works), _moves(works), _trip_moves(works))
    trips_reset = await _reset(conn, works, withdrawn)
    if refused := _rejections(batches):
        await rejections.add(conn, refused)
    return Booked(works, trips_moved, trips_reset, withdrawn, vehicles)


async def _take_turns(conn: Connection, batches: Sequence[Batch]) -> list[Work]:
    by_device: dict[Device, list[Batch]] = {}
    for batch in batches:
        by_device.setdefault(batch.device, []).append(batch)
    tracks = await storage.lock_tracks(conn, list(by_device))
    works = []
    for device, own in by_device.items():
        newest_raw_ms, kept = tracks[device]
        is_known = kept is not None and not any(batch.is_distrusted for batch in own)
        work = Work(device, own, newest_raw_ms, kept or Trail(), is_known=is_known)
        work.position_before = work.trail.position
        works.append(work)
    return works


def _set_times(batch: Batch, of_device: Trail) -> None:
    """The time that counts of each fix, by how the stream's clock goes."""
    offset_ms = 0
    if batch.sent_ms is not None:
        batch.offset_ms = batch.received_ms - batch.sent_ms
        samples = clocks.with_sample(of_device.clocks.get(batch.stream, ()), batch.offset_ms)
        offset_ms = clocks.steady_offset_ms(samples)
        of_device.note_clock(batch.stream, samples)
    batch.fixes, rejected = domain.timed(batch.fixes, batch.received_ms, offset_ms, batch.limits)
    batch.rejected += rejected


async def _say_whose(conn: Connection, works: Sequence[Work]) -> None:
    """Give each fix its driver, its vehicle and its trip: those of its own time."""
    wanted = []
    for work in works:
        times = [fix.recorded_ms for batch in work.batches if not batch.is_history for fix in batch.fixes]
        if times:
            driver_id = work.batches[0].reporter.driver_id
            wanted.append((*work.device, driver_id, moment(min(times)), moment(max(times))))
    pasts = await trips.pasts_of(conn, wanted) if wanted else {}
    for work in works:
        past = pasts.get(work.device) or Past([], {})
        for batch in work.batches:
            if batch.named is not None:
                await _check_named(conn, batch, past)
            if batch.fixes and not batch.is_history:
                _place(batch, past)


def _place(batch: Batch, past: Past) -> None:
    """Nearly always one driver, one truck, and one trip or none have all of a batch."""
    device_id = batch.reporter.device_id
    times = [fix.recorded_ms for fix in batch.fixes]
    first, last = moment(min(times)), moment(max(times))
    assignments = past.assignments or list(filter(None, [batch.reporter.assignment(first)]))
    then = assignments[0] if len(assignments) == 1 else None
    own = past.runs.get(then.driver_id, ()) if then else ()
    is_one = then is not None and len(own) <= 1 and all(run.holds(first) and run.holds(last) for run in own)
    run = own[0] if own else None
    for fix in batch.fixes:
        if not is_one:
            at = moment(fix.recorded_ms)
            then = assignment_at(assignments, at)
            run = run_of(past.runs.get(then.driver_id, ()), at, batch.named) if then else None
        fix.driver_id = then.driver_id if then else None
        fix.vehicle_id = (then.truck_id if then else None) or device_id
        if run is not None:
            fix.trip_id, fix.destination_org_id = run.trip_id, run.destination_org_id


async def _check_named(conn: Connection, batch: Batch, past: Past) -> None:
    """``TripNotFound`` unless the trip is one of these drivers': who has the device, or had it at a fix's time."""
    drivers = {batch.reporter.driver_id} if not past.assignments else {one.driver_id for one in past.assignments}
    if batch.named is None or any(run.trip_id == batch.named for runs in past.runs.values() for run in runs):
        return
    for driver_id in drivers:
        with suppress(TripNotFound):
            await trips.visible(conn, batch.reporter.principal(driver_id), batch.named)
            return
    batch.error = TripNotFound()
    batch.fixes, batch.rejected = [], []


async def _drop_known_keys(conn: Connection, works: Sequence[Work]) -> None:
    """Of a client's own key the first fix stays, whatever a later one says."""
    keys = [
        (*work.device, fix.key, moment(batch.received_ms))
        for work in works
        for batch in work.batches
        for fix in batch.fixes
        if fix.key is not None
    ]
    if not keys:
        return
    fresh = await storage.add_keys(conn, keys)
    for work in works:
        for batch in work.batches:
            batch.fixes = [fix for fix in batch.fixes if fix.key is None or _take(fresh, (*work.device, fix.key))]


def _take(fresh: set[tuple[UUID, UUID, str]], key: tuple[UUID, UUID, str]) -> bool:
    """Once: two batches of one transaction may hold one key."""
    if key in fresh:
        fresh.discard(key)
        return True
    return False


async def _judge(conn: Connection, work: Work) -> None:
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
    tail = work.trail.tail if work.is_known else []
    end = tail[-1].raw_ms if tail else newest  # the newest that could be a neighbour
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


def _see_positions(work: Work) -> None:
    """In the order of their coming: which fixes are late, where each batch leaves the device, and the best of all."""
    position = work.trail.position
    for batch in work.batches:
        before = position
        for fix in batch.stored:
            fix.late = before is not None and fix.recorded_ms <= before[0]
            if not batch.is_history and fix.is_good and (position is None or fix.order > position):
                position, work.best = fix.order, fix
        batch.latest_ms = position[0] if position else None
    work.trail.position = position


async def _change_flags(
    conn: Connection, works: Sequence[Work], changes: Sequence[storage.Flagged]
) -> dict[TripKey, Withdrawn]:
    """Write the verdicts that have changed; per trip what became of those that it had."""
    of_device = {work.device: work for work in works}
    trips_changed: dict[TripKey, Withdrawn] = {}
    for row in await storage.set_flags(conn, changes):
        of_device[row["org_id"], row["device_id"]].is_reset = True
        if row["trip_id"] is not None:
            trip = row["org_id"], row["trip_id"]
            changed = trips_changed.setdefault(trip, Withdrawn(row["destination_org_id"], []))
            if row["flags"] & trail.JUMP:
                changed.times.append(ms_of(row["recorded_at"]))
    return trips_changed


def _moves(works: Iterable[Work]) -> list[storage.Move]:
    """Where each device is by now."""
    return [(work.device, work.best, moment(work.received_ms)) for work in works if work.best is not None]


def _trip_moves(works: Iterable[Work]) -> list[storage.Move]:
    """Where each trip is by now, as far as these batches know."""
    moves: dict[TripKey, storage.Move] = {}
    for work in works:
        org_id = work.device[0]
        for batch in work.batches:
            best: dict[UUID, Fix] = {}
            for fix in batch.stored if not batch.is_history else ():
                if fix.trip_id is not None and fix.is_good:
                    known = best.get(fix.trip_id)
                    if known is None or fix.recorded_ms > known.recorded_ms or fix.order > known.order:
                        best[fix.trip_id] = fix
            for trip_id, fix in best.items():
                move = moves.get((org_id, trip_id))
                if move is None or fix.order > move[1].order:
                    moves[org_id, trip_id] = (work.device, fix, moment(batch.received_ms))
    return list(moves.values())


async def _reset(conn: Connection, works: Sequence[Work], trips_too: Iterable[TripKey]) -> dict[TripKey, Fix | None]:
    """After changed verdicts: the newest of those that are good by now. In one order: no deadlock."""
    for work in works:
        if work.is_reset:
            work.best = await storage.reset_position(conn, work.device)
            work.trail.position = work.best.order if work.best else None
            for batch in work.batches:
                batch.latest_ms = work.best.recorded_ms if work.best else None
            await storage.settle(conn, _trails([work]), [], [])
    return {
        trip: await storage.reset_trip_position(conn, *trip) for trip in sorted(trips_too, key=lambda trip: trip[1])
    }


def _trails(works: Iterable[Work]) -> list[storage.Kept]:
    return [
        (work.device, work.newest_raw_ms, work.trail)
        for work in works
        if any(batch.stored or batch.sent_ms is not None for batch in work.batches) and work.is_known
    ]


def _rejections(batches: Iterable[Batch]) -> list[Rejection]:
    return [
        Rejection(
            *batch.device, moment(batch.received_ms), batch.source, str(one.reason), one.detail,
            batch.records(one.index),
        )
        for batch in batches
        for one in batch.rejected
    ]  # fmt: skip
