"""The organisation, its members and its invitations; who did what."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Answer, Api
from tests.factories import PASSWORD, Org, organisation
from tests.integration.test_sessions import Later, login
from waypost.identity.throttle import Caller
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

CALLER = Caller("127.0.0.1")


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


@pytest.fixture
async def other(services: Services) -> Org:
    return await organisation(services, "Bulawayo Bakers")


async def invite(owner: Api, role: str = "dispatcher", **address: str) -> Answer:
    address = address or {"phone": "+263 77 199 9001"}
    return await owner("POST", "/api/v1/invitations", {"name": "Rudo Ncube", "role": role, **address})


async def accept(api: Api, token: str, password: str = PASSWORD, **more: str) -> Answer:
    return await api("POST", "/api/v1/auth/invitations/accept", {"token": token, "password": password, **more})


# The organisation


async def test_an_owner_changes_the_organisation_and_what_is_left_out_stays(owner: Api):
    before = await owner("GET", "/api/v1/org")
    assert (before.json["name"], before.json["timeZone"], before.json["version"]) == ("Harare Haulage", "UTC", 1)
    body = {"timeZone": "Africa/Harare", "tracking": {"maxSpeedMps": 50, "allowMock": True}}
    changed = await owner("PATCH", "/api/v1/org", body, headers={"If-Match": before.headers["ETag"]})
    assert changed.json["timeZone"] == "Africa/Harare"
    assert changed.json["tracking"] == before.json["tracking"] | {"maxSpeedMps": 50.0, "allowMock": True}
    again = await owner("PATCH", "/api/v1/org", {"name": "Harare Freight"})
    assert (again.json["name"], again.json["timeZone"], again.json["version"]) == ("Harare Freight", "Africa/Harare", 3)
    stale = await owner("PATCH", "/api/v1/org", {"name": "X"}, headers={"If-Match": before.headers["ETag"]})
    assert (stale.status, stale.json["code"]) == (412, "stale")
    assert (await owner("GET", "/api/v1/me")).json["user"]["orgName"] == "Harare Freight"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"timeZone": "Africa/Atlantis"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"timeZone": "Africa"}, "timeZone"),
        ({"name": " "}, "name"),
        ({"tracking": {"maxSpeedMps": 0}}, "tracking.maxSpeedMps"),
        ({"tracking": {"maxSpeedMps": 1e300}}, "tracking.maxSpeedMps"),
        ({"tracking": {"retentionDays": 0}}, "tracking.retentionDays"),
        ({"tracking": {"speed": 1}}, "tracking.speed"),
        ({"currency": "ZWG"}, "currency"),
    ],
)
async def test_a_bad_setting_is_refused_by_its_name(owner: Api, body: object, field: str):
    answer = await owner("PATCH", "/api/v1/org", body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_settings_that_somebody_spoilt_in_the_database_stop_nobody(api: Api, org: Org, services: Services):
    phone = await org.phone()
    for spoilt in ('{"tracking": {"future_s": "soon"}, "timeZone": 3}', "[]", '"x"', '{"tracking": null}'):
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE organisations SET settings = $1", spoilt)
        shown = await api.as_(await org.token())("GET", "/api/v1/org")
        assert (shown.status, shown.json["timeZone"]) == (200, "UTC")
        batch = {"locations": [{"latitude": -17.8, "longitude": 31, "timestamp": "2020-01-01T00:00:00Z"}]}
        assert (await api.as_(phone.token)("POST", "/api/v1/tracking/ping", batch)).status == 200


# Members


async def test_members_are_listed_filtered_and_paged(owner: Api, org: Org):
    people = [await org.person(role) for role in (Role.DISPATCHER, Role.VIEWER, Role.VIEWER)]
    ids = [str(org.owner.user_id), *(str(person.user_id) for person, _ in people)]
    everybody = (await owner("GET", "/api/v1/members")).json
    assert ([m["userId"] for m in everybody["data"]], everybody["hasMore"]) == (ids, False)
    viewers = (await owner("GET", "/api/v1/members?role=viewer&fields=userId,role")).json["data"]
    assert viewers == [{"userId": each, "role": "viewer"} for each in ids[2:]]
    found = (await owner("GET", f"/api/v1/members?q={people[1][1][-6:]}")).json["data"]
    assert [m["userId"] for m in found] == [ids[2]]
    paged, cursor = [], ""
    while cursor is not None:
        page = (await owner("GET", f"/api/v1/members?limit=2{cursor}")).json
        paged += [m["userId"] for m in page["data"]]
        cursor = f"&cursor={page['nextCursor']}" if page["hasMore"] else None
    assert paged == ids


async def test_a_change_of_role_takes_if_match(owner: Api, org: Org):
    person, _ = await org.person(Role.VIEWER)
    path = f"/api/v1/members/{person.user_id}"
    first = await owner("GET", path)
    changed = await owner("PATCH", path, {"role": "accountant"}, headers={"If-Match": first.headers["ETag"]})
    assert (changed.json["role"], changed.json["version"]) == ("accountant", 2)
    stale = await owner("PATCH", path, {"role": "viewer"}, headers={"If-Match": first.headers["ETag"]})
    assert (stale.status, stale.json["code"]) == (412, "stale")
    assert (await owner("PATCH", path, {})).json == changed.json
    assert (await owner("PATCH", path, {"role": None})).status == 422


async def test_the_last_owner_stays_one(owner: Api, org: Org, services: Services):
    path = f"/api/v1/members/{org.owner.user_id}"
    for attempt in (owner("PATCH", path, {"role": "viewer"}), owner("DELETE", path)):
        answer = await attempt
        assert (answer.status, answer.json["code"]) == (409, "last-owner")
    second, _ = await org.person(Role.OWNER)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE users SET disabled_at = now() WHERE id = $1", second.user_id)
    assert (await owner("DELETE", path)).json["code"] == "last-owner"  # the other may not sign in
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("UPDATE users SET disabled_at = NULL WHERE id = $1", second.user_id)
    assert (await owner("DELETE", path)).status == 204


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_two_owners_who_demote_each_other_at_once_leave_one(services: Services, org: Org, rounds: int):
    """Not two 409s either: somebody wins each round."""
    second, _ = await org.person(Role.OWNER)
    first = org.owner
    assert first.user_id is not None
    assert second.user_id is not None
    for _ in range(rounds):
        outcomes = await asyncio.gather(
            services.members.set_role(first, second.user_id, Role.VIEWER),
            services.members.set_role(second, first.user_id, Role.VIEWER),
            return_exceptions=True,
        )
        codes = sorted(getattr(outcome, "code", "done") for outcome in outcomes)
        assert codes == ["done", "last-owner"]
        async with services.database.transaction(SYSTEM) as conn:
            assert await conn.fetchval("SELECT count(*) FROM memberships WHERE role = 'owner'") == 1
            await conn.execute("UPDATE memberships SET role = 'owner'")


async def test_two_owners_who_remove_each_other_at_once_leave_one(services: Services, org: Org):
    for _ in range(10):
        second, _number = await org.person(Role.OWNER)
        assert org.owner.user_id is not None
        assert second.user_id is not None
        outcomes = await asyncio.gather(
            services.members.remove(org.owner, second.user_id),
            services.members.set_role(second, org.owner.user_id, Role.DISPATCHER),
            return_exceptions=True,
        )
        assert sorted(getattr(o, "code", "done") for o in outcomes) == ["done", "last-owner"]
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute("DELETE FROM memberships WHERE user_id = $1", second.user_id)
            await conn.execute("UPDATE memberships SET role = 'owner'")


async def test_a_member_who_is_removed_leaves_their_driver_behind(owner: Api, org: Org):
    person, _ = await org.person(Role.DRIVER)
    body = {"name": "Tendai", "userId": str(person.user_id)}
    driver = (await owner("POST", "/api/v1/drivers", body)).json
    assert (await owner("DELETE", f"/api/v1/members/{person.user_id}")).status == 204
    assert (await owner("DELETE", f"/api/v1/members/{person.user_id}")).json["code"] == "member-not-found"
    left = (await owner("GET", f"/api/v1/drivers/{driver['id']}")).json
    assert ("userId" in left, left["version"]) == (False, 2)


# Invitations


async def test_who_is_invited_looks_accepts_and_is_signed_in(api: Api, owner: Api, services: Services):
    made = await invite(owner)
    token = made.json["token"]
    assert made.status == 201
    assert made.json["url"] == f"{api.url}/#/invite/{token}"
    assert made.json["phone"] == "+263771999001"
    waiting = (await owner("GET", "/api/v1/invitations")).json["data"]
    assert [(i["id"], i["invitedByName"], "token" in i) for i in waiting] == [(made.json["id"], "Owner", False)]
    seen = await api("POST", "/api/v1/auth/invitations/look", {"token": token})
    assert seen.json == {"orgName": "Harare Haulage", "name": "Rudo Ncube", "role": "dispatcher"}
    accepted = await accept(api, token, name="Rudo N.")
    user = accepted.json["user"]
    assert (user["name"], user["phone"], user["role"]) == ("Rudo N.", "+263771999001", "dispatcher")
    assert (await api.as_(accepted.json["accessToken"])("GET", "/api/v1/me")).json["user"] == user
    assert (await login(api, "+263771999001")).json["user"] == user
    assert (await owner("GET", "/api/v1/invitations")).json["data"] == []
    again = await accept(api, token)
    assert (again.status, again.json["code"]) == (404, "invitation-not-found")
    async with services.database.transaction(SYSTEM) as conn:
        assert token not in str(await conn.fetch("SELECT * FROM invitations"))


async def test_who_has_an_account_joins_with_its_password_and_no_other(api: Api, owner: Api, org: Org, other: Org):
    person, number = await other.person(Role.VIEWER)
    token = (await invite(owner, "accountant", phone=number)).json["token"]
    wrong = await accept(api, token, "another password")
    assert (wrong.status, wrong.json["code"]) == (401, "bad-credentials")
    accepted = (await accept(api, token, name="Somebody Else")).json
    assert (accepted["user"]["id"], accepted["user"]["orgId"]) == (str(person.user_id), str(org.org_id))
    assert accepted["user"]["name"].startswith("viewer")  # an invitation renames nobody
    both = (await login(api, number)).json["organisations"]
    assert {each["orgId"] for each in both} == {str(org.org_id), str(other.org_id)}


async def test_an_invitation_is_used_once_however_many_accept_it_at_once(api: Api, owner: Api, services: Services):
    for number in range(5):
        token = (await invite(owner, phone=f"+26377188800{number}")).json["token"]
        answers = await asyncio.gather(*(accept(api, token) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200, 404, 404]
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM users WHERE phone LIKE '+26377188800%'") == 5


async def test_two_organisations_that_invite_a_newcomer_make_one_account(api: Api, owner: Api, other: Org):
    tokens = [
        (await invite(caller, email="New@Example.com")).json["token"]
        for caller in (owner, api.as_(await other.token()))
    ]
    answers = await asyncio.gather(*(accept(api, token) for token in tokens))
    assert [answer.status for answer in answers] == [200, 200]
    assert len({answer.json["user"]["id"] for answer in answers}) == 1


async def test_an_invitation_ends_when_it_is_withdrawn_or_its_seven_days_are_over(
    api: Api, owner: Api, environment: dict[str, str], org: Org
):
    made = (await invite(owner)).json
    assert (await owner("DELETE", f"/api/v1/invitations/{made['id']}")).status == 204
    assert (await owner("DELETE", f"/api/v1/invitations/{made['id']}")).json["code"] == "invitation-not-found"
    assert (await accept(api, made["token"])).status == 404
    late = (await invite(owner)).json
    async with open_services(Settings.from_env(environment), Later(timedelta(days=7))) as later:
        assert (await later.invitations.list(org.owner, 10, None)).data == []
        with pytest.raises(Exception, match="no such invitation"):
            await later.invitations.accept(late["token"], name=None, password=PASSWORD, caller=CALLER)
    assert (await accept(api, late["token"])).status == 200


async def test_a_new_invitation_to_the_same_address_takes_the_place_of_the_old(api: Api, owner: Api):
    first, second = (await invite(owner)).json, (await invite(owner, "viewer")).json
    assert [i["id"] for i in (await owner("GET", "/api/v1/invitations")).json["data"]] == [second["id"]]
    assert (await accept(api, first["token"])).status == 404
    assert (await accept(api, second["token"])).json["user"]["role"] == "viewer"


async def test_a_member_is_not_invited_again(owner: Api, org: Org):
    answer = await invite(owner, phone=org.owner_phone)
    assert (answer.status, answer.json["code"]) == (409, "already-member")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Rudo", "role": "viewer"}, "phone"),
        ({"name": "Rudo", "role": "viewer", "phone": "+263771999001", "email": "a@b.c"}, "phone"),
        ({"name": "Rudo", "role": "viewer", "phone": "0771999001"}, "phone"),
        ({"name": "Rudo", "role": "viewer", "email": "nobody"}, "email"),
        ({"name": "Rudo", "role": "viewer", "email": "a@b.c\r\nBcc: x@y.z"}, "email"),
        ({"name": "Rudo", "role": "king", "email": "a@b.c"}, "role"),
        ({"name": "", "role": "viewer", "email": "a@b.c"}, "name"),
    ],
)
async def test_a_bad_invitation_is_refused_by_its_field(owner: Api, body: object, field: str):
    answer = await owner("POST", "/api/v1/invitations", body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_a_short_password_is_refused_whether_there_is_an_account_or_not(api: Api, owner: Api, other: Org):
    _, number = await other.person(Role.VIEWER)
    for phone in (number, "+263771999007"):
        token = (await invite(owner, phone=phone)).json["token"]
        answer = await accept(api, token, "short")
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "password")


# Whose is what


async def test_only_owners_change_who_belongs(api: Api, org: Org, owner: Api):
    invitation = (await invite(owner)).json["id"]
    for role in (Role.DISPATCHER, Role.ACCOUNTANT, Role.DRIVER, Role.VIEWER):
        person, number = await org.person(role)
        call = api.as_(await org.token(number))
        attempts: list[tuple[str, str, Any]] = [
            ("PATCH", "/api/v1/org", {"name": "Mine"}),
            ("PATCH", f"/api/v1/members/{person.user_id}", {"role": "owner"}),
            ("DELETE", f"/api/v1/members/{org.owner.user_id}", None),
            ("POST", "/api/v1/invitations", {"name": "X", "role": "owner", "email": "x@y.z"}),
            ("DELETE", f"/api/v1/invitations/{invitation}", None),
            ("GET", "/api/v1/audit", None),
        ]
        for method, path, body in attempts:
            assert (await call(method, path, body)).status == 403, (role, method, path)
        reads = [(await call("GET", f"/api/v1/{name}")).status for name in ("members", "invitations")]
        assert reads == ([200, 200] if role is Role.DISPATCHER else [403, 403])


async def test_the_other_organisations_people_do_not_exist(api: Api, owner: Api, org: Org, other: Org):
    invitation = (await invite(owner)).json["id"]
    stranger = api.as_(await other.token())
    user = org.owner.user_id
    for method, path, body in [
        ("GET", "/api/v1/members/{}", None),
        ("PATCH", "/api/v1/members/{}", {"role": "viewer"}),
        ("DELETE", "/api/v1/members/{}", None),
        ("DELETE", "/api/v1/invitations/{}", None),
    ]:
        known = invitation if "invitations" in path else user
        theirs, unknown = [await stranger(method, path.format(each), body) for each in (known, uuid4())]
        assert (theirs.status, theirs.json | {"requestId": ""}) == (404, unknown.json | {"requestId": ""})
    assert [m["userId"] for m in (await stranger("GET", "/api/v1/members")).json["data"]] == [str(other.owner.user_id)]
    assert (await stranger("GET", "/api/v1/invitations")).json["data"] == []
    assert (await stranger("GET", f"/api/v1/audit?subjectId={invitation}")).json["data"] == []
    assert (await owner("GET", f"/api/v1/members/{user}")).json["role"] == "owner"


# Who did what


async def test_every_deed_on_people_is_kept_with_who_did_it_and_without_addresses(api: Api, owner: Api, org: Org):
    made = (await invite(owner)).json
    joined = (await accept(api, made["token"])).json["user"]
    path = f"/api/v1/members/{joined['id']}"
    await owner("PATCH", path, {"role": "viewer"})
    await owner("PATCH", path, {"role": "viewer"})  # changes nothing, so nothing was done
    await owner("DELETE", path)
    await owner("DELETE", f"/api/v1/invitations/{(await invite(owner)).json['id']}")
    await owner("PATCH", "/api/v1/org", {"timeZone": "Africa/Harare"})
    entries = (await owner("GET", "/api/v1/audit")).json["data"]
    assert [(e["action"], e["actorName"]) for e in entries] == [
        ("organisation.changed", "Owner"),
        ("invitation.withdrawn", "Owner"),
        ("invitation.made", "Owner"),
        ("member.removed", "Owner"),
        ("member.role-changed", "Owner"),
        ("invitation.accepted", "Rudo Ncube"),
        ("invitation.made", "Owner"),
    ]
    assert entries[4]["detail"] == {"before": "dispatcher", "role": "viewer"}
    assert "263771999001" not in str(entries)
    of_one = (await owner("GET", f"/api/v1/audit?subjectId={joined['id']}&action=member.removed")).json["data"]
    assert [e["id"] for e in of_one] == [entries[3]["id"]]
    first = (await owner("GET", "/api/v1/audit?limit=3")).json
    rest = (await owner("GET", f"/api/v1/audit?limit=4&cursor={first['nextCursor']}")).json
    assert (first["data"] + rest["data"], rest["hasMore"]) == (entries, False)


async def test_an_owner_who_leaves_is_named_as_who_did_it(api: Api, org: Org):
    second, number = await org.person(Role.OWNER)
    leaving = await org.token(number)
    assert (await api.as_(leaving)("DELETE", f"/api/v1/members/{second.user_id}")).status == 204
    (entry,) = (await api.as_(await org.token())("GET", "/api/v1/audit?action=member.removed")).json["data"]
    assert entry["actorName"].startswith("owner")
