"""What both edges answer: the outcome of a batch, the snapshot of a room."""

from __future__ import annotations

from waypost.platform.codec import instant
from waypost.tracking import wire
from waypost.tracking.domain import Position, flag_names
from waypost.tracking.service import Reported
from waypost.trips import wire as trips_wire
from waypost.trips.domain import Trip


def outcomes(reported: Reported) -> wire.Outcomes:
    """The very same answer over HTTP and Socket.IO."""
    return wire.Outcomes(
        accepted=reported.accepted,
        duplicates=reported.duplicates,
        rejected=[wire.Rejected(item.index, str(item.reason), item.detail) for item in reported.rejected],
        late=reported.late,
        flagged=[wire.Flagged(fix.index, flag_names(fix.flags)) for fix in reported.flagged],
        latest=wire.Latest(instant(reported.latest_at)) if reported.latest_at else None,
        next_ms=reported.next_ms,
    )


def trip_joined(trip: Trip, position: Position | None, epoch: str, seq: int) -> wire.TripJoined:
    """A snapshot of a trip's room."""
    return wire.TripJoined(
        trip=trips_wire.Trip.from_domain(trip),
        position=wire.position(position) if position else None,
        epoch=epoch,
        seq=seq,
        recovered=False,
        missed=[],
    )


def fleet_joined(trips: list[Trip], positions: list[Position], epoch: str, seq: int) -> wire.FleetJoined:
    """A snapshot of a fleet's room."""
    return wire.FleetJoined(
        trips=[trips_wire.Trip.from_domain(trip) for trip in trips],
        positions=[wire.position(position) for position in positions],
        epoch=epoch,
        seq=seq,
        recovered=False,
        missed=[],
    )
