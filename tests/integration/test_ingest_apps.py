"""Driver apps over HTTP to rows: who gets in, what is stored, what each app is told."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests import app_drives as drives
from tests.app_drives import APPS, FINE, Fix, Request, drive, sealed
from tests.conftest import Answer, Api
from tests.factories import Org, Phone
from tests.integration.test_sockets import node
from tests.waiting import until
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.platform.database import DatabaseAway
from waypost.platform.rotation import Rotated, rotate
from waypost.platform.secretbox import SecretBox, new_key
from waypost.wiring import Services

INGEST = "/api/v1/ingest"
ROWS = """
SELECT raw_at, recorded_at, latitude_e7, longitude_e7, accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct,
       flags, late FROM fixes WHERE org_id = $1 AND device_id = $2 ORDER BY raw_at
"""
KEPT = "SELECT source, reason, detail, record FROM fix_rejections WHERE org_id = $1 AND device_id = $2 ORDER BY id"
JSON = (("Content-Type", "application/json"),)
NOBODY = "wpd_" + "x" * 32


async def rows(org: Org, phone: Phone) -> list[dict[str, Any]]:
    async with org.services.database.transaction(org.org_id) as conn:
        return [dict(row) for row in await conn.fetch(ROWS, org.org_id, phone.device_id)]


async def kept(org: Org, phone: Phone) -> list[dict[str, Any]]:
    """What was refused of a phone, with the reason."""
    async with org.services.database.transaction(org.org_id) as conn:
        return [dict(row) for row in await conn.fetch(KEPT, org.org_id, phone.device_id)]


async def send(api: Api, phone: Phone, request: Request, token: str | None = None) -> Answer:
    address = request.address.replace("{token}", token or phone.token)
    call = api.as_(phone.token) if "/ingest/" not in address else api
    body = io.BytesIO(request.body) if request.body is not None else None
    return await call(request.method, address, data=body, headers=dict(request.headers))


async def set_secret(org: Org, phone: Phone) -> None:
    """What its OwnTracks encrypts with."""
    settings = {"apps": {"owntracks_secret": drives.SECRET}}
    await org.services.directory.devices.change(org.owner, phone.device_id, settings)


async def send_all(api: Api, phone: Phone, requests: Sequence[Request]) -> None:
    for request in requests:
        answer = await send(api, phone, request)
        assert answer.status == 200, answer


def a_drive(seconds: int = 12, **options: Any) -> list[Fix]:
    return drive(seconds, until=datetime.now(UTC), **options)


# What is stored


@pytest.mark.parametrize("app", APPS)
async def test_one_drive_gives_the_same_rows_whichever_app_tells_it(api: Api, org: Org, app: str):
    fixes = a_drive()
    ours, theirs = await org.phone(), await org.phone()
    await set_secret(org, theirs)
    await send_all(api, ours, drives.native(fixes))
    await send_all(api, theirs, APPS[app](fixes))
    expected, found = await rows(org, ours), await rows(org, theirs)
    assert len(found) == len(fixes)
    for fix, one, other in zip(fixes, expected, found, strict=True):
        assert one["raw_at"] == fix.at.replace(microsecond=0)
        assert other["speed_mps"] == pytest.approx(one["speed_mps"], abs=0.01)
        same = [name for name in one if name not in ("speed_mps", "late")]
        assert {name: other[name] for name in same} == {name: one[name] for name in same}


@pytest.mark.parametrize("app", FINE)
async def test_milliseconds_and_any_speed_come_through_where_the_app_tells_them(api: Api, org: Org, app: str):
    fixes = a_drive(ms=123, speeds=(13.42, 7.05))
    phone = await org.phone()
    await send_all(api, phone, FINE[app](fixes))
    found = await rows(org, phone)
    assert [row["raw_at"] for row in found] == [fix.at for fix in fixes]
    assert [row["speed_mps"] for row in found] == pytest.approx([fix.speed for fix in fixes], abs=0.005)


async def test_overlands_count_from_2001_is_read(api: Api, org: Org):
    fixes, phone = a_drive(3), await org.phone()
    await send_all(api, phone, drives.overland_owntracks(fixes))
    assert [row["raw_at"] for row in await rows(org, phone)] == [fix.at.replace(microsecond=0) for fix in fixes]


@pytest.mark.parametrize("app", APPS)
async def test_what_is_sent_again_adds_nothing(api: Api, org: Org, app: str):
    phone = await org.phone()
    await set_secret(org, phone)
    requests = APPS[app](a_drive(4))
    for _ in range(3):
        await send_all(api, phone, requests)
    assert len(await rows(org, phone)) == 4


async def test_what_is_no_fix_is_heard_of_and_stores_nothing(api: Api, org: Org, services: Services):
    phone = await org.phone()
    for app, body in [
        ("osmand", {"id": "1", "batt": 55}),
        ("osmand", {"location": {"event": "heartbeat", "battery": {"level": 0.54}}}),
        ("owntracks", {"_type": "lwt", "tst": 1}),
        ("owntracks", {"_type": "location", "t": "b", "lat": 0, "lon": 0, "batt": 53}),
        ("overland", {"locations": [{"type": "Feature", "properties": {"action": "visit", "battery_level": 0.52}}]}),
        ("transistor", {"location": {"event": "heartbeat", "coords": {"latitude": 1, "longitude": 2}}}),
    ]:
        answer = await api("POST", f"{INGEST}/{app}/{phone.token}", body)
        assert answer.status == 200, (app, answer)
    await services.quality.flush()
    assert (await rows(org, phone), await kept(org, phone)) == ([], [])
    state = await api.as_(await org.token())("GET", f"/api/v1/devices/{phone.device_id}/quality")
    assert (state.json["device"]["source"], state.json["device"]["battery"]) == ("transistor", 52.0)
    assert state.json["device"]["heardAt"]


async def test_the_current_place_is_live_before_the_backlog_and_the_backlog_is_late(api: Api, org: Org):
    fixes, phone = a_drive(40), await org.phone()
    answer = await send(api, phone, drives.overland_batch(fixes[:30], current=fixes[-1]))
    assert answer.json["result"] == "ok"
    found = await rows(org, phone)
    assert [row["late"] for row in found] == [True] * 30 + [False]


async def test_newest_first_leaves_the_newest_as_the_position(api: Api, org: Org):
    fixes, phone = a_drive(8), await org.phone()
    await send_all(api, phone, drives.transistor_newest_first(fixes))
    newest = (await api.as_(await org.token())("GET", "/api/v1/tracking/latest")).json["data"][0]
    assert newest["longitude"] == fixes[-1].lon


async def test_a_name_in_the_body_never_writes_to_another_device(api: Api, org: Org):
    phone, other = await org.phone(), await org.phone()
    (fix,) = a_drive(1)
    named = {"id": str(other.device_id), "deviceid": str(other.device_id)}
    await api("POST", f"{INGEST}/osmand/{phone.token}", {"lat": fix.lat, "lon": fix.lon, "timestamp": fix.s, **named})
    topic = f"owntracks/x/{other.device_id}"
    message = {"_type": "location", "lat": fix.lat, "lon": fix.lon, "tst": fix.s + 1, "topic": topic}
    await api("POST", f"{INGEST}/owntracks/{phone.token}?u=x&d={other.device_id}", message,
              headers={"X-Limit-U": "x", "X-Limit-D": str(other.device_id)})  # fmt: skip
    body = {"location": {"lat": fix.lat, "lng": fix.lon, "timestamp": fix.s + 2}, "device_id": str(other.device_id)}
    await api("POST", f"{INGEST}/transistor/{phone.token}", body, headers={"Authorization": f"Bearer {other.token}"})
    assert (len(await rows(org, phone)), await rows(org, other)) == (3, [])


# What each app is told


ANSWERS: dict[str, Any] = {
    "osmand": b"", "owntracks": [], "overland": {"result": "ok", "name": "Waypost"},
    "transistor": {"accepted": 0, "duplicates": 0, "rejected": 1},
}  # fmt: skip
ONE_BAD = {
    "osmand": {"lat": 12, "lon": 1555, "timestamp": 1},
    "owntracks": {"_type": "location", "lat": 12, "lon": 1555, "tst": 1795348790},
    "overland": {"locations": [{"type": "Feature", "geometry": {"coordinates": [1555, 12]},
                                "properties": {"timestamp": "2026-11-22T11:59:59Z"}}]},
    "transistor": {"location": {"lat": 12, "lng": 1555, "timestamp": "2026-11-22T11:59:59Z"}},
}  # fmt: skip
each_app = pytest.mark.parametrize("app", ANSWERS)


@each_app
async def test_a_record_that_can_never_be_stored_is_taken_and_kept_with_its_reason(api: Api, org: Org, app: str):
    phone = await org.phone()
    answer = await api("POST", f"{INGEST}/{app}/{phone.token}", ONE_BAD[app])
    assert (answer.status, answer.json) == (200, ANSWERS[app])
    (one,) = await kept(org, phone)
    assert (one["source"], one["reason"]) == (app, "bad_coordinates")
    sent: Any = ONE_BAD[app]
    assert json.loads(one["record"]) in (sent, sent.get("location"), *sent.get("locations", []))


@each_app
@pytest.mark.parametrize("body", [b"{not json", b"\xff\xfe\x00", b"[[[[", b"null"])
async def test_a_body_that_nobody_can_read_is_taken_and_kept(api: Api, org: Org, app: str, body: bytes):
    phone = await org.phone()
    answer = await api("POST", f"{INGEST}/{app}/{phone.token}", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (200, ANSWERS[app])
    (one,) = await kept(org, phone)
    assert (one["reason"], one["record"], one["detail"] != "") == ("malformed", body, True)


@each_app
async def test_a_damaged_compressed_body_is_taken_and_kept_and_a_whole_one_is_read(api: Api, org: Org, app: str):
    phone, packed = await org.phone(), {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for body in (b"not gzip at all", gzip.compress(json.dumps(ONE_BAD[app]).encode())):
        answer = await api("POST", f"{INGEST}/{app}/{phone.token}", data=body, headers=packed)
        assert answer.status == 200
    assert [one["reason"] for one in await kept(org, phone)] == ["malformed", "bad_coordinates"]


@each_app
async def test_an_empty_body_is_no_error(api: Api, org: Org, app: str):
    phone = await org.phone()
    answer = await api("POST", f"{INGEST}/{app}/{phone.token}", data=b"")
    assert (answer.status, await kept(org, phone)) == (200, [])


@each_app
async def test_the_address_can_be_tried_in_a_browser_and_by_head(api: Api, org: Org, app: str):
    phone = await org.phone()
    for method in ("GET", "HEAD"):
        assert (await api(method, f"{INGEST}/{app}/{phone.token}")).status == 200
        assert (await api(method, f"{INGEST}/{app}/{NOBODY}")).status == 401
    assert (await api("HEAD", f"{INGEST}/osmand/{phone.token}?lat=1&lon=2")).status == 200
    assert (await rows(org, phone), await kept(org, phone)) == ([], [])


@each_app
async def test_a_token_that_opens_nothing_is_401_and_no_device_is_made_of_it(api: Api, org: Org, app: str):
    phone = await org.phone()
    person = await org.token()
    await org.services.directory.revoke_device(org.owner, phone.device_id)
    org.services.devices.forget(phone.device_id)
    before = len((await api.as_(person)("GET", "/api/v1/devices")).json["data"])
    for token in (phone.token, NOBODY, "123456", person, "wpd_%00"):
        answer = await api("POST", f"{INGEST}/{app}/{token}", ONE_BAD[app])
        assert (answer.status, answer.json["code"]) == (401, "token-invalid"), token
        assert ("error" in answer.json) == (app == "overland")
    assert len((await api.as_(person)("GET", "/api/v1/devices")).json["data"]) == before


async def test_with_grace_owntracks_is_told_503_where_the_others_are_told_401(
    environment: dict[str, str], org: Org, api: Api
):
    async with node(environment | {"WAYPOST_OWNTRACKS_GRACE": "true"}) as graceful:
        for app in ANSWERS:
            answer = await graceful("POST", f"{INGEST}/{app}/{NOBODY}", ONE_BAD[app])
            expected = (503, "token-suspended") if app == "owntracks" else (401, "token-invalid")
            assert (answer.status, answer.json["code"]) == expected
            assert ("Retry-After" in answer.headers) == (app == "owntracks")


@each_app
async def test_too_much_of_a_phone_is_503_and_never_429(api: Api, org: Org, app: str):
    limits = TrackingLimits(requests_per_s=0.1)
    await org.services.identity.save_settings(org.org_id, OrgSettings(tracking=limits))
    phone = await org.phone()

    async def refused() -> Answer | None:
        answer = await api("POST", f"{INGEST}/{app}/{phone.token}", ONE_BAD[app])
        return answer if answer.status != 200 else None

    answer = await until(refused)
    assert answer is not None
    assert (answer.status, answer.json["code"]) == (503, "not-now")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_guessing_tokens_is_slowed_down_without_a_429_too(environment: dict[str, str], org: Org):
    async with node(environment | {"WAYPOST_RATE_ADDRESS": "3"}) as strict:
        statuses = [(await strict("POST", f"{INGEST}/owntracks/{NOBODY}", {})).status for _ in range(6)]
    assert (statuses[0], statuses[-1], 429 in statuses) == (401, 503, False)


async def test_a_fleet_behind_one_address_is_not_counted_by_that_address(environment: dict[str, str], org: Org):
    phone = await org.phone()
    async with node(environment | {"WAYPOST_RATE_ADDRESS": "3"}) as strict:
        for _ in range(8):
            assert (await strict("GET", f"{INGEST}/overland/{phone.token}")).status == 200


@each_app
async def test_bodies_up_to_8_mib_are_taken_and_larger_ones_refused_with_the_limit(api: Api, org: Org, app: str):
    phone, limit = await org.phone(), 8 * 1024 * 1024
    filler = b" " * (limit - len(json.dumps(ONE_BAD[app])))
    body = json.dumps(ONE_BAD[app]).encode() + filler
    headers = {"Content-Type": "application/json"}
    address = f"{INGEST}/{app}/{phone.token}"
    assert (await api("POST", address, data=io.BytesIO(body), headers=headers)).status == 200
    answer = await api("POST", address, data=io.BytesIO(body + b" "), headers=headers)
    assert (answer.status, answer.json["code"], answer.json["limitBytes"]) == (413, "body-too-large", limit)


async def test_a_backlog_of_thousands_is_split_inside_and_counted_as_one_request(api: Api, org: Org):
    """More than the phone's whole allowance of a minute: else its end could never be stored."""
    phone = await org.phone()
    fixes = [replace(fix, at=fix.at - timedelta(hours=1)) for fix in a_drive(6500, speeds=(10,))]
    answer = await send(api, phone, drives.transistor_batch(fixes))
    assert answer.json == {"accepted": 6500, "duplicates": 0, "rejected": 0}
    again = await send(api, phone, drives.transistor_batch(fixes[:10]))
    assert (again.status, again.json["code"]) == (503, "not-now")  # it has used its share up, and comes again


async def test_one_bad_record_among_a_thousand_leaves_the_others_stored(api: Api, org: Org):
    phone, fixes = await org.phone(), a_drive(60)
    body = json.loads(drives.transistor_batch(fixes).body or b"")
    body["location"][7] = "nothing"
    body["location"][30]["coords"]["longitude"] = 1555
    answer = await api("POST", f"{INGEST}/transistor/{phone.token}", body)
    assert answer.json == {"accepted": 58, "duplicates": 0, "rejected": 2}
    assert sorted(one["reason"] for one in await kept(org, phone)) == ["bad_coordinates", "malformed"]


# Tokens in headers


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


async def test_apps_with_fields_for_it_may_send_the_token_in_a_header(api: Api, org: Org):
    phone = await org.phone()
    for headers in (
        {"Authorization": f"Bearer {phone.token}"}, basic(f"jane:{phone.token}"), basic(f"{phone.token}:x"),
        {"Authorization": f"Basic jane:{phone.token}"}, basic(phone.token),
    ):  # fmt: skip
        for app, taken in ANSWERS.items():
            answer = await api("POST", f"{INGEST}/{app}", ONE_BAD[app], headers=headers)
            assert (answer.status, answer.json) == (200, taken), (app, headers)
    for headers in ({}, basic("jane:wrong"), {"Authorization": "Basic !"}, {"Authorization": "Basic"}, basic("\xff")):
        assert (await api("POST", f"{INGEST}/owntracks", {}, headers=headers)).status == 401


async def test_no_token_is_in_logs_metrics_or_problems(
    api: Api, org: Org, services: Services, capsys: pytest.CaptureFixture[str]
):
    phone = await org.phone()
    told = ""
    for token in (phone.token, NOBODY):
        for app in ANSWERS:
            answer = await api("POST", f"{INGEST}/{app}/{token}", ONE_BAD[app])
            told += f"{answer.json}{dict(answer.headers)}"
    output = capsys.readouterr()
    told += output.out + output.err + services.metrics.text().decode()
    assert phone.token not in told
    assert NOBODY not in told
    assert "/api/v1/ingest/owntracks/{device_token}" in told


# Settings of a device


async def apps_of(api: Api, org: Org, phone: Phone, change: Any) -> Answer:
    return await api.as_(await org.token())("PATCH", f"/api/v1/devices/{phone.device_id}", {"apps": change})


async def test_a_renamed_template_is_read_once_the_device_says_so_on_every_node(
    api: Api, org: Org, environment: dict[str, str]
):
    phone, (fix, other) = await org.phone(), a_drive(2)
    template = {"root": "data", "fields": {"latitude": "y", "longitude": "x", "timestamp": "when", "speed": "m.v"}}

    def body(one: Fix) -> Any:
        return {"data": [{"y": one.lat, "x": one.lon, "when": one.iso, "m": {"v": one.speed}}]}

    async with node(environment) as far:
        assert (await far("POST", f"{INGEST}/transistor/{phone.token}", body(fix))).json["rejected"] == 1
        changed = await apps_of(api, org, phone, {"transistor": template})
        assert (changed.status, changed.json["transistor"], changed.json["version"]) == (200, template, 2)

        async def is_read() -> bool:
            return (await far("POST", f"{INGEST}/transistor/{phone.token}", body(fix))).json["rejected"] == 0

        await until(is_read)
    assert (await api("POST", f"{INGEST}/transistor/{phone.token}", body(other))).json["accepted"] == 1
    assert [row["speed_mps"] for row in await rows(org, phone)] == [fix.speed, other.speed]
    assert "transistor" not in (await apps_of(api, org, phone, {"transistor": None})).json


async def test_an_encrypted_message_is_kept_with_the_reason_until_the_secret_is_set(
    api: Api, org: Org, services: Services
):
    phone, (fix,) = await org.phone(), a_drive(1)
    (request,) = drives.owntracks_encrypted([fix])
    assert (await send(api, phone, request)).json == []
    for secret in ("another", drives.SECRET):
        changed = await apps_of(api, org, phone, {"owntracksSecret": secret})
        assert changed.json["hasOwntracksSecret"] is True
        assert secret not in str(changed.json)

        async def is_known(now: str = secret) -> bool:
            return await services.apps.owntracks_secret(org.org_id, phone.device_id) == now

        await until(is_known)
        assert (await send(api, phone, request)).json == []
    assert [one["detail"] for one in await kept(org, phone)] == [
        "it is encrypted, and no secret is set for this device",
        "it was encrypted with another secret than this device's",
    ]
    assert [row["longitude_e7"] for row in await rows(org, phone)] == [round(fix.lon * 1e7)]


async def test_the_secret_is_stored_sealed_and_taken_away_with_null(api: Api, org: Org, services: Services):
    phone = await org.phone()
    await apps_of(api, org, phone, {"owntracksSecret": drives.SECRET})
    async with services.database.transaction(org.org_id) as conn:
        stored = await conn.fetchval("SELECT owntracks_secret FROM devices WHERE id = $1", phone.device_id)
    assert drives.SECRET not in stored
    assert services.box.open(stored).decode() == drives.SECRET
    audit = await api.as_(await org.token())("GET", f"/api/v1/audit?subjectId={phone.device_id}")
    assert drives.SECRET not in str(audit.json)
    assert audit.json["data"][0]["detail"] == {"fields": ["apps"]}
    assert "hasOwntracksSecret" not in (await apps_of(api, org, phone, {"owntracksSecret": None})).json


async def test_a_rotation_of_keys_renews_the_secrets_that_there_are(
    org: Org, services: Services, environment: dict[str, str]
):
    phone, _without = await org.phone(), await org.phone()
    await set_secret(org, phone)
    old, new = environment["WAYPOST_ENCRYPTION_KEYS"], new_key()
    assert await rotate(services.database, SecretBox.of(f"{new},{old}"), lambda *_: None) == Rotated(1)
    async with services.database.transaction(org.org_id) as conn:
        stored = await conn.fetchval("SELECT owntracks_secret FROM devices WHERE id = $1", phone.device_id)
    assert SecretBox.of(new).open(stored).decode() == drives.SECRET


@pytest.mark.parametrize(
    ("apps", "field"),
    [
        ({"transistor": {"root": ""}}, "apps.transistor.root"),
        ({"transistor": {"root": 'a"b'}}, "apps.transistor.root"),
        ({"transistor": {"fields": {"nonsense": "x"}}}, "apps.transistor.fields"),
        ({"transistor": {"fields": {"latitude": "a..b"}}}, "apps.transistor.fields[...]"),
        ({"owntracksSecret": "x" * 33}, "apps.owntracksSecret"),
        ({"owntracksSecret": ""}, "apps.owntracksSecret"),
        ({"other": 1}, "apps.other"),
    ],
)
async def test_settings_that_make_no_sense_are_refused_by_name(api: Api, org: Org, apps: Any, field: str):
    answer = await apps_of(api, org, await org.phone(), apps)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_the_set_up_text_has_an_address_for_each_app_and_they_work(api: Api, org: Org):
    owner = api.as_(await org.token())
    driver = (await owner("POST", "/api/v1/drivers", {"name": "Tendai"})).json["id"]
    made = (await owner("POST", "/api/v1/devices", {"name": "Phone", "driverId": driver})).json
    for app in ANSWERS:
        address = f"{api.url}{INGEST}/{app}/{made['token']}"
        assert address in made["setup"]["text"]
        assert (await api("GET", address.removeprefix(api.url))).status == 200
    assert UUID(made["id"])


def test_a_sealed_message_is_what_the_apps_send():
    assert set(sealed({})) == {"_type", "data"}


def batch_of(*records: dict[str, Any] | str) -> Request:
    body = json.dumps({"location": list(records)}).encode()
    return Request("POST", f"{INGEST}/transistor/{{token}}", body, JSON)


def located(at: datetime, n: int, battery: float = 0.5) -> dict[str, Any]:
    coords = {"latitude": -17.8 + n / 1e4, "longitude": 31.05, "accuracy": 5, "speed": 2}
    return {"uuid": f"{n}", "timestamp": at.isoformat(), "coords": coords, "battery": {"level": battery}}


async def test_a_broken_record_in_each_batch_makes_no_phone_silent(api: Api, org: Org, services: Services):
    phone, staff = await org.phone(), api.as_(await org.token())
    now = datetime.now(UTC)
    for n in range(3):
        await send(api, phone, batch_of(located(now - timedelta(seconds=30 - 5 * n), n), "broken"))
        await services.quality.flush()
        (device,) = (await staff("GET", "/api/v1/tracking/quality")).json["data"]
        assert device["state"] == "live"
    assert len(await kept(org, phone)) == 3


async def test_the_battery_is_that_of_the_newest_fix_in_whatever_order_they_come(
    api: Api, org: Org, services: Services
):
    phone, staff = await org.phone(), api.as_(await org.token())
    now = datetime.now(UTC)
    await send(api, phone, batch_of(*(located(now - timedelta(seconds=5 * n), n, 0.05 + n / 10) for n in range(8))))
    await services.quality.flush()
    (device,) = (await staff("GET", "/api/v1/tracking/quality")).json["data"]
    assert device["battery"] == 5


@pytest.mark.parametrize("app", ["transistor", "ping"])
async def test_while_the_database_is_away_no_phone_uses_up_its_share(
    api: Api, org: Org, services: Services, app: str, monkeypatch: pytest.MonkeyPatch
):
    phone, begin = await org.phone(), datetime.now(UTC) - timedelta(hours=1)
    ping = [{"latitude": -17.8 + n / 1e4, "longitude": 31.05, "timestamp": (begin + timedelta(seconds=n)).isoformat()}
            for n in range(1000)]  # fmt: skip
    request = (
        batch_of(*(located(begin + timedelta(seconds=n), n) for n in range(5000)))
        if app == "transistor"
        else Request("POST", "/api/v1/tracking/ping", json.dumps({"locations": ping}).encode(), JSON)
    )

    async def away(*_anything: object) -> None:
        raise DatabaseAway

    with monkeypatch.context() as patched:
        patched.setattr(type(services.tracking.commit), "store", away)
        for _ in range(8):
            answer = await send(api, phone, request)
            assert (answer.status, answer.json["code"]) == (503, "database-away")
    assert (await send(api, phone, request)).status == 200
