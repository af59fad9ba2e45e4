"""Whose a device was when."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.fakes.clock import NOON
from waypost.directory.domain import Assignment, Driver, assignment_at, driver_seen_by, set_up_text
from waypost.kernel.principal import Principal, Role

ANN, BEN, CLEO = UUID(int=1), UUID(int=2), UUID(int=3)
HOUR = timedelta(hours=1)
HISTORY = [
    Assignment(ANN, None, NOON - 3 * HOUR, NOON - 2 * HOUR),
    Assignment(BEN, None, NOON - 2 * HOUR, NOON - HOUR),
    Assignment(CLEO, None, NOON - HOUR, None),
]


@pytest.mark.parametrize(
    ("hours_ago", "driver"),
    [(100, ANN), (3, ANN), (2.5, ANN), (2, BEN), (1.0001, BEN), (1, CLEO), (0, CLEO), (-1, CLEO)],
)
def test_a_device_is_its_drivers_from_the_moment_it_is_given_up_to_the_next(hours_ago: float, driver: UUID):
    found = assignment_at(HISTORY, NOON - hours_ago * HOUR)
    assert found is not None
    assert found.driver_id == driver


def test_a_device_without_a_history_is_nobodys():
    assert assignment_at([], NOON) is None


@pytest.mark.parametrize("role", list(Role))
def test_only_a_viewer_does_not_see_how_a_driver_is_reached(role: Role):
    driver = Driver(ANN, "Ann", "+263771234567", BEN, NOON, None, 1)
    seen = driver_seen_by(Principal(UUID(int=9), role, user_id=CLEO), driver)
    assert (seen.phone is None, seen.user_id is None) == ((True, True) if role is Role.VIEWER else (False, False))
    assert seen.name == "Ann"


def test_the_set_up_text_has_what_is_to_be_typed_each_on_a_line_of_its_own():
    lines = set_up_text("https://waypost.example.com", "wpd_x").splitlines()
    assert lines[1:3] == ["Server: https://waypost.example.com", "Token: wpd_x"]
