"""A trip's track read back: pages, files, figures."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.tracks import At, drive, now_ms, store
from tests.waiting import until
from waypost.tracking import tracks
from waypost.tracking.domain import Flag
from waypost.wiring import Services

GPX = "{http://www.topografix.com/GPX/1/1}"
FORMATS = {"geojson": "application/geo+json", "gpx": "application/gpx+xml", "csv": "text/csv"}


def path(phone: Phone, query: str = "") -> str:
    assert phone.trip is not None
    return f"/api/v1/trips/{phone.trip.id}/locations{query}"


def times(format_: str, body: Any) -> list[str]:
    """The times of the fixes in a file."""
    if format_ == "geojson":
        return [feature["properties"]["time"] for feature in body["features"]]
    if format_ == "gpx":
        return [str(time.text) for time in ET.fromstring(body).iter(f"{GPX}time")]  # noqa: S314 - our own
    return [row["recorded_at"] for row in csv.DictReader(io.StringIO(body.decode()))]


async def test_a_file_has_the_whole_track_in_order_and_is_named(api: Api, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=3)
    await store(org.services, phone, drive(2 * tracks.FIXES_A_READ + 7, begin=begin))
    staff = api.as_(await org.token())
    for format_, content_type in FORMATS.items():
        answer = await staff("GET", path(phone, f"?format={format_}"))
        assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
        assert answer.headers["Content-Disposition"].endswith(f'.{format_}"')
        assert answer.headers["Cache-Control"] == "no-store"
        found = times(format_, answer.json)
        assert len(found) == 2 * tracks.FIXES_A_READ + 7
        assert found == sorted(set(found))
        assert datetime.fromisoformat(found[0]) == begin


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_file_of_a_trip_without_fixes_is_whole(api: Api, org: Org, format_: str):
    phone = await org.phone()
    answer = await api.as_(await org.token())("GET", path(phone, f"?format={format_}"))
    assert (answer.status, times(format_, answer.json)) == (200, [])


async def test_a_part_by_time_by_cursor_and_backwards(api: Api, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=1)
    fixes = drive(100, begin=begin)
    await store(org.services, phone, fixes)
    staff = api.as_(await org.token())
    since, until = quote(fixes[10].at.isoformat()), quote(fixes[40].at.isoformat())
    expected = [f"{fix.at:%Y-%m-%dT%H:%M:%S}.{fix.at.microsecond // 1000:03}Z" for fix in fixes]

    part = await staff("GET", path(phone, f"?format=csv&from={since}&to={until}"))
    assert times("csv", part.json) == expected[10:40]
    turned = await staff("GET", path(phone, f"?format=csv&from={since}&to={until}&order=desc"))
    assert times("csv", turned.json) == expected[39:9:-1]
    page = await staff("GET", path(phone, f"?limit=20&from={since}&to={until}"))
    assert [row["recordedAt"] for row in page.json["data"]] == expected[10:30]
    rest = await staff("GET", path(phone, f"?format=geojson&to={until}&cursor={page.json['nextCursor']}"))
    assert times("geojson", rest.json) == expected[30:40]
    back = await staff("GET", path(phone, f"?limit=20&order=desc&from={since}&to={until}"))
    assert [row["recordedAt"] for row in back.json["data"]] == expected[39:19:-1]


async def test_doubtful_fixes_come_only_when_they_are_asked_for_and_say_why(api: Api, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(minutes=5)
    doubtful = At(begin + timedelta(seconds=5), -17.9, 31.0, flags=int(Flag.MOCK | Flag.DRIFT), late=True)
    await store(org.services, phone, [At(begin, -17.8, 31.0), doubtful])
    staff = api.as_(await org.token())
    for format_ in FORMATS:
        good = await staff("GET", path(phone, f"?format={format_}"))
        both = await staff("GET", path(phone, f"?format={format_}&flagged=true"))
        assert (len(times(format_, good.json)), len(times(format_, both.json))) == (1, 2)
    assert both.json.decode().splitlines()[2].split(",")[8:10] == ["drift mock", "true"]


async def test_simplifying_leaves_out_what_the_line_shows_as_well(api: Api, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=2)
    fixes = drive(1200, begin=begin)
    await store(org.services, phone, fixes)
    staff = api.as_(await org.token())
    thin = times("gpx", (await staff("GET", path(phone, "?format=gpx&simplify=10"))).json)
    whole = times("gpx", (await staff("GET", path(phone, "?format=gpx"))).json)
    assert (thin[0], thin[-1]) == (whole[0], whole[-1])
    assert len(thin) < len(whole) / 50


@pytest.mark.parametrize(
    "query",
    ["format=gpx&limit=5", "format=csv&fields=latitude", "simplify=5", "format=gpx&simplify=0", "format=gpx&simplify=x",
     "from=yesterday", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from=9999-12-31T23:59:59Z",
     "from=2026-01-02T00:00:00", "format=gpx&cursor=zzz"],
)  # fmt: skip
async def test_what_makes_no_sense_together_is_a_400(api: Api, org: Org, query: str):
    answer = await api.as_(await org.token())("GET", path(await org.phone(), f"?{query}"))
    assert answer.status == 400, answer


async def test_a_receiver_reads_the_track_without_the_phones_battery(api: Api, org: Org, services: Services):
    receiver = await organisation(services, "Bulawayo Bulk")
    phone = await org.phone(to=receiver.org_id)
    await store(services, phone, [At(now_ms(), -17.8, 31.0, battery_pct=50)])
    sender, other = api.as_(await org.token()), api.as_(await receiver.token())
    assert (await sender("GET", path(phone))).json["data"][0]["battery"] == 50
    assert "battery" not in (await other("GET", path(phone))).json["data"][0]
    assert "battery" not in (await other("GET", path(phone, "?format=geojson"))).json["features"][0]["properties"]


async def test_others_see_no_track_in_any_form(api: Api, org: Org, services: Services):
    phone, stranger, colleague = await org.phone(), await organisation(services, "Elsewhere"), await org.phone()
    for caller in (api.as_(await stranger.token()), api.as_(colleague.token)):
        for query in ("", "?format=gpx", "/summary"):
            assert (await caller("GET", path(phone, query))).status == 404
    assert (await api.as_(phone.token)("GET", path(phone, "?format=gpx"))).status == 200


async def test_the_summary_adds_up(api: Api, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=2)
    out = drive(100, begin=begin)
    there = out[-1]
    stood = [
        At(there.at + timedelta(seconds=5 * n), there.latitude + (n % 3) * 3e-5, there.longitude, 20.0, 0.0)
        for n in range(1, 61)
    ]
    on = drive(51, begin=stood[-1].at)
    back = [At(fix.at, there.latitude + (fix.latitude - on[0].latitude), fix.longitude, 5, 20) for fix in on[1:]]
    bad = At(there.at + timedelta(seconds=7), -20.0, 30.0, flags=int(Flag.SPEED_JUMP))
    await store(org.services, phone, [*out, *stood, *back, bad])
    answer = await api.as_(await org.token())("GET", path(phone, "/summary"))
    found = answer.json
    assert found["fixes"] == 210
    assert found["distance"] == pytest.approx(12 * 5 * 149, rel=0.01)
    assert found["topSpeed"] == 20
    assert found["movingSeconds"] + found["stoppedSeconds"] + found["silentSeconds"] == pytest.approx(209 * 5, abs=2)
    (stop,) = found["stops"]
    assert stop["seconds"] == pytest.approx(300, abs=15)
    assert stop["latitude"] == pytest.approx(there.latitude, abs=1e-4)
    again = await api.as_(await org.token())(
        "GET", path(phone, "/summary"), headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304


async def test_the_summary_of_a_trip_without_fixes_is_empty(api: Api, org: Org):
    found = (await api.as_(await org.token())("GET", path(await org.phone(), "/summary"))).json
    assert (found["fixes"], found["from"], found["to"], found["distance"], found["stops"]) == (0, None, None, 0, [])


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_file_that_breaks_off_is_an_error_and_no_file(api: Api, org: Org, services: Services, format_: str):
    """The database is cut off in the middle: the connections that the next part would be read by are gone."""
    phone = await org.phone()
    await store(services, phone, drive(4 * tracks.FIXES_A_READ, begin=now_ms() - timedelta(hours=6)))
    token = await org.token()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        url = f"{api.url}{path(phone, f'?format={format_}')}"
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=30)) as response:
            await response.content.readexactly(1000)
            await services.database.pool.close()
            with pytest.raises(aiohttp.ClientError):
                await response.read()


def test_each_file_is_unreadable_without_its_tail() -> None:
    """Beside the broken connection: who kept what had arrived does not take it for the whole."""
    from waypost.tracking.formats import GeoJson, Gpx

    row = (now_ms(), now_ms(), 1, 0, 0, None, None, None, None, None, 0, False)
    with pytest.raises(json.JSONDecodeError):
        json.loads(GeoJson("x").head() + GeoJson("x").rows([row]))
    with pytest.raises(ET.ParseError):
        ET.fromstring(Gpx("x").head() + Gpx("x").rows([row]))  # noqa: S314 - our own


async def test_a_reader_that_goes_away_ends_the_reading(api: Api, org: Org, services: Services):
    phone = await org.phone()
    await store(services, phone, drive(20 * tracks.FIXES_A_READ, begin=now_ms() - timedelta(days=2)))
    token = await org.token()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        response = await session.get(f"{api.url}{path(phone, '?format=gpx')}")
        await response.content.readexactly(1000)
        response.close()
    async with services.database.transaction(org.org_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM fixes") == 20 * tracks.FIXES_A_READ
    await until(lambda: services.database.pool.get_size() == services.database.pool.get_idle_size())
