"""Whose each fix is: the driver, the vehicle and the trip that its device had at the fix's own time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from waypost.directory.domain import assignment_at
from waypost.platform.database import Connection
from waypost.tracking.domain import moment
from waypost.tracking.work import Batch, Work
from waypost.trips import service as trips
from waypost.trips.domain import Past, TripNotFound, run_of


async def say_whose(conn: Connection, works: Sequence[Work]) -> None:
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
