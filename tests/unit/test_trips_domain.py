"""Who sees a trip; which moves there are."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fakes.clock import NOON
from waypost.kernel.principal import Principal, Role
from waypost.trips.domain import ALLOWED, Move, Status, Trip, TripMoveRefused, check_move, may_see

SENDER, RECEIVER, STRANGER = UUID(int=1), UUID(int=2), UUID(int=3)
DRIVER, OTHER = UUID(int=10), UUID(int=11)
TRIP = Trip(SENDER, UUID(int=5), "T", Status.STARTED, NOON, NOON, 1, destination_org_id=RECEIVER, driver_id=DRIVER)


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        *((Principal(SENDER, role, user_id=OTHER), True) for role in Role if role is not Role.DRIVER),
        (Principal(RECEIVER, Role.VIEWER, user_id=OTHER), True),
        (Principal(STRANGER, Role.OWNER, user_id=OTHER), False),
        (Principal(SENDER, Role.DRIVER, user_id=OTHER, driver_id=DRIVER), True),
        (Principal(SENDER, Role.DRIVER, user_id=OTHER, driver_id=OTHER), False),
        (Principal(SENDER, Role.DRIVER, user_id=OTHER), False),
        (Principal(SENDER, Role.DRIVER, device_id=OTHER, driver_id=DRIVER), True),
        (Principal(RECEIVER, Role.DRIVER, device_id=OTHER, driver_id=DRIVER), False),
        (Principal(SENDER, Role.OWNER, device_id=OTHER, driver_id=OTHER), False),
    ],
)
def test_a_trip_is_seen_by_both_organisations_staff_and_its_own_driver(principal: Principal, *, sees: bool):
    assert may_see(principal, TRIP) is sees


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("move", Move)
def test_a_move_is_allowed_or_refused_with_the_status_in_the_words(move: Move, status: Status):
    if status in ALLOWED[move]:
        check_move(move, status)
    else:
        with pytest.raises(TripMoveRefused, match=f"The trip is {status}") as caught:
            check_move(move, status)
        assert caught.value.extra == {"tripStatus": str(status)}


def test_nothing_moves_past_the_end():
    for end in (Status.COMPLETED, Status.CANCELLED):
        assert not any(end in allowed for allowed in ALLOWED.values())
