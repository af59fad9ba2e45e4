"""Sign-in, devices, and what each role may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import PASSWORD, Org, organisation
from waypost.identity.domain import Claims
from waypost.kernel.principal import Role
from waypost.wiring import Services


async def test_a_person_signs_in_by_phone_or_e_mail_and_learns_who_they_are(api: Api, org: Org, services: Services):
    await services.identity.add_user(
        org_id=org.org_id, name="Rudo", role=Role.VIEWER, password=PASSWORD, email="Rudo@Example.com"
    )
    by_mail = await api("POST", "/api/v1/auth/login", {"email": "rudo@example.COM", "password": PASSWORD})
    spaced = f"{org.owner_phone[:4]} {org.owner_phone[4:]}"
    by_phone = await api("POST", "/api/v1/auth/login", {"phone": spaced, "password": PASSWORD})
    assert (by_mail.status, by_phone.status) == (200, 200)
    assert by_phone.json["expiresIn"] == 900
    me = await api.as_(by_phone.json["accessToken"])("GET", "/api/v1/me")
    assert me.json["user"] == by_phone.json["user"]
    assert (me.json["user"]["role"], me.json["user"]["orgName"]) == ("owner", "Harare Haulage")


async def test_a_wrong_password_and_an_unknown_person_get_the_very_same_answer(api: Api, org: Org):
    wrong = await api("POST", "/api/v1/auth/login", {"phone": org.owner_phone, "password": "not the password"})
    nobody = await api("POST", "/api/v1/auth/login", {"phone": "+263779999999", "password": PASSWORD})
    assert (wrong.status, nobody.status) == (401, 401)
    assert wrong.json | {"requestId": ""} == nobody.json | {"requestId": ""}
    assert wrong.json["code"] == "bad-credentials"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "password"),
        ({"password": "x"}, "phone"),
        ({"phone": "+263771", "email": "a@b.c", "password": "x"}, "phone"),
        ({"phone": 3, "password": "x"}, "phone"),
        ({"phone": "+263771000001", "password": ""}, "password"),
        ({"phone": "+263771000001", "password": "x" * 2000}, "password"),
        ({"phone": "+263771000001", "password": "x", "remember": True}, "remember"),
        ({"phone": "+263771000001", "password": "x", "orgId": "mine"}, "orgId"),
    ],
)
async def test_a_malformed_sign_in_names_the_field(api: Api, body: object, field: str):
    answer = await api("POST", "/api/v1/auth/login", body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_who_belongs_to_two_organisations_picks_one(api: Api, org: Org, services: Services):
    other = await organisation(services, "Mutare Movers")
    async with services.database.system_pool.acquire() as conn:
        await conn.execute("BEGIN; SET LOCAL ROLE waypost_system")
        await conn.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer', now())", other.org_id, org.owner.user_id)
        await conn.execute("COMMIT")
    credentials = {"phone": org.owner_phone, "password": PASSWORD}
    unsure = await api("POST", "/api/v1/auth/login", credentials)
    assert (unsure.status, unsure.json["code"]) == (403, "choose-organisation")
    assert {o["name"] for o in unsure.json["organisations"]} == {"Harare Haulage", "Mutare Movers"}
    sure = await api("POST", "/api/v1/auth/login", {**credentials, "orgId": str(other.org_id)})
    assert sure.json["user"]["role"] == "viewer"


async def test_an_expired_token_says_so_and_a_forged_one_is_invalid(api: Api, org: Org, services: Services):
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert org.owner.user_id is not None
    claims = Claims(org.owner.user_id, org.org_id, uuid4(), past)
    expired = services.identity.tokens.issue(claims, past - timedelta(minutes=15))
    answers = {
        token: await api.as_(token)("GET", "/api/v1/me")
        for token in (expired, expired[:-4] + "AAAA", "nonsense", "wpd_unknown", "a.b.c")
    }
    assert {a.status for a in answers.values()} == {401}
    assert answers[expired].json["code"] == "token-expired"
    assert {a.json["code"] for t, a in answers.items() if t != expired} == {"token-invalid"}
    assert answers[expired].headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_signed_with_no_algorithm_is_refused(api: Api, org: Org):
    import base64
    import json

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    body = {"sub": str(org.owner.user_id), "org": str(org.org_id), "role": "owner", "exp": 9999999999}
    forged = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(body)}."
    assert (await api.as_(forged)("GET", "/api/v1/me")).json["code"] == "token-invalid"


async def test_a_device_is_made_used_and_withdrawn(api: Api, org: Org):
    call = api.as_(await org.token())
    driver = (await call("POST", "/api/v1/drivers", {"name": "Tendai"})).json
    made = await call("POST", "/api/v1/devices", {"name": "Tendai's phone", "driverId": driver["id"]})
    assert made.status == 201
    token = made.json["token"]
    listed = (await call("GET", "/api/v1/devices")).json["data"]
    assert [d["id"] for d in listed] == [made.json["id"]]
    assert "token" not in listed[0]
    assert (await api.as_(token)("GET", "/api/v1/me")).json["deviceId"] == made.json["id"]
    path = f"/api/v1/devices/{made.json['id']}/revoke"
    assert (await call("POST", path)).json["revokedAt"]
    assert (await call("POST", path)).json["code"] == "device-revoked"


async def test_a_device_for_an_unknown_driver_is_not_made(api: Api, org: Org):
    body = {"name": "Phone", "driverId": "01980000-0000-7000-8000-000000000000"}
    answer = await api.as_(await org.token())("POST", "/api/v1/devices", body)
    assert (answer.status, answer.json["code"]) == (404, "driver-not-found")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ACCOUNTANT, Role.DRIVER])
async def test_who_only_watches_changes_nothing(api: Api, org: Org, role: Role):
    phone = await org.phone()
    assert phone.trip is not None
    _, number = await org.person(role)
    call = api.as_(await org.token(number))
    attempts = [
        ("POST", "/api/v1/drivers", {"name": "X"}),
        ("POST", "/api/v1/devices", {"name": "X", "driverId": str(phone.driver_id)}),
        ("POST", f"/api/v1/devices/{phone.device_id}/revoke", None),
        ("POST", "/api/v1/trips", {}),
        ("PATCH", f"/api/v1/trips/{phone.trip.id}", {"origin": "X"}),
        ("POST", f"/api/v1/trips/{phone.trip.id}/cancel", None),
    ]
    for method, path, body in attempts:
        answer = await call(method, path, body)
        assert answer.status in ((403,) if role is not Role.DRIVER else (403, 404)), (method, path)
