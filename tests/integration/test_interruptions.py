"""What is left by a start, a join or a server that was interrupted; and a node whose clock is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.waiting import listening
from waypost.demo import Demo, DemoPlan
from waypost.identity.domain import TokenInvalid
from waypost.kernel.clock import SystemClock
from waypost.kernel.errors import Unavailable
from waypost.realtime.service import trip_room
from waypost.settings import BadSettings, Settings
from waypost.wiring import Services, open_services


class Behind(SystemClock):
    """A machine's clock that is wrong by an hour."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)


async def test_a_token_withdrawn_by_a_node_whose_clock_is_behind_is_withdrawn_everywhere(
    services: Services, org: Org, environment: dict[str, str]
):
    phone = await org.phone()
    async with open_services(Settings.from_env(environment), Behind()) as slow:
        await slow.directory.revoke_device(org.owner, phone.device_id)
    stays = await org.phone()
    assert await services.devices.lost({phone.principal, stays.principal}) == {phone.principal}
    with pytest.raises(TokenInvalid):  # although it was found good here a moment ago
        await services.devices.authenticate(phone.token)


async def test_a_join_that_fails_while_it_reads_its_snapshot_has_joined_nothing(api: Api, org: Org, services: Services):
    phone = await org.phone()
    assert phone.trip is not None
    room = trip_room(org.org_id, phone.trip.id)
    async with listening(api.url, await org.token()):
        (sid,) = services.hub.door.connections

        async def fail_to_read() -> None:
            async with services.hub.rooms.joining(sid, room):
                assert services.hub.index.is_live(room)
                raise Unavailable

        with pytest.raises(Unavailable):
            await fail_to_read()
        assert not services.hub.index.is_live(room)


async def test_a_first_demo_start_that_was_killed_is_taken_up_by_the_next(
    services: Services, environment: dict[str, str], tmp_path: Path
):
    plan = DemoPlan(traces=None, speed=None, vehicles=2, private=False)
    await Demo(plan, tmp_path, [], ["van-01", "van-02"])._people(services)  # and then the power fails
    second = Demo(plan, tmp_path, [], ["van-01", "van-02"])
    await second.seed(Settings.from_env(environment))
    assert [driven.vehicle for driven in second.state.devices] == ["van-01", "van-02"]


async def test_a_demo_with_a_known_password_is_not_opened_to_others(environment: dict[str, str], tmp_path: Path):
    settings = Settings.from_env(environment)
    await Demo(DemoPlan(None, None, 1, private=False), tmp_path, [], ["van-01"]).seed(settings)
    with pytest.raises(BadSettings, match="known password"):
        await Demo(DemoPlan(None, None, 1, private=True), tmp_path, [], ["van-01"]).seed(settings)
