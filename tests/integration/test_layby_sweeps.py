"""What time brings: reminders, overdue notices, late fees, defaults; once each, whatever befalls the sweep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tests.conftest import Api
from tests.described import Described
from tests.factories import organisation
from tests.fakes.clock import FakeClock
from tests.servers import Servers
from tests.shops import Shop, Sweep
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.kernel.principal import Role
from waypost.laybys import steps, storage_sweeps
from waypost.laybys.domain import Layby, Rhythm, Status
from waypost.laybys.sweeps import Sweeps
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import open_services

OPENED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)  # a Monday; 08:00 in Harare
HARARE = ZoneInfo("Africa/Harare")
FIRST, SECOND = date(2026, 11, 30), date(2026, 12, 7)  # of a weekly layby that is opened then
DUNNING = ("payment_reminder", "payment_overdue", "completion_reminder")
# What R6 asks for of two weekly instalments of which nothing is paid, and of the last date.
ALL = sorted(
    [(f"{n}:{step}:{day}") for n, day in ((1, FIRST), (2, SECOND)) for step in
     ("before_3", "before_1", "due", "overdue_1", "overdue_7")] + [f"final_7:{SECOND}"]
)  # fmt: skip


@pytest.fixture
async def shop(environment: dict[str, str]) -> AsyncIterator[Shop]:
    """A shop in Harare on a Monday morning."""
    clock = FakeClock(OPENED)
    async with open_services(Settings.from_env(environment), clock) as services:
        await services.redis.flushall()
        org = await organisation(services)
        await services.organisations.change(org.owner, name=None, time_zone="Africa/Harare")
        yield Shop(services, clock, org)


def local(day: date, hour: int, minute: int = 0, zone: ZoneInfo = HARARE) -> datetime:
    return datetime.combine(day, time(hour, minute), zone).astimezone(UTC)


class Died(Exception):
    """The worker is gone."""


def dying(shop: Shop, points: dict[str, int]) -> Sweeps:
    """Sweeps that die as often as it says at each point."""

    def checkpoint(point: str) -> None:
        name = point.split(maxsplit=1)[0]
        if points.get(name, 0):
            points[name] -= 1
            raise Died

    return replace(shop.sweeps, checkpoint=checkpoint)


async def run_all(sweeps: Sweeps, shop: Shop, due_at: datetime) -> None:
    for sweep in (sweeps.remind, sweeps.tell_overdue, sweeps.remind_of_completion):
        await sweep(shop.org.org_id, due_at)


async def daily(shop: Shop, day: date) -> None:
    await shop.at(local(day, 9))
    await run_all(shop.sweeps, shop, shop.clock.now())


async def often(shop: Shop, day: date) -> None:
    for hour in (0, 7, 9, 10, 16, 23):
        await shop.at(local(day, hour, 1))
        await run_all(shop.sweeps, shop, shop.clock.now())


async def late(shop: Shop, day: date) -> None:
    """The run that was due at nine begins in the evening, and so does one of the day before."""
    await shop.at(local(day, 19))
    await run_all(shop.sweeps, shop, local(day, 9) - timedelta(days=1))
    await run_all(shop.sweeps, shop, local(day, 9))


async def at_once(shop: Shop, day: date) -> None:
    await shop.at(local(day, 9))
    now = shop.clock.now()
    await asyncio.gather(*(run_all(shop.sweeps, shop, due_at) for due_at in (now, now, now - timedelta(hours=1))))


async def killed(shop: Shop, day: date) -> None:
    """Each sweep dies in its transaction, then after it; a third try finds what is left."""
    await shop.at(local(day, 9))
    now = shop.clock.now()
    for name in ("remind", "tell_overdue", "remind_of_completion"):
        for point in ("sweeping", "swept"):
            sweep: Sweep = getattr(dying(shop, {point: 1}), name)
            with pytest.raises(Died):
                await sweep(shop.org.org_id, now if point == "sweeping" else now - timedelta(minutes=1))
        await getattr(shop.sweeps, name)(shop.org.org_id, now)


@pytest.mark.parametrize("way", [daily, often, late, at_once, killed], ids=lambda way: way.__name__)
async def test_however_the_sweeps_run_each_step_of_each_instalment_is_said_once(shop: Shop, way):
    layby = await shop.open()
    held, gone, paid = await shop.open(), await shop.open(), await shop.open()
    await shop.sql("UPDATE laybys SET status = 'on_hold', held_since = start_date WHERE id = $1", held.id)
    await shop.sql(
        "UPDATE laybys SET status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop' WHERE id = $1", gone.id
    )
    await shop.pay(paid.id, 8_000)
    for days in range(3, 24):
        await way(shop, OPENED.date() + timedelta(days=days))
    said = await shop.sql("SELECT kind, key FROM outbox WHERE kind = ANY ($1)", list(DUNNING))
    assert sorted(row["key"].removeprefix(f"layby:{layby.id}:") for row in said) == ALL
    noted = await shop.sql("SELECT n, step, due_date FROM layby_notices")
    assert len(noted) == len(ALL)


async def test_a_notice_says_what_is_open_until_when_it_may_be_sent_and_whom_it_is_for(shop: Shop):
    layby = await shop.open()
    await shop.pay(layby.id, 1_500)
    await shop.at(local(FIRST - timedelta(days=3), 9))
    assert await shop.sweeps.remind(shop.org.org_id, shop.clock.now()) == 1
    (row,) = await shop.sql("SELECT payload::text AS text FROM outbox WHERE kind = 'payment_reminder'")
    notice = json.loads(row["text"])
    assert notice["customer_id"] == str(layby.customer_id)
    assert (notice["subject_kind"], notice["subject_id"]) == ("layby", str(layby.id))
    facts = notice["facts"]
    assert (facts["openMinor"], facts["dueDate"], facts["n"], facts["days"]) == ("2500", str(FIRST), "1", "3")
    until = datetime.fromisoformat(notice["valid_until"])
    assert until == local(FIRST - timedelta(days=1), 0)


async def test_a_missed_day_is_caught_up_inside_its_window_and_skipped_after_it(shop: Shop):
    await shop.open()
    await shop.at(local(FIRST - timedelta(days=2), 3))  # T-3 was missed by a worker that was down
    await shop.sweeps.remind(shop.org.org_id, local(FIRST - timedelta(days=3), 9))
    assert await shop.said(*DUNNING) == [("payment_reminder", f"1:before_3:{FIRST}")]
    await shop.at(local(FIRST, 8))  # T-1 is past, T0 has not begun
    await shop.sweeps.remind(shop.org.org_id, local(FIRST - timedelta(days=1), 9))
    assert len(await shop.said(*DUNNING)) == 1


async def test_a_covered_instalment_is_not_reminded_of_and_the_next_one_is(shop: Shop):
    layby = await shop.open()
    await shop.pay(layby.id, 4_000)
    for days in range(5, 20):
        await daily(shop, OPENED.date() + timedelta(days=days))
    assert {key.split(":")[0] for _, key in await shop.said(*DUNNING)} == {"2", "final_7"}


async def test_an_instalment_behind_an_overdue_one_is_reminded_of_all_the_same(shop: Shop):
    await shop.open()
    await shop.at(local(SECOND - timedelta(days=1), 9))
    await run_all(shop.sweeps, shop, shop.clock.now())
    assert sorted(key for _, key in await shop.said(*DUNNING)) == [
        f"1:overdue_1:{FIRST}", f"2:before_1:{SECOND}", f"final_7:{SECOND}",
    ]  # fmt: skip


async def test_moved_dates_are_said_anew(shop: Shop):
    layby = await shop.open()
    await shop.at(local(FIRST, 9))
    await shop.sweeps.remind(shop.org.org_id, shop.clock.now())
    later = FIRST + timedelta(days=5)
    await shop.sql("UPDATE layby_instalments SET due_date = $2 WHERE layby_id = $1 AND n = 1", layby.id, later)
    await shop.sql("UPDATE laybys SET next_due_date = $2 WHERE id = $1", layby.id, later)
    await shop.at(local(later, 9))
    await shop.sweeps.remind(shop.org.org_id, shop.clock.now())
    keys = [key for kind, key in await shop.said("payment_reminder") if key.startswith("1:")]
    assert keys == [f"1:due:{FIRST}", f"1:due:{later}"]


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("America/Santiago", date(2026, 9, 6)),
        ("Asia/Kathmandu", date(2026, 5, 9)),
    ],
    ids=["spring", "no-midnight", "quarter-hour"],
)
async def test_nine_oclock_is_the_organisations_on_a_day_when_the_clocks_change_too(
    environment: dict[str, str], zone: str, due: date
):
    there = ZoneInfo(zone)
    clock = FakeClock(local(due - timedelta(days=7), 8, zone=there))
    async with open_services(Settings.from_env(environment), clock) as services:
        org = await organisation(services)
        await services.organisations.change(org.owner, name=None, time_zone=zone)
        shop = Shop(services, clock, org)
        layby = await shop.open(n=1)
        assert layby.instalments[0].due_date == due
        for day in range(-4, 3):
            for hour, minute in ((0, 0), (8, 59), (9, 0), (23, 59)):
                await shop.at(local(due + timedelta(days=day), hour, minute, there))
                await run_all(shop.sweeps, shop, clock.now())
        said = await shop.sql("SELECT step, at FROM layby_notices WHERE n = 1 ORDER BY at")
        assert [(row["step"], row["at"].astimezone(there)) for row in said] == [
            (step.name, datetime.combine(due + timedelta(days=step.opens), time(9), there))
            for step in (*steps.REMINDERS, steps.OVERDUE[0])
        ]


async def test_a_late_fee_is_charged_once_an_instalment_at_the_first_midnight_after_grace(shop: Shop):
    layby = await shop.open()
    late = shop.sweeps.charge_late_fees
    await shop.at(local(FIRST + timedelta(days=1), 0) - timedelta(minutes=1))
    assert await late(shop.org.org_id, shop.clock.now()) == 0
    await shop.at(local(FIRST + timedelta(days=1), 0))
    assert await late(shop.org.org_id, shop.clock.now()) == 1
    for _ in range(3):
        await shop.clock.advance(86_400)
        await asyncio.gather(*(late(shop.org.org_id, shop.clock.now() + timedelta(seconds=i)) for i in range(3)))
    after = await shop.find(layby.id)
    assert (after.late_fees_minor, after.balance_minor, after.paid_minor) == (500, 8_500, 2_000)
    assert [i.late_fee_minor for i in after.instalments] == [500, 0]
    assert await shop.said("late_fee_applied") == [("late_fee_applied", "late_fee:1")]
    books = await shop.sql(
        "SELECT a.code, sum(p.amount_minor)::bigint AS minor FROM postings p JOIN accounts a ON a.id = p.account_id "
        "WHERE a.code LIKE 'late-fees%' GROUP BY a.code ORDER BY a.code"
    )
    assert [tuple(row) for row in books] == [("late-fees-deferred", -500), ("late-fees-receivable", 500)]
    await shop.at(local(SECOND + timedelta(days=1), 1))
    await late(shop.org.org_id, shop.clock.now())
    assert (await shop.find(layby.id)).late_fees_minor == 1_000


async def test_a_late_fee_is_due_with_the_last_instalment_and_is_reminded_of_with_it(shop: Shop):
    layby = await shop.open()
    await shop.at(local(FIRST + timedelta(days=1), 0))
    await shop.sweeps.charge_late_fees(shop.org.org_id, shop.clock.now())
    await shop.pay(layby.id, 8_000)
    await shop.at(local(SECOND, 9))
    await shop.sweeps.remind(shop.org.org_id, shop.clock.now())
    assert [key for _, key in await shop.said("payment_reminder")][-1] == f"2:due:{SECOND}"
    done = await shop.pay(layby.id, 500)
    assert (done.status, done.balance_minor) == (Status.COMPLETED, 0)


async def test_no_fee_and_no_default_comes_to_what_is_on_hold_paid_or_ended(shop: Shop):
    held, gone, paid = await shop.open(), await shop.open(), await shop.open()
    await shop.sql("UPDATE laybys SET status = 'on_hold', held_since = start_date WHERE id = $1", held.id)
    await shop.sql(
        "UPDATE laybys SET status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop' WHERE id = $1", gone.id
    )
    await shop.pay(paid.id, 8_000)
    await shop.at(local(SECOND + timedelta(days=60), 0))
    for sweep in (shop.sweeps.charge_late_fees, shop.sweeps.default):
        assert await sweep(shop.org.org_id, shop.clock.now()) == 0
    assert await shop.said("late_fee_applied", "layby_defaulted") == []


async def test_a_layby_defaults_once_when_its_second_instalment_is_missed(shop: Shop):
    layby = await shop.open()
    await shop.at(local(SECOND, 23))
    assert await shop.sweeps.default(shop.org.org_id, shop.clock.now()) == 0
    await shop.at(local(SECOND + timedelta(days=1), 0))
    now = shop.clock.now()
    done = await asyncio.gather(*(shop.sweeps.default(shop.org.org_id, now + timedelta(seconds=i)) for i in range(3)))
    assert sum(done) == 1
    after = await shop.find(layby.id)
    assert (after.status, after.defaulted_at) == (Status.DEFAULTED, now)
    assert after.reinstate_until == SECOND + timedelta(days=31)
    assert len(await shop.said("layby_defaulted")) == 1
    events = await shop.sql("SELECT data::text AS data FROM layby_events WHERE kind = 'defaulted'")
    assert ['"missed_instalments"' in row["data"] for row in events] == [True]
    part = await shop.pay(layby.id, 1_000, SECOND + timedelta(days=31))
    assert (part.status, part.paid_minor) == (Status.DEFAULTED, 3_000)
    back = await shop.pay(layby.id, 7_000, SECOND + timedelta(days=31))
    assert (back.status, back.paid_minor) == (Status.COMPLETED, 10_000)


async def test_a_layby_that_is_not_finished_defaults_after_the_last_day_and_its_grace(shop: Shop):
    layby = await shop.open()
    await shop.pay(layby.id, 7_999)
    last = SECOND + timedelta(days=14)
    await shop.at(local(last, 23))
    assert await shop.sweeps.default(shop.org.org_id, shop.clock.now()) == 0
    await shop.at(local(last + timedelta(days=1), 0))
    assert await shop.sweeps.default(shop.org.org_id, shop.clock.now()) == 1
    assert (await shop.find(layby.id)).status is Status.DEFAULTED


async def test_of_a_fee_and_a_payment_at_once_whichever_wins_the_sums_agree(shop: Shop):
    await shop.at(OPENED)
    for round_ in range(12):
        start = shop.clock.now()
        layby = await shop.open()
        await shop.at(start + timedelta(days=9))
        now = shop.clock.now()
        charged, _ = await asyncio.gather(shop.sweeps.charge_late_fees(shop.org.org_id, now), shop.pay(layby.id, 4_000))
        after = await shop.find(layby.id)
        assert after.paid_minor == 6_000
        assert after.late_fees_minor == 500 * charged == sum(i.late_fee_minor for i in after.instalments)
        row = (await shop.sql("SELECT next_due_n, next_due_minor FROM laybys WHERE id = $1", layby.id))[0]
        assert tuple(row) == (2, 4_000 + after.late_fees_minor), round_
        await shop.pay(layby.id, after.balance_minor)


async def completed(shop: Shop) -> Layby:
    layby = await shop.open(n=1)
    return await shop.pay(layby.id, 8_000)


async def test_goods_that_wait_are_reminded_of_after_seven_and_fourteen_days_until_they_are_out(shop: Shop):
    waits, fetched = await completed(shop), await completed(shop)
    for days in range(5, 24):
        await shop.at(OPENED + timedelta(days=days, hours=2))
        await shop.sweeps.remind_of_collection(shop.org.org_id, shop.clock.now())
        if days == 8:
            await shop.sql("UPDATE laybys SET released_at = now() WHERE id = $1", fetched.id)
    noted = await shop.sql("SELECT layby_id, step, at FROM layby_notices ORDER BY at, layby_id")
    assert {(row["layby_id"], row["step"], (row["at"] - OPENED).days) for row in noted} == {
        (waits.id, "collect_7", 7), (waits.id, "collect_14", 14), (fetched.id, "collect_7", 7),
    }  # fmt: skip
    rows = await shop.sql("SELECT payload #>> '{facts,order}' AS number FROM outbox WHERE kind = 'collection_reminder'")
    assert [row["number"].startswith("O-") for row in rows] == [True] * 3


async def test_a_sweep_that_dies_at_each_chunk_goes_on_where_it_was_and_says_each_once(shop: Shop):
    await shop.fill(450, FIRST)
    await shop.at(local(FIRST, 9))
    now, org_id = shop.clock.now(), shop.org.org_id
    deaths = {"sweeping": 3, "swept": 4}
    sweeps, died = dying(shop, deaths), 0
    while any(deaths.values()):
        with pytest.raises(Died):
            await sweeps.remind(org_id, now)
        died += 1
    assert died == 7
    await sweeps.remind(org_id, now)
    (run,) = await shop.sql("SELECT seen, done, finished_at FROM layby_sweeps WHERE name = 'reminders'")
    assert tuple(run) == (450, 450, now)
    assert len(await shop.said("payment_reminder")) == 450
    assert await sweeps.remind(org_id, now) == 0


async def test_two_sweeps_at_once_share_the_work(shop: Shop):
    await shop.fill(450, FIRST)
    await shop.at(local(FIRST + timedelta(days=1), 9))
    now, org_id = shop.clock.now(), shop.org.org_id
    done = await asyncio.gather(*(shop.sweeps.tell_overdue(org_id, now) for _ in range(2)))
    assert sum(done) == 450
    (run,) = await shop.sql("SELECT seen, done FROM layby_sweeps WHERE name = 'overdue'")
    assert tuple(run) == (450, 450)


async def test_two_sweeps_that_charge_at_once_charge_each_layby_once(shop: Shop):
    await shop.fill(60, FIRST)
    await shop.at(local(FIRST + timedelta(days=1), 1))
    now, org_id = shop.clock.now(), shop.org.org_id
    sent = [shop.sweeps.charge_late_fees(org_id, now + timedelta(minutes=i)) for i in range(3)]
    assert sum(await asyncio.gather(*sent)) == 60
    (sums,) = await shop.sql(
        "SELECT min(late_fees_minor) AS least, max(late_fees_minor) AS most FROM laybys WHERE status = 'active'"
    )
    assert tuple(sums) == (500, 500)


async def test_progress_is_shown_to_watchers_page_by_page(shop: Shop, aiohttp_server):
    await shop.fill(150, FIRST)
    await shop.at(local(FIRST, 9))
    now, org_id = shop.clock.now(), shop.org.org_id
    with pytest.raises(Died):
        await dying(shop, {"swept": 1}).remind(org_id, now)
    await shop.sweeps.tell_overdue(org_id, now - timedelta(days=1))
    described = Described.of(DESCRIPTION.document(route_table(shop.services)))
    api = Api(await aiohttp_server(build_app(shop.services)), described)
    call = api.as_(await shop.org.token())
    (half,) = (await call("GET", "/api/v1/laybys/sweeps?name=reminders")).json["data"]
    assert (half["seen"], half["done"], "finishedAt" in half) == (100, 100, False)
    page = (await call("GET", "/api/v1/laybys/sweeps?limit=1")).json
    assert [run["name"] for run in page["data"]] == ["reminders"]
    rest = (await call("GET", f"/api/v1/laybys/sweeps?limit=1&cursor={page['nextCursor']}")).json
    assert [run["name"] for run in rest["data"]] == ["overdue"]
    assert (rest["hasMore"], "finishedAt" in rest["data"][0]) == (False, True)
    assert (await call("GET", "/api/v1/laybys/sweeps?name=x")).status == 400
    driver = api.as_(await shop.org.token((await shop.org.person(Role.DRIVER))[1]))
    assert (await driver("GET", "/api/v1/laybys/sweeps")).status == 403
    other = await organisation(shop.services, "Bulawayo Bricks")
    assert (await api.as_(await other.token())("GET", "/api/v1/laybys/sweeps")).json["data"] == []


async def test_rows_of_old_runs_are_forgotten(shop: Shop):
    await shop.sweeps.remind(shop.org.org_id, OPENED)
    await shop.clock.advance(timedelta(days=91).total_seconds())
    await shop.sweeps.remind(shop.org.org_id, shop.clock.now())
    assert await shop.sweeps.forget() == 1
    assert len(await shop.sql("SELECT name FROM layby_sweeps")) == 1


async def test_an_organisation_sweeps_its_own_laybys_only(shop: Shop):
    other = Shop(shop.services, shop.clock, await organisation(shop.services, "Bulawayo Bricks"))
    await shop.open()
    theirs = await other.open(rhythm=Rhythm.WEEKLY)
    await shop.at(local(FIRST, 9))
    assert await shop.sweeps.remind(shop.org.org_id, shop.clock.now()) == 1
    assert await other.sql("SELECT layby_id FROM layby_notices") == []
    assert theirs.org_id != UUID(int=0)


OTHERS = """
INSERT INTO organisations (org_id, name, created_at) SELECT uuidv7(), 'o' || i, now() FROM generate_series(1, 40) i;
INSERT INTO customers (org_id, id, name, created_at)
SELECT org_id, org_id, 'C', now() FROM organisations WHERE name ~ '^o';
INSERT INTO laybys (org_id, id, reference, customer_id, trade, jurisdiction, currency, items_minor, service_fee_minor,
                    admin_fee_minor, deposit_minor, rhythm, start_date, final_date, next_due_n, next_due_date,
                    next_due_minor, terms, created_at, updated_at)
SELECT o.org_id, uuidv7(), 'R' || i, o.org_id, 'clothing', 'NONE', 'USD', 10000, 0, 0, 2000, 'weekly', '2026-11-01',
       date '2026-11-30' + i % 60, 1, date '2026-11-23' + i % 60, 2000, l.terms, now(), now()
  FROM organisations o, generate_series(1, 250) i, (SELECT terms FROM laybys LIMIT 1) l WHERE o.name ~ '^o';
"""


async def test_a_chunk_reads_about_a_chunk_however_many_laybys_there_are(shop: Shop, servers: Servers):
    await shop.fill(10_000, FIRST)
    await shop.sql(
        "UPDATE laybys SET status = 'completed', completed_at = now(), collect_by = final_date "
        "WHERE reference LIKE '%7' RETURNING true"
    )
    async with shop.services.database.transaction(SYSTEM) as conn:
        await conn.execute(OTHERS)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    await owner.execute("ANALYZE")
    await owner.close()
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        for statement, index in (
            (storage_sweeps.BY_DUE, "laybys_due"),
            (storage_sweeps.BY_FINAL, "laybys_final"),
            (storage_sweeps.BY_COLLECTION, "laybys_to_collect"),
        ):
            for after in (storage_sweeps.START, (FIRST, UUID(int=0))):
                plan = await conn.fetchval(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", shop.org.org_id, *after, date(2027, 1, 1), 100
                )
                read = list(nodes(json.loads(plan)[0]["Plan"]))
                assert index in {node.get("Index Name") for node in read}, plan
                for node in read:
                    rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                    assert rows <= 300, node


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_of_a_default_and_the_last_payment_at_once_the_layby_is_paid_and_told_so_once(shop: Shop):
    for _ in range(8):
        start = shop.clock.now()
        layby = await shop.open()
        await shop.at(start + timedelta(days=16))
        now = shop.clock.now()
        done, paid = await asyncio.gather(shop.sweeps.default(shop.org.org_id, now), shop.pay(layby.id, 8_000))
        assert (paid.status, paid.balance_minor) == (Status.COMPLETED, 0)
        events = await shop.sql("SELECT kind FROM layby_events WHERE layby_id = $1 ORDER BY id", layby.id)
        kinds = [row["kind"] for row in events]
        assert kinds.count("completed") == 1
        assert ("defaulted" in kinds) == ("reinstated" in kinds) == bool(done)
