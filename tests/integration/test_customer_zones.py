"""A customer's time zone is given and read over the API, and their quiet hours go by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import Api
from tests.integration.test_relay_rows import promise
from tests.notices import Serve, World, changed, served, telling
from waypost.identity.domain import QuietHours
from waypost.kernel.ids import new_id
from waypost.notifications.domain import Notice
from waypost.notifications.words.samples import Sample, sample

TOKYO = "Asia/Tokyo"  # nine hours before UTC, at any time of the year


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


@pytest.fixture
async def owner(world: World, aiohttp_server: Serve) -> Api:
    return (await served(world, aiohttp_server)).as_(await world.org.token())


def around(now: datetime, zone: str) -> QuietHours:
    there = now.astimezone(ZoneInfo(zone))
    return QuietHours(f"{there - timedelta(hours=1):%H:%M}", f"{there + timedelta(hours=2):%H:%M}")


async def reminded(world: World, customer_id: str) -> tuple[str, str | None]:
    """What becomes of a reminder to them now."""
    notice = Notice(UUID(customer_id), "layby", new_id(world.services.clock), sample("payment_reminder", Sample.BARE))
    known = {row["id"] for row in await world.rows()}
    await promise(world, "payment_reminder", notice, key=str(notice.subject_id))
    await world.relay.expand()
    (delivery,) = [row["id"] for row in await world.rows() if row["id"] not in known and row["channel"] == "email"]
    await changed(world.deliveries, guards={}).attempt(world.org.org_id, delivery)
    row = await world.row(delivery)
    return row["state"], row["reason"]


async def test_it_is_kept_as_it_was_given_changed_and_emptied(owner: Api):
    made = await owner("POST", "/api/v1/customers", {"name": "Aiko", "timeZone": TOKYO})
    assert (made.status, made.json["timeZone"]) == (201, TOKYO)
    one = f"/api/v1/customers/{made.json['id']}"
    assert (await owner("PATCH", one, {"timeZone": "Africa/Harare"})).json["timeZone"] == "Africa/Harare"
    assert (await owner("GET", one)).json["timeZone"] == "Africa/Harare"
    assert (await owner("PATCH", one, {"timeZone": None})).json.get("timeZone") is None


@pytest.mark.parametrize("zone", ["Tokyo", "UTC+9", "../etc/passwd", "Asia", "/Asia/Tokyo", " "])
async def test_what_is_no_name_of_iana_is_refused_by_its_field(owner: Api, zone: str):
    made = await owner("POST", "/api/v1/customers", {"name": "Aiko", "timeZone": zone})
    assert (made.status, made.json["errors"][0]["field"]) == (422, "timeZone")


async def test_their_quiet_hours_go_by_their_own_clock_before_the_organisations(world: World, owner: Api):
    quiet = around(datetime.now(UTC), TOKYO)
    await world.services.organisations.change(
        world.org.owner, name=None, time_zone="UTC", telling={"quiet": quiet, "quiet_days": {}}
    )
    body = {"name": "Aiko", "email": "aiko@example.com"}
    here = (await owner("POST", "/api/v1/customers", body)).json["id"]
    there = (await owner("POST", "/api/v1/customers", {**body, "timeZone": TOKYO})).json["id"]
    assert (await reminded(world, here))[1] != "held_quiet_hours"
    assert await reminded(world, there) == ("pending", "held_quiet_hours")
    assert (await owner("PATCH", f"/api/v1/customers/{there}", {"timeZone": "UTC"})).status == 200
    assert (await reminded(world, there))[1] != "held_quiet_hours"
