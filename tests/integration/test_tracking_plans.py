"""Every query of tracking finds its rows by an index; a page of a track reads a page, whatever else there is."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

import waypost.tracking
from tests.factories import Org, Phone
from tests.servers import Servers
from tests.tracks import now_ms
from waypost.platform.database import SYSTEM
from waypost.tracking import storage_tracks
from waypost.tracking.storage_tracks import Reach
from waypost.tracking.tracks import BEFORE_ANY, Asked, Tracks, lies_between
from waypost.wiring import Services

VERB = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
SCANS = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
# Tables that grow with what is reported; of the others a whole read is as good.
LARGE = re.compile(r"^(fixes|fixes_\d{8}|fix_keys|positions|trip_positions|device_tracks|street_cells|rejections)$")
# What the indexes of large tables begin with; a condition on a later column alone reads them from end to end.
BEGINS_WITH = re.compile(r"\b(org_id|receipt|received_at)\b")
PLAN = """
CREATE FUNCTION pg_temp.plan(statement text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE found json;
BEGIN
    EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO found;
    RETURN found;
END $$
"""
OTHERS = """
INSERT INTO fixes (org_id, device_id, vehicle_id, trip_id, received_at, raw_at, recorded_at, latitude_e7, longitude_e7)
SELECT $1, d, d, t, at, at, at, n, n
  FROM (SELECT n, md5((n % 40)::text)::uuid AS d, md5('t' || n % 400)::uuid AS t,
               $2::timestamptz - n * interval '60 seconds' AS at
          FROM generate_series(1, $3) AS n)
"""
OWN = """
INSERT INTO fixes (org_id, device_id, vehicle_id, trip_id, received_at, raw_at, recorded_at, latitude_e7, longitude_e7)
SELECT $1, $2, $2, $3, at, at, at, n, n
  FROM (SELECT n, $4::timestamptz + n * interval '1 second' AS at FROM generate_series(1, $5) AS n)
"""
WEEKS, OTHER_FIXES, OWN_FIXES = 12, 120_000, 20_000


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def statements() -> Iterator[tuple[str, str]]:
    """Every one of the feature's storage modules, and one that shows that this test would see it."""
    yield "a statement that has none", "SELECT count(*) FROM fixes WHERE org_id <> $1 AND latitude_e7 = $2"
    for module in pkgutil.iter_modules(waypost.tracking.__path__):
        if module.name.startswith("storage"):
            found = importlib.import_module(f"waypost.tracking.{module.name}")
            for name, text in vars(found).items():
                if name.isupper() and isinstance(text, str) and VERB.match(text.strip()) and "$1" in text:
                    yield f"{module.name}.{name}", text


async def test_every_statement_of_tracking_has_an_index_to_go_by(services: Services):
    """Of large tables: with sequential scans forbidden none is left, and no index is read from end to end."""
    wrong = {}
    tried = 0
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT waypost_make_fix_partition(now())")
        await conn.execute(f"RESET ROLE; {PLAN}; GRANT EXECUTE ON FUNCTION pg_temp.plan TO PUBLIC")
        await conn.execute("SET LOCAL ROLE waypost_system; SET LOCAL enable_seqscan = off")
        for name, text in statements():
            tried += 1
            plan = json.loads(await conn.fetchval("SELECT pg_temp.plan($1)", text))[0]["Plan"]
            bad = [node for node in nodes(plan) if reads_all(node)]
            if bad:
                wrong[name] = [(node["Node Type"], node.get("Relation Name", node.get("Index Name"))) for node in bad]
    assert tried > 20
    assert set(wrong) == {"a statement that has none"}


def reads_all(node: dict[str, Any]) -> bool:
    """Does it read the whole of a table, or of an index of one?"""
    table = node.get("Relation Name", "")
    if node["Node Type"] == "Seq Scan":
        return bool(LARGE.match(table))
    begins = BEGINS_WITH.search(node.get("Index Cond", ""))
    return node["Node Type"] in SCANS and begins is None and bool(LARGE.match(table or "fixes"))


@pytest.fixture
async def track(services: Services, org: Org, servers: Servers) -> Phone:
    """A trip of 20,000 fixes among many others' over twelve weeks."""
    phone = await org.phone()
    assert phone.trip is not None
    now = now_ms()
    async with services.database.transaction(SYSTEM) as conn:
        for week in range(-1, WEEKS + 1):
            await conn.execute("SELECT waypost_make_fix_partition($1)", now - timedelta(weeks=week))
        await conn.execute(OTHERS, org.org_id, now, OTHER_FIXES)
        await conn.execute(OWN, org.org_id, phone.device_id, phone.trip.id, now - timedelta(hours=6), OWN_FIXES)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    return phone


def reach_of(phone: Phone, *, backwards: bool = False) -> Reach:
    assert phone.trip is not None
    asked, times = Asked(), lies_between(phone.trip, None)
    assert times is not None
    begin = (asked.until if backwards else asked.since, BEFORE_ANY)
    end = asked.since if backwards else asked.until
    return Reach(phone.principal.org_id, phone.trip.id, *times, begin, end, 15, backwards, own=True)


@pytest.mark.parametrize("depth", [0, OWN_FIXES // 2])
@pytest.mark.parametrize("backwards", [False, True])
async def test_a_page_of_a_track_reads_about_a_page_of_few_weeks_however_deep(
    services: Services, track: Phone, depth: int, *, backwards: bool
):
    reach, page = reach_of(track, backwards=backwards), 201
    statement = storage_tracks.TRACK_BACKWARDS if backwards else storage_tracks.TRACK_FORWARDS
    async with services.database.transaction(reach.org_id) as conn:
        after = reach.after
        if depth:
            last = (await storage_tracks.read(conn, reach, depth))[-1]
            after = (last["recorded_at"], last["receipt"])
        for _ in range(7):  # beyond the fifth time it may be a plan for any arguments
            text = await conn.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", reach.org_id, reach.trip_id, reach.raw_from,
                reach.raw_until, reach.without, reach.own, *after, reach.end, page,
            )  # fmt: skip
            plan = json.loads(text)[0]["Plan"]
            scans = [node for node in nodes(plan) if node.get("Relation Name", "").startswith("fixes")]
            read = [
                (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans
            ]
            kinds = {node["Node Type"] for node, rows in zip(scans, read, strict=True) if rows}  # an empty week is free
            assert "Seq Scan" not in kinds, text
            assert sum(read) <= page + len(scans)
            assert len(scans) <= 5, "nine days before the trip's run, and what is yet to come"


def rows_read(node: dict[str, Any]) -> float:
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


async def test_tracks_are_read_over_the_edge_of_weeks(services: Services, org: Org, track: Phone):
    """Pruned, not cut: every fix of a trip that began in another week is there."""
    assert track.trip is not None
    count = 0
    _, parts = await Tracks(services.database).whole(org.owner, track.trip.id, Asked())
    async for part in parts:
        count += len(part)
    assert count == OWN_FIXES
