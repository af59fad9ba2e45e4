"""Drivers, trucks, customers and devices: lists, changes that take If-Match, putting away, whose is what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.integration.test_sockets import node
from waypost.directory import storage
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.wiring import Services


@dataclass(frozen=True, slots=True)
class Kind:
    """One register, and bodies that are good for it."""

    path: str
    full: dict[str, Any]
    kept: dict[str, Any]  # ``full`` as it is kept
    change: dict[str, Any]


DRIVERS = Kind(
    "/api/v1/drivers",
    {"name": "Tendai Moyo", "phone": "+263 77 123 4567"},
    {"name": "Tendai Moyo", "phone": "+263771234567"},
    {"phone": None},
)
TRUCKS = Kind(
    "/api/v1/trucks",
    {"name": "Truck 7", "plate": "ABC 1234"},
    {"name": "Truck 7", "plate": "ABC 1234"},
    {"plate": None},
)
CUSTOMERS = Kind(
    "/api/v1/customers",
    {
        "name": "Chipo",
        "phone": "+263771234568",
        "email": "Chipo@Example.com",
        "locale": "en-ZW",
        "timeZone": "Africa/Harare",
    },
    {
        "name": "Chipo",
        "phone": "+263771234568",
        "email": "chipo@example.com",
        "locale": "en-ZW",
        "timeZone": "Africa/Harare",
    },
    {"email": None, "locale": None},
)
KINDS = [DRIVERS, TRUCKS, CUSTOMERS]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.path.rpartition("/")[2])


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


@pytest.fixture
async def unlimited(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A node that takes any number of requests a minute."""
    async with node(environment | {"WAYPOST_RATE_PERSON": "0", "WAYPOST_RATE_ORGANISATION": "0"}) as free:
        yield free


@pytest.fixture
async def other(services: Services) -> Org:
    return await organisation(services, "Bulawayo Bakers")


async def paged(call: Api, path: str, **query: object) -> list[dict[str, Any]]:
    """Every row, two a page."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, object] = {}
    while True:
        page = (await call("GET", path, params={"limit": 2, **query, **cursor})).json
        rows += page["data"]
        if not page["hasMore"]:
            assert page["nextCursor"] is None
            return rows
        cursor = {"cursor": page["nextCursor"]}


@each_kind
async def test_an_entry_is_added_read_changed_and_put_away(owner: Api, kind: Kind):
    made = await owner("POST", kind.path, kind.full)
    assert made.status == 201
    assert {name: made.json[name] for name in kind.kept} == kind.kept
    assert made.json["version"] == 1
    one = f"{kind.path}/{made.json['id']}"
    read = await owner("GET", one)
    assert (read.json, read.headers["ETag"]) == (made.json, made.headers["ETag"])
    changed = await owner("PATCH", one, kind.change, headers={"If-Match": read.headers["ETag"]})
    expected = {name: value for name, value in made.json.items() if name not in kind.change}
    assert changed.json == expected | {"version": 2}
    renamed = await owner("PATCH", one, {"name": "Another"})
    assert renamed.json == expected | {"version": 3, "name": "Another"}
    assert (await owner("PATCH", one, {})).json == renamed.json
    assert [(await owner("DELETE", one)).status for _ in range(2)] == [204, 204]
    gone = (await owner("GET", one)).json
    assert (gone["archivedAt"] is not None, gone["version"]) == (True, 4)
    refused = await owner("PATCH", one, {"name": "Back"})
    assert (refused.status, refused.json["code"]) == (409, "archived")


@each_kind
async def test_a_name_is_needed_and_stays(owner: Api, kind: Kind):
    made = (await owner("POST", kind.path, {"name": "X"})).json
    for method, path, body in [
        ("POST", kind.path, {}),
        ("POST", kind.path, {"name": "  "}),
        ("POST", kind.path, {"name": "a\u0000b"}),
        ("PATCH", f"{kind.path}/{made['id']}", {"name": None}),
        ("PATCH", f"{kind.path}/{made['id']}", {"name": "x" * 201}),
    ]:
        answer = await owner(method, path, body)
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "name"), body


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("drivers", "phone", "0771234567"),
        ("drivers", "phone", "+263"),
        ("drivers", "phone", "+2637712345678901"),
        ("drivers", "phone", "call me"),
        ("customers", "phone", "12345"),
        ("customers", "email", "chipo"),
        ("customers", "email", "a@b@c"),
        ("customers", "email", "chipo@example.com\nBcc: all@example.com"),
        ("customers", "timeZone", "Harare"),
        ("customers", "locale", "english please"),
    ],
)
async def test_what_is_no_number_address_or_zone_is_refused_by_its_field(owner: Api, path: str, field: str, value: str):
    made = (await owner("POST", f"/api/v1/{path}", {"name": "X"})).json
    for method, target in (("POST", path), ("PATCH", f"{path}/{made['id']}")):
        answer = await owner(method, f"/api/v1/{target}", {"name": "X", field: value})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


@each_kind
async def test_a_list_filters_pages_and_picks_fields(owner: Api, kind: Kind):
    names = ["Alpha", "Beta", "Gamma", "alphabet", "Delta"]
    ids = [(await owner("POST", kind.path, {"name": name})).json["id"] for name in names]
    await owner("DELETE", f"{kind.path}/{ids[4]}")
    assert [row["id"] for row in await paged(owner, kind.path)] == ids[:4]
    assert [row["name"] for row in await paged(owner, kind.path, q="ALPHA")] == ["Alpha", "alphabet"]
    assert [row["id"] for row in await paged(owner, kind.path, archived="true")] == [ids[4]]
    assert await paged(owner, kind.path, q="a%") == []  # a search is for text, not for a pattern
    picked = (await owner("GET", kind.path, params={"fields": "name", "q": "bet"})).json["data"]
    assert picked == [{"name": "Beta"}, {"name": "alphabet"}]
    for query, code in [
        ({"fields": "secret"}, "bad-query"),
        ({"limit": 201}, "bad-query"),
        ({"cursor": "forged"}, "bad-cursor"),
        ({"q": ""}, "bad-query"),
        ({"archived": "perhaps"}, "bad-query"),
        ({"sort": "name"}, "bad-query"),
    ]:
        answer = await owner("GET", kind.path, params=query)
        assert (answer.status, answer.json["code"]) == (400, code), query


@each_kind
async def test_rows_that_are_added_while_a_list_is_read_neither_repeat_nor_skip_any(owner: Api, kind: Kind):
    ids = [(await owner("POST", kind.path, {"name": f"N {n}"})).json["id"] for n in range(4)]
    first = (await owner("GET", kind.path, params={"limit": 2})).json
    ids.append((await owner("POST", kind.path, {"name": "N 4"})).json["id"])
    await owner("DELETE", f"{kind.path}/{ids[1]}")  # the row that the cursor stands on
    rest = (await owner("GET", kind.path, params={"limit": 3, "cursor": first["nextCursor"]})).json
    assert ([row["id"] for row in first["data"] + rest["data"]], rest["hasMore"]) == (ids, False)


@pytest.mark.parametrize("table", [storage.DRIVERS, storage.TRUCKS, storage.CUSTOMERS], ids=lambda table: table.name)
async def test_an_index_gives_each_page_in_its_order(services: Services, org: Org, table: storage.Table[Any]):
    """Those put away, which are few, are not looked for among all."""
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            f"INSERT INTO {table.name} (org_id, id, name, created_at, archived_at)"
            " SELECT $1, gen_random_uuid(), 'n', now(), CASE WHEN n % 100 = 0 THEN now() END"
            " FROM generate_series(1, 20000) n",
            org.org_id,
        )
        await conn.execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        plans = {}
        for archived in (True, False):
            plan = await conn.fetch(f"EXPLAIN {table.rows}", org.org_id, UUID(int=0), archived, None, 50)
            plans[archived] = "\n".join(row[0] for row in plan)
    assert f"Index Scan using {table.name}_archived" in plans[True]
    assert all("Index Scan" in text and "Sort" not in text for text in plans.values()), plans


# A change is made to what was seen


@pytest.mark.parametrize("rounds", [100, pytest.param(1000, marks=pytest.mark.long)])
async def test_of_two_changes_at_once_to_what_both_have_seen_one_is_stale(owner: Api, unlimited: Api, rounds: int):
    """The lost-update race of If-Match: one 200, one 412, and what is kept is what the 200 said."""
    made = await owner("POST", "/api/v1/customers", {"name": "Round 0"})
    url = unlimited.server.make_url(f"/api/v1/customers/{made.json['id']}")
    etag = made.headers["ETag"]
    headers = {"Authorization": f"Bearer {owner.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def patch(name: str) -> tuple[int, dict[str, Any], str]:
            async with session.patch(url, json={"name": name}, headers={"If-Match": etag}) as answer:
                return answer.status, await answer.json(), answer.headers.get("ETag", "")

        for number in range(rounds):
            answers = await asyncio.gather(patch(f"A {number}"), patch(f"B {number}"))
            won = [(body, tag) for status, body, tag in answers if status == 200]
            lost = [body["code"] for status, body, _ in answers if status == 412]
            assert (len(won), lost) == (1, ["stale"]), answers
            body, etag = won[0]
            assert body["version"] == number + 2
    assert (await owner("GET", f"/api/v1/customers/{made.json['id']}")).json == body


async def test_the_same_race_on_devices_members_and_trips_has_one_winner_too(owner: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    person, _ = await org.person(Role.VIEWER)
    for path, key, values in [
        (f"devices/{phone.device_id}", "name", "ABCDEFGHIJ"),
        (f"drivers/{phone.driver_id}", "name", "ABCDEFGHIJ"),
        (f"members/{person.user_id}", "role", ["driver", "owner", "viewer", "dispatcher"] * 3),
        (f"trips/{phone.trip.id}", "origin", "ABCDEFGHIJ"),
        ("org", "name", "ABCDEFGHIJ"),
    ]:
        for turn in range(5):
            seen = await owner("GET", f"/api/v1/{path}")
            bodies = [{key: value} for value in values[2 * turn : 2 * turn + 2]]
            answers = await asyncio.gather(
                *(owner("PATCH", f"/api/v1/{path}", b, headers={"If-Match": seen.headers["ETag"]}) for b in bodies)
            )
            assert sorted(answer.status for answer in answers) == [200, 412], (path, answers)


# Putting away


async def test_a_driver_on_the_road_is_not_put_away_and_their_phones_go_with_them(api: Api, owner: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    path = f"/api/v1/drivers/{phone.driver_id}"
    busy = await owner("DELETE", path)
    assert (busy.status, busy.json["code"]) == (409, "driver-busy")
    await owner("POST", f"/api/v1/trips/{phone.trip.id}/complete")
    assert (await owner("DELETE", path)).status == 204
    assert (await owner("GET", f"/api/v1/devices/{phone.device_id}")).json["revokedAt"]
    actions = [e["action"] for e in (await owner("GET", "/api/v1/audit?limit=2")).json["data"]]
    assert actions == ["driver.archived", "device.revoked"]


async def test_what_is_put_away_is_offered_for_nothing_new_and_is_still_named(owner: Api, org: Org):
    driver = (await owner("POST", "/api/v1/drivers", {"name": "Tendai"})).json["id"]
    truck = (await owner("POST", "/api/v1/trucks", {"name": "Truck"})).json["id"]
    customer = (await owner("POST", "/api/v1/customers", {"name": "Chipo"})).json["id"]
    planned = (
        await owner("POST", "/api/v1/trips", {"driverId": driver, "truckId": truck, "customerId": customer})
    ).json
    phone = await org.phone(running=False)
    for path, key in (
        (f"drivers/{driver}", "driverId"),
        (f"trucks/{truck}", "truckId"),
        (f"customers/{customer}", "customerId"),
    ):
        assert (await owner("DELETE", f"/api/v1/{path}")).status == 204
        name = path.rpartition("/")[2]
        refused = await owner("POST", "/api/v1/trips", {key: name})
        assert (refused.status, refused.json["code"]) == (404, f"{path.split('s/')[0]}-not-found")
        assert "archived" in refused.json["detail"]
        if key != "customerId":
            assert (await owner("PATCH", f"/api/v1/devices/{phone.device_id}", {key: name})).status == 404
    seen = (await owner("GET", f"/api/v1/trips/{planned['id']}")).json
    assert (seen["driverName"], seen["truckName"], seen["customerName"]) == ("Tendai", "Truck", "Chipo")
    start = await owner("POST", f"/api/v1/trips/{planned['id']}/start")
    assert (start.status, start.json["code"]) == (409, "trip-without-driver")


@pytest.mark.parametrize("rounds", [15, pytest.param(150, marks=pytest.mark.long)])
async def test_a_trip_that_starts_while_its_driver_is_put_away_never_runs_without_one(
    owner: Api, services: Services, rounds: int
):
    for _ in range(rounds):
        driver = (await owner("POST", "/api/v1/drivers", {"name": "Tendai"})).json["id"]
        trip = (await owner("POST", "/api/v1/trips", {"driverId": driver})).json["id"]
        answers = await asyncio.gather(
            owner("POST", f"/api/v1/trips/{trip}/start"), owner("DELETE", f"/api/v1/drivers/{driver}")
        )
        assert [a.status for a in answers] in ([200, 409], [409, 204])


async def test_a_truck_that_is_put_away_lets_its_phones_out(owner: Api, org: Org):
    phone = await org.phone(in_truck=True)
    assert phone.trip is not None
    truck = phone.principal.vehicle_id
    busy = await owner("DELETE", f"/api/v1/trucks/{truck}")
    assert (busy.status, busy.json["code"]) == (409, "truck-busy")
    await owner("POST", f"/api/v1/trips/{phone.trip.id}/complete")
    assert (await owner("DELETE", f"/api/v1/trucks/{truck}")).status == 204
    device = (await owner("GET", f"/api/v1/devices/{phone.device_id}")).json
    assert ("truckId" in device, "revokedAt" in device) == (False, False)


# Members who drive


async def test_a_member_is_linked_to_one_driver_at_a_time(owner: Api, org: Org, other: Org):
    person, _ = await org.person(Role.DRIVER)
    stranger, _ = await other.person(Role.DRIVER)
    first, second = [(await owner("POST", "/api/v1/drivers", {"name": f"D{n}"})).json["id"] for n in range(2)]
    link = {"userId": str(person.user_id)}
    assert (await owner("PATCH", f"/api/v1/drivers/{first}", link)).json["userId"] == link["userId"]
    taken = await owner("PATCH", f"/api/v1/drivers/{second}", link)
    assert (taken.status, taken.json["code"]) == (409, "member-drives-already")
    assert (await owner("POST", "/api/v1/drivers", {"name": "D3", **link})).json["code"] == "member-drives-already"
    for nobody in (stranger.user_id, uuid4()):
        missing = await owner("PATCH", f"/api/v1/drivers/{second}", {"userId": str(nobody)})
        assert (missing.status, missing.json["code"]) == (404, "member-not-found")
    assert (await owner("DELETE", f"/api/v1/drivers/{first}")).status == 204
    assert (await owner("PATCH", f"/api/v1/drivers/{second}", link)).status == 200


# Devices


async def test_devices_are_listed_by_driver_truck_and_state(owner: Api, org: Org):
    phones = [await org.phone(running=False, in_truck=n == 0) for n in range(3)]
    await owner("POST", f"/api/v1/devices/{phones[2].device_id}/revoke")
    ids = [str(phone.device_id) for phone in phones]
    assert [d["id"] for d in await paged(owner, "/api/v1/devices")] == ids
    assert [d["id"] for d in await paged(owner, "/api/v1/devices", driverId=str(phones[1].driver_id))] == [ids[1]]
    truck = str(phones[0].principal.vehicle_id)
    (in_truck,) = await paged(owner, "/api/v1/devices", truckId=truck)
    assert (in_truck["id"], in_truck["truckId"], in_truck["truckName"][:5]) == (ids[0], truck, "Truck")
    assert [d["id"] for d in await paged(owner, "/api/v1/devices", state="active")] == ids[:2]
    assert [d["id"] for d in await paged(owner, "/api/v1/devices", state="revoked")] == [ids[2]]
    assert await paged(owner, "/api/v1/devices", driverId=str(uuid4())) == []


async def test_a_new_device_comes_with_what_the_driver_types_where(api: Api, owner: Api, org: Org):
    driver = (await owner("POST", "/api/v1/drivers", {"name": "Tendai"})).json["id"]
    made = await owner("POST", "/api/v1/devices", {"name": "Phone", "driverId": driver})
    assert made.status == 201
    token, setup = made.json["token"], made.json["setup"]
    assert setup["url"] == api.url
    assert f"Server: {api.url}\nToken: {token}\n" in setup["text"]
    read = (await owner("GET", f"/api/v1/devices/{made.json['id']}")).json
    assert {"token", "setup"}.isdisjoint(read)
    assert (read["driverName"], read["version"]) == ("Tendai", 1)


async def test_a_replaced_token_goes_on_for_a_day_and_the_one_before_it_ends_at_once(
    api: Api, owner: Api, org: Org, services: Services
):
    phone = await org.phone()
    path = f"/api/v1/devices/{phone.device_id}/token"
    first = (await owner("POST", path)).json
    assert first["oldTokenUntil"]
    for token in (phone.token, first["token"]):
        assert (await api.as_(token)("GET", "/api/v1/me")).json["deviceId"] == str(phone.device_id)
    second = (await owner("POST", path)).json
    services.devices.forget(phone.device_id)
    statuses = [(await api.as_(t)("GET", "/api/v1/me")).status for t in (phone.token, first["token"], second["token"])]
    assert statuses == [401, 200, 200]
    await owner("POST", f"/api/v1/devices/{phone.device_id}/revoke")
    services.devices.forget(phone.device_id)
    assert [(await api.as_(t)("GET", "/api/v1/me")).status for t in (first["token"], second["token"])] == [401, 401]
    again = await owner("POST", path)
    assert (again.status, again.json["code"]) == (409, "device-revoked")
    assert (await owner("PATCH", f"/api/v1/devices/{phone.device_id}", {"name": "X"})).json["code"] == "device-revoked"


# Who sees what


async def test_viewers_see_who_drives_and_nobodys_phone_number(api: Api, owner: Api, org: Org):
    person, number = await org.person(Role.DRIVER)
    made = (await owner("POST", "/api/v1/drivers", DRIVERS.full | {"userId": str(person.user_id)})).json
    for role, sees in ((Role.DISPATCHER, True), (Role.ACCOUNTANT, True), (Role.VIEWER, False)):
        _, number = await org.person(role)
        call = api.as_(await org.token(number))
        one, listed = await call("GET", f"/api/v1/drivers/{made['id']}"), await call("GET", "/api/v1/drivers")
        for shown in (one.json, listed.json["data"][0]):
            assert ("phone" in shown, "userId" in shown) == (sees, sees), role
        picked = (await call("GET", "/api/v1/drivers?fields=phone")).json["data"]
        assert picked == [{"phone": "+263771234567"} if sees else {}]
        assert (await call("GET", "/api/v1/drivers?q=71234567")).json["data"] == []  # nor by searching for it


READS = {
    "drivers": {Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT, Role.VIEWER},
    "trucks": {Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT, Role.VIEWER},
    "customers": {Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT},
    "devices": {Role.OWNER, Role.DISPATCHER},
}


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_reads_and_writes_what_it_may(api: Api, owner: Api, org: Org, role: Role):
    phone = await org.phone(running=False)
    ids = {
        "drivers": str(phone.driver_id),
        "trucks": (await owner("POST", "/api/v1/trucks", {"name": "T"})).json["id"],
        "customers": (await owner("POST", "/api/v1/customers", {"name": "C"})).json["id"],
        "devices": str(phone.device_id),
    }
    _, number = await org.person(role)
    call = api.as_(await org.token(number))
    for name, readers in READS.items():
        for path in (f"/api/v1/{name}", f"/api/v1/{name}/{ids[name]}"):
            assert (await call("GET", path)).status == (200 if role in readers else 403), path
        body = {"name": "N"} | ({"driverId": ids["drivers"]} if name == "devices" else {})
        writes = role in {Role.OWNER, Role.DISPATCHER}
        assert (await call("POST", f"/api/v1/{name}", body)).status == (201 if writes else 403)
        patched = await call("PATCH", f"/api/v1/{name}/{ids[name]}", {"name": "M"})
        assert patched.status == (200 if writes else 403)
    assert (await api.as_(phone.token)("GET", "/api/v1/drivers")).status == 403


async def test_the_other_organisations_entries_do_not_exist(api: Api, owner: Api, org: Org, other: Org):
    stranger = api.as_(await other.token())
    phone = await org.phone(running=False, in_truck=True)
    ids = {
        "drivers": phone.driver_id,
        "trucks": phone.principal.vehicle_id,
        "customers": (await owner("POST", "/api/v1/customers", {"name": "C"})).json["id"],
        "devices": phone.device_id,
    }
    for name, known in ids.items():
        for method, suffix, body in [
            ("GET", "", None),
            ("PATCH", "", {"name": "mine"}),
            ("DELETE", "", None) if name != "devices" else ("POST", "/revoke", None),
            *([("POST", "/token", None)] if name == "devices" else []),
        ]:
            theirs, unknown = [
                await stranger(method, f"/api/v1/{name}/{each}{suffix}", body) for each in (known, uuid4())
            ]
            assert (theirs.status, theirs.json | {"requestId": ""}) == (404, unknown.json | {"requestId": ""})
        assert (await stranger("GET", f"/api/v1/{name}")).json["data"] == []
        assert (await owner("GET", f"/api/v1/{name}/{known}")).json["name"] != "mine"
    own = (await stranger("POST", "/api/v1/drivers", {"name": "Mine"})).json["id"]
    for body in ({"driverId": str(phone.driver_id)}, {"driverId": own, "truckId": str(ids["trucks"])}):
        assert (await stranger("POST", "/api/v1/devices", {"name": "P", **body})).status == 404
    mine = (await stranger("POST", "/api/v1/devices", {"name": "P", "driverId": own})).json["id"]
    for body in ({"driverId": str(phone.driver_id)}, {"truckId": str(ids["trucks"])}):
        assert (await stranger("PATCH", f"/api/v1/devices/{mine}", body)).status == 404


async def test_every_deed_in_a_register_is_kept_without_what_was_written(owner: Api, org: Org):
    for kind, word in ((DRIVERS, "driver"), (TRUCKS, "truck"), (CUSTOMERS, "customer")):
        entry = (await owner("POST", kind.path, kind.full)).json["id"]
        await owner("PATCH", f"{kind.path}/{entry}", kind.change)
        await owner("DELETE", f"{kind.path}/{entry}")
        log = (await owner("GET", f"/api/v1/audit?subjectId={entry}")).json["data"]
        assert [e["action"] for e in log] == [f"{word}.archived", f"{word}.changed", f"{word}.added"]
        assert log[1]["detail"] == {"fields": sorted(kind.change)}
        assert "263771234" not in str(log)
    phone = await org.phone()
    await owner("PATCH", f"/api/v1/devices/{phone.device_id}", {"name": "Other"})
    await owner("POST", f"/api/v1/devices/{phone.device_id}/token")
    await owner("POST", f"/api/v1/devices/{phone.device_id}/revoke")
    log = (await owner("GET", f"/api/v1/audit?subjectId={phone.device_id}")).json["data"]
    assert [e["action"] for e in log] == ["device.revoked", "device.token-replaced", "device.changed", "device.added"]


async def test_an_entry_that_is_added_again_with_the_same_key_is_added_once(owner: Api):
    for path, body in (("/api/v1/customers", {"name": "Chipo"}), ("/api/v1/drivers", {"name": "Tendai"})):
        key = {"Idempotency-Key": f"once-{path}"}
        first, second = [await owner("POST", path, body, headers=key) for _ in range(2)]
        assert (first.status, first.json) == (second.status, second.json)
        assert len((await owner("GET", path)).json["data"]) == 1
