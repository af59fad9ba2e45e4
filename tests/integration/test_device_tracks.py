"""What is kept of a device between its batches is only a short cut: lost or wrong, the next batches come out right."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_group_commit import ELSEWHERE, HOME, accepted, fetch, fixes_of, reports, run
from tests.integration.test_http_tracking import location, ping
from tests.integration.test_sockets import trip_id
from tests.tracks import At, now_ms, store
from waypost.platform.database import SYSTEM
from waypost.tracking.domain import Flag, Report, ms_of
from waypost.wiring import Services

DAMAGES = {
    "nothing": "SELECT 1",
    "no row": "DELETE FROM device_tracks",
    "no state": "UPDATE device_tracks SET state = NULL",
    "no state, no time": "UPDATE device_tracks SET state = NULL, newest_raw_ms = NULL",
    "no positions": "DELETE FROM positions",
    "neither": "WITH gone AS (DELETE FROM positions) DELETE FROM device_tracks",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_without_what_is_kept_of_a_device_its_next_batches_come_out_right(
    api: Api, services: Services, org: Org, damage: str
):
    phone, staff = await org.phone(), api.as_(await org.token())
    stream = str(uuid4())
    before = [location(500, n=1), location(400, n=2), location(300, n=3, latitude=ELSEWHERE)]
    assert (await ping(api, phone, *before, stream=stream))["accepted"] == 3

    await run(services, DAMAGES[damage])
    again = await ping(api, phone, *before, stream=stream)
    assert (again["accepted"], again["duplicates"]) == (0, 3)
    without_keys = await ping(api, phone, *({**each, "n": None} for each in before))
    assert (without_keys["accepted"], without_keys["duplicates"]) == (0, 3)

    await run(services, DAMAGES[damage])
    late = await ping(api, phone, location(600, latitude=HOME))
    assert (late["accepted"], late["flagged"]) == (1, [])
    await run(services, DAMAGES[damage])
    after = await ping(api, phone, location(200), location(100, mock=True))
    assert (after["accepted"], after["late"]) == (2, 0)
    assert [flags for _, flags in await fixes_of(services, phone)] == [0, 0, 0, Flag.SPEED_JUMP, 0, Flag.MOCK]
    newest = (await staff("GET", "/api/v1/tracking/latest")).json["data"]
    assert [position["latitude"] for position in newest] == [-17.8252]
    await run(services, DAMAGES[damage])
    assert (await ping(api, phone, location(50, latitude=HOME - 0.2)))["late"] == 0
    assert (await ping(api, phone, location(40, latitude=HOME - 0.2)))["late"] == 0
    newest = (await staff("GET", f"/api/v1/tracking/trips/{trip_id(phone)}/latest")).json
    assert newest["latitude"] == HOME - 0.2


async def test_what_another_program_stored_without_the_devices_turn_is_a_duplicate(services: Services, org: Org):
    """A node of the release before, during an upgrade; a restore; an operator by hand."""
    phone = await org.phone()
    report = services.tracking.report
    await report(phone.principal, reports(60))
    at = now_ms() - timedelta(seconds=10)
    await store(services, phone, [At(at, HOME, 31.05)])
    again = await report(phone.principal, [Report(0, HOME, 31.05, ms_of(at)), *reports(5)])
    assert (again.accepted, again.duplicates) == (1, 1)
    assert len(await fixes_of(services, phone)) == 3


async def test_a_fix_from_before_a_long_silence_does_not_read_all_that_came_since(services: Services, org: Org):
    phone = await org.phone(running=False)
    begin = now_ms() - timedelta(days=20)
    many = [At(begin + timedelta(seconds=n * 60), HOME + n / 1e6, 31.05) for n in range(20_000)]
    await store(services, phone, many)
    report = services.tracking.report
    await report(phone.principal, reports(60))
    before = await read_of_fixes(services)
    assert accepted([await report(phone.principal, reports(86_400 * 40))]) == [1]
    assert await read_of_fixes(services) - before < 2000


async def read_of_fixes(services: Services) -> int:
    """How many rows of fixes were read so far, by everybody, once every connection has said so."""
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT sum(idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname ~ '^fixes_2'"
    ((found,),) = await fetch(services, query)
    return int(found or 0)
