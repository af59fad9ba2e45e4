"""The operator's commands: settings checked, people, tokens, exports, the doctor's rounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.commands import Finished, clean_environment, get, serving, sign_in, waypost
from tests.e2e.workers import RELAY, WORKER, running
from tests.factories import PASSWORD, Org
from tests.waiting import until
from waypost.identity.domain import BadCredentials
from waypost.kernel.principal import Role
from waypost.platform import heartbeats
from waypost.platform.database import SYSTEM
from waypost.trips.service import NewTrip
from waypost.wiring import Services

NOBODY_PORT = 1  # nothing listens on it
NEW_PASSWORD = "another horse battery"


def said(finished: Finished) -> str:
    assert "Traceback" not in finished.text + finished.complaint
    return finished.text + finished.complaint


# check-config


async def test_all_bad_settings_are_said_at_once_and_the_status_is_2():
    env = clean_environment({"WAYPOST_PORT": "x", "WAYPOST_POOL_MAX": "0", "WAYPOST_JOB_LEESE_S": "1"})
    bad = await waypost("check-config", env=env)
    assert bad.status == 2
    for word in ("WAYPOST_PORT", "WAYPOST_POOL_MAX", "WAYPOST_JOB_LEESE_S", "did you mean WAYPOST_JOB_LEASE_S"):
        assert word in said(bad)


async def test_what_is_missing_is_named_and_a_whole_set_is_good(environment: dict[str, str]):
    lacking = await waypost(
        "check-config", env=clean_environment({"WAYPOST_REDIS_URL": environment["WAYPOST_REDIS_URL"]})
    )
    assert lacking.status == 1
    for name in ("WAYPOST_DATABASE_URL", "WAYPOST_SIGNING_KEY", "WAYPOST_ENCRYPTION_KEYS"):
        assert f"{name} is not set" in said(lacking)
    assert "WAYPOST_REDIS_URL" not in said(lacking)
    no_keys = await waypost("check-config", env=clean_environment(environment | {"WAYPOST_ENCRYPTION_KEYS": "secret"}))
    assert (no_keys.status, "`WAYPOST_ENCRYPTION_KEYS` is not a list of keys" in said(no_keys)) == (1, True)
    good = await waypost("check-config", env=clean_environment(environment))
    assert (good.status, "missing" in said(good)) == (0, False)


async def test_nothing_is_tried_unless_it_is_asked_for(environment: dict[str, str]):
    away = environment | {
        "WAYPOST_DATABASE_URL": f"postgres://waypost@127.0.0.1:{NOBODY_PORT}/x",
        "WAYPOST_REDIS_URL": f"redis://127.0.0.1:{NOBODY_PORT}",
        "WAYPOST_SMTP_HOST": "127.0.0.1",
        "WAYPOST_SMTP_PORT": str(NOBODY_PORT),
        "WAYPOST_SMTP_FROM": "notices@example.com",
    }
    env = clean_environment(away)
    assert (await waypost("check-config", env=env)).status == 0
    tried = await waypost("check-config", "--connect", env=env)
    assert tried.status == 1
    for part in ("PostgreSQL", "Redis", "mail server"):
        assert re.search(rf"^missing +{part} ", said(tried), re.MULTILINE), said(tried)
    good = await waypost("check-config", "--connect", env=clean_environment(environment))
    assert good.status == 0, said(good)
    for word in ("PostgreSQL 18", "waypost takes waypost_app, waypost_system", "at this version", "s apart", "answers"):
        assert word in good.text


# user


async def test_people_are_listed_shut_out_and_let_in_and_get_another_password_and_role(
    services: Services, org: Org, environment: dict[str, str]
):
    env = clean_environment(environment | {"WAYPOST_PASSWORD": NEW_PASSWORD})
    _, phone = await org.person(Role.VIEWER)
    listed = await waypost("user", "list", "--org", str(org.org_id), env=env)
    assert (listed.status, listed.text.count(phone), listed.text.count("Harare Haulage")) == (0, 1, 2)
    async with serving(environment) as server:
        before = (await sign_in(server.url, PASSWORD, phone=phone))["accessToken"]
        assert (await waypost("user", "password", phone, env=env)).status == 0
        await until(lambda: refused(server.url, before), 6)
        with pytest.raises(AssertionError):
            await sign_in(server.url, PASSWORD, phone=phone)
        after = (await sign_in(server.url, NEW_PASSWORD, phone=phone))["accessToken"]
        assert (await waypost("user", "role", phone, "dispatcher", "--org", "Harare Haulage", env=env)).status == 0
        assert (await sign_in(server.url, NEW_PASSWORD, phone=phone))["user"]["role"] == "dispatcher"
        assert (await waypost("user", "disable", phone, env=env)).status == 0
        assert "already" in said(await waypost("user", "disable", phone, env=env))
        await until(lambda: refused(server.url, after), 6)
        assert "shut out" in (await waypost("user", "list", env=env)).text
        assert (await waypost("user", "enable", phone, env=env)).status == 0
        await sign_in(server.url, NEW_PASSWORD, phone=phone)
    nobody = await waypost("user", "disable", "nobody@example.com", env=env)
    assert (nobody.status, "Nobody has that" in said(nobody)) == (1, True)
    async with services.database.transaction(org.org_id) as conn:
        rows = await conn.fetch("SELECT action FROM audit_log WHERE why LIKE 'by the operator%' ORDER BY id")
    actions = [row["action"] for row in rows]
    assert actions == ["person.password-set", "member.changed", "person.disabled", "person.enabled"]


async def refused(url: str, token: str) -> bool:
    return (await get(f"{url}/api/v1/me", token))[0] == 401


async def test_a_password_that_is_too_short_and_a_stranger_to_the_organisation_change_nothing(
    services: Services, org: Org, environment: dict[str, str]
):
    env = clean_environment(environment | {"WAYPOST_PASSWORD": "short"})
    weak = await waypost("user", "password", org.owner_phone, env=env)
    assert (weak.status, "characters" in said(weak)) == (1, True)
    await services.identity.add_organisation("Mutare Movers")
    stranger = await waypost("user", "role", org.owner_phone, "viewer", "--org", "Mutare Movers", env=env)
    assert stranger.status == 1
    assert said(stranger)
    await org.token()
    with pytest.raises(BadCredentials):
        await services.identity.sign_in(phone=org.owner_phone, email=None, password="short")


# token


async def test_a_token_is_given_once_listed_without_itself_and_withdrawn(
    services: Services, org: Org, environment: dict[str, str]
):
    env = clean_environment(environment)
    driver = await services.directory.add_driver(org.owner, name="Rudo")
    given = await waypost("token", "give", "--org", "Harare Haulage", "--driver", "rudo", env=env)
    token, device = given.text.strip(), given.complaint.split()[-1]
    assert (given.status, token.startswith("wpd_")) == (0, True)
    principal = await services.devices.authenticate(token)
    assert (principal.driver_id, str(principal.device_id)) == (driver.id, device)
    listed = await waypost("token", "list", "--org", str(org.org_id), env=env)
    assert (listed.status, device in listed.text, token in listed.text, "in use" in listed.text) == (
        0,
        True,
        False,
        True,
    )
    assert (await waypost("token", "revoke", device, "--org", "Harare Haulage", env=env)).status == 0
    again = await waypost("token", "revoke", device, "--org", "Harare Haulage", env=env)
    assert (again.status, len(again.complaint.splitlines())) == (1, 1)
    assert "revoked" in (await waypost("token", "list", "--org", "Harare Haulage", env=env)).text
    for wrong in (("--org", "Nowhere", "--driver", "Rudo"), ("--org", "Harare Haulage", "--driver", "Farai")):
        failed = await waypost("token", "give", *wrong, env=env)
        assert (failed.status, len(said(failed).strip().splitlines())) == (1, 1)
    assert (await waypost("token", "revoke", "x", "--org", "Harare Haulage", env=env)).status == 2


# export


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_an_export_is_written_whole_or_not_at_all(
    services: Services, org: Org, environment: dict[str, str], tmp_path: Path
):
    for n in range(3):
        await services.trips.create(org.owner, NewTrip(reference=f"T{n}"))
    env, out = clean_environment(environment), tmp_path / "trips.csv"
    export = ("export", "trips", "--org", "Harare Haulage", "--out")
    written = await waypost(*export, out, env=env)
    assert (written.status, "3 trips" in said(written)) == (0, True)
    assert [row["reference"] for row in csv.DictReader(io.StringIO(out.read_text()))] == ["T0", "T1", "T2"]
    before = out.read_bytes()
    piped = await waypost(*export, "-", env=env)
    assert piped.text.encode() == before.replace(b"\r\n", b"\n")  # read as text
    assert (await waypost(*export, out, "--status", "lost", env=env)).status == 1
    nothing = await waypost(*export, out, "--to", "1999-12-31", env=env)
    assert (nothing.status, out.read_text().count("\n")) == (0, 1)
    backwards = await waypost(*export, out, "--from", "2030-01-01", "--to", "2020-01-01", env=env)
    assert (backwards.status, len(said(backwards).strip().splitlines())) == (2, 1)
    assert names_in(tmp_path) == ["trips.csv"]
    nowhere = await waypost(*export, tmp_path / "no" / "x.csv", env=env)
    assert (nowhere.status, len(said(nowhere).strip().splitlines())) == (2, 1)


# doctor


@asynccontextmanager
async def installation(environment: dict[str, str], services: Services) -> AsyncIterator[None]:
    """A worker and a relay at work."""
    async with running(*WORKER, env=environment), running(*RELAY, env=environment):

        async def both() -> bool:
            async with services.database.transaction(SYSTEM) as conn:
                beats = {beat.kind for beat in await heartbeats.ages(conn)}
                done = await conn.fetchval("SELECT count(*) FROM scheduled_runs WHERE outcome = 'done'")
            return beats == {"worker", "relay"} and done > 0

        await until(both, 30)
        yield


async def test_the_doctor_finds_nothing_in_a_healthy_house_and_everything_in_an_ill_one(
    services: Services, org: Org, environment: dict[str, str]
):
    env = clean_environment(environment)
    async with installation(environment, services):
        well = await waypost("doctor", env=env)
        for word in ("1 at work on", "nothing waits", "0 in doubt", "0 failed", "the last was done", "s apart"):
            assert word in well.text, well.text
        ill_lines = [line for line in well.text.splitlines() if line.startswith("missing")]
        assert [line for line in ill_lines if "dashboard" not in line and "disk" not in line] == []
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "INSERT INTO jobs (org_id, id, kind, state, user_id, error, created_at, finished_at)"
            " VALUES ($1, $2, 'export.trips', 'failed', $3, 'x', now(), now())",
            org.org_id, uuid4(), org.owner.user_id,
        )  # fmt: skip
        await conn.execute(
            "INSERT INTO outbox (org_id, id, kind, key, payload, created_at, tries, due_at)"
            " VALUES ($1, $2, 'x', 'x', '{}', now() - interval '10 minutes', 3, now() + interval '1 hour')",
            org.org_id, uuid4(),
        )  # fmt: skip
        await conn.execute(
            "INSERT INTO room_events (org_id, room, id, name, head, created_at, claimed_until)"
            " VALUES ($1, 'r', $2, 'n', '', now() - interval '10 minutes', now() + interval '1 hour')",
            org.org_id, uuid4(),
        )  # fmt: skip
        await conn.execute(
            "INSERT INTO scheduled_runs (org_id, name, due_at, outcome, finished_at)"
            " VALUES ($1, 'forget-keys', now(), 'failed', now())",
            org.org_id,
        )
    await services.redis.config_set("maxmemory", str(2**30))
    await services.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        ill = await waypost("doctor", env=env)
    finally:
        await services.redis.config_set("maxmemory-policy", "noeviction")
        await services.redis.config_set("maxmemory", "0")
    assert ill.status == 1
    assert "1 could not be kept so far" in ill.text
    for what in ("workers", "relays", "outbox", "live events", "jobs", "timed runs", "Redis"):
        assert re.search(rf"^missing +{what} .*\n +-> ", said(ill), re.MULTILINE), (what, said(ill))
