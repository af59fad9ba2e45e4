"""Alerts: raised once, seen by the staff, ended once with words."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.freight import as_owner
from tests.servers import Servers
from waypost.kernel.principal import Role
from waypost.notifications import alert_domain as kinds
from waypost.notifications import storage_alerts
from waypost.notifications.alerts import alert
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

PATH = "/api/v1/alerts"


async def raised(org: Org, key: str = "payment_review:1", kind: str = kinds.PAYMENT_REVIEW) -> bool:
    services = org.services
    async with services.database.transaction(org.org_id) as conn:
        return await alert(
            conn,
            services.realtime,
            services.clock,
            org.org_id,
            kind=kind,
            key=key,
            subject_kind="callback",
            subject_id=UUID(int=7),
            facts={"amountMinor": "25000", "currency": "KES"},
        )


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def test_an_alert_is_raised_once_however_often_it_is_found(org: Org, owner: Api):
    assert [await raised(org) for _ in range(3)] == [True, False, False]
    answer = await owner("GET", PATH)
    (row,) = answer.json["data"]
    assert (row["kind"], row["subjectKind"], row["facts"]) == (
        "payment_review",
        "callback",
        {"amountMinor": "25000", "currency": "KES"},
    )
    assert "resolvedAt" not in row


async def test_ten_who_find_it_at_once_raise_one(org: Org, owner: Api):
    assert sum(await asyncio.gather(*(raised(org) for _ in range(10)))) == 1
    assert len((await owner("GET", PATH)).json["data"]) == 1


async def raised_in_vain(org: Org) -> None:
    async with org.services.database.transaction(org.org_id) as conn:
        args = conn, org.services.realtime, org.services.clock, org.org_id
        assert await alert(*args, kind="payment_review", key="x", subject_kind="callback", subject_id=None)
        raise RuntimeError


async def test_an_alert_that_is_rolled_back_was_never_raised(org: Org, owner: Api):
    with pytest.raises(RuntimeError):
        await raised_in_vain(org)
    assert (await owner("GET", PATH)).json["data"] == []
    assert await raised(org, "x")


async def test_raising_and_resolving_are_promised_to_the_staff(org: Org, owner: Api):
    await raised(org)
    (row,) = (await owner("GET", PATH)).json["data"]
    await owner("POST", f"{PATH}/{row['id']}/resolve", {"resolution": "looked at"})
    async with org.services.database.transaction(SYSTEM) as conn:
        rooms = await conn.fetch("SELECT room, name FROM room_events WHERE name = 'alert'")
    assert [(each["room"], each["name"]) for each in rooms] in (
        [],  # the publisher was quicker, and has forgotten them
        [(f"org:{org.org_id}:staff", "alert")],
        [(f"org:{org.org_id}:staff", "alert")] * 2,
    )


async def test_an_alert_is_ended_once_and_by_whom_is_kept(org: Org, owner: Api):
    await raised(org)
    (row,) = (await owner("GET", PATH)).json["data"]
    path = f"{PATH}/{row['id']}/resolve"
    answers = await asyncio.gather(*(owner("POST", path, {"resolution": f"asked the bank {n}"}) for n in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    (resolved,) = [answer.json for answer in answers if answer.status == 200]
    assert resolved["resolvedByName"] == "Owner"
    assert resolved["resolution"].startswith("asked the bank")
    assert {answer.json["type"] for answer in answers if answer.status == 409} == {"/problems/alert-resolved"}
    log = await owner("GET", "/api/v1/audit", None, params={"action": "alert.resolved"})
    assert [entry["detail"] for entry in log.json["data"]] == [{"kind": "payment_review"}]


async def test_a_list_shows_the_open_ones_the_resolved_ones_or_all_in_pages(org: Org, owner: Api):
    for n in range(5):
        await raised(org, f"k{n}", kinds.PAYMENT_REVIEW if n % 2 else kinds.PAYMENT_UNMATCHED)
    everything = (await owner("GET", PATH)).json["data"]
    for row in everything[:2]:
        await owner("POST", f"{PATH}/{row['id']}/resolve", {"resolution": "done"})

    async def ids(**params: str) -> list[str]:
        found, cursor = [], {}
        while True:
            page = (await owner("GET", PATH, None, params={"limit": "2", **params, **cursor})).json
            found += [row["id"] for row in page["data"]]
            if not page["hasMore"]:
                return found
            cursor = {"cursor": page["nextCursor"]}

    all_ids = [row["id"] for row in everything]
    assert await ids(state="all") == all_ids == sorted(all_ids, reverse=True)
    assert await ids() == await ids(state="open") == all_ids[2:]
    assert await ids(state="resolved") == all_ids[:2]
    assert len(await ids(state="all", kind="payment_unmatched")) == 3


async def test_no_other_organisation_sees_or_ends_it(org: Org, owner: Api, api: Api, services: Services):
    await raised(org)
    (row,) = (await owner("GET", PATH)).json["data"]
    other = api.as_(await (await organisation(services, "Another")).token())
    assert (await other("GET", PATH)).json["data"] == []
    answer = await other("POST", f"{PATH}/{row['id']}/resolve", {"resolution": "mine now"})
    assert (answer.status, answer.json["type"]) == (404, "/problems/alert-not-found")


@pytest.mark.parametrize(
    ("role", "sees", "ends"),
    [(Role.DISPATCHER, 200, 200), (Role.ACCOUNTANT, 200, 200), (Role.VIEWER, 200, 403), (Role.DRIVER, 403, 403)],
)
async def test_who_takes_money_ends_alerts_and_who_watches_sees_them(
    org: Org, owner: Api, api: Api, role: Role, sees: int, ends: int
):
    await raised(org)
    (row,) = (await owner("GET", PATH)).json["data"]
    _, phone = await org.person(role)
    person = api.as_(await org.token(phone))
    assert (await person("GET", PATH)).status == sees
    assert (await person("POST", f"{PATH}/{row['id']}/resolve", {"resolution": "seen"})).status == ends


@pytest.mark.parametrize("resolution", ["", "   ", None, "x" * 501, "a\u0000b"])
async def test_an_end_needs_words(org: Org, owner: Api, resolution: str | None):
    await raised(org)
    (row,) = (await owner("GET", PATH)).json["data"]
    answer = await owner("POST", f"{PATH}/{row['id']}/resolve", {"resolution": resolution})
    assert answer.status == 422


FILL = """
INSERT INTO alerts (org_id, id, kind, key, subject_kind, facts, created_at, resolved_at)
SELECT $1, uuidv7(), 'payment_review', i::text, 'callback', '{}', now(), CASE WHEN i % 50 > 0 THEN now() END
  FROM generate_series(1, 20000) i
"""


async def test_the_lists_use_their_indexes(org: Org, servers: Servers):
    async with org.services.database.transaction(SYSTEM) as conn:
        await conn.execute(FILL, org.org_id)
    async with as_owner(org.services, servers) as owner:
        await owner.execute("ANALYZE alerts")
    async with org.services.database.transaction(SYSTEM) as conn:
        for statement, index in (
            (storage_alerts.LIST_OPEN_ALERTS, "alerts_open"),
            (storage_alerts.LIST_ALERTS, "alerts_pkey"),
        ):
            rows = await conn.fetch(f"EXPLAIN {statement}", org.org_id, None, None, 51)
            plan = "\n".join(row[0] for row in rows)
            assert index in plan, plan
            assert "Sort" not in plan, plan
