"""What goes into an inbox: in the organisation's words where it has some, and only what the person wants there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Api
from tests.integration.test_inbox import ready, seqs
from tests.notices import Serve, World, served, telling
from waypost.kernel.principal import Role
from waypost.notifications.alert_domain import PROVIDER_DOWN
from waypost.notifications.alerts import alert

TEMPLATE = "/api/v1/templates/export_ready/push"
MINE = "/api/v1/me/preferences"


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


@pytest.fixture
async def owner(world: World, aiohttp_server: Serve) -> Api:
    return (await served(world, aiohttp_server)).as_(await world.org.token())


async def items(world: World) -> list[tuple[str, str]]:
    page = await world.services.telling.inbox.list(world.org.owner, None, 50, None)
    return [(item.title, item.text) for item in page.data]


async def words(owner: Api, locale: str, subject: str) -> None:
    answer = await owner("PUT", f"{TEMPLATE}/{locale}", {"subject": subject, "body": "Fetch {{ export }} now"})
    assert answer.status in (200, 201), answer


async def test_an_organisations_own_words_stand_in_its_inboxes(world: World, owner: Api):
    await words(owner, "en", "Ours: {{ export }}")
    await ready(world, world.org.owner, "trips.csv")
    assert await items(world) == [("Ours: trips.csv", "Fetch trips.csv now")]


async def test_own_words_of_another_language_do_not_stand_before_ours_of_the_readers(world: World, owner: Api):
    await words(owner, "fr", "Le fichier {{ export }}")
    await ready(world, world.org.owner, "trips.csv")
    ((title, _),) = await items(world)
    assert "fichier" not in title


async def wish(owner: Api, kind: str, channel: str, *, wanted: bool) -> None:
    answer = await owner("PUT", MINE, {"choices": [{"kind": kind, "channel": channel, "wanted": wanted}]})
    assert answer.status == 200, answer


async def test_what_somebody_does_not_want_in_their_inbox_is_not_there_and_staff_see_why(world: World, owner: Api):
    other, _ = await world.org.person(Role.DISPATCHER)
    await wish(owner, "export_ready", "in_app", wanted=False)
    await ready(world, world.org.owner, "a")
    await ready(world, other, "b")
    assert (await seqs(world, world.org.owner), await seqs(world, other)) == ([], [1])
    assert (await world.services.telling.inbox.unread(world.org.owner)).unread == 0
    rows = {row["state"]: row["reason"] for row in await world.rows() if row["channel"] == "in_app"}
    assert rows == {"suppressed": "preference_off", "sent": None}
    await wish(owner, "export_ready", "in_app", wanted=True)
    await ready(world, world.org.owner, "c")
    assert await seqs(world, world.org.owner) == [1]


async def test_the_organisations_wish_holds_for_who_has_said_nothing(world: World, owner: Api):
    other, _ = await world.org.person(Role.DISPATCHER)
    off = {"choices": [{"kind": "alert_raised", "channel": "in_app", "wanted": False}]}
    assert (await owner("PUT", "/api/v1/organisation/preferences", off)).status == 200
    await wish(owner, "alert_raised", "in_app", wanted=True)
    services = world.services
    async with services.database.transaction(world.org.org_id) as conn:
        await alert(
            conn, services.realtime, services.clock, world.org.org_id, kind=PROVIDER_DOWN, key="down",
            subject_kind="message-provider", subject_id=None,
        )  # fmt: skip
    await world.relay.expand()
    assert (await seqs(world, world.org.owner), await seqs(world, other)) == ([1], [])


async def test_of_who_is_no_member_any_more_nothing_waits_for_ever(world: World):
    other, _ = await world.org.person(Role.DISPATCHER)
    assert other.user_id is not None
    await world.services.members.remove(world.org.owner, other.user_id)
    await ready(world, other, "late.csv")
    ((state, reason),) = [(row["state"], row["reason"]) for row in await world.rows()]
    assert (state, reason) == ("suppressed", "no_recipient")
