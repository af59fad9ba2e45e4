"""Sessions: refresh tokens that rotate, what ends them, and how fast every node follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.conftest import Answer, Api
from tests.factories import PASSWORD, Org, organisation
from tests.integration.test_sockets import node
from tests.waiting import Listener, Refused, listening, until
from waypost.kernel.clock import SystemClock
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

FOLLOWED_WITHIN_S = 5


@pytest.fixture
async def far(environment: dict[str, str], api: Api) -> AsyncIterator[Api]:
    """A second node."""
    async with node(environment) as second:
        yield second


async def refreshed(api: Api, token: str) -> Answer:
    return await api("POST", "/api/v1/auth/refresh", {"refreshToken": token})


async def login(api: Api, phone: str, **headers: str) -> Answer:
    return await api("POST", "/api/v1/auth/login", {"phone": phone, "password": PASSWORD}, headers=headers)


async def is_let_in(api: Api, token: str) -> bool:
    return (await api.as_(token)("GET", "/api/v1/me")).status == 200


async def shut_out(*nodes: Api, token: str) -> None:
    """Wait until no node lets the token in; fails after the promised seconds."""
    async with asyncio.timeout(FOLLOWED_WITHIN_S):
        for each in nodes:

            async def refused(each: Api = each) -> bool:
                answer = await each.as_(token)("GET", "/api/v1/me")
                return (answer.status, answer.json.get("code")) == (401, "token-invalid")

            await until(refused, within_s=FOLLOWED_WITHIN_S)


async def cut(*sockets: Listener) -> None:
    async with asyncio.timeout(FOLLOWED_WITHIN_S):
        for socket in sockets:
            await until(lambda socket=socket: not socket.sio.connected, within_s=FOLLOWED_WITHIN_S)


# Refreshing


async def test_a_refresh_gives_new_tokens_of_the_same_session_each_time(api: Api, org: Org, services: Services):
    first = (await login(api, org.owner_phone)).json
    second = (await refreshed(api, first["refreshToken"])).json
    third = (await refreshed(api, second["refreshToken"])).json
    assert len({first["refreshToken"], second["refreshToken"], third["refreshToken"]}) == 3
    assert third["user"] == first["user"]
    assert third["expiresIn"] == 900
    assert all([await is_let_in(api, answer["accessToken"]) for answer in (first, second, third)])
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM sessions") == 1


async def test_only_hashes_of_refresh_tokens_are_kept(org: Org, services: Services):
    token = (await org.session()).refresh_token
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch("SELECT * FROM refresh_tokens")
    assert len(rows) == 1
    assert token not in str(rows)
    assert token.encode() not in rows[0]["token_hash"]


async def test_a_refresh_token_that_comes_twice_at_once_gives_both_tabs_the_same_successor(api: Api, org: Org):
    token = (await org.session()).refresh_token
    for _ in range(20):
        answers = await asyncio.gather(*(refreshed(api, token) for _ in range(2)))
        assert [answer.status for answer in answers] == [200, 200]
        (token,) = {answer.json["refreshToken"] for answer in answers}


async def test_two_nodes_give_the_same_successor_too(api: Api, far: Api, org: Org):
    token = (await org.session()).refresh_token
    answers = await asyncio.gather(refreshed(api, token), refreshed(far, token))
    assert len({answer.json["refreshToken"] for answer in answers}) == 1


async def test_who_comes_late_with_the_old_token_is_given_the_newest_of_the_family(api: Api, org: Org):
    first = (await org.session()).refresh_token
    second = (await refreshed(api, first)).json["refreshToken"]
    third = (await refreshed(api, second)).json["refreshToken"]
    assert (await refreshed(api, first)).json["refreshToken"] == third
    assert (await refreshed(api, third)).status == 200


async def test_a_refresh_token_used_again_after_the_grace_ends_the_whole_session(
    api: Api, org: Org, environment: dict[str, str], services: Services
):
    stolen = await org.session()
    other = await org.session()
    async with node(environment | {"WAYPOST_REFRESH_GRACE_S": "0"}) as strict:
        rightful = (await refreshed(strict, stolen.refresh_token)).json
        reused = await refreshed(strict, stolen.refresh_token)
        assert (reused.status, reused.json["code"]) == (401, "refresh-token-invalid")
        assert (await refreshed(strict, rightful["refreshToken"])).status == 401
        await shut_out(strict, api, token=rightful["accessToken"])
        assert await is_let_in(api, other.access_token)
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT end_reason FROM sessions WHERE ended_at IS NOT NULL") == "reuse"


async def test_the_thief_of_a_token_is_found_out_though_he_came_within_the_grace(
    api: Api, org: Org, environment: dict[str, str]
):
    """Both hold the same successor: whoever exchanges it second, after the grace, ends the session."""
    token = (await org.session()).refresh_token
    mine, his = (await refreshed(api, token)).json, (await refreshed(api, token)).json
    async with node(environment | {"WAYPOST_REFRESH_GRACE_S": "0"}) as later:
        assert (await refreshed(later, mine["refreshToken"])).status == 200
        assert (await refreshed(later, his["refreshToken"])).status == 401
        await shut_out(later, token=his["accessToken"])


@pytest.mark.parametrize("token", ["wpr_unknown", "x", "wpd_" + "a" * 32, "\u0000", "ü"])
async def test_an_unknown_refresh_token_is_refused(api: Api, org: Org, token: str):
    answer = await refreshed(api, token)
    assert (answer.status, answer.json["code"]) == (401, "refresh-token-invalid")


class Later(SystemClock):
    """The same machine some time later."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return super().now() + self.by


async def test_a_refresh_token_lasts_as_many_days_as_the_setting_says_from_its_last_use(
    org: Org, environment: dict[str, str]
):
    token = (await org.session()).refresh_token
    for days in (29, 58, 87):
        async with open_services(Settings.from_env(environment), Later(timedelta(days=days))) as later:
            token = (await later.sessions.refresh(token)).refresh_token
    async with node(environment | {"WAYPOST_REFRESH_TOKEN_DAYS": "1"}) as short:
        fresh = (await login(short, org.owner_phone)).json["refreshToken"]
    async with open_services(Settings.from_env(environment), Later(timedelta(days=1, seconds=1))) as later:
        with pytest.raises(Exception, match="session that has ended"):
            await later.sessions.refresh(fresh)


# Signing out


async def test_after_a_logout_no_node_lets_the_session_in_and_its_sockets_are_cut(api: Api, far: Api, org: Org):
    leaving, staying = await org.session(), await org.session()
    assert await is_let_in(far, leaving.access_token)
    async with (
        listening(api.url, leaving.access_token) as near_socket,
        listening(far.url, leaving.access_token) as far_socket,
        listening(far.url, staying.access_token) as fence,
    ):
        answer = await api.as_(leaving.access_token)("POST", "/api/v1/auth/logout", {})
        assert (answer.status, answer.json) == (204, b"")
        assert not await is_let_in(api, leaving.access_token)  # on that node at once
        await shut_out(far, token=leaving.access_token)
        await cut(near_socket, far_socket)
        assert fence.sio.connected
    assert (await refreshed(far, leaving.refresh_token)).json["code"] == "refresh-token-invalid"
    assert await is_let_in(far, staying.access_token)
    with pytest.raises(Refused):
        async with listening(far.url, leaving.access_token):
            pass


async def test_a_logout_everywhere_ends_every_session_of_the_person_and_nobody_elses(api: Api, org: Org):
    mine = [await org.session() for _ in range(3)]
    _, number = await org.person(Role.DISPATCHER)
    theirs = await org.session(number)
    answer = await api.as_(mine[0].access_token)("POST", "/api/v1/auth/logout", {"everywhere": True})
    assert answer.status == 204
    assert [await is_let_in(api, each.access_token) for each in mine] == [False] * 3
    assert [(await refreshed(api, each.refresh_token)).status for each in mine] == [401] * 3
    assert await is_let_in(api, theirs.access_token)


async def test_a_device_has_no_session_to_end(api: Api, org: Org):
    phone = await org.phone()
    assert (await api.as_(phone.token)("POST", "/api/v1/auth/logout", {})).status == 403


# What a person is, is looked up


async def test_a_member_who_is_removed_is_out_on_every_node_within_five_seconds(api: Api, far: Api, org: Org):
    person, number = await org.person(Role.DISPATCHER)
    session = await org.session(number)
    owner = api.as_(await org.token())
    async with (
        listening(api.url, session.access_token) as near_socket,
        listening(far.url, session.access_token) as far_socket,
    ):
        assert (await owner("DELETE", f"/api/v1/members/{person.user_id}")).status == 204
        await shut_out(api, far, token=session.access_token)
        await cut(near_socket, far_socket)
    assert (await refreshed(api, session.refresh_token)).status == 401
    assert (await login(api, number)).json["code"] == "bad-credentials"


async def test_another_role_acts_on_every_node_within_five_seconds(api: Api, far: Api, org: Org):
    person, number = await org.person(Role.DISPATCHER)
    session = await org.session(number)
    caller = far.as_(session.access_token)
    assert (await caller("POST", "/api/v1/drivers", {"name": "Tendai"})).status == 201
    async with listening(far.url, session.access_token) as socket:
        changed = await api.as_(await org.token())("PATCH", f"/api/v1/members/{person.user_id}", {"role": "viewer"})
        assert changed.json["role"] == "viewer"

        async def denied() -> bool:
            return (await caller("POST", "/api/v1/drivers", {"name": "Tendai"})).status == 403

        await until(denied, within_s=FOLLOWED_WITHIN_S)
        await cut(socket)
    async with listening(far.url, session.access_token) as again:  # the same token, as what they are now
        assert (await again.join_fleet())["trips"] == []
    assert (await caller("GET", "/api/v1/me")).json["user"]["role"] == "viewer"


async def test_a_person_who_is_disabled_is_out_within_five_seconds(api: Api, org: Org, services: Services):
    person, number = await org.person(Role.VIEWER)
    session = await org.session(number)
    async with listening(api.url, session.access_token) as socket:
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute("UPDATE users SET disabled_at = now() WHERE id = $1", person.user_id)
        await shut_out(api, token=session.access_token)
        await cut(socket)
    assert (await refreshed(api, session.refresh_token)).status == 401


async def test_a_person_who_is_linked_to_a_driver_is_that_driver_within_five_seconds(api: Api, org: Org):
    phone = await org.phone()
    assert phone.trip is not None
    person, number = await org.person(Role.DRIVER)
    session = await org.session(number)
    caller = api.as_(session.access_token)
    assert (await caller("GET", "/api/v1/trips")).json["data"] == []
    async with listening(api.url, session.access_token) as socket:
        owner = api.as_(await org.token())
        linked = await owner("PATCH", f"/api/v1/drivers/{phone.driver_id}", {"userId": str(person.user_id)})
        assert linked.json["userId"] == str(person.user_id)

        async def sees_it() -> bool:
            return [t["id"] for t in (await caller("GET", "/api/v1/trips")).json["data"]] == [str(phone.trip.id)]

        await until(sees_it, within_s=FOLLOWED_WITHIN_S)
        await cut(socket)
    assert (await caller("GET", "/api/v1/me")).json["user"]["driverId"] == str(phone.driver_id)


async def test_a_token_of_a_session_in_one_organisation_opens_no_other(api: Api, org: Org, services: Services):
    """The claims are signed, but even with both ids right the session must be that organisation's."""
    other = await organisation(services, "Mutare Movers")
    theirs = await other.session()
    claims = services.identity.tokens.read(theirs.access_token, services.clock.now())
    moved = type(claims)(claims.user_id, org.org_id, claims.session_id, claims.expires_at)
    services.sessions.forget(claims.user_id)
    answer = await api.as_(services.identity.tokens.issue(moved, services.clock.now()))("GET", "/api/v1/me")
    assert (answer.status, answer.json["code"]) == (401, "token-invalid")


# What is kept of them


async def test_a_session_keeps_a_short_user_agent_without_control_signs(api: Api, org: Org, services: Services):
    await login(api, org.owner_phone, **{"User-Agent": "Browser\t" + "x" * 500})
    async with services.database.transaction(SYSTEM) as conn:
        agent = await conn.fetchval("SELECT user_agent FROM sessions")
    assert agent == "Browser" + "x" * 193


async def test_when_a_session_was_last_seen_is_kept(
    api: Api, org: Org, services: Services, environment: dict[str, str]
):
    session = await org.session()
    async with open_services(Settings.from_env(environment), Later(timedelta(hours=1))) as later:
        claims = services.identity.tokens.read(session.access_token, services.clock.now())
        principal = await later.sessions.principal(claims)
        await later.watch.note_seen({principal})
    member = (await api.as_(session.access_token)("GET", f"/api/v1/members/{org.owner.user_id}")).json
    seen = datetime.fromisoformat(member["lastSeenAt"])
    assert timedelta(minutes=59) < seen - services.clock.now() < timedelta(minutes=61)


async def count_of(services: Services, table: str) -> int:
    async with services.database.transaction(SYSTEM) as conn:
        return int(await conn.fetchval(f"SELECT count(*) FROM {table}"))


async def test_what_ended_long_ago_is_forgotten_and_what_lives_stays(
    org: Org, services: Services, environment: dict[str, str]
):
    ended, goes_on = await org.session(), await org.session()
    claims = services.identity.tokens.read(ended.access_token, services.clock.now())
    await services.sessions.end(await services.sessions.principal(claims))
    await services.invitations.invite(org.owner, name="Rudo", role=Role.VIEWER, phone="+263771999001")
    token, gone = goes_on.refresh_token, {}
    for day in (0, 29, 31, 38, 57, 85, 200):
        async with open_services(Settings.from_env(environment), Later(timedelta(days=day))) as later:
            if day in (29, 57, 85):
                token = (await later.sessions.refresh(token)).refresh_token
            gone[day] = await later.sessions.forget_old(timedelta(days=30), 100)
    # The session that ended with its token, the invitation of seven days, the first refresh token of thirty, then the
    # other session with its three.
    assert gone == {0: 0, 29: 0, 31: 2, 38: 1, 57: 0, 85: 1, 200: 4}
    assert [await count_of(services, table) for table in ("sessions", "refresh_tokens", "invitations")] == [0, 0, 0]
