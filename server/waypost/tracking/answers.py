"""What both edges answer: the outcome of a batch, the snapshot of a room."""

from __future__ import annotations

from waypost.platform.codec import instant
from waypost.realtime.recovery import Entered
from waypost.tracking import wire
from waypost.tracking.domain import Position, flag_names
from waypost.tracking.service import Fleet, Reported
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


def trip_joined(trip: Trip, position: Position | None, entered: Entered) -> wire.TripJoined:
    """A snapshot of a trip's room."""
    joined = trip_recovered(trip, entered)
    joined.position = wire.position(position) if position else None
    return joined


def trip_recovered(trip: Trip, entered: Entered) -> wire.TripJoined:
    """What was missed of a trip's room."""
    epoch, seq = entered.place
    return wire.TripJoined(trips_wire.Trip.from_domain(trip), epoch, seq, entered.recovered, entered.told())


def fleet_joined(fleet: Fleet, entered: Entered) -> wire.FleetJoined:
    """A snapshot of a fleet's room."""
    joined = fleet_recovered(entered)
    joined.trips = [trips_wire.Trip.from_domain(trip) for trip in fleet.trips]
    joined.positions = [wire.position(position) for position in fleet.positions]
    joined.truncated = fleet.truncated
    return joined


def fleet_recovered(entered: Entered) -> wire.FleetJoined:
    """What was missed of a fleet's room."""
    epoch, seq = entered.place
    return wire.FleetJoined(epoch, seq, entered.recovered, entered.told())
