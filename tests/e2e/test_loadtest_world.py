"""``python -m loadtest world`` against a running installation: drivers whose old fixes belong to their trips."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.commands import clean_environment, get, serving
from tests.e2e.roads import Roads
from tests.servers import Servers

ROOT = Path(__file__).resolve().parents[2]
TRIPS = 1200  # more than are made at once
PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("server", "workers", "."))


async def loadtest(*arguments: object, env: Mapping[str, str]) -> tuple[int, str]:
    """Its status and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", *map(str, arguments), env=clean_environment(env) | {"PYTHONPATH": PATHS},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    return process.returncode or 0, complaint.decode()


async def test_the_drivers_of_a_world_report_fixes_of_twenty_hours_ago_as_fast_as_they_like(
    environment: dict[str, str], tmp_path: Path
):
    out = tmp_path / "trips.txt"
    async with serving(environment) as server, Roads.to(server.url) as roads:
        status, said = await loadtest("world", "--url", server.url, "--trips", TRIPS, "--out", out, env=environment)
        assert status == 0, said
        lines = [line.split() for line in out.read_text().splitlines()]
        assert len(lines) == len({token for _, _, token in lines}) == TRIPS
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        for trip_id, driver_id, token in (lines[0], lines[-1]):
            began_ms = int((time.time() - 20 * 3600) * 1000)
            for number in range(30):  # in far less than the second that ten requests are allowed in else
                fixes = [
                    {"latitude": -17.8, "longitude": 31 + at / 1e4, "timestamp": began_ms + at * 1000}
                    for at in range(number * 50, number * 50 + 50)
                ]
                batch = {"tripId": trip_id, "driverId": driver_id, "locations": fixes}
                answer = await roads.json(token, batch)
                assert (answer[0], answer[1].get("accepted")) == (200, 50), answer
            _, page = await get(f"{server.url}/api/v1/trips/{trip_id}/locations?limit=10", token)
            assert len(page["data"]) == 10


async def test_a_world_for_another_database_than_the_servers_is_refused(
    servers: Servers, environment: dict[str, str], tmp_path: Path
):
    other = servers.environment(await servers.create_database())
    async with serving(environment) as server:
        arguments = ("world", "--url", server.url, "--trips", 1, "--out", tmp_path / "trips.txt")
        status, said = await loadtest(*arguments, env=other)
    assert status == 1
    assert "it works on another database" in said
    assert "Traceback" not in said


async def test_what_cannot_be_is_said_in_a_line(environment: dict[str, str], tmp_path: Path):
    out = tmp_path / "trips.txt"
    for arguments, words in (
        (("--url", "http://127.0.0.1:1", "--trips", 1, "--out", out), "no Waypost answers"),
        (("--url", "http://127.0.0.1:1", "--trips", 0, "--out", out), "at least 1"),
        (("--url", "http://127.0.0.1:1", "--trips", 1, "--out", tmp_path / "missing" / "x"), "name a file"),
    ):
        status, said = await loadtest("world", *arguments, env=environment)
        assert (status, words in said, said.count("\n")) == (1, True, 1), said
