"""Signing in and refreshing while somebody is shut out, removed, or does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import argon2
import pytest

from tests.conftest import Api
from tests.factories import PASSWORD, Org, organisation
from tests.integration.test_sessions import FOLLOWED_WITHIN_S, Later, refreshed
from tests.waiting import until
from waypost.identity import storage, storage_sessions
from waypost.identity.domain import BadCredentials, RefreshTokenInvalid, TokenInvalid, token_hash
from waypost.identity.passwords import Passwords
from waypost.identity.throttle import Caller
from waypost.kernel.principal import Role
from waypost.kernel.remembered import REMEMBER_S
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

CALLER = Caller("127.0.0.1")
NEW_PASSWORD = "another horse battery"
WAIT_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


class Interrupted(argon2.PasswordHasher):
    """Checks a password while something else happens."""

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self.meanwhile = meanwhile
        self.loop = asyncio.get_running_loop()

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - the library's name
        verified = super().verify(hash, password)
        asyncio.run_coroutine_threadsafe(self._happen(), self.loop).result(10)
        return verified

    async def _happen(self) -> None:
        await self.meanwhile()


def interrupted(services: Services, meanwhile: Callable[[], Awaitable[Any]]) -> Passwords:
    return Passwords(Interrupted(meanwhile), decoy=services.identity.passwords.decoy)


async def waiting_for_a_lock(services: Services, so_many: int) -> None:
    async def are_waiting() -> bool:
        async with services.database.pool.acquire() as conn:
            return bool(await conn.fetchval(WAIT_FOR_A_LOCK) == so_many)

    await until(are_waiting)


async def is_dead(services: Services, session: Any) -> bool:
    services.sessions.forget(session.user.id)
    with pytest.raises(TokenInvalid):
        await services.identity.authenticate(session.access_token)
    with pytest.raises(RefreshTokenInvalid):
        await services.sessions.refresh(session.refresh_token)
    return True


# Signing in


@pytest.mark.parametrize("what", ["password", "disabled"])
async def test_who_is_shut_out_while_their_password_is_being_checked_does_not_get_in(
    services: Services, org: Org, what: str
):
    _, number = await org.person(Role.DISPATCHER)

    async def shut_out() -> None:
        if what == "password":
            await services.operator.set_password(number, NEW_PASSWORD)
        else:
            await services.operator.disable(number)

    identity = replace(services.identity, passwords=interrupted(services, shut_out))
    with pytest.raises(BadCredentials):
        await identity.sign_in(phone=number, email=None, password=PASSWORD)


@pytest.mark.parametrize("what", ["password", "disabled"])
async def test_who_is_shut_out_while_their_session_begins_loses_it(services: Services, org: Org, what: str):
    person, number = await org.person(Role.DISPATCHER)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT FROM memberships WHERE user_id = $1 FOR UPDATE", person.user_id)
        signing_in = asyncio.create_task(org.session(number))
        await waiting_for_a_lock(services, 1)
        operator = services.operator
        deed = operator.set_password(number, NEW_PASSWORD) if what == "password" else operator.disable(number)
        shutting_out = asyncio.create_task(deed)  # type: ignore[arg-type]  # one gives a bool
        await waiting_for_a_lock(services, 2)
    session = await signing_in
    await shutting_out
    assert await is_dead(services, session)


async def test_who_is_disabled_while_they_accept_an_invitation_is_told_so(services: Services, org: Org):
    other = await organisation(services, "Bulawayo Bakers")
    _, number = await other.person(Role.VIEWER)
    _, token = await services.invitations.invite(org.owner, name="Rudo", role=Role.VIEWER, phone=number)
    passwords = interrupted(services, lambda: services.operator.disable(number))
    with pytest.raises(BadCredentials):
        await replace(services.invitations, passwords=passwords).accept(
            token, name=None, password=PASSWORD, caller=CALLER
        )


# Removal


async def test_no_session_begins_for_who_was_removed_a_moment_ago(services: Services, org: Org):
    person, _ = await org.person(Role.DISPATCHER)
    assert person.user_id is not None
    async with services.database.transaction(SYSTEM) as conn:
        (user,) = await storage.memberships(conn, person.user_id, org.org_id)
        await services.members.remove(org.owner, person.user_id)
        with pytest.raises(BadCredentials):
            await services.sessions.begin(conn, user)


async def test_a_removal_waits_for_the_session_that_begins_and_ends_it(services: Services, org: Org):
    person, _ = await org.person(Role.DISPATCHER)
    assert person.user_id is not None
    async with services.database.transaction(SYSTEM) as conn:
        (user,) = await storage.memberships(conn, person.user_id, org.org_id)
        session = await services.sessions.begin(conn, user)
        removing = asyncio.create_task(services.members.remove(org.owner, person.user_id))
        await waiting_for_a_lock(services, 1)
    await removing
    async with services.database.transaction(SYSTEM) as conn:
        ends = "SELECT end_reason FROM sessions WHERE user_id = $1"
        assert await conn.fetchval(ends, person.user_id) == "removed"
    assert await is_dead(services, session)


async def test_a_session_from_before_a_removal_does_not_come_alive_when_its_person_returns(
    services: Services, org: Org
):
    person, number = await org.person(Role.DISPATCHER)
    assert person.user_id is not None
    old = await org.session(number)
    before = await services.identity.authenticate(old.access_token)
    await services.members.remove(org.owner, person.user_id)
    async with services.database.transaction(SYSTEM) as conn:  # as if its end had been missed
        await conn.execute("UPDATE sessions SET ended_at = NULL, end_reason = NULL WHERE user_id = $1", person.user_id)
    _, token = await services.invitations.invite(org.owner, name="Rudo", role=Role.DISPATCHER, phone=number)
    new = await services.invitations.accept(token, name=None, password=PASSWORD, caller=CALLER)
    assert await is_dead(services, old)
    now = await services.identity.authenticate(new.access_token)
    assert await services.sessions.lost({before, now}) == {before}


async def test_who_joined_by_a_clock_that_is_ahead_is_signed_in_on_a_node_that_is_behind(
    services: Services, org: Org, environment: dict[str, str]
):
    _, number = await org.person(Role.VIEWER)
    async with open_services(Settings.from_env(environment), Later(timedelta(seconds=-30))) as behind:
        session = await behind.identity.sign_in(phone=number, email=None, password=PASSWORD)
        assert (await behind.identity.authenticate(session.access_token)).role is Role.VIEWER


def test_no_setting_lets_a_node_follow_later_than_promised(environment: dict[str, str]):
    longest = FOLLOWED_WITHIN_S - REMEMBER_S
    for bad in (longest, longest - 0.4):
        with pytest.raises(Exception, match=r"(?i)revocation_poll_s"):
            Settings.from_env(environment | {"WAYPOST_REVOCATION_POLL_S": str(bad)})
    assert Settings.from_env(environment | {"WAYPOST_REVOCATION_POLL_S": "2.5"}).revocation_poll_s == 2.5


# Refreshing


async def test_two_tokens_of_one_family_are_refreshed_at_once_without_a_deadlock(services: Services, org: Org):
    for _ in range(30):
        first = (await org.session()).refresh_token
        second = (await services.sessions.refresh(first)).refresh_token
        answers = await asyncio.gather(*(services.sessions.refresh(token) for token in (first, second) * 2))
        newest = {answer.refresh_token for answer in answers} - {second}
        assert len(newest) == 1  # "first" that came before any "second" was given the second
        async with services.database.transaction(SYSTEM) as conn:
            unused = await conn.fetch(
                "SELECT r.token_hash FROM refresh_tokens r JOIN refresh_tokens f USING (org_id, session_id)"
                " WHERE f.token_hash = $1 AND r.exchanged_at IS NULL",
                token_hash(first),
            )
        assert [row["token_hash"] for row in unused] == [token_hash(newest.pop())]


async def test_who_comes_with_a_token_that_was_exchanged_many_times_over_is_given_the_newest(api: Api, org: Org):
    first = newest = (await org.session()).refresh_token
    for _ in range(30):
        newest = (await refreshed(api, newest)).json["refreshToken"]
    assert (await refreshed(api, first)).json["refreshToken"] == newest


# Forgetting


async def test_a_session_of_thousands_of_tokens_is_forgotten_in_small_steps(
    services: Services, org: Org, environment: dict[str, str]
):
    session = await org.session()
    claims = services.identity.tokens.read(session.access_token, services.clock.now())
    now = services.clock.now()
    async with services.database.transaction(SYSTEM) as conn:
        for number in range(24):
            await storage_sessions.add_refresh_token(
                conn, claims.org_id, claims.session_id, token_hash(f"wpr_{number}"), now, now + timedelta(days=90)
            )
    await services.sessions.end(await services.sessions.principal(claims))
    steps = []
    async with open_services(Settings.from_env(environment), Later(timedelta(days=31))) as later:
        while gone := await later.sessions.forget_old(timedelta(days=30), 10):
            steps.append(gone)
    assert steps == [10, 10, 6]  # 25 tokens, and the session with the last
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM sessions WHERE id = $1", claims.session_id) == 0
