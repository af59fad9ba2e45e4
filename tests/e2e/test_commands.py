"""The commands as an operator meets them: processes, exit statuses, the words they say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.commands import (
    Finished,
    clean_environment,
    free_port,
    get,
    is_ready,
    running,
    runs,
    serving,
    sign_in,
    tree,
    up,
    waypost,
)
from tests.servers import KEYS, Servers, folder
from tests.waiting import until

PASSWORD = "correct horse battery"
FLEET_SIZE = 20
NOBODY_PORT = 1  # nothing listens on it


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the embedded servers' account may pass through."""
    with folder() as path:
        yield path


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    """A superuser's address of a fresh, empty database."""
    name = f"empty_{uuid4().hex[:12]}"
    conn = await servers.stack.postgres.connect("postgres")
    await conn.execute(f'CREATE DATABASE "{name}"')
    try:
        yield servers.stack.postgres.superuser_dsn(name)
    finally:
        await conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await conn.close()


def complains(finished: Finished, *words: str) -> None:
    """It failed, said these words on stderr, and had no traceback."""
    said = finished.text + finished.complaint
    assert finished.status not in (0, None)
    assert "Traceback" not in said
    assert len(finished.complaint.strip().splitlines()) <= 12
    for word in words:
        assert word in finished.complaint, said


# waypost up


async def test_up_starts_everything_says_how_long_it_took_and_ctrl_c_ends_everything(place: Path):
    async with up(place / "data") as command:
        assert await is_ready(command.url)
        family = tree(command.pid)
        for part in ("waypost.cli serve", "waypost_workers", "postgres", "valkey"):
            assert any(part in line for line in family.values()), part
        assert ((place / "data" / "signing.key").stat().st_mode & 0o777) == 0o600
        command.send(signal.SIGINT)
        assert await command.ended(40) == 0
        assert [line for pid, line in family.items() if runs(pid)] == []
        assert "Traceback" not in command.text + command.complaint


async def test_a_second_up_on_the_same_data_names_the_one_that_runs(place: Path):
    async with up(place / "data") as command:
        second = await waypost("up", "--data", place / "data", "--port", 0, env=clean_environment())
        complains(second, "already running", str(command.pid))
        assert len(second.complaint.strip().splitlines()) == 1
        assert await is_ready(command.url)


async def test_killed_up_leaves_no_orphan_and_the_next_one_has_the_data(place: Path):
    data = place / "data"
    async with up(data) as command:
        added = await waypost(
            *("user", "add", "Rudo", "--org", "Rudo's", "--new-org", "--email", "rudo@example.com", "--data", data),
            env=clean_environment({"WAYPOST_PASSWORD": PASSWORD}),
        )
        assert added.status == 0, added
        first = await sign_in(command.url, PASSWORD, email="rudo@example.com")
        family = tree(command.pid)
        assert len(family) > 5
        await command.kill()
        await until(lambda: not [line for pid, line in family.items() if runs(pid)], within_s=10)
    async with up(data) as command:
        again = await sign_in(command.url, PASSWORD, email="rudo@example.com")
        assert again["user"] == first["user"]
        assert (await get(f"{command.url}/api/v1/me", first["accessToken"]))[0] == 200  # the signing key stayed too


@pytest.mark.parametrize("part", ["waypost.cli serve", "postgres -D", "valkey-server "])
async def test_when_a_part_dies_up_says_which_and_ends_the_rest(place: Path, part: str):
    async with up(place / "data") as command:
        family = tree(command.pid)
        pid = min(pid for pid, line in family.items() if part in line)
        kill(pid)
        assert await command.ended(40) == 1
        assert "stopping the rest" in command.complaint
        assert [line for pid, line in family.items() if runs(pid)] == []
        assert "Traceback" not in command.complaint


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def test_the_worker_is_started_again_when_it_dies(place: Path):
    async with up(place / "data") as command:

        def worker() -> int | None:
            return next(
                (pid for pid, line in tree(command.pid).items() if "waypost_workers" in line and runs(pid)), None
            )

        first = worker()
        assert first
        kill(first)
        await until(lambda: worker() not in (None, first))
        assert await is_ready(command.url)


# What cannot start says why


async def test_a_taken_port_is_one_clear_line(place: Path, servers: Servers):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = clean_environment(servers.environment("waypost_template"))
        for command in (("up", "--data", place / "data"), ("serve",)):
            failed = await waypost(*command, "--port", port, env=clean_environment() if command[0] == "up" else env)
            complains(failed, "cannot listen on 127.0.0.1", str(port))
            assert len(failed.complaint.strip().splitlines()) == 1


async def test_an_address_that_is_not_ours_is_one_clear_line(place: Path):
    failed = await waypost(
        "up", "--data", place / "data", "--host", "203.0.113.7", "--port", 0, env=clean_environment()
    )
    complains(failed, "203.0.113.7")


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/waypost", "/dev/full"])
async def test_an_impossible_data_folder_is_one_clear_line(place: Path, where: str):
    (place / "file").write_text("not a folder")
    failed = await waypost("up", "--data", place / where, "--port", 0, env=clean_environment())
    complains(failed, where.partition("/")[0] or where)
    assert len(failed.complaint.strip().splitlines()) == 1
    assert (place / "file").read_text() == "not a folder"


async def test_an_unreachable_database_or_redis_is_one_clear_line(place: Path, servers: Servers):
    good = servers.environment("waypost_template")
    database = {"WAYPOST_DATABASE_URL": f"postgres://waypost:secret-word@127.0.0.1:{NOBODY_PORT}/waypost"}
    redis = {"WAYPOST_REDIS_URL": f"redis://:secret-word@127.0.0.1:{NOBODY_PORT}/0"}
    cases = [
        (("up", "--data", place / "one", "--port", 0), good | database, "database"),
        (("up", "--data", place / "two", "--port", 0), redis, "Redis"),
        (("serve", "--port", 0), good | database, "database"),
        (("serve", "--port", 0), good | redis, "Redis"),
        (("migrate", "up"), database, "database"),
        (("migrate", "status"), database, "database"),
        (
            ("user", "add", "A", "--org", "B", "--email", "a@b.c"),
            good | database | {"WAYPOST_PASSWORD": PASSWORD},
            "database",
        ),
    ]
    for command, settings, word in cases:
        failed = await waypost(*command, env=clean_environment(settings))
        complains(failed, word)
        assert "secret-word" not in failed.text + failed.complaint
        assert len(failed.complaint.strip().splitlines()) == 1, failed.complaint


@pytest.mark.parametrize(
    "address", ["not an address", "postgres://", "mysql://x/y", "postgres://127.0.0.1:99999/x", "redis://[::1", "\\"]
)
async def test_an_address_that_is_none_is_a_clear_line(servers: Servers, address: str):
    good = servers.environment("waypost_template")
    for name in ("WAYPOST_DATABASE_URL", "WAYPOST_REDIS_URL"):
        complains(await waypost("serve", "--port", 0, env=clean_environment(good | {name: address})))


async def test_all_bad_settings_are_told_at_once(place: Path):
    bad = {
        "WAYPOST_PORT": "eighty",
        "WAYPOST_POOL_MAX": "0",
        "WAYPOST_ACCESS_TOKEN_S": "5",
        "WAYPOST_LOG_LEVEL": "LOUD",
        "WAYPOST_SIGNING_KEY": "short-secret",
        "WAYPOST_DATABASE_URL_FILE": str(place / "nowhere"),
        "WAYPOST_PROT": "8080",
    }
    for command in (("up", "--data", place / "data"), ("serve",), ("migrate", "up"), ("doctor",)):
        failed = await waypost(*command, env=clean_environment(bad))
        complains(failed, *bad, "did you mean WAYPOST_PORT?")
        assert "short-secret" not in failed.complaint
    assert not (place / "data").exists()


async def test_serve_lists_all_that_it_misses():
    complains(await waypost("serve", env=clean_environment()), "DATABASE_URL", "REDIS_URL", "SIGNING_KEY")


# Servers of the operator's own


async def test_up_uses_the_servers_it_is_given_and_starts_none(place: Path, servers: Servers, empty_database: str):
    env = {"WAYPOST_DATABASE_URL": empty_database, "WAYPOST_REDIS_URL": servers.stack.redis_url()}
    async with up(place / "data", env=env) as command:
        assert await is_ready(command.url)
        family = " ".join(tree(command.pid).values())
        assert "postgres -D" not in family
        assert "valkey" not in family
        assert not (place / "data" / "postgres").exists()
        added = await waypost(
            *("user", "add", "Rudo", "--org", "Rudo's", "--new-org", "--phone", "+263 77 123 4567"),
            env=clean_environment(env | KEYS | {"WAYPOST_PASSWORD": PASSWORD}),
        )
        assert added.status == 0, added
        assert (await sign_in(command.url, PASSWORD, phone="+263771234567"))["user"]["name"] == "Rudo"


async def test_up_brings_the_one_server_that_it_is_not_given(place: Path, servers: Servers, empty_database: str):
    for env, own, not_own in (
        ({"WAYPOST_DATABASE_URL": empty_database}, "valkey-server", "postgres -D"),
        ({"WAYPOST_REDIS_URL": servers.stack.redis_url()}, "/postgres", "valkey-server"),
    ):
        async with up(place / not_own.split("-", maxsplit=1)[0].strip(), env=env) as command:
            family = " ".join(tree(command.pid).values())
            assert own in family
            assert not_own not in family


# waypost migrate


async def test_migrating_twice_and_four_at_once_is_harmless(empty_database: str):
    env = clean_environment({"WAYPOST_DATABASE_URL": empty_database})
    before = await waypost("migrate", "status", env=env)
    assert (before.status, before.text.count("pending")) == (1, len(before.text.splitlines()))
    at_once = await asyncio.gather(*(waypost("migrate", "up", env=env) for _ in range(4)))
    assert [each.status for each in at_once] == [0] * 4, at_once
    assert sorted(each.text.split()[0] for each in at_once) == ["applied", "nothing", "nothing", "nothing"]
    again = await waypost("migrate", "up", env=env)
    assert (again.status, again.text.split()[0]) == (0, "nothing")
    after = await waypost("migrate", "status", env=env)
    assert (after.status, after.text.count("pending")) == (0, 0)
    assert len(after.text.splitlines()) == len(before.text.splitlines()) > 3


# waypost user


async def test_a_person_who_was_added_can_sign_in(servers: Servers, environment: dict[str, str]):
    env = clean_environment(environment | {"WAYPOST_PASSWORD": PASSWORD})
    one = ("user", "add", "Rudo", "--org", "Rudo's", "--email", "Rudo@Example.com")
    complains(await waypost(*one, env=env), "no organisation named")
    assert (await waypost(*one, "--new-org", env=env)).status == 0
    second = await waypost(
        "user", "add", "Farai", "--org", "Rudo's", "--phone", "+263771234568", "--role", "viewer", env=env
    )
    assert second.status == 0, second
    complains(await waypost(*one, env=env), "already")
    complains(await waypost("user", "add", "X", "--org", "Rudo's", env=env), "--phone or --email")
    complains(await waypost("user", "add", "X", "--org", "Rudo's", "--phone", "0771", env=env), "international")
    weak = env | {"WAYPOST_PASSWORD": "short"}
    complains(await waypost("user", "add", "X", "--org", "Rudo's", "--email", "x@example.com", env=weak), "characters")
    async with serving(environment) as server:
        assert (await sign_in(server.url, PASSWORD, email="rudo@example.com"))["user"]["role"] == "owner"
        assert (await sign_in(server.url, PASSWORD, phone="+263 77 123 4568"))["user"]["role"] == "viewer"


# waypost doctor, --help


async def test_the_doctor_reports(place: Path, environment: dict[str, str]):
    embedded = await waypost("doctor", "--data", place, env=clean_environment())
    external = await waypost("doctor", "--data", place, env=clean_environment(environment))
    for report, words in ((embedded, ("postgres", "valkey")), (external, ("PostgreSQL 18", "answers"))):
        assert "Traceback" not in report.text + report.complaint
        for word in (*words, "Python", "dbmate", "data folder"):
            assert word in report.text
        assert report.status == (1 if "missing" in report.text else 0)
    gone = environment | {"WAYPOST_REDIS_URL": f"redis://127.0.0.1:{NOBODY_PORT}"}
    ill = await waypost("doctor", "--data", place, env=clean_environment(gone))
    assert ill.status == 1
    assert "missing  Redis" in ill.text
    assert "Traceback" not in ill.text + ill.complaint


async def test_every_command_has_help():
    top = await waypost("--help", env=clean_environment())
    assert top.status == 0
    commands = re.findall(r"^│ (\w[\w-]*) ", top.text.partition("Commands")[2], re.MULTILINE)
    assert {"up", "serve", "migrate", "user", "replay", "doctor"} <= set(commands)
    pages = [(command,) for command in commands] + [("migrate", "up"), ("migrate", "status"), ("user", "add")]
    for page in pages:
        told = await waypost(*page, "--help", env=clean_environment())
        assert (page, told.status, "Usage" in told.text) == (page, 0, True)
    assert (await waypost("nothing", env=clean_environment())).status == 2


# The demo


async def moved(url: str, token: str, within_s: float) -> None:
    """Wait until a vehicle is elsewhere than when it was first seen."""
    first: dict[str, tuple[float, float]] = {}

    async def look() -> bool:
        _, page = await get(f"{url}/api/v1/tracking/latest?limit=200", token)
        for p in page["data"]:
            here = (p["latitude"], p["longitude"])
            if "tripId" in p and first.setdefault(p["vehicleId"], here) != here:
                return True
        return False

    await until(look, within_s)


def read_info(file: Path) -> tuple[dict[str, Any], int]:
    """What it holds, and who may read it."""
    return json.loads(file.read_text()), file.stat().st_mode & 0o777


async def check_demo(info_file: Path, url: str, vehicles: int) -> dict[str, Any]:
    info, mode = read_info(info_file)
    assert info.keys() == {"url", "phone", "password", "orgId", "tripIds", "deviceToken"}
    assert info["url"] == url
    assert mode == 0o600
    assert len(set(info["tripIds"])) == vehicles
    answer = await sign_in(url, info["password"], phone=info["phone"])
    assert answer["user"]["orgId"] == info["orgId"]
    for trip in info["tripIds"][:3]:
        status, body = await get(f"{url}/api/v1/trips/{trip}", answer["accessToken"])
        assert (status, body["status"]) == (200, "started")
    assert (await get(f"{url}/api/v1/trips/{info['tripIds'][0]}", info["deviceToken"]))[0] == 200
    return answer


async def test_the_demo_without_traces_drives_simulated_vans_and_goes_on_after_a_restart(place: Path):
    info, trips = place / "info.json", []
    for _ in range(2):
        async with up(place / "data", "--demo", "--info", info, "--vehicles", FLEET_SIZE, cwd=place) as command:
            await until(info.exists)
            answer = await check_demo(info, command.url, FLEET_SIZE)
            trips.append(read_info(info)[0]["tripIds"])
            await moved(command.url, answer["accessToken"], within_s=20)
            command.send(signal.SIGINT)
            assert await command.ended(40) == 0
        info.unlink()
    assert trips[0] == trips[1]


def write_traces(file: Path) -> None:
    """Three vans that drive for ten minutes, a fix each four seconds."""
    began = datetime(2024, 5, 6, 7, 0, tzinfo=UTC)
    rows = ["source,vehicle_id,trip_id,recorded_at,latitude,longitude,speed_mps,heading_deg,accuracy_m"]
    for n in range(150):
        at = (began + timedelta(seconds=4 * n)).isoformat().replace("+00:00", "Z")
        rows += [f"own,van-{van},t{van},{at},{-17.8 + van / 100 + n * 3e-4:.6f},31.05,8.3,0,5" for van in range(3)]
    file.write_text("\n".join(rows) + "\n")


async def test_the_demo_plays_the_traces_it_is_given(place: Path):
    write_traces(place / "own.csv")
    info = place / "info.json"
    async with up(place / "data", "--demo", "--info", info, "--traces", place / "own.csv") as command:
        await until(info.exists)
        answer = await check_demo(info, command.url, 3)
        await moved(command.url, answer["accessToken"], within_s=20)
        _, page = await get(f"{command.url}/api/v1/tracking/latest", answer["accessToken"])
        assert {p["vehicleName"] for p in page["data"]} <= {"van-0", "van-1", "van-2"}


async def test_bad_use_of_the_demos_options_is_one_clear_line(place: Path):
    (place / "broken.csv").write_text("this,is\nno,trace\n")
    for options, word in (
        (("--info", place / "x"), "--demo"),
        (("--demo", "--traces", place / "nowhere"), "nowhere"),
        (("--demo", "--traces", place / "broken.csv"), "broken.csv"),
    ):
        failed = await waypost(
            "up", "--data", place / "data", "--port", 0, *options, env=clean_environment(), cwd=place
        )
        complains(failed, word)


async def test_serve_ends_in_order_with_status_0(environment: dict[str, str]):
    for number in (signal.SIGTERM, signal.SIGINT):
        async with serving(environment) as server:
            server.send(number)
            assert await server.ended() == 0
            assert "Traceback" not in server.text + server.complaint


async def test_serve_needs_no_database_to_say_that_its_port_is_no_port():
    for port in ("-1", "65536", "x"):
        async with running("serve", "--port", port, env=clean_environment()) as command:
            assert await command.ended() == 2
            assert "Traceback" not in command.complaint
    assert free_port() > 0


async def test_a_very_long_request_line_gets_a_problem_like_any_other(servers: Servers):
    name = await servers.create_database()
    port = free_port()
    settings = clean_environment(servers.environment(name) | {"WAYPOST_PORT": str(port)})
    async with running("serve", env=settings) as server, aiohttp.ClientSession() as session:
        await server.says(re.compile("listening"))
        url = f"http://127.0.0.1:{port}/api/v1/auth/login?x={'a' * 60_000}"
        async with session.post(url, json={}) as answer:
            assert (answer.status, answer.content_type) == (400, "application/problem+json")
