"""Starts at once, on two nodes: the index decides, not a check."""

from __future__ import annotations

import asyncio

import pytest

from tests.factories import Org
from waypost.settings import Settings
from waypost.trips.domain import DriverBusy, Move, Trip, TripMoveRefused
from waypost.trips.service import NewTrip
from waypost.wiring import Services, open_services

ROUNDS = pytest.mark.parametrize("rounds", [40, pytest.param(1000, marks=pytest.mark.long)])


async def outcomes(*moves: object) -> list[str]:
    done = await asyncio.gather(*moves, return_exceptions=True)  # type: ignore[call-overload]  # coroutines of moves
    return sorted("moved" if isinstance(each, Trip) else type(each).__name__ for each in done)


@ROUNDS
@pytest.mark.timeout(600)
async def test_of_two_starts_of_one_trip_on_two_nodes_one_wins(
    services: Services, environment: dict[str, str], org: Org, rounds: int
):
    phone = await org.phone(running=False)
    async with open_services(Settings.from_env(environment)) as other:
        for _ in range(rounds):
            trip = await services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))
            nodes = (services, other)
            found = await outcomes(*(node.trips.move(org.owner, trip.id, Move.START) for node in nodes))
            assert found == [TripMoveRefused.__name__, "moved"]
            found = await outcomes(*(node.trips.move(org.owner, trip.id, Move.COMPLETE) for node in nodes))
            assert found == [TripMoveRefused.__name__, "moved"]


@ROUNDS
@pytest.mark.timeout(600)
async def test_of_two_trips_of_one_driver_started_on_two_nodes_one_runs(
    services: Services, environment: dict[str, str], org: Org, rounds: int
):
    phone = await org.phone(running=False)
    async with open_services(Settings.from_env(environment)) as other:
        for _ in range(rounds):
            trips = [await services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id)) for _ in range(2)]
            found = await outcomes(
                services.trips.move(org.owner, trips[0].id, Move.START),
                other.trips.move(org.owner, trips[1].id, Move.START),
            )
            assert found == [DriverBusy.__name__, "moved"]
            await outcomes(*(services.trips.move(org.owner, trip.id, Move.CANCEL) for trip in trips))
