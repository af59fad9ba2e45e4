"""Many devices' batches in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from waypost.platform.database import Connection
from waypost.tracking import clocks, domain, rejections, rows, trail
from waypost.tracking import storage_ingest as storage
from waypost.tracking.domain import Fix, moment, ms_of
from waypost.tracking.joining import judge
from waypost.tracking.placing import say_whose
from waypost.tracking.rejections import Rejection
from waypost.tracking.storage_ingest import Device
from waypost.tracking.trail import Trail
from waypost.tracking.work import Batch, Booked, TripKey, Withdrawn, Work


async def book(conn: Connection, batches: Sequence[Batch]) -> Booked:
    """Store what is new of these batches, in the caller's transaction (the system scope).

    Those of devices that another transaction is busy with are left for later: nothing waits here with locks held.
    A batch that names a trip which is not its driver's gets its ``error`` and stores nothing; any other failure is the
    whole transaction's.
    """
    for batch in batches:
        batch.begin()
    works = await _take_turns(conn, batches)
    for work in works:
        for batch in work.batches:
            _set_times(batch, work.trail)
    await say_whose(conn, works)
    await _drop_known_keys(conn, works)
    for work in works:
        await judge(conn, work)
        _see_positions(work)
    changes = [(work.device, fix, flags) for work in works for fix, flags in work.changed]
    withdrawn = await _change_flags(conn, works, changes) if changes else {}
    trip_moves = _trip_moves(works)
    if withdrawn:  # with those that move, in one order: no deadlock
        moving = {(org_id, fix.trip_id) for (org_id, _), fix, _ in trip_moves if fix.trip_id is not None}
        await storage.lock_trip_positions(conn, withdrawn.keys() | moving)
    encoded = [rows.encode(*work.device, batch.received_ms, batch.stored) for work in works for batch in work.batches]
    if any(encoded):
        await storage.add_fixes(conn, encoded)
    trips_moved, vehicles = await storage.settle(conn, _trails(works), _moves(works), trip_moves)
    trips_reset = await _reset(conn, works, withdrawn)
    if refused := _rejections([batch for work in works for batch in work.batches]):
        await rejections.add(conn, refused)
    return Booked(works, trips_moved, trips_reset, withdrawn, vehicles)


async def _take_turns(conn: Connection, batches: Sequence[Batch]) -> list[Work]:
    """Of the devices whose turn it is; a device that somebody else is busy with is left out."""
    by_device: dict[Device, list[Batch]] = {}
    for batch in batches:
        by_device.setdefault(batch.device, []).append(batch)
    tracks = await storage.lock_tracks(conn, list(by_device))
    works = []
    for device, (newest_raw_ms, kept) in tracks.items():
        own = by_device[device]
        is_known = kept is not None and not any(batch.is_distrusted for batch in own)
        work = Work(device, own, newest_raw_ms, kept or Trail(), is_known=is_known)
        work.position_before = work.trail.position
        works.append(work)
    return works


def _set_times(batch: Batch, of_device: Trail) -> None:
    """The time that counts of each fix, by how the stream's clock goes."""
    samples: Sequence[int] = of_device.clocks.get(batch.stream, ())
    if batch.sent_ms is not None and batch.fixes:
        batch.offset_ms = batch.received_ms - batch.sent_ms
        newest_ms = max(fix.raw_ms for fix in batch.fixes)
        if clocks.is_told_by(batch.sent_ms, newest_ms, batch.received_ms):
            samples = clocks.with_sample(samples, batch.offset_ms)
            of_device.note_clock(batch.stream, list(samples))
    offset_ms = clocks.steady_offset_ms(samples) if batch.sent_ms is not None else 0
    batch.fixes, rejected = domain.timed(batch.fixes, batch.received_ms, offset_ms, batch.limits)
    batch.rejected += rejected


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
    """With the text of those that will be kept; of the others only the number is."""
    found: list[Rejection] = []
    for batch in batches:
        if batch.is_history:  # the import's own answer names them
            continue
        received_at = moment(batch.received_ms)
        reasons: set[str] = set()
        for place, one in enumerate(batch.rejected):
            is_kept = place < rejections.MAX_A_BATCH or one.reason not in reasons
            reasons.add(one.reason)
            record = batch.records(one.index) if is_kept else b""
            found.append(Rejection(*batch.device, received_at, batch.source, str(one.reason), one.detail, record))
    return found
