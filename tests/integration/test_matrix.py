"""Role x route x tenant: generated from the route table, so that no route can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from tests.conftest import Answer, Api
from tests.factories import Org, organisation, things
from waypost.app import route_table
from waypost.kernel.principal import Role
from waypost.platform.routes import Route
from waypost.wiring import Services

PART = re.compile(r"{([a-z_]+)}")
THING = re.compile(r"{[a-z_]+_(id|token)}")  # not a place on the map: every organisation has those
OPEN = {200, 201, 202, 204, 400, 404, 409, 410, 412, 422, 503}  # neither "who are you" nor "not you"
# They end the session that asks.
ENDS_SESSION = {"/api/v1/auth/logout"}


def rows(services: Services) -> list[Route]:
    return [row for row in route_table(services) if row.path.startswith("/api/v1") and row.path not in ENDS_SESSION]


def is_for_apps(row: Route) -> bool:
    """The caller's token is in the path: tests/integration/test_ingest_apps.py tries who gets in."""
    return row.credential is not None


def path_of(row: Route, ids: Mapping[str, UUID] | None = None) -> str:
    """The row's path with ids of things that exist, or of none."""
    return PART.sub(lambda part: str(ids[part[1]] if ids else uuid4()), row.path)


async def call(api: Api, row: Route, ids: Mapping[str, UUID] | None = None) -> Answer:
    takes_one = row.body is not None or row.reads
    return await api(row.method, path_of(row, ids), {} if takes_one else None)


@dataclass(frozen=True, slots=True)
class Callers:
    """One of every kind."""

    people: dict[Role, Api]
    device: Api


async def callers(api: Api, org: Org) -> Callers:
    people = {}
    for role in Role:
        _, phone = await org.person(role)
        people[role] = api.as_(await org.token(phone))
    return Callers(people, api.as_((await org.phone()).token))


async def test_who_is_not_signed_in_gets_401_from_every_route_that_is_not_public(api: Api, services: Services):
    for row in rows(services):
        answer = await call(api, row)
        assert (answer.status == 401) == (not row.public) or row.public, f"{row.method} {row.path}: {answer}"


async def test_every_role_gets_403_from_the_routes_that_are_not_its_own_and_only_from_those(
    api: Api, org: Org, services: Services
):
    who = await callers(api, org)
    for row in rows(services):
        if row.public or is_for_apps(row):
            continue
        for role, caller in who.people.items():
            answer = await call(caller, row)
            expected = OPEN if role in row.roles else {403}
            assert answer.status in expected, f"{role}: {row.method} {row.path}: {answer.status} {answer.json}"
        answer = await call(who.device, row)
        expected = OPEN if row.devices else {403}
        assert answer.status in expected, f"device: {row.method} {row.path}: {answer.status} {answer.json}"


async def test_what_is_anothers_is_answered_like_what_does_not_exist(api: Api, org: Org, services: Services):
    """Byte for byte: nothing tells whether a thing of another organisation exists."""
    ids = await things(org)
    other = api.as_(await (await organisation(services, "Bulawayo Bulk")).token())
    tried = 0
    for row in rows(services):
        if not THING.search(row.path) or row.public or is_for_apps(row):
            continue
        real, none = await call(other, row, ids), await call(other, row)
        assert Role.OWNER not in row.roles or real.status in {404, 422, 400}, f"{row.method} {row.path}: {real}"
        assert without_id(real) == without_id(none), f"{row.method} {row.path}"
        tried += 1
    assert tried > 10


async def test_no_list_of_one_organisation_holds_anything_of_another(api: Api, org: Org, services: Services):
    made = await things(org)
    ids = {str(made[name]) for name in made if name.endswith(("_id", "token"))} | {str(org.org_id)}
    other = api.as_(await (await organisation(services, "Bulawayo Bulk")).token())
    for row in rows(services):
        if row.method != "GET" or PART.search(row.path):
            continue
        text = str((await call(other, row)).json)
        assert not [each for each in ids if each in text], f"{row.path}"


async def test_its_own_things_are_found_by_the_owner(api: Api, org: Org, services: Services):
    """Else the test above would pass with paths that lead nowhere."""
    ids = await things(org)
    owner = api.as_(await org.token())
    for row in rows(services):
        asked = row.method == "GET" and PART.search(row.path) and Role.OWNER in row.roles
        if asked and "file" not in row.path and "{token}" not in row.path:  # a token leads to what it is of, not to ids
            answer = await call(owner, row, ids)
            known = answer.status == 200 or answer.json.get("code") == "no-position-yet"
            assert known, f"{row.path}: {answer.status} {answer.json}"


def without_id(answer: Answer) -> tuple[int, object]:
    body = answer.json
    return answer.status, {k: v for k, v in body.items() if k != "requestId"} if isinstance(body, dict) else body


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/trips/x/y/z"])
async def test_a_route_that_does_not_exist_is_404_for_everybody(api: Api, org: Org, path: str):
    for caller in (api, api.as_(await org.token())):
        assert (await caller("GET", path)).status == 404
