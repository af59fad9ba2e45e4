"""What an invitation must not be: a way back, one of several, or a server's error."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.conftest import Answer, Api
from tests.factories import PASSWORD, Org, organisation
from tests.integration.test_members import accept, invite
from tests.integration.test_sessions_at_once import waiting_for_a_lock
from waypost.identity.domain import OrgSettings
from waypost.identity.upkeep import IdentityUpkeep
from waypost.kernel.errors import Denied, Invalid
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.wiring import Services


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def look(api: Api, token: str) -> int:
    return (await api("POST", "/api/v1/auth/invitations/look", {"token": token})).status


# Ways back


@pytest.mark.parametrize("what", ["removed", "demoted", "demoted by the operator", "disabled"])
async def test_what_an_owner_made_waits_no_longer_when_they_are_none_any_more(
    api: Api, owner: Api, org: Org, services: Services, what: str
):
    second, number = await org.person(Role.OWNER)
    planted = (await invite(api.as_(await org.token(number)), "owner", email="back@door.example")).json["token"]
    untouched = (await invite(owner, "viewer", email="rudo@example.com")).json["token"]
    path = f"/api/v1/members/{second.user_id}"
    if what == "removed":
        assert (await owner("DELETE", path)).status == 204
    elif what == "demoted":
        assert (await owner("PATCH", path, {"role": "viewer"})).status == 200
    elif what == "disabled":
        await services.operator.disable(number)
    else:
        await services.operator.give_role(org.org_id, number, Role.VIEWER)
    refused = await accept(api, planted)
    assert (refused.status, refused.json["code"]) == (404, "invitation-not-found")
    assert await look(api, untouched) == 200
    kept = (await owner("GET", "/api/v1/audit?action=invitation.withdrawn")).json["data"]
    assert len(kept) == 1


async def test_who_is_removed_does_not_come_back_by_an_invitation_to_another_address_of_theirs(
    api: Api, owner: Api, services: Services
):
    elsewhere = await organisation(services, "Bulawayo Bakers")
    person = await services.identity.add_user(
        org_id=elsewhere.org_id, name="Both", role=Role.VIEWER, password=PASSWORD, phone="+263771999333",
        email="both@example.com",
    )  # fmt: skip
    first = (await invite(owner, "viewer", phone="+263771999333")).json["token"]
    second = (await invite(owner, "owner", email="both@example.com")).json["token"]
    assert (await accept(api, first)).status == 200
    assert (await owner("DELETE", f"/api/v1/members/{person}")).status == 204
    assert (await accept(api, second)).json["code"] == "invitation-not-found"
    again = (await invite(owner, "viewer", email="both@example.com")).json["token"]
    assert (await accept(api, again)).status == 200


async def test_an_invitation_that_is_made_while_its_maker_is_removed_is_not_made(services: Services, org: Org):
    """Their token is good for two seconds yet."""
    second, _ = await org.person(Role.OWNER)
    assert second.user_id is not None
    async with services.database.transaction(org.org_id) as conn:
        await conn.execute("SELECT FROM memberships WHERE user_id = $1 FOR UPDATE", second.user_id)
        making = asyncio.create_task(
            services.invitations.invite(second, name="x", role=Role.OWNER, email="back@door.example")
        )
        await waiting_for_a_lock(services, 1)
        await conn.execute("DELETE FROM memberships WHERE user_id = $1", second.user_id)
    with pytest.raises(Denied):
        await making


# One to an address


@pytest.mark.parametrize("address", [{"email": "c@example.com"}, {"phone": "+263771999044"}])
async def test_of_invitations_made_at_once_to_one_address_one_waits(
    api: Api, owner: Api, services: Services, address: dict[str, str]
):
    made: list[Answer] = await asyncio.gather(*(invite(owner, "viewer", **address) for _ in range(6)))
    assert [answer.status for answer in made] == [201] * 6
    assert sorted([await look(api, answer.json["token"]) for answer in made]) == [200] + [404] * 5
    assert len((await owner("GET", "/api/v1/invitations")).json["data"]) == 1


@pytest.mark.parametrize(("phone", "email"), [("+263771999044", None), (None, "c@example.com")])
async def test_the_database_itself_keeps_a_second_invitation_from_waiting_at_an_address(
    services: Services, org: Org, phone: str | None, email: str | None
):
    add = """
    INSERT INTO invitations (org_id, id, name, phone, email, role, token_hash, created_at, expires_at, invited_by)
    VALUES ($1, $2, 'Rudo', $3, $4, 'viewer', $5, now(), now(), $6)
    """

    async def added(token_hash: bytes) -> None:
        async with services.database.transaction(SYSTEM) as conn:
            new = new_id(services.clock)
            await conn.execute(add, org.org_id, new, phone, email, token_hash, org.owner.user_id)

    await added(b"1")
    with pytest.raises(asyncpg.UniqueViolationError):
        await added(b"2")


async def test_an_owner_invites_ten_times_a_minute_and_no_more(owner: Api):
    statuses = [(await invite(owner, "viewer", email=f"{number}@example.com")).status for number in range(11)]
    assert statuses == [201] * 10 + [429]


# Odd things


@pytest.mark.parametrize(
    "email", ["\ua7cb@example.com", "rüdo@example.com", "rudo@exämple.com", "\u212aofi@example.com"]
)
async def test_an_e_mail_address_with_other_letters_than_ascii_is_refused_by_its_field(
    owner: Api, org: Org, services: Services, email: str
):
    answer = await invite(owner, "viewer", email=email)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "email")
    assert "Latin" in answer.json["errors"][0]["detail"]
    with pytest.raises(Invalid):
        await services.identity.add_user(
            org_id=org.org_id, name="Rudo", role=Role.VIEWER, password=PASSWORD, email=email
        )


async def test_settings_that_somebody_spoilt_stop_no_timed_run_of_the_others(services: Services, org: Org):
    other = await organisation(services, "Bulawayo Bakers")
    async with services.database.transaction(SYSTEM) as conn:
        spoil = """UPDATE organisations SET settings = '{"tracking": {"retentionDays": 0}}' WHERE org_id = $1"""
        await conn.execute(spoil, org.org_id)
    known = {each.id: each.settings for each in await IdentityUpkeep(services.database, services.clock).organisations()}
    assert known[org.org_id] == OrgSettings()
    assert other.org_id in known
    assert await services.operator.organisation("Bulawayo Bakers") == other.org_id
