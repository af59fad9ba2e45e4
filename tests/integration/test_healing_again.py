"""A position that was told again may be lost again, and what a log says of one may have been taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.integration.test_healing import World, world
from waypost.platform.codec import instant
from waypost.realtime.events import outgoing
from waypost.realtime.service import fleet_room, trip_room

__all__ = ["world"]  # the fixture


async def test_what_was_told_again_and_is_still_not_heard_is_told_once_more_after_ten_seconds(world: World):
    phone = await world.org.phone()
    world.watch(world.org.org_id)
    at = await world.report(phone)
    told = [(fleet_room(world.org.org_id), at)]
    assert await world.looks() == told
    assert await world.looks(9) == []
    assert await world.looks(2) == told
    assert await world.looks(9) == []
    assert await world.looks(2) == told


async def test_what_a_log_has_of_a_position_that_was_withdrawn_is_not_held_for_the_newest(world: World):
    phone = await world.org.phone()
    assert phone.trip is not None
    vehicle, trip = str(phone.principal.vehicle_id), trip_room(world.org.org_id, phone.trip.id)
    fleet = fleet_room(world.org.org_id)
    now = datetime.now(UTC)
    before, jump = instant(now - timedelta(seconds=30)), instant(now + timedelta(seconds=30))
    back: dict[str, object] = {"vehicleId": vehicle, "recordedAt": before}
    for room, name, body in (
        (fleet, "fleet:positions", {"positions": [{"vehicleId": vehicle, "recordedAt": jump}]}),
        (fleet, "fleet:positions", {"positions": [back | {"withdrawn": jump}]}),
        (trip, "trip:location", {"locations": [{"recordedAt": before}, {"recordedAt": jump}]}),
        (trip, "trip:location", {"locations": [], "withdrawn": [jump]}),
    ):
        await world.services.hub.bus.send([outgoing(room, name, body)])
    world.watch(world.org.org_id)
    world.watch(world.org.org_id, trip_id=phone.trip.id)
    at = await world.report(phone)
    assert sorted(await world.looks()) == sorted([(fleet, at), (trip, at)])
