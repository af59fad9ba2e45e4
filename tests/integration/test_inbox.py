"""Everybody's own inbox: nothing is missed, and what is read is read everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.factories import organisation
from tests.fakes.clock import FakeClock
from tests.integration.test_relay_rows import promise
from tests.notices import Serve, World, served, telling
from waypost.jobs.domain import Asked
from waypost.kernel.errors import Denied
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal, Role
from waypost.notifications import outbox
from waypost.notifications.alert_domain import PAYMENT_UNMATCHED, PROVIDER_DOWN, STATEMENT_MISSING
from waypost.notifications.alerts import alert
from waypost.notifications.digests import Digests
from waypost.notifications.domain import Notice
from waypost.wiring_work import job_runner_over, relay_over


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


async def ready(world: World, user: Principal, *names: str) -> None:
    """Files that are there."""
    for name in names:
        notice = Notice(None, "job", new_id(world.services.clock), {"export": name, "until": ""}, user_id=user.user_id)
        await promise(world, "export_ready", notice, key=name)
    await world.relay.expand()


async def seqs(world: World, user: Principal, since: int | None = None) -> list[int]:
    page = await world.services.telling.inbox.list(user, since, 50, None)
    return [item.seq for item in page.data]


async def test_an_item_has_words_a_number_and_a_state_that_says_it_was_told(world: World):
    owner = world.org.owner
    await ready(world, owner, "trips.csv")
    (item,) = (await world.services.telling.inbox.list(owner, None, 50, None)).data
    assert (item.seq, item.kind, item.subject_kind, item.read_at) == (1, "export_ready", "job", None)
    assert "trips.csv" in item.title + item.text
    (row,) = [row for row in await world.rows() if row["channel"] == "in_app"]
    assert (row["state"], row["sent_at"] is not None, row["address"]) == ("sent", True, str(owner.user_id))


async def test_each_sees_their_own_alone(world: World):
    other, _ = await world.org.person(Role.DISPATCHER)
    foreign = (await organisation(world.services, "Kwekwe Kitchens")).owner
    await ready(world, world.org.owner, "a", "b")
    await ready(world, other, "c")
    assert await seqs(world, world.org.owner) == [2, 1]
    assert await seqs(world, other) == [1]
    assert await seqs(world, foreign) == []
    with pytest.raises(Denied):
        await world.services.telling.inbox.unread(Principal(world.org.org_id, Role.DRIVER, device_id=UUID(int=1)))


async def test_asking_since_a_number_misses_nothing_however_many_relays_write(world: World):
    owner, clock, org_id = world.org.owner, world.services.clock, world.org.org_id
    async with world.services.database.transaction(org_id) as conn:
        for n in range(60):
            notice = Notice(None, "job", new_id(clock), {"export": f"{n}", "until": ""}, user_id=owner.user_id)
            await outbox.add(conn, org_id, kind="export_ready", key=f"k{n}", payload=notice, clock=clock)
    await world.query("UPDATE outbox SET due_at = now() + interval '1 day' WHERE key >= 'k3'")
    known: list[int] = []

    async def watch() -> None:
        while len(known) < 60:
            known.extend(await seqs(world, owner, since=known[-1] if known else 0))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(relay_over(world.services).expand() for _ in range(5)))
    await world.query("UPDATE outbox SET due_at = '-infinity'")
    await asyncio.gather(*(relay_over(world.services).expand() for _ in range(5)))
    await watching
    assert known == list(range(1, 61))


async def test_pages_go_back_from_the_newest_and_on_from_a_number(world: World):
    owner, inbox = world.org.owner, world.services.telling.inbox
    await ready(world, owner, *"abcde")
    first = await inbox.list(owner, None, 2, None)
    second = await inbox.list(owner, None, 2, first.next_cursor)
    assert [item.seq for item in (*first.data, *second.data)] == [5, 4, 3, 2]
    since = await inbox.list(owner, 1, 2, None)
    rest = await inbox.list(owner, 1, 10, since.next_cursor)
    assert [item.seq for item in (*since.data, *rest.data)] == [2, 3, 4, 5]


async def test_what_is_read_is_counted_off_and_told_to_the_other_windows(world: World):
    owner, inbox = world.org.owner, world.services.telling.inbox
    await ready(world, owner, *"abc")
    assert (await inbox.unread(owner)).unread == 3
    assert (await inbox.read(owner, 2, [])).unread == 1
    newest = (await inbox.list(owner, None, 1, None)).data[0]
    assert (await inbox.read(owner, None, [newest.id])).unread == 0
    told = await world.query("SELECT head FROM room_events WHERE name = 'inbox:changed' AND room LIKE '%user%'")
    assert len(told) == 3  # the items of one batch together, and each reading
    await inbox.read(owner, 3, [newest.id])
    assert len(await world.query("SELECT FROM room_events WHERE name = 'inbox:changed'")) == 3


async def test_nobody_reads_anothers_items(world: World):
    other, _ = await world.org.person(Role.DISPATCHER)
    await ready(world, world.org.owner, "a")
    (item,) = (await world.services.telling.inbox.list(world.org.owner, None, 1, None)).data
    await world.services.telling.inbox.read(other, 1, [item.id])
    assert (await world.services.telling.inbox.unread(world.org.owner)).unread == 1


async def test_over_http_the_list_the_count_and_the_reading(world: World, aiohttp_server: Serve):
    owner = (await served(world, aiohttp_server)).as_(await world.org.token())
    await ready(world, world.org.owner, "trips.csv")
    page = (await owner("GET", "/api/v1/inbox?since=0")).json
    assert [(item["seq"], item["kind"]) for item in page["data"]] == [(1, "export_ready")]
    assert (await owner("GET", "/api/v1/inbox/unread")).json == {"unread": 1, "newest": 1}
    assert (await owner("POST", "/api/v1/inbox/read", {"upTo": 1})).json == {"unread": 0, "newest": 1}


async def test_who_asked_for_an_export_is_told_when_it_is_there(world: World):
    job = await world.services.jobs.export(world.org.owner, Asked("trips"), None)
    await job_runner_over(world.services).run(world.org.org_id, job.id)
    await world.relay.expand()
    (item,) = (await world.services.telling.inbox.list(world.org.owner, None, 50, None)).data
    assert (item.kind, item.subject_id) == ("export_ready", job.id)


async def raise_alerts(world: World, *kinds: str) -> None:
    services = world.services
    for n, kind in enumerate(kinds):
        async with services.database.transaction(world.org.org_id) as conn:
            await alert(
                conn, services.realtime, services.clock, world.org.org_id,
                kind=kind, key=f"{kind}:{n}", subject_kind="payment", subject_id=None, facts={"reference": f"R{n}"},
            )  # fmt: skip


def after(world: World, minutes: int) -> Digests:
    """As it will be so much later."""
    later = FakeClock(world.services.clock.now() + timedelta(minutes=minutes))
    return replace(world.services.telling.digests, clock=later)


async def emails(world: World) -> list[str]:
    await world.relay.expand()
    rows = await world.query(
        "SELECT n.kind FROM deliveries d JOIN notifications n ON n.id = d.notification_id WHERE channel = 'email'"
    )
    return [row["kind"] for row in rows]


async def test_an_alert_that_cannot_wait_is_told_at_once_and_no_digest_repeats_it(world: World):
    await raise_alerts(world, PROVIDER_DOWN)
    await world.relay.expand()
    (item,) = (await world.services.telling.inbox.list(world.org.owner, None, 50, None)).data
    assert (item.kind, item.subject_kind) == ("alert_raised", "alert")
    assert await after(world, 24 * 60).send() == 0


async def test_alerts_that_can_wait_are_joined_into_one_digest(world: World):
    await world.query("UPDATE users SET email = 'owner@example.com' WHERE id = $1", world.org.owner.user_id)
    await raise_alerts(world, *[PAYMENT_UNMATCHED] * 3)
    assert await world.services.telling.digests.send() == 0  # they have not waited long enough
    sent = await asyncio.gather(*(after(world, 31).send() for _ in range(4)))
    assert sum(sent) == 1
    assert await emails(world) == ["alert_digest"]
    (row,) = await world.query("SELECT payload -> 'facts' ->> 'count' AS n FROM outbox WHERE kind = 'alert_digest'")
    assert row["n"] == "3"
    await raise_alerts(world, STATEMENT_MISSING)
    assert await after(world, 29).send() == 0
    assert await after(world, 31).send() == 1
